"""What the long measurements share: a fast upstream in processes of its own, a relay in front of it, and plain figures.

These programs are run by hand, not by `./dev test`: each takes minutes, prints what it measured and exits with 1 when a goal is missed.
The relay is $DOTRELAY_BINARY, else build/dotrelay.
"""
import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.certificates import CertificateStore  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.processes import cpu_seconds  # noqa: E402
from support.relay import PROJECT, Relay, upstream_table  # noqa: E402

os.environ.setdefault("DOTRELAY_BINARY", str(PROJECT / "build/dotrelay"))


def arguments(description, *options):
    """Parses the command line; `options` are (flag, default, help), the default's type is the option's."""
    parser = argparse.ArgumentParser(description=description.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for flag, default, text in options:
        parser.add_argument(flag, default=default, type=type(default), help=text)
    return parser.parse_args()


def resident_kib(pid):
    return int(re.search(r"^VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M).group(1))


@contextlib.contextmanager
def affinity(cores):
    """Processes started inside run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class FastUpstreams:
    """Processes of fast_upstream.py that share one port; an upstream for Bench, as a Resolver of support.resolvers is."""

    def __init__(self, folder, certificate, delay_ms=0, count=1):
        self.port, self.processes = free_port(), []
        self.address = f"127.0.0.1:{self.port}"
        self.command = [sys.executable, str(Path(__file__).with_name("fast_upstream.py")), "--port", str(self.port), "--chain",
                        str(certificate.chain_file), "--key", str(certificate.key_file), "--delay", str(delay_ms)]
        self.count = count

    def start(self):
        for _ in range(self.count):
            self.processes.append(subprocess.Popen(self.command, stdout=subprocess.PIPE, text=True))
        for process in self.processes:
            assert process.stdout.readline().startswith("ready"), "the upstream does not start"
        return self

    def stop(self):
        for process in self.processes:
            process.terminate()
            process.wait()
        self.processes = []


class Bench:
    """A running upstream and relay; use it as a context manager. `upstream` makes the upstream of (folder, certificate);
    with start_upstream=False it is there but not started. `relay_cores` are the cores of the relay alone."""

    def __init__(self, *, upstream=FastUpstreams, start_upstream=True, workers=2, deadline="10s", limits=None, relay_cores=None,
                 **upstream_options):
        self.folder = Path(tempfile.mkdtemp(prefix="dotrelay-acceptance-"))
        self.certificates = CertificateStore(self.folder)
        self.upstream = upstream(self.folder, self.certificates.good, **upstream_options)
        self.start_upstream = start_upstream
        table = upstream_table(self.upstream.address, self.certificates)
        self.relay = Relay(self.folder, table, listen={"workers": workers}, relay={"deadline": deadline}, limits=limits, start=False)
        every = os.sched_getaffinity(0)
        self.relay_cores = (relay_cores or set()) & every or every
        self.other_cores = every - self.relay_cores or every

    def relay_memory(self):
        """KiB resident in the supervisor and in each worker."""
        return [resident_kib(pid) for pid in (self.relay.supervisor, *self.relay.workers())]

    def relay_cpu_seconds(self):
        return cpu_seconds([self.relay.supervisor, *self.relay.workers()])

    def __enter__(self):
        if self.start_upstream:
            with affinity(self.other_cores):
                self.upstream.start()
        with affinity(self.relay_cores):
            self.relay.start()
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.relay.stop()
            else:
                print(self.relay.log[-3000:], file=sys.stderr)
                self.relay.kill()
        finally:
            self.upstream.stop()
            shutil.rmtree(self.folder)


class Goals:
    """Prints figures and remembers whether any goal was missed."""

    def __init__(self):
        self.missed = []

    def state(self, what, value, reached=None):
        verdict = "" if reached is None else "  ok" if reached else "  MISSED"
        print(f"{what:<52} {value}{verdict}", flush=True)
        if reached is False:
            self.missed.append(what)

    def exit(self):
        print("every goal reached" if not self.missed else f"missed: {', '.join(self.missed)}")
        sys.exit(1 if self.missed else 0)


class Stopwatch:
    def __init__(self):
        self.begin = time.monotonic()

    @property
    def seconds(self):
        return time.monotonic() - self.begin
