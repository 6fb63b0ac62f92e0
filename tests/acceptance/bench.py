"""What the long measurements share: a fast upstream in processes of its own, a relay in front of it, and plain figures.

These programs are run by hand, not by `./dev test`: each takes minutes, prints what it measured and exits with 1 when a goal is missed.
The relay is $DOTRELAY_BINARY, else build/dotrelay.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.certificates import CertificateStore  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.relay import PROJECT, Relay, upstream_table  # noqa: E402

os.environ.setdefault("DOTRELAY_BINARY", str(PROJECT / "build/dotrelay"))


def arguments(description, *options):
    """Parses the command line; `options` are (flag, default, help), the default's type is the option's."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    for flag, default, text in options:
        parser.add_argument(flag, default=default, type=type(default), help=text)
    return parser.parse_args()


class Bench:
    """A running upstream and relay; use it as a context manager."""

    def __init__(self, *, delay_ms=0, processes=1, workers=2, deadline="10s", limits=None, ca_bundle=None):
        self.folder = Path(tempfile.mkdtemp(prefix="dotrelay-acceptance-"))
        self.certificates = CertificateStore(self.folder)
        self.upstream_port, self.upstreams = free_port(), []
        self.delay_ms, self.processes = delay_ms, processes
        table = upstream_table(f"127.0.0.1:{self.upstream_port}", self.certificates)
        if ca_bundle:
            both = self.folder / "bundle.pem"
            both.write_bytes(Path(ca_bundle).read_bytes() + self.certificates.ca_file.read_bytes())
            table["ca_file"] = str(both)
        self.relay = Relay(self.folder, table, listen={"workers": workers}, relay={"deadline": deadline}, limits=limits, start=False)

    def __enter__(self):
        certificate = self.certificates.good
        for _ in range(self.processes):
            command = [sys.executable, str(Path(__file__).with_name("fast_upstream.py")), "--port", str(self.upstream_port), "--chain",
                       str(certificate.chain_file), "--key", str(certificate.key_file), "--delay", str(self.delay_ms)]
            self.upstreams.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        for upstream in self.upstreams:
            assert upstream.stdout.readline().startswith("ready"), "the upstream does not start"
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
            for upstream in self.upstreams:
                upstream.terminate()
                upstream.wait()
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
