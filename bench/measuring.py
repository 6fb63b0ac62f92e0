"""One measurement: a run of bench-load against a subject, and what the subject spent on it."""
import json
import os
import select
import subprocess
import sys
import time

from place import build
from reasons import Unmeasured
from support.processes import die_with_parent

PATIENCE = 10           # seconds beyond those of a run, in which bench-load itself waits three for each answer
CONNECT_SECONDS = 60    # for thousands of connections, one after the other


class Load:
    """A running bench-load, with its connections made."""

    def __init__(self, address, mode, clients, in_flight):
        command = [build() / "bench/load/bench-load", mode, address, clients, in_flight]
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        preexec_fn=die_with_parent)
        self.buffer = b""
        try:
            self._line(CONNECT_SECONDS)
        except BaseException:
            self.stop()
            raise

    def _line(self, seconds):
        end = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            if not select.select([self.process.stdout], [], [], max(0, end - time.monotonic()))[0]:
                raise Unmeasured(f"nothing came of the load within {seconds:.0f} s")
            octets = os.read(self.process.stdout.fileno(), 65536)
            if not octets:
                print(self.process.stderr.read().decode(errors="replace"), end="", file=sys.stderr, flush=True)
                raise Unmeasured("the load generator ended")
            self.buffer += octets
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line

    def _ask(self, line, seconds):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        return self._line(seconds)

    def run(self, seconds, queries=0):
        """What bench-load says of it: answered, lost, wrong, failed, seconds, p50_ms, p99_ms."""
        return json.loads(self._ask(f"run {seconds} {queries}", seconds + PATIENCE))

    def count_closed(self):
        return int(self._ask("count", PATIENCE))

    def stop(self):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def measure(subject, workload, seconds, warm_up):
    """The figures of one run: those of bench-load, with CPU microseconds a query, queries a second, and the share of a
    core that the subject was busy with."""
    with Load(subject.address, workload.mode, workload.clients, workload.in_flight) as load:
        load.run(warm_up)
        pids, before = subject.pids(), subject.cpu_seconds()
        figures = load.run(seconds)
        spent = subject.cpu_seconds() - before
    if subject.pids() != pids:
        raise Unmeasured("a process of it ended and was replaced")
    if not figures["answered"]:
        raise Unmeasured("answered nothing")
    # Waiting in vain for lost answers is no time of work.
    worked = min(figures["seconds"], seconds + figures["p99_ms"] / 1000)
    return figures | {"cpu_us": round(1e6 * spent / figures["answered"], 3), "per_second": round(figures["answered"] / worked),
                      "busy": round(spent / worked, 3)}
