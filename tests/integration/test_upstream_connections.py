"""What can happen to a connection: closes, resets, halves, silence. Every question is answered, rightly or with the cause."""
import socket
import time

import pytest

from support import behaviours, clients
from support.behaviours import by_connection
from support.clients import UdpClient, assert_failed, assert_right, raw_query
from support.event_loop import wait_until
from support.ports import free_port
from support.relay import upstream_table

DEADLINE = {"deadline": "600ms"}
BREAKS = {
    "close": behaviours.close, "close without close_notify": behaviours.close_without_notify, "reset": behaviours.reset,
    "half-close": behaviours.half_close, "truncated frame and close": behaviours.truncated_frame(behaviours.close),
    "truncated frame and reset": behaviours.truncated_frame(behaviours.reset),
    "truncated frame and half-close": behaviours.truncated_frame(behaviours.half_close),
}


def ask_together(relay, names):
    """All questions at once from one UDP socket; gives {name: parsed answer}."""
    with UdpClient(relay.port) as client:
        for number, name in enumerate(names):
            client.send(number.to_bytes(2, "big") + clients.make_query(name).to_wire()[2:])
        answers = {}
        for _ in names:
            octets = client.receive()
            assert octets is not None, f"only {len(answers)} of {len(names)} answered"
            answers[names[int.from_bytes(octets[:2], "big")]] = clients.parse(octets)
    return answers


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_connection_costs_no_answer(make_upstream, make_relay, how):
    upstream = make_upstream()
    upstream.behaviour = by_connection(upstream, BREAKS[how], behaviours.answer)
    relay = make_relay(upstream)
    begin = time.monotonic()
    assert_right(relay.ask("broken.example"), "broken.example")
    assert time.monotonic() - begin < 0.7


@pytest.mark.parametrize("how", BREAKS)
def test_always_broken_connections_say_so(make_upstream, make_relay, how):
    upstream = make_upstream(behaviour=BREAKS[how])
    begin = time.monotonic()
    response = make_relay(upstream, relay=DEADLINE).ask("broken.example")
    assert_failed(response, f"one ({upstream.address}): connection closed before the answer")
    assert time.monotonic() - begin < 2.0


@pytest.mark.parametrize("how", BREAKS)
def test_the_next_upstream_helps_out(make_upstream, make_relay, how):
    first, second = make_upstream(behaviour=BREAKS[how]), make_upstream()
    begin = time.monotonic()
    assert_right(make_relay(first, second).ask("broken.example"), "broken.example")
    assert time.monotonic() - begin < 0.7


@pytest.mark.parametrize("limit", [1, 3, 10])
@pytest.mark.parametrize("how", [{}, {"reset": True}, {"notify": False}], ids=["close", "reset", "FIN alone"])
def test_server_that_closes_after_some_queries(make_upstream, make_relay, limit, how):
    """Unanswered questions are asked again on the next connection; a reset may take answers in flight with it."""
    upstream = make_upstream(behaviour=behaviours.close_after(limit, **how))
    relay = make_relay(upstream, relay={"deadline": "5s"})
    names = [f"close-after-{number}.example" for number in range(20)]
    for name, response in ask_together(relay, names).items():
        assert_right(response, name)


@pytest.mark.parametrize("limit", [1, 3])
def test_session_that_breaks_after_some_queries(make_upstream, make_relay, limit):
    """What has answered ends like a close, whatever ends it: the next connection is made at once."""
    upstream = make_upstream(behaviour=behaviours.garble_after(limit))
    relay = make_relay(upstream, relay={"deadline": "5s"})
    begin = time.monotonic()
    for number in range(10):
        assert_right(relay.ask(f"garbled-{number}.example"), f"garbled-{number}.example")
    assert time.monotonic() - begin < 1.5
    names = [f"together-{number}.example" for number in range(10)]
    for name, response in ask_together(relay, names).items():
        assert_right(response, name)
    assert not relay.has_logged("passed over")


@pytest.mark.parametrize("close", ["close", "reset", "half_close"])
def test_idle_close_is_no_failure(make_upstream, make_relay, close):
    upstream = make_upstream(idle_close=0.04)
    upstream.end_idle = lambda connection: getattr(connection, close)()
    relay = make_relay(upstream)
    logged = None
    for number in range(5):
        begin = time.monotonic()
        assert_right(relay.ask(f"idle-{number}.example"), f"idle-{number}.example")
        assert time.monotonic() - begin < 0.4
        wait_until(lambda: not upstream.live_connections(), what="the idle connection ends")
        logged = logged or len(relay.lines)
    assert len(relay.lines) == logged, "an idle close is not worth a line at info"


def test_idle_closed_sockets_are_let_go(make_upstream, make_relay):
    """No pile of half-closed sockets: the relay answers the server's FIN with its own."""
    upstream = make_upstream(idle_close=0.04)
    upstream.end_idle = lambda connection: connection.half_close()
    relay = make_relay(upstream)
    assert_right(relay.ask("fin.example"), "fin.example")
    wait_until(lambda: all(connection.closed for connection in upstream.connections), what="the relay closes its side")


