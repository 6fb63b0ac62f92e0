"""Messages that are not the answer: never passed on. The question keeps waiting where they were not meant for it, and goes on at once
where they were, but are malformed; a connection full of strange ones is closed."""
import time

import pytest

from support import behaviours, clients
from support.behaviours import (by_connection, cut_inside_record, echoed, empty, garbage, header_only, other_opcode, other_question, replying,
                                short, then_answer, too_many_counted, two_opt, with_other_id, without_question)
from support.clients import UdpClient, assert_failed, assert_right, raw_query, rcode
from support.event_loop import wait_until

LIES = {
    "other ID": with_other_id, "other name": other_question("evil.example"), "other type": other_question(rrtype=28),
    "other class": other_question(rrclass=3), "longer name": other_question("x.lied-to.example"), "parent name": other_question("example"),
    "garbage": garbage, "empty frame": empty,
}
MALFORMED = {
    "cut record": cut_inside_record, "too many answers counted": too_many_counted, "two OPT": two_opt, "NOERROR in a header": header_only(0),
    "the query itself": echoed, "other opcode": other_opcode, "five octets": short, "answer without question": without_question,
}


@pytest.mark.parametrize("lie", LIES)
def test_waiting_goes_on(make_upstream, make_relay, lie):
    upstream = make_upstream(behaviour=then_answer(LIES[lie]))
    relay = make_relay(upstream)
    for transport in ("udp", "tcp"):
        response = relay.ask("lied-to.example", transport=transport)
        assert_right(response, "lied-to.example")
    assert len([connection for connection in upstream.connections if connection.queries]) == 1, "one lie does not cost the connection"


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_alone_is_no_answer(make_upstream, make_relay, lie):
    relay = make_relay(make_upstream(behaviour=replying(LIES[lie])), relay={"deadline": "500ms"})
    begin = time.monotonic()
    response = relay.ask("lied-to.example")
    assert_failed(response)
    assert time.monotonic() - begin < 1.0


def test_several_lies_then_the_truth(make_upstream, make_relay):
    lies = list(LIES.values())[:7]
    upstream = make_upstream(behaviour=then_answer(*lies))
    assert_right(make_relay(upstream).ask("lied-to.example"), "lied-to.example")
    assert len([connection for connection in upstream.connections if connection.queries]) == 1


@pytest.mark.parametrize("lie", ["other ID", "other name", "garbage", "empty frame"])
def test_eight_bad_frames_close_the_connection(make_upstream, make_relay, lie):
    upstream = make_upstream()
    upstream.behaviour = by_connection(upstream, replying(*[LIES[lie]] * 8), behaviours.answer)
    relay = make_relay(upstream)
    assert_right(relay.ask("lied-to.example"), "lied-to.example")
    first = upstream.queries[0].connection
    wait_until(lambda: first.closed, what="the relay closes the connection of the liar")
    assert not first.ended_by_us and upstream.queries[-1].connection is not first


def test_other_queries_survive_the_closing_of_a_lying_connection(make_upstream, make_relay):
    """Queries that shared the connection are asked again elsewhere."""
    upstream = make_upstream()
    lie_once = behaviours.by_name({"liar.example": replying(*[with_other_id] * 8)}, behaviours.drop)
    upstream.behaviour = by_connection(upstream, lie_once, behaviours.answer)
    relay = make_relay(upstream)
    with UdpClient(relay.port) as client:
        for number in range(10):
            client.send(raw_query(f"innocent-{number}.example", message_id=number))
        upstream.wait_for_queries(10)
        client.send(raw_query("liar.example", message_id=99))
        received = sorted(clients.parse(client.receive()).id for _ in range(11))
    assert received == [*range(10), 99]


@pytest.mark.parametrize("code", [1, 2, 4], ids=["FORMERR", "SERVFAIL", "NOTIMP"])
def test_error_without_a_question_counts_as_a_failed_attempt(make_upstream, make_relay, code):
    first, second = make_upstream(behaviour=replying(header_only(code))), make_upstream()
    relay = make_relay(first, second)
    begin = time.monotonic()
    assert_right(relay.ask("header-only.example"), "header-only.example")
    assert time.monotonic() - begin < 0.5 and first.queries and len(second.queries) == 1


@pytest.mark.parametrize("code", [1, 2, 4], ids=["FORMERR", "SERVFAIL", "NOTIMP"])
def test_error_without_a_question_from_the_only_upstream(make_upstream, make_relay, code):
    response = make_relay(make_upstream(behaviour=replying(header_only(code))), relay={"deadline": "500ms"}).ask("header-only.example")
    assert rcode(response) in ("SERVFAIL", "FORMERR", "NOTIMP") and not response.answer


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_answer_is_a_failed_attempt(make_upstream, make_relay, kind):
    first, second = make_upstream(behaviour=replying(MALFORMED[kind])), make_upstream()
    relay = make_relay(first, second)
    for transport in ("udp", "tcp"):
        begin = time.monotonic()
        assert_right(relay.ask(f"{transport}.cut.example", transport=transport), f"{transport}.cut.example")
        assert time.monotonic() - begin < 0.5
    assert len(first.queries) == len(second.queries) == 2


@pytest.mark.parametrize("kind", MALFORMED)
def test_a_malformed_answer_from_the_only_upstream(make_upstream, make_relay, kind):
    upstream = make_upstream(behaviour=replying(MALFORMED[kind]))
    relay = make_relay(upstream)
    begin = time.monotonic()
    response = relay.ask("cut.example")
    assert time.monotonic() - begin < 0.5
    assert_failed(response, "malformed answer")
    upstream.behaviour = None
    assert_right(relay.ask("sound.example"), "sound.example")
    assert len([connection for connection in upstream.connections if connection.queries]) == 1


def test_duplicate_answers(make_upstream, make_relay):
    upstream = make_upstream(behaviour=lambda query: (query.reply(), query.reply()))
    relay = make_relay(upstream)
    with UdpClient(relay.port) as client:
        for number in range(5):
            client.send(raw_query(f"twice-{number}.example", message_id=number))
            assert clients.parse(client.receive()).id == number
        assert client.receive(timeout=0.05) is None, "an answer is given once"


def test_late_answers_are_not_mixed_up(make_upstream, make_relay):
    """Answers after the deadline meet nobody, least of all a newer question; their IDs stay reserved."""
    late = []
    upstream = make_upstream(behaviour=lambda query: late.append(query) if query.name.startswith("late") else query.reply())
    relay = make_relay(upstream, relay={"deadline": "300ms"})
    with UdpClient(relay.port) as client:
        for number in range(30):
            client.send(raw_query(f"late-{number}.example", message_id=number))
        assert {clients.parse(client.receive()).rcode() for _ in range(30)} == {2}
        upstream.call(lambda: [query.reply() for query in late])
        for number in range(100):
            client.send(raw_query(f"new-{number}.example", message_id=1000 + number))
            assert_right(clients.parse(client.receive()), f"new-{number}.example")


def test_answer_in_another_letter_case(make_upstream, make_relay):
    def shouting(query):
        message = query.answer()
        query.reply(message[:12] + query.question.name.upper() + message[12 + len(query.question.name):])
    response = make_relay(make_upstream(behaviour=shouting)).ask("MiXeD.Example")
    assert response.question[0].name.to_text() == "MiXeD.Example."
    assert_right(response, "mixed.example")
