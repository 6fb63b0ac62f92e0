"""Order of the upstreams: over to the next, back to the first, and the first answer after an outage."""
import threading
import time

import pytest

from support import behaviours
from support.clients import UdpClient, assert_failed, assert_right, parse, raw_query, rcode
from support.event_loop import wait_until


def test_first_of_the_file_gets_everything(make_upstream, make_relay):
    first, second = make_upstream(), make_upstream()
    relay = make_relay(first, second)
    for number in range(20):
        assert_right(relay.ask(f"order-{number}.example"), f"order-{number}.example")
    assert len(first.queries) == 20 and not second.queries


def test_first_down_at_start(make_upstream, make_relay):
    first, second = make_upstream(start=False), make_upstream()
    relay = make_relay(first, second)
    for number in range(5):
        begin = time.monotonic()
        assert_right(relay.ask(f"down-{number}.example"), f"down-{number}.example")
        assert time.monotonic() - begin < 0.4
    assert len(second.queries) == 5


def test_two_of_three_down(make_upstream, make_relay):
    upstreams = [make_upstream(start=False), make_upstream("expired"), make_upstream()]
    assert_right(make_relay(*upstreams).ask("third.example"), "third.example")


def test_all_down_says_why_by_the_deadline(make_upstream, make_relay):
    first, second = make_upstream(start=False), make_upstream("expired")
    relay = make_relay(first, second, relay={"deadline": "600ms"})
    for transport in ("udp", "tcp"):
        begin = time.monotonic()
        response = relay.ask("down.example", transport=transport)
        assert time.monotonic() - begin < 0.9
        assert_failed(response, f"one ({first.address}): connection refused", "; ", f"two ({second.address}): certificate expired")


def test_first_dies_while_running(make_upstream, make_relay):
    first, second = make_upstream(), make_upstream()
    relay = make_relay(first, second)
    assert_right(relay.ask("before.example"), "before.example")
    first.stop(reset=True)
    begin = time.monotonic()
    assert_right(relay.ask("after.example"), "after.example")
    assert time.monotonic() - begin < 0.4 and len(second.queries) == 1
    wait_until(lambda: relay.has_logged(r"upstream one .*closed|upstream one .*refused"), what="a change of state is logged")


def test_questions_in_flight_move_to_the_next_upstream(make_upstream, make_relay):
    first, second = make_upstream(behaviour=behaviours.drop), make_upstream()
    relay = make_relay(first, second)
    with UdpClient(relay.port) as client:
        for number in range(20):
            client.send(raw_query(f"flight-{number}.example", message_id=number))
        first.wait_for_queries(20)
        first.stop(reset=True)
        for _ in range(20):
            response = parse(client.receive())
            assert_right(response, f"flight-{response.id}.example")


def test_silent_first_upstream(make_upstream, make_relay):
    """It takes queries and never answers: the second must be asked before the client's deadline."""
    first, second = make_upstream(behaviour=behaviours.drop), make_upstream()
    relay = make_relay(first, second, relay={"deadline": "3s"})
    assert_right(relay.ask("silent.example"), "silent.example")


def test_back_to_the_first(make_upstream, make_relay):
    first, second = make_upstream(start=False), make_upstream()
    relay = make_relay(first, second)
    assert_right(relay.ask("away.example"), "away.example")
    first.start()
    numbers = iter(range(100000))

    def asked_first():
        name = f"back-{next(numbers)}.example"
        assert_right(relay.ask(name), name)
        time.sleep(0.02)
        return first.seen(name)
    wait_until(asked_first, 8, "the first upstream takes over again")
    before = len(second.queries)
    for number in range(10):
        assert_right(relay.ask(f"stay-{number}.example"), f"stay-{number}.example")
    assert len(second.queries) == before


@pytest.mark.parametrize("outage", [0.3, 2.5])
def test_waiting_question_is_answered_soon_after_the_return(make_upstream, make_relay, outage):
    upstream = make_upstream(start=False)
    relay = make_relay(upstream, relay={"deadline": "5s"})
    with UdpClient(relay.port) as client:
        client.send(raw_query("waiting.example"))
        assert client.receive(timeout=outage) is None   # the outage itself: the question waits
        upstream.start()
        returned = time.monotonic()
        assert_right(parse(client.receive(timeout=3)), "waiting.example")
        assert time.monotonic() - returned < 0.3


def test_new_questions_after_an_outage(make_upstream, make_relay):
    """Clients kept asking during an outage with a short deadline; the first question after the return is answered at once."""
    upstream = make_upstream()
    relay = make_relay(upstream, relay={"deadline": "300ms"})
    assert_right(relay.ask("before.example"), "before.example")
    upstream.stop(reset=True)
    for number in range(4):
        assert rcode(relay.ask(f"during-{number}.example")) == "SERVFAIL"
    upstream.start()
    returned = time.monotonic()

    def answered():
        return rcode(relay.ask("return.example")) == "NOERROR"
    wait_until(answered, 2, "an answer after the return")
    assert time.monotonic() - returned < 0.6   # a question before the return may use up its own 300 ms first


def test_dials_during_an_outage_are_bounded(make_upstream, make_relay):
    """At most every 200 ms for each upstream while questions wait: no storm on a server that refuses."""
    upstream = make_upstream(handshake="close")
    relay = make_relay(upstream, relay={"deadline": "1s"})
    with UdpClient(relay.port) as client:
        for number in range(100):
            client.send(raw_query(f"storm-{number}.example", message_id=number))
        for _ in range(100):
            assert parse(client.receive()).rcode() == 2
    assert 2 <= len(upstream.connections) <= 8


def test_failover_under_load_loses_nothing(make_upstream, make_relay):
    first, second = make_upstream(), make_upstream()
    relay = make_relay(first, second)
    failed, stop = [], threading.Event()

    def ask_on():
        number = 0
        while not stop.is_set():
            name = f"load-{threading.get_ident()}-{number}.example"
            try:
                assert_right(relay.ask(name), name)
            except AssertionError as error:
                failed.append(error)
            number += 1

    threads = [threading.Thread(target=ask_on) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(first.queries) > 50)
        first.stop(reset=True)
        wait_until(lambda: len(second.queries) > 50)
        first.start()
        wait_until(lambda: first.live_connections(), 8, "the relay dials the first upstream again")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not failed, failed[:3]
