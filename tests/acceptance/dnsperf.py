"""A million unique names each over UDP and TCP: dnsperf, the relay, and a real unbound that serves DNS over TLS on loopback.

Goals: no question lost, every answer NOERROR, and memory that does not grow after the first 100,000 of either transport. The relay's CPU time
for a query is printed too; that figure holds best with the relay on a core of its own (--workers 1 --relay-core 0).

A worker's memory depends on how many client sockets it got, which differs from one run of dnsperf to the next: hence many short runs, several of
them within the first 100,000.
"""
import re
import shutil
import subprocess

from bench import Bench, Goals, Stopwatch, affinity, arguments
from support.resolvers import Unbound, unbound_process

ZONE = "load.example"


class LoadUnbound(Unbound):
    """Every name under load.example has the same address, from one thread and without a cache to warm."""

    def command(self):
        config = self.folder / "unbound-load.conf"
        config.write_text(f"""server:
  interface: {self.address.replace(':', '@')}
  tls-port: {self.port}
  tls-service-key: "{self.certificate.key_file}"
  tls-service-pem: "{self.certificate.chain_file}"
{unbound_process(self.folder)}  num-threads: 1
  incoming-num-tcp: 100
  module-config: "iterator"
  local-zone: "{ZONE}." redirect
  local-data: "{ZONE}. 300 IN A 192.0.2.1"
remote-control:
  control-enable: no
""")
        return [shutil.which("unbound", path="/usr/sbin:/usr/bin"), "-d", "-c", config]


def dnsperf(port, tcp, names, options):
    """Runs one part; gives dnsperf's counts."""
    command = ["dnsperf", "-s", "127.0.0.1", "-p", str(port), "-m", "tcp" if tcp else "udp", "-d", str(names), "-n", "1",
               "-c", str(options.clients), "-q", str(options.in_flight), "-t", "12", "-T", "1"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    counts = {what: int(number) for what, number in re.findall(r"Queries (sent|completed|lost):\s+(\d+)", done.stdout)}
    if len(counts) != 3:
        raise RuntimeError(f"dnsperf said:\n{done.stdout}{done.stderr}")
    counts["noerror"] = int(found.group(1)) if (found := re.search(r"NOERROR (\d+)", done.stdout)) else 0
    counts["seconds"] = float(re.search(r"Run time \(s\):\s+([\d.]+)", done.stdout).group(1))
    return counts


def measure(bench, goals, transport, options):
    """All names over one transport, in parts; the relay stays the same."""
    names = bench.folder / "names"
    total = {"sent": 0, "completed": 0, "lost": 0, "noerror": 0}
    baseline, largest, watch = None, 0, Stopwatch()
    cpu = bench.relay_cpu_seconds()
    for start in range(0, options.count, options.part):
        part = range(start, min(start + options.part, options.count))
        names.write_text("".join(f"{transport}-{number}.{ZONE} A\n" for number in part))
        with affinity(bench.other_cores):
            counts = dnsperf(bench.relay.port, transport == "tcp", names, options)
        for what in total:
            total[what] += counts[what]
        parts = bench.relay_memory()
        if part.stop >= options.warm_up:
            baseline = sum(parts) if baseline is None else baseline
            largest = max(largest, sum(parts))
        if part.stop % options.report == 0 or part.stop == options.count:
            goals.state(f"{transport}: {part.stop:>8} names, lost {total['lost']}",
                        f"{sum(parts)} KiB RSS {parts}, {len(part) / counts['seconds']:.0f}/s")
    spent = bench.relay_cpu_seconds() - cpu
    goals.state(f"{transport}: answered NOERROR", f"{total['noerror']} of {options.count} in {watch.seconds:.0f} s",
                total["noerror"] == options.count)
    goals.state(f"{transport}: lost", total["lost"], total["lost"] == 0)
    if baseline is not None:
        goals.state(f"{transport}: growth after the first {options.warm_up}", f"{largest - baseline} KiB at most (goal: {options.growth} or less)",
                    largest - baseline <= options.growth)
    goals.state(f"{transport}: relay's CPU", f"{spent / max(1, total['completed']) * 1e6:.1f} us an answered query")


def main():
    options = arguments(__doc__, ("--count", 1000000, "names for each transport"), ("--part", 20000, "names for each run of dnsperf"),
                        ("--warm-up", 100000, "names before memory must be flat"), ("--report", 100000, "names between two lines"),
                        ("--clients", 20, "dnsperf's sockets"), ("--in-flight", 400, "questions in flight"), ("--workers", 2, "of the relay"),
                        ("--growth", 512, "KiB that all processes together may grow after the warm-up"),
                        ("--relay-core", -1, "the core that the relay has for itself; -1: it floats"))
    goals = Goals()
    with Bench(upstream=LoadUnbound, workers=options.workers, relay_cores={options.relay_core}) as bench:
        goals.state("memory at the start", f"{sum(bench.relay_memory())} KiB RSS {bench.relay_memory()}")
        for transport in ("udp", "tcp"):
            measure(bench, goals, transport, options)
    goals.exit()


if __name__ == "__main__":
    main()
