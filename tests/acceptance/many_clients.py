"""Nine thousand TCP clients at once, each with an answer; a thousand of them then pipeline twenty questions answered in random order.

Clients and relay are separate processes, so that the limit on open files (ulimit -n) holds 9,000 sockets on either side.
"""
import collections
import resource
import select
import socket
import struct

from bench import Bench, Goals, Stopwatch, arguments
from support import dns_answers
from verify_answers import check

IP_BIND_ADDRESS_NO_PORT = 24   # linux/in.h

class Client:
    """A non-blocking TCP connection with the questions it waits for."""

    def __init__(self, port, source):
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        self.socket.bind((source, 0))
        self.socket.connect_ex(("127.0.0.1", port))
        self.flying, self.buffer, self.unsent, self.failed = {}, b"", b"", ""

    def ask(self, identifier, text):
        name = dns_answers.wire_name(text)
        self.flying[identifier] = name
        message = struct.pack("!HHHHHH", identifier, 0x0100, 1, 0, 0, 0) + name + b"\0\1\0\1"
        self.unsent += struct.pack("!H", len(message)) + message

    def on_writable(self):
        self.unsent = self.unsent[self.socket.send(self.unsent):]

    def on_readable(self):
        """The whole messages of what arrived."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("closed by the relay")
        self.buffer += data
        while len(self.buffer) >= 2 and len(self.buffer) >= 2 + (length := struct.unpack_from("!H", self.buffer)[0]):
            yield self.buffer[2:2 + length]
            self.buffer = self.buffer[2 + length:]


def serve(poll, clients, seconds, rcodes=None):
    """Moves octets until every question is answered or the time is over. Gives (right, wrong); rcodes counts those of the wrong ones."""
    by_descriptor = {client.socket.fileno(): client for client in clients}
    for descriptor in by_descriptor:
        poll.modify(descriptor, select.EPOLLIN | select.EPOLLOUT)
    watch, right, wrong = Stopwatch(), 0, 0
    waiting = {descriptor for descriptor, client in by_descriptor.items() if client.flying}
    while waiting and watch.seconds < seconds:
        for descriptor, events in poll.poll(0.2, 1000):
            client = by_descriptor.get(descriptor)
            if client is None or client.failed:
                continue
            try:
                if events & select.EPOLLOUT:
                    if client.unsent:
                        client.on_writable()
                    if not client.unsent:
                        poll.modify(descriptor, select.EPOLLIN)
                if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                    for message in client.on_readable():
                        correct = check(message, client.flying)
                        right, wrong = right + (correct is True), wrong + (correct is not True)
                        if correct is not True and rcodes is not None:
                            rcodes[message[3] & 15] += 1
            except BlockingIOError:
                continue
            except OSError as error:
                client.failed = str(error)
                poll.unregister(descriptor)
            if not client.flying or client.failed:
                waiting.discard(descriptor)
    return right, wrong


def connect(poll, port, count, sources, step=500):
    """All connections, in steps that fit the relay's accept queue."""
    clients = []
    while len(clients) < count:
        batch = [Client(port, f"127.0.0.{1 + number % sources}") for number in range(len(clients), min(len(clients) + step, count))]
        for number, client in enumerate(batch, len(clients)):
            poll.register(client.socket.fileno(), select.EPOLLOUT)
            client.ask(number % 65536, f"client-{number}.many.example")
        clients += batch
        yield batch


def main():
    options = arguments(__doc__, ("--clients", 9000, "simultaneous connections"), ("--pipelining", 1000, "of them that pipeline"),
                        ("--questions", 20, "pipelined by each"), ("--delay", 300.0, "answers wait up to this (ms)"),
                        ("--workers", 2, "of the relay"),
                        ("--sources", 1, "client addresses, from 127.0.0.1 on"), ("--limit", 12000, "limits.tcp_clients of the relay"))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    goals = Goals()
    with Bench(delay_ms=options.delay, workers=options.workers, limits={"tcp_clients": options.limit}) as bench:
        empty = bench.relay.resident_kib()
        poll, clients, right, wrong = select.epoll(), [], 0, 0
        watch = Stopwatch()
        for batch in connect(poll, bench.relay.port, options.clients, options.sources):
            clients += batch
            more_right, more_wrong = serve(poll, batch, 20)
            right, wrong = right + more_right, wrong + more_wrong
        open_now = sum(not client.failed for client in clients)
        goals.state("connections open at the same time", f"{open_now} of {options.clients}", open_now == options.clients)
        goals.state("first answers, right", f"{right} in {watch.seconds:.1f} s", right == options.clients)
        goals.state("first answers, wrong", wrong, wrong == 0)
        goals.state("relay's memory for all of them", f"{bench.relay.resident_kib() - empty} KiB RSS more")
        watch = Stopwatch()
        for number, client in enumerate(clients):   # every one of them again, while all are connected
            client.ask(7, f"again-{number}.many.example")
        right, wrong = serve(poll, clients, 30)
        goals.state("second answers on the same connections, right", f"{right} in {watch.seconds:.1f} s", right == options.clients)
        pipelining = clients[::max(1, options.clients // options.pipelining)][:options.pipelining]
        for number, client in enumerate(pipelining):
            for question in range(options.questions):
                client.ask(question * 3001 % 65536, f"pipe-{number}-{question}.many.example")
        watch = Stopwatch()
        rcodes = collections.Counter()
        right, wrong = serve(poll, pipelining, 60, rcodes)
        wanted = len(pipelining) * options.questions
        goals.state("pipelined answers, right", f"{right} of {wanted} in {watch.seconds:.1f} s", right == wanted)
        goals.state("pipelined answers, wrong", f"{wrong} {dict(rcodes) or ''}", wrong == 0)
        failed = [client.failed for client in clients if client.failed]
        goals.state("connections lost", f"{len(failed)} {failed[:3] or ''}", not failed)
        for client in clients:
            client.socket.close()
    goals.exit()


if __name__ == "__main__":
    main()
