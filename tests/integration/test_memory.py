"""`limits.memory`: clients that do not read, floods of queries, and half-sent queries stay within it, and their memory comes back."""
import contextlib
import socket
import time

import pytest

from support import behaviours, clients
from support.event_loop import wait_until
from support.processes import pss_kib
from support.relay import binary

pytestmark = pytest.mark.skipif("asan" in str(binary()), reason="AddressSanitizer's own memory would be measured")

LIMIT_KIB = 12 * 1024
# Of the whole relay. Not a share beside an idle figure: that depends on what other processes map. What is above the limit is for
# connections to upstreams, of which a busy machine causes up to seven more.
MOST_KIB = LIMIT_KIB + 512
LONG = "size-15000.example"


def relay_pss(relay):
    return pss_kib([relay.supervisor, *relay.workers()])


def deaf_client(port, octets, number):
    """Sends, and never reads; the smallest buffer, or loopback's would take megabytes."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2304)
    client.bind((f"127.0.1.{1 + number % 200}", 0))
    client.connect(("127.0.0.1", port))
    client.send(octets)
    return client


def framed(*messages):
    return b"".join(len(message).to_bytes(2, "big") + message for message in messages)


def highest_pss(relay, seconds):
    highest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        highest = max(highest, relay_pss(relay))
        time.sleep(0.02)
    return highest


def answered_over_tcp(relay, name):
    """Asks as a well-behaved client, which may come again when it was turned away."""
    def ask():
        with contextlib.suppress(OSError):
            return clients.rcode(relay.ask(name, transport="tcp")) == "NOERROR"
    wait_until(ask, 3, f"an answer over TCP for {name}")


def test_clients_that_never_read_stay_within_the_limit(make_upstream, make_relay):
    relay = make_relay(make_upstream(), limits={"memory": "12MiB"})
    relay.ask("warm.example")
    relay.ask("warm.example", transport="tcp")
    idle = relay_pss(relay)
    queries = framed(*[clients.raw_query(LONG, 16, message_id=number) for number in range(64)])
    with contextlib.ExitStack() as stack:
        for number in range(200):
            with contextlib.suppress(OSError):
                stack.enter_context(deaf_client(relay.port, queries, number))
        highest = highest_pss(relay, 1)
        answered_over_tcp(relay, "reader.example")
        assert clients.rcode(relay.ask("udp.example")) == "NOERROR"
        highest = max(highest, relay_pss(relay))
    assert highest <= MOST_KIB
    wait_until(lambda: relay_pss(relay) < idle + 2048, 4, "the memory comes back")


def test_half_sent_queries_count(make_upstream, make_relay):
    relay = make_relay(make_upstream(), limits={"memory": "12MiB"})
    relay.ask("warm.example", transport="tcp")
    with contextlib.ExitStack() as stack:
        for number in range(600):
            with contextlib.suppress(OSError):
                stack.enter_context(deaf_client(relay.port, (60000).to_bytes(2, "big") + bytes(50000), number))
        highest = highest_pss(relay, 0.5)
        answered_over_tcp(relay, "reader.example")
    assert highest <= MOST_KIB


def test_a_flood_of_queries_to_a_mute_upstream_gives_its_memory_back(make_upstream, make_relay):
    upstream = make_upstream()
    relay = make_relay(upstream, limits={"memory": "12MiB"}, relay={"deadline": "1s"})
    relay.ask("warm.example")
    idle = relay_pss(relay)
    upstream.behaviour = behaviours.drop
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(50)]
    for number, one in enumerate(sockets):
        one.bind((f"127.0.1.{1 + number}", 0))
    for number in range(20000):
        sockets[number % 50].sendto(clients.raw_query(f"n{number}.example"), ("127.0.0.1", relay.port))
    highest = highest_pss(relay, 1)
    for one in sockets:
        one.close()
    upstream.behaviour = behaviours.answer
    assert highest <= MOST_KIB
    wait_until(lambda: relay_pss(relay) < idle + 1536, 5, lambda: f"the memory comes back: {idle} KiB, then {highest}, now {relay_pss(relay)}")
    assert clients.rcode(relay.ask("after.example")) == "NOERROR"
