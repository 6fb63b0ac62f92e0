#!/usr/bin/env python3
"""TCP clients that do harm, many in one process: `bad_clients.py IP:PORT KIND COUNT`, where KIND is

  slow   sends one octet of a query a second, and so never finishes one before the next
  deaf   asks every second for an answer of 53 KB, eight in all, more than the buffers of both sides hold, and never reads
  idle   connects and says nothing

Each is made again after it was closed: at once when it had been open for a second, else a second later; a deaf one ten seconds
later. They are made at 500 a second (the deaf at 100), so that the queue of connections does not overflow. A line "made N closed N
octets N refused N open N" is printed when all have been made, and one whenever a line is read; the end of standard input ends it.
"""
import ctypes
import errno
import heapq
import os
import resource
import select
import socket
import struct
import sys
import time

SLOW_OCTET = b"\x01"   # two of them announce 257 more: at an octet a second no query is ever whole
ANSWERS_WANTED = 8
SMALLEST_BUFFER = 2304
SEGMENT = 1220   # as over Ethernet; for a client on loopback the kernel would buffer megabytes
MADE_A_SECOND = {"slow": 500, "deaf": 100, "idle": 500}
PR_SET_TIMERSLACK = 29


def query(name, rrtype):
    message = struct.pack("!HHHHHH", 7, 0x0100, 1, 0, 0, 0) + name + struct.pack("!HH", rrtype, 1)
    return struct.pack("!H", len(message)) + message


def large_query(number):
    label = f"deaf-{number}".encode()
    return query(bytes([len(label)]) + label + b"\x07example\0", 16)


class BadClients:
    """All of them on one epoll and one heap of what is due."""

    def __init__(self, address, kind, count):
        host, _, port = address.rpartition(":")
        self.server, self.kind, self.count = (host, int(port)), kind, count
        self.epoll, self.open, self.due, self.made_at = select.epoll(), {}, [], {}
        self.made = self.closed = self.octets = self.refused = self.questions = 0
        now = time.monotonic()
        for number in range(count):
            heapq.heappush(self.due, (now + number / MADE_A_SECOND[kind], number, None))

    def make(self, number, now):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALLEST_BUFFER)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, SEGMENT)
        client.bind((f"127.0.1.{1 + number % 200}", 0))   # ports in TIME_WAIT do not run out
        client.connect_ex(self.server)
        self.open[client.fileno()] = (client, number)
        self.made_at[number] = now
        self.epoll.register(client.fileno(), select.EPOLLRDHUP | select.EPOLLOUT)   # not EPOLLIN: nothing reads

    def connected(self, client, number, now):
        self.made += 1
        self.epoll.modify(client.fileno(), select.EPOLLRDHUP)
        if self.kind != "idle":
            heapq.heappush(self.due, (now, number, client))

    def harm(self, client, number, moment, now):
        """What a connected client does each second. It may have been closed meanwhile; an error shows as an event, too."""
        if client.fileno() < 0 or (self.kind == "deaf" and now - self.made_at[number] >= ANSWERS_WANTED):
            return
        self.questions += 1
        if self.send(client, SLOW_OCTET if self.kind == "slow" else large_query(self.questions)):
            heapq.heappush(self.due, (moment + 1, number, client))

    def send(self, client, octets):
        try:
            self.octets += client.send(octets)
            return True
        except OSError as error:
            return error.errno == errno.EAGAIN

    def lost(self, client, number, now):
        code = client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        self.refused += code == errno.ECONNREFUSED
        self.closed += 1
        del self.open[client.fileno()]
        client.close()
        wait = 10 if self.kind == "deaf" else 0 if now - self.made_at[number] >= 1 else 1
        heapq.heappush(self.due, (now + wait, number, None))

    def work(self, now):
        while self.due and self.due[0][0] <= now:
            moment, number, client = heapq.heappop(self.due)
            if client is None:
                self.make(number, now)
            else:
                self.harm(client, number, moment, now)

    def report(self):
        print(f"made {self.made} closed {self.closed} octets {self.octets} refused {self.refused} open {len(self.open)}", flush=True)

    def run(self):
        self.epoll.register(sys.stdin.fileno(), select.EPOLLIN)
        complete = False
        while True:
            wait = min(0.1, max(0.001, self.due[0][0] - time.monotonic())) if self.due else 0.1
            for descriptor, events in self.epoll.poll(wait, 1000):
                if descriptor == sys.stdin.fileno():
                    if not os.read(descriptor, 4096):
                        return
                    self.report()
                    continue
                client, number = self.open[descriptor]
                now = time.monotonic()
                if events & (select.EPOLLERR | select.EPOLLHUP | select.EPOLLRDHUP):
                    self.lost(client, number, now)
                elif events & select.EPOLLOUT:
                    self.connected(client, number, now)
            self.work(time.monotonic())
            if not complete and self.made >= self.count:
                complete = True
                self.report()


def main():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    ctypes.CDLL(None).prctl(PR_SET_TIMERSLACK, 1000)
    address, kind, count = sys.argv[1:]
    BadClients(address, kind, int(count)).run()


if __name__ == "__main__":
    main()
