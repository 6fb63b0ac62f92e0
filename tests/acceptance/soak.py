"""A million unique names each over UDP and TCP through dnsperf, in parts of 100,000, with the relay's memory after each part.

Goals: no question lost, and memory that does not grow after the first part.
"""
import re
import subprocess

from bench import Bench, Goals, Stopwatch, arguments


def dnsperf(port, tcp, names, clients, in_flight):
    """Runs one part; gives dnsperf's counts."""
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-m", "tcp" if tcp else "udp", "-d", str(names), "-n", "1", "-c", str(clients),
               "-q", str(in_flight), "-t", "12", "-T", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    counts = {what: int(number) for what, number in re.findall(r"Queries (sent|completed|lost):\s+(\d+)", done.stdout)}
    if len(counts) != 3:
        raise RuntimeError(f"dnsperf said:\n{done.stdout}{done.stderr}")
    counts["noerror"] = int(found.group(1)) if (found := re.search(r"NOERROR (\d+)", done.stdout)) else 0
    counts["seconds"] = float(re.search(r"Run time \(s\):\s+([\d.]+)", done.stdout).group(1))
    return counts


def main():
    options = arguments(__doc__.splitlines()[0], ("--count", 1000000, "names for each transport"), ("--part", 100000, "names for each run of dnsperf"),
                        ("--clients", 20, "dnsperf's sockets"), ("--in-flight", 400, "questions in flight"), ("--workers", 2, "of the relay"),
                        ("--growth", 512, "KiB that the memory may grow after the first part of each transport"))
    goals = Goals()
    with Bench(workers=options.workers) as bench:
        names = bench.folder / "names"
        goals.state("memory at the start", f"{bench.relay.resident_kib()} KiB RSS")
        for transport in ("udp", "tcp"):
            total = {"sent": 0, "completed": 0, "lost": 0, "noerror": 0}
            first, largest, watch = None, 0, Stopwatch()
            cpu = bench.relay.cpu_seconds()
            for start in range(0, options.count, options.part):
                part = range(start, min(start + options.part, options.count))
                names.write_text("".join(f"{transport}-{number}.soak.example A\n" for number in part))
                counts = dnsperf(bench.relay.port, transport == "tcp", names, options.clients, options.in_flight)
                for what in total:
                    total[what] += counts[what]
                memory = bench.relay.resident_kib()
                first = memory if first is None else first
                largest = max(largest, memory)
                goals.state(f"{transport}: {part.stop:>8} names, lost {total['lost']}", f"{memory} KiB RSS, {len(part) / counts['seconds']:.0f}/s")
            goals.state(f"{transport}: answered", f"{total['noerror']} of {options.count} in {watch.seconds:.0f} s", total["noerror"] == options.count)
            goals.state(f"{transport}: lost", total["lost"], total["lost"] == 0)
            goals.state(f"{transport}: growth after the first part", f"{largest - first} KiB", largest - first <= options.growth)
            spent = bench.relay.cpu_seconds() - cpu
            goals.state(f"{transport}: relay's CPU", f"{spent / options.count * 1e6:.1f} us a query")
    goals.exit()


if __name__ == "__main__":
    main()
