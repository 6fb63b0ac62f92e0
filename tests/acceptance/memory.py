"""Idle memory of supervisor and worker (PSS, from /proc/PID/smaps_rollup) with the system's CA bundle, and the stripped binary's size.

PSS counts a shared page once over all who share it: the sum is what the relay really takes from the machine.
"""
import re
import subprocess
import tempfile
import time
from pathlib import Path

from bench import Bench, Goals, arguments
from support.relay import binary


def smaps(pid):
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return {key: int(re.search(rf"^{key}:\s+(\d+)", text, re.M).group(1)) for key in ("Rss", "Pss", "Private_Dirty")}


def show(goals, when, relay, options):
    for role, pids, limit in (("supervisor", [relay.supervisor], options.supervisor), ("worker", relay.workers(), options.worker)):
        for pid in pids:
            figures = smaps(pid)
            goals.state(f"{when}: {role}", f"PSS {figures['Pss']} KiB (RSS {figures['Rss']}, private dirty {figures['Private_Dirty']})",
                        figures["Pss"] <= limit)


def stripped_size():
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run(["strip", "-o", copy.name, str(binary())], check=True)
        return Path(copy.name).stat().st_size


def main():
    options = arguments(__doc__, ("--bundle", "/etc/ssl/certs/ca-certificates.crt", "the CA bundle"), ("--workers", 1, "of the relay"),
                        ("--supervisor", 4096, "goal in KiB PSS"), ("--worker", 8192, "goal in KiB PSS"), ("--binary", 2048, "goal in KiB, stripped"))
    goals = Goals()
    size = stripped_size() / 1024
    goals.state("binary, stripped", f"{size:.0f} KiB", size <= options.binary)
    with Bench(workers=options.workers, ca_bundle=options.bundle) as bench:
        time.sleep(1)
        show(goals, "after the start", bench.relay, options)
        for number in range(1000):
            bench.relay.ask(f"memory-{number}.example", transport="tcp" if number % 2 else "udp")
        time.sleep(1)
        show(goals, "idle after 1000 queries", bench.relay, options)
    goals.exit()


if __name__ == "__main__":
    main()
