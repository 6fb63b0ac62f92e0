"""A relay with one worker between an upstream that answers at once and clients that keep a number of questions in flight.

For measurements that count (allocations, instructions) and do not time: the clients are Python and slower than the relay.
No name is ever asked twice. `bench` is a fresh relay and upstream; the programs of `./dev bench` that time have their own load.
"""
import contextlib
import itertools
import os
import select
import socket
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "tests"))

from support.certificates import CertificateStore  # noqa: E402
from support.ports import free_port  # noqa: E402
from support.relay import Relay, upstream_table  # noqa: E402

PATIENCE = 20
_numbers = itertools.count()


class NoAnswer(Exception):
    """A question stayed without an answer, or got another one than NOERROR."""


def question(message_id):
    """A query for A of a name of its own, with an OPT as any resolver's clients send it."""
    label = b"q%09d" % next(_numbers)
    return struct.pack("!6HB", message_id, 0x0120, 1, 0, 0, 1, len(label)) + label + b"\x05bench\x04test\0\0\1\0\1" + bytes.fromhex(
        "00002904d0000000000000")


def check(answer):
    if len(answer) < 12 or answer[3] & 15 or answer[7] == 0:
        raise NoAnswer(f"an answer without an address: {answer[:12].hex()}")


def ask_udp(port, count, in_flight, sockets=20):
    """Asks `count` questions from up to `sockets` sockets; what arrived together is replaced together, as busy clients do."""
    sockets = min(sockets, in_flight)
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(sockets)]
        poll = select.epoll()
        stack.callback(poll.close)
        for client in clients:
            client.connect(("127.0.0.1", port))
            client.setblocking(False)
            poll.register(client, select.EPOLLIN)
        by_descriptor = {client.fileno(): client for client in clients}
        sent = answered = 0
        for index in range(min(in_flight, count)):
            clients[index % sockets].send(question(sent & 0xffff))
            sent += 1
        while answered < count:
            ready = []
            for descriptor, _ in poll.poll(PATIENCE):
                client = by_descriptor[descriptor]
                with contextlib.suppress(BlockingIOError):
                    while True:
                        check(client.recv(4096))
                        ready.append(client)
            if not ready:
                raise NoAnswer(f"{count - answered} of {count} questions over UDP have no answer")
            answered += len(ready)
            for client in ready[:count - sent]:
                client.send(question(sent & 0xffff))
                sent += 1


def framed(message):
    return struct.pack("!H", len(message)) + message


def ask_tcp(port, count, in_flight):
    """Asks over one connection that keeps `in_flight` questions open."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent = min(in_flight, count)
        client.sendall(b"".join(framed(question(number)) for number in range(sent)))
        answered, buffer = 0, b""
        while answered < count:
            octets = client.recv(65536)
            if not octets:
                raise NoAnswer("the relay closed the connection")
            buffer += octets
            arrived = 0
            while len(buffer) >= 2 and len(buffer) >= 2 + int.from_bytes(buffer[:2], "big"):
                size = int.from_bytes(buffer[:2], "big")
                check(buffer[2:2 + size])
                buffer = buffer[2 + size:]
                arrived += 1
            answered += arrived
            again = min(arrived, count - sent)
            if again:
                client.sendall(b"".join(framed(question((sent + number) & 0xffff)) for number in range(again)))
            sent += again


def ask_one_shot_tcp(port, count, in_flight):
    """A connection for each question, closed by the client after its answer; `in_flight` of them at a time."""
    poll = select.epoll()
    clients = {}

    def ask():
        client = socket.create_connection(("127.0.0.1", port), PATIENCE)
        client.sendall(framed(question(len(clients))))
        client.setblocking(False)
        poll.register(client, select.EPOLLIN)
        clients[client.fileno()] = client

    try:
        sent = answered = 0
        while answered < count:
            while sent < count and len(clients) < in_flight:
                ask()
                sent += 1
            ready = poll.poll(PATIENCE)
            if not ready:
                raise NoAnswer(f"{count - answered} of {count} questions over TCP have no answer")
            for descriptor, _ in ready:
                client = clients.pop(descriptor)
                check(client.recv(4096)[2:])
                poll.unregister(client)
                client.close()
                answered += 1
    finally:
        for client in clients.values():
            client.close()
        poll.close()


LOADS = {
    "udp": ("UDP", ask_udp),
    "tcp": ("one TCP connection", ask_tcp),
    "tcp-one-shot": ("a TCP connection each", ask_one_shot_tcp),
}


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
def relay_between(upstream_program, relay_environment, folder=None):
    """A running relay (one worker) in front of faults-upstream without delay; only the relay gets `relay_environment`."""
    with tempfile.TemporaryDirectory(prefix="dotrelay-bench-") as made:
        folder = Path(folder or made)
        certificates = CertificateStore(folder)
        port = free_port()
        command = [str(upstream_program), "127.0.0.1", str(port), str(certificates.good.chain_file), str(certificates.good.key_file), "0", "0"]
        upstream = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            assert upstream.stdout.readline().startswith("ready"), "the upstream does not start"
            relay = Relay(folder, upstream_table(f"127.0.0.1:{port}", certificates), relay={"deadline": "10s"}, start=False)
            with environment(relay_environment):
                relay.start()
            with relay:
                yield relay
        finally:
            upstream.stdin.close()
            upstream.stdout.close()
            upstream.wait()
