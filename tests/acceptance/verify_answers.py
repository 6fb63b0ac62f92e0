"""Asks a million unique names over UDP and again over TCP and checks every answer against what its name implies.

The upstream delays and shuffles its answers, so that a relay that mixes up identifiers, clients or questions is found out. Nothing is sent
twice: a question without an answer is lost, an answer with another question or address is wrong.
"""
import select
import socket
import struct
import time

from bench import Bench, Goals, Stopwatch, arguments
from support import dns_answers

WINDOW = 16384          # identifiers of one socket; each is in use at most once at a time


class Session:
    """One socket with questions in flight: identifier -> name in wire form."""

    def __init__(self, port, tcp):
        self.tcp = tcp
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        if tcp:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        else:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.setblocking(False)
        self.flying, self.next_id, self.buffer, self.unsent = {}, 0, b"", b""

    def ask(self, name):
        identifier = self.next_id
        while identifier in self.flying:
            identifier = (identifier + 1) % WINDOW
        self.next_id = (identifier + 1) % WINDOW
        self.flying[identifier] = name
        message = struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 0) + name + b"\0\1\0\1"
        if self.tcp:
            self.unsent += struct.pack("!H", len(message)) + message
        else:
            self.socket.send(message)

    def flush(self):
        if self.unsent:
            try:
                self.unsent = self.unsent[self.socket.send(self.unsent):]
            except BlockingIOError:
                pass

    def messages(self):
        """Every whole message that has arrived."""
        while True:
            try:
                data = self.socket.recv(65536)
            except BlockingIOError:
                return
            if not self.tcp:
                yield data
                continue
            if not data:
                raise ConnectionError("the relay closed a connection with questions in flight")
            self.buffer += data
            position = 0
            while len(self.buffer) - position >= 2:
                end = position + 2 + (self.buffer[position] << 8 | self.buffer[position + 1])
                if end > len(self.buffer):
                    break
                yield self.buffer[position + 2:end]
                position = end
            self.buffer = self.buffer[position:]


def check(message, flying):
    """True for the right answer; removes the question. None for an identifier that is not in use."""
    name = flying.pop(struct.unpack_from("!H", message)[0], None)
    if name is None:
        return None
    end = 12 + len(name) + 4
    return (message[3] & 15 == 0 and message[4:8] == b"\0\1\0\1" and message[12:end] == name + b"\0\1\0\1"
            and message[end:end + 4] == b"\xc0\x0c\0\1" and message[end + 10:end + 16] == b"\0\4" + dns_answers.digest(name)[:4])


def run(port, tcp, count, sessions, in_flight, patience):
    """Gives (right, wrong, unexpected, lost)."""
    clients = [Session(port, tcp) for _ in range(sessions)]
    by_descriptor = {client.socket.fileno(): client for client in clients}
    poll = select.epoll()
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    names = (dns_answers.wire_name(f"{'tcp' if tcp else 'udp'}-{number}.verify.example") for number in range(count))
    right = wrong = unexpected = 0
    share, exhausted, last = max(1, in_flight // sessions), False, time.monotonic()
    while True:
        for client in clients:
            while not exhausted and len(client.flying) < share:
                name = next(names, None)
                if name is None:
                    exhausted = True
                    break
                client.ask(name)
            client.flush()
        waiting = sum(len(client.flying) for client in clients)
        if (exhausted and not waiting) or time.monotonic() - last > patience:
            break
        for descriptor, _ in poll.poll(0.05):
            client = by_descriptor[descriptor]
            for message in client.messages():
                verdict = check(message, client.flying)
                right += verdict is True
                wrong += verdict is False
                unexpected += verdict is None
                last = time.monotonic()
    lost = sum(len(client.flying) for client in clients)
    for client in clients:
        client.socket.close()
    return right, wrong, unexpected, lost


def main():
    options = arguments(__doc__, ("--count", 1000000, "names for each transport"), ("--delay", 50.0, "answers wait up to this (ms)"),
                        ("--sessions", 20, "client sockets"), ("--in-flight", 1000, "questions in flight"), ("--workers", 2, "of the relay"),
                        ("--patience", 15.0, "seconds without any answer after which the rest is lost"))
    goals = Goals()
    with Bench(delay_ms=options.delay, workers=options.workers) as bench:
        for transport in ("udp", "tcp"):
            watch = Stopwatch()
            right, wrong, unexpected, lost = run(bench.relay.port, transport == "tcp", options.count, options.sessions, options.in_flight,
                                                 options.patience)
            goals.state(f"{transport}: right answers", f"{right} of {options.count} in {watch.seconds:.0f} s", right == options.count)
            goals.state(f"{transport}: wrong", wrong, wrong == 0)
            goals.state(f"{transport}: identifiers that no query had", unexpected, unexpected == 0)
            goals.state(f"{transport}: lost", lost, lost == 0)
    goals.exit()


if __name__ == "__main__":
    main()