def test_close_between_two_queries_races(make_upstream, make_relay):
    """The server's close crosses the next query: still an answer, thirty times in a row."""
    upstream = make_upstream(behaviour=lambda query: (query.reply(), upstream.loop.call_later(0.01, query.connection.close)))
    relay = make_relay(upstream)
    for number in range(30):
        assert_right(relay.ask(f"race-{number}.example"), f"race-{number}.example")
        time.sleep(0.0005 * number)   # the race itself is what is tested: the pause moves through the moment of the close


def test_silence_ends_at_the_deadline(make_upstream, make_relay):
    upstream = make_upstream(behaviour=behaviours.drop)
    relay = make_relay(upstream, relay=DEADLINE)
    for transport in ("udp", "tcp"):
        begin = time.monotonic()
        assert_failed(relay.ask("silence.example", transport=transport), f"one ({upstream.address}): no answer in time")
        assert 0.5 < time.monotonic() - begin < 0.9


def test_deadline_belongs_to_each_client(make_upstream, make_relay):
    """A second client that joins a waiting question gets its own full deadline."""
    upstream = make_upstream(behaviour=behaviours.drop)
    relay = make_relay(upstream, relay=DEADLINE)
    with UdpClient(relay.port) as early, UdpClient(relay.port) as late:
        early.send(raw_query("joined.example"))
        upstream.wait_for_queries(1)
        time.sleep(0.3)   # half a deadline between the two
        begin = time.monotonic()
        late.send(raw_query("joined.example"))
        assert early.receive() and 0.2 < time.monotonic() - begin < 0.5
        assert late.receive() and 0.5 < time.monotonic() - begin < 0.9


@pytest.mark.parametrize("handshake", ["never", "garbage", "close", "reset"])
def test_handshakes_that_fail(make_upstream, make_relay, handshake):
    bad, good = make_upstream(handshake=handshake), make_upstream()
    relay = make_relay(bad, relay=DEADLINE)
    begin = time.monotonic()
    assert_failed(relay.ask("handshake.example"), f"one ({bad.address}): ")
    assert time.monotonic() - begin < 0.9
    begin = time.monotonic()
    assert_right(make_relay(bad, good).ask("handshake.example"), "handshake.example")
    assert time.monotonic() - begin < 1.5 and not bad.queries


def test_closed_port(make_upstream, make_relay):
    upstream = make_upstream(start=False)
    assert_failed(make_relay(upstream, relay=DEADLINE).ask("refused.example"), f"one ({upstream.address}): connection refused")


def test_port_that_accepts_nothing(make_relay, certificates):
    """A full backlog drops every SYN, as a dead host does."""
    port = free_port()
    listener = socket.create_server(("127.0.0.1", port), backlog=0)
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(("127.0.0.1", port))
        fillers.append(filler)
    relay = make_relay(upstream_table(f"127.0.0.1:{port}", certificates), relay=DEADLINE)
    begin = time.monotonic()
    assert_failed(relay.ask("timeout.example"), f"one (127.0.0.1:{port}): connection timed out")
    assert time.monotonic() - begin < 0.9
    for one in [listener, *fillers]:
        one.close()


def test_upstream_that_stops_reading(make_upstream, make_relay):
    first, second = make_upstream(behaviour=behaviours.stop_reading), make_upstream()
    relay = make_relay(first, relay=DEADLINE)
    names = [f"{'n' * 60}.stopped-{number}.example" for number in range(200)]
    assert all(response.rcode() == 2 for response in ask_together(relay, names).values())
    relay = make_relay(first, second, relay={"deadline": "2s"})
    assert_right(relay.ask("stopped.example"), "stopped.example")


@pytest.mark.parametrize("spread", [0.02, 0.2])
def test_answers_in_random_order(make_upstream, make_relay, spread):
    relay = make_relay(make_upstream(behaviour=behaviours.random_delay(0, spread)))
    names = [f"random-{number}.example" for number in range(200)]
    for name, response in ask_together(relay, names).items():
        assert_right(response, name)


def test_several_addresses_of_one_upstream(make_upstream, make_relay, certificates):
    """The second address of the table answers while the first one's port is closed."""
    closed, open_ = make_upstream(start=False), make_upstream()
    relay = make_relay(upstream_table([closed, open_], certificates))
    begin = time.monotonic()
    assert_right(relay.ask("second-address.example"), "second-address.example")
    assert time.monotonic() - begin < 0.7


def test_upstream_over_ipv6(make_upstream, make_relay):
    upstream = make_upstream(host="::1")
    assert_right(make_relay(upstream).ask("six.example"), "six.example")
    assert len(upstream.queries) == 1


def test_slow_handshakes_are_not_dialled_over_and_over(make_upstream, make_relay):
    """All workers together begin few connections while one is in its handshake, and it answers once it is ready."""
    upstream = make_upstream()
    upstream.handshake_delay = 1.2
    relay = make_relay(upstream, listen={"workers": 4})
    sockets = [UdpClient(relay.port) for _ in range(24)]   # from so many ports that each worker has some
    for number, client in enumerate(sockets):
        client.send(raw_query(f"slow-{number}.example", message_id=number))
    for number, client in enumerate(sockets):
        assert_right(clients.parse(client.receive()), f"slow-{number}.example")
        client.close()
    # One of each worker, and after a second of silence two with small segments (SegmentLimit) beside it.
    assert len(upstream.connections) <= 4 * 3
