"""TCP clients that take too much: idle ones, half-sent messages, slow readers, too many at once."""
import os
import resource
import socket
import struct
import time

import pytest

from support import behaviours, clients
from support.clients import TcpClient, assert_right, make_query, parse, raw_query


def ended(client, timeout=3.0):
    """True when the relay closed this connection within the time."""
    client.socket.settimeout(timeout)
    try:
        return client.socket.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def still_open(client):
    client.socket.settimeout(0.05)
    try:
        return client.socket.recv(1, socket.MSG_PEEK) != b""
    except TimeoutError:
        return True
    except ConnectionResetError:
        return False


def ask_on(client, name):
    client.send(raw_query(name))
    client.socket.settimeout(5)
    assert_right(parse(client.receive()), name)


def test_idle_connection_is_closed(make_upstream, make_relay):
    relay = make_relay(make_upstream(), limits={"tcp_idle": "1s"})
    with TcpClient(relay.port) as silent, TcpClient(relay.port) as used:
        begin = time.monotonic()
        ask_on(used, "idle.example")
        assert ended(silent) and 0.8 < time.monotonic() - begin < 2
        assert ended(used) and time.monotonic() - begin < 2.2


def test_idle_time_starts_anew_with_each_query(make_upstream, make_relay):
    relay = make_relay(make_upstream(), limits={"tcp_idle": "1s"})
    with TcpClient(relay.port) as client:
        for number in range(4):
            time.sleep(0.4)   # less than the idle time; together more
            ask_on(client, f"active-{number}.example")


def test_idle_timer_stops_while_an_answer_is_owed(make_upstream, make_relay):
    relay = make_relay(make_upstream(behaviour=behaviours.delayed(1.6)), limits={"tcp_idle": "1s"}, relay={"deadline": "3s"})
    with TcpClient(relay.port) as client:
        client.send(raw_query("owed.example"))
        assert_right(parse(client.receive()), "owed.example")


@pytest.mark.parametrize("sent", [b"\0", b"\0\x40", b"\0\x40" + bytes(10), b"\xff\xff" + bytes(20000)])
def test_unfinished_message_is_given_up(make_upstream, make_relay, sent):
    relay = make_relay(make_upstream(), limits={"tcp_idle": "1s"})
    with TcpClient(relay.port) as client:
        begin = time.monotonic()
        client.socket.sendall(sent)
        assert ended(client) and time.monotonic() - begin < 2


def test_deadline_is_per_message_not_per_octet(make_upstream, make_relay):
    """A message that trickles in keeps no socket: every octet arrives in time, the message does not."""
    relay = make_relay(make_upstream(), limits={"tcp_idle": "1s"})
    with TcpClient(relay.port) as client:
        client.socket.sendall(struct.pack("!H", 400))
        begin = time.monotonic()
        client.socket.settimeout(0.1)
        while time.monotonic() - begin < 4:
            try:
                client.socket.sendall(b"x")
                if client.socket.recv(1) == b"":
                    break
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
        assert time.monotonic() - begin < 2.5, "trickling octets must not renew the time"
        assert_right(relay.ask("others.example", transport="tcp"), "others.example")


def test_the_least_recently_used_client_is_shed(make_upstream, make_relay):
    relay = make_relay(make_upstream(), limits={"tcp_clients": 10})
    sessions = [TcpClient(relay.port) for _ in range(10)]
    for number, session in enumerate(sessions):
        ask_on(session, f"fill-{number}.example")
    ask_on(sessions[0], "used-again.example")
    with TcpClient(relay.port) as newcomer:
        ask_on(newcomer, "newcomer.example")
        assert ended(sessions[1]), "client 1 was used least recently"
        assert all(still_open(session) for session in sessions[2:]) and still_open(sessions[0])
        ask_on(sessions[0], "still-here.example")
    for session in sessions:
        session.close()


def test_newcomers_beyond_the_limit_are_always_served(make_upstream, make_relay):
    relay = make_relay(make_upstream(), limits={"tcp_clients": 10})
    sessions = []
    for number in range(60):
        sessions.append(TcpClient(relay.port))
        ask_on(sessions[-1], f"crowd-{number}.example")
    assert sum(still_open(session) for session in sessions) <= 10
    for session in sessions:
        session.close()


def test_slow_reader_costs_bounded_memory(make_upstream, make_relay):
    """Two thousand answers of 60 KB that nobody reads: 120 MB must not pile up, and others are served."""
    relay = make_relay(make_upstream())
    assert_right(relay.ask("before.example", transport="tcp"), "before.example")
    before = relay.resident_kib()
    with TcpClient(relay.port, receive_buffer=4096) as slow:
        query = [make_query(f"size-60000.slow-{number}.example", "TXT").to_wire() for number in range(2000)]
        slow.socket.setblocking(False)
        sent = 0
        octets = b"".join(struct.pack("!H", len(one)) + one for one in query)
        end = time.monotonic() + 2
        while sent < len(octets) and time.monotonic() < end:
            try:
                sent += slow.socket.send(octets[sent:])
            except BlockingIOError:
                time.sleep(0.005)
            except (BrokenPipeError, ConnectionResetError):
                break   # shed: also an answer to a client that does not read
        for number in range(20):
            assert_right(relay.ask(f"other-{number}.example", transport="tcp"), f"other-{number}.example")
        grown = relay.resident_kib() - before
    assert grown < 48 * 1024, f"{grown} KiB more"


def test_reader_that_wakes_up_gets_complete_answers(make_upstream, make_relay):
    """What a client gets after a pause is whole messages, each of them right."""
    relay = make_relay(make_upstream())
    with TcpClient(relay.port, receive_buffer=4096) as client:
        client.send(*(make_query(f"size-20000.wake-{number}.example", "TXT").to_wire() for number in range(30)))
        time.sleep(0.3)   # the pause of the reader
        received = set()
        for _ in range(30):
            response = parse(client.receive())
            assert len(response.answer[0][0].to_wire()) == 20000
            received.add(response.question[0].name)
    assert len(received) == 30


def test_clients_that_vanish(make_upstream, make_relay):
    upstream = make_upstream(behaviour=behaviours.delayed(0.1))
    relay = make_relay(upstream)
    for number in range(30):
        client = TcpClient(relay.port)
        client.send(raw_query(f"vanish-{number}.example"))
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    assert_right(relay.ask("vanished.example", transport="tcp"), "vanished.example")


def test_out_of_descriptors(make_upstream, make_relay):
    """With no descriptor left accept pauses instead of spinning, clients that are in are served, and later ones come in again."""
    relay = make_relay(make_upstream())
    ask_one = raw_query("descriptors.example")
    assert clients.exchange(ask_one, relay.port)
    worker = relay.workers()[0]
    used = len(os.listdir(f"/proc/{worker}/fd"))
    soft, hard = resource.prlimit(worker, resource.RLIMIT_NOFILE)
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (used + 6, hard))
    sessions = [TcpClient(relay.port) for _ in range(30)]
    for number, session in enumerate(sessions):
        session.send(raw_query(f"waiting-{number}.example"))
    begin, spent = time.monotonic(), relay.cpu_seconds()
    time.sleep(0.6)   # the time in which a spinning accept would burn a core
    share = (relay.cpu_seconds() - spent) / (time.monotonic() - begin)
    assert share < 0.5, f"{share:.0%} of a core without anything to do"
    assert_right(relay.ask("udp-goes-on.example"), "udp-goes-on.example")
    resource.prlimit(worker, resource.RLIMIT_NOFILE, (soft, hard))
    with TcpClient(relay.port) as later:
        ask_on(later, "later.example")
    for session in sessions:
        session.close()
