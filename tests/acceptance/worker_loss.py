"""Workers killed and stopped under load: what clients notice of it.

A steady rate of questions over UDP and over TCP, each from a socket of its own that is used once. Goals: no connection refused, every worker
replaced. What the dead worker had read and not answered is lost and stated; a question that still waits in its socket is not.
"""
import collections
import os
import resource
import select
import signal
import socket
import struct
import time

from bench import Bench, Goals, arguments
from support import dns_answers
from support.relay import alive
from verify_answers import check


class Question:
    """One question on a socket of its own."""

    def __init__(self, port, tcp, number):
        self.tcp, self.begin, self.buffer = tcp, time.monotonic(), b""
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind((f"127.0.0.{1 + number % 50}", 0))   # several addresses: ports in TIME_WAIT do not run out
        self.socket.connect_ex(("127.0.0.1", port))
        name = dns_answers.wire_name(f"loss-{number}.example")
        self.flying = {number % 65536: name}
        message = struct.pack("!HHHHHH", number % 65536, 0x0100, 1, 0, 0, 0) + name + b"\0\1\0\1"
        if tcp:
            self.unsent = struct.pack("!H", len(message)) + message
        else:
            self.unsent = b""
            self.socket.send(message)

    def on_event(self, events):
        """The outcome when there is one: right, wrong, refused, reset or closed."""
        try:
            if self.unsent and events & (select.EPOLLOUT | select.EPOLLERR):
                self.unsent = self.unsent[self.socket.send(self.unsent):]
            if not events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
                return None
            data = self.socket.recv(65536)
        except BlockingIOError:
            return None
        except ConnectionRefusedError:
            return "refused"
        except ConnectionError:
            return "reset"
        if self.tcp:
            if not data:
                return "closed"
            self.buffer += data
            if len(self.buffer) < 2 or len(self.buffer) < 2 + struct.unpack_from("!H", self.buffer)[0]:
                return None
            data = self.buffer[2:]
        return "right" if check(data, self.flying) else "wrong"


class Load:
    """Asks at a steady rate until told otherwise, in the caller's thread."""

    def __init__(self, port, rate, patience):
        self.port, self.interval, self.patience = port, 1 / rate, patience
        self.poll, self.waiting, self.number = select.epoll(), {}, 0
        self.outcomes = {"udp": collections.Counter(), "tcp": collections.Counter()}
        self.slowest = {"udp": 0.0, "tcp": 0.0}

    def ask(self, tcp):
        self.number += 1
        question = Question(self.port, tcp, self.number)
        self.waiting[question.socket.fileno()] = question
        self.poll.register(question.socket.fileno(), select.EPOLLIN | (select.EPOLLOUT if tcp else 0))

    def settle(self, question, outcome):
        transport = "tcp" if question.tcp else "udp"
        self.outcomes[transport][outcome] += 1
        if outcome == "right":
            self.slowest[transport] = max(self.slowest[transport], time.monotonic() - question.begin)
        del self.waiting[question.socket.fileno()]
        question.socket.close()

    def step(self, seconds):
        for descriptor, events in self.poll.poll(seconds, 1000):
            question = self.waiting[descriptor]
            if outcome := question.on_event(events):
                self.settle(question, outcome)
            elif question.tcp and not question.unsent:
                self.poll.modify(descriptor, select.EPOLLIN)

    def run(self, until, limit):
        """Asks until `until()` holds; gives False when that takes longer than the limit."""
        begin = due = time.monotonic()
        while not until():
            now = time.monotonic()
            if now - begin > limit:
                return False
            while due <= now:
                self.ask(False)
                self.ask(True)
                due += self.interval
            self.step(max(0, due - time.monotonic()))
        return True

    def finish(self):
        end = time.monotonic() + self.patience
        while self.waiting and time.monotonic() < end:
            self.step(0.05)
        for question in list(self.waiting.values()):
            self.settle(question, "unanswered")


def after(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def lose_a_worker(load, relay, sent, limit):
    """Seconds until another worker is ready in the place of the lost one; None when that takes too long."""
    ready = sum("is ready (PID" in line for line in relay.lines)
    victim = relay.workers()[0]
    begin = time.monotonic()
    os.kill(victim, sent)
    replaced = load.run(lambda: sum("is ready (PID" in line for line in relay.lines) > ready, limit)
    return time.monotonic() - begin if replaced and not alive(victim) else None


def measure(bench, goals, sent, options):
    load, took = Load(bench.relay.port, options.rate, options.patience), []
    load.run(after(1), 5)
    for _ in range(options.rounds):
        took.append(lose_a_worker(load, bench.relay, sent, 10))
        load.run(after(1), 5)
    load.finish()
    name = sent.name
    goals.state(f"{name}: seconds to replacement", " ".join("never" if seconds is None else f"{seconds:.3f}" for seconds in took),
                None not in took)
    for transport, outcomes in load.outcomes.items():
        asked = sum(outcomes.values())
        goals.state(f"{name} {transport}: asked, answered right", f"{asked}, {outcomes['right']}; slowest {load.slowest[transport]:.2f} s")
        goals.state(f"{name} {transport}: refused", outcomes["refused"], outcomes["refused"] == 0)
        goals.state(f"{name} {transport}: wrong", outcomes["wrong"], outcomes["wrong"] == 0)
        lost = outcomes["reset"] + outcomes["closed"] + outcomes["unanswered"]
        goals.state(f"{name} {transport}: lost with the worker", f"{lost} ({lost / options.rounds:.1f} each; reset {outcomes['reset']}, "
                    f"closed {outcomes['closed']}, unanswered {outcomes['unanswered']})")


def main():
    options = arguments(__doc__, ("--rate", 1000, "questions a second over UDP, and as many over TCP"), ("--rounds", 5, "workers lost by each"),
                        ("--workers", 2, "of the relay"), ("--delay", 10.0, "answers wait up to this (ms)"),
                        ("--patience", 12.0, "seconds after which a question is lost"))
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    goals = Goals()
    with Bench(delay_ms=options.delay, workers=options.workers, deadline="4s") as bench:
        for sent in (signal.SIGKILL, signal.SIGSTOP):
            measure(bench, goals, sent, options)
    goals.exit()


if __name__ == "__main__":
    main()
