"""A relay with one worker between an upstream that answers at once and bench-load, which keeps a number of questions in flight.

For measurements that count (allocations, instructions) and do not time. No name is ever asked twice.
"""
import contextlib
import os
import tempfile
from pathlib import Path

from measuring import Load
from place import PROJECT, Upstream   # its import also opens the way to tests/support
from support.certificates import CertificateStore
from support.ports import free_port
from support.relay import Relay, upstream_table

PATIENCE = 120   # seconds for all questions of one call: callgrind makes a relay fifty times slower

# Name -> title, mode of bench-load, sockets or connections (None: one for each question in flight).
LOADS = {
    "udp": ("UDP", "udp", 20),
    "tcp": ("one TCP connection", "tcp", 1),
    "tcp-one-shot": ("a TCP connection each", "tcp-once", None),
}


class NoAnswer(Exception):
    """A question stayed without an answer, or got another one than NOERROR."""


def ask(load, port, count, in_flight):
    """Asks `count` questions; each must be answered."""
    _, mode, clients = LOADS[load]
    with Load(f"127.0.0.1:{port}", mode, min(clients or in_flight, in_flight), in_flight) as running:
        answered = running.run(PATIENCE, count)["answered"]
    if answered != count:
        raise NoAnswer(f"{count - answered} of {count} questions have no good answer ({load})")


@contextlib.contextmanager
def environment(variables):
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextlib.contextmanager
def relay_between(relay_environment):
    """A running relay (one worker) in front of an Upstream; only the relay gets `relay_environment`."""
    with tempfile.TemporaryDirectory(prefix="dotrelay-bench-") as folder:
        certificates = CertificateStore(Path(folder))
        upstream = Upstream(certificates, "127.0.0.1", free_port())
        try:
            relay = Relay(folder, upstream_table(upstream.address, certificates), relay={"deadline": "10s"}, start=False)
            with environment(relay_environment):
                relay.start()
            with relay:
                yield relay
        finally:
            upstream.stop()
