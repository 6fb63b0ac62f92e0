"""Questions that are the same share one upstream query; each client still gets its own ID, spelling, EDNS state and transport."""
import dns.flags
import pytest

from support import behaviours, clients
from support.clients import TcpClient, UdpClient, assert_failed, assert_right, make_query, parse, raw_query
from support.dns_answers import COOKIE, NSID


@pytest.fixture
def holding(make_upstream, make_relay):
    """A relay whose upstream answers a tenth of a second later, so that questions overlap."""
    upstream = make_upstream(behaviour=behaviours.delayed(0.15))
    return make_relay(upstream), upstream


def test_hundred_clients_one_query(holding):
    relay, upstream = holding
    sessions = [UdpClient(relay.port) for _ in range(100)]
    for number, session in enumerate(sessions):
        session.send(raw_query("shared.example", message_id=number * 7))
    for number, session in enumerate(sessions):
        response = parse(session.receive())
        assert response.id == number * 7
        assert_right(response, "shared.example")
        session.close()
    assert len(upstream.queries) == 1


def test_same_client_asks_again(holding):
    """A client's retransmission is answered too, and costs no second upstream query."""
    relay, upstream = holding
    with UdpClient(relay.port) as client:
        for number in range(3):
            client.send(raw_query("again.example", message_id=number))
        assert {parse(client.receive()).id for _ in range(3)} == {0, 1, 2}
    assert len(upstream.queries) == 1


def test_everyone_gets_the_own_spelling_edns_and_transport(holding):
    relay, upstream = holding
    with UdpClient(relay.port) as plain, UdpClient(relay.port) as edns, TcpClient(relay.port) as tcp:
        plain.send(raw_query("SHARED.case.example"))
        edns.send(make_query("shared.CASE.example").to_wire())
        tcp.send(make_query("Shared.Case.Example", options=[(COOKIE, b"12345678")]).to_wire())
        answers = [parse(plain.receive()), parse(edns.receive()), parse(tcp.receive())]
    assert [answer.question[0].name.to_text() for answer in answers] == [
        "SHARED.case.example.", "shared.CASE.example.", "Shared.Case.Example."]
    assert [answer.edns for answer in answers] == [-1, 0, 0]
    for answer in answers:
        assert_right(answer, "shared.case.example")
    assert len(upstream.queries) == 1


def test_large_answer_is_truncated_for_udp_only(make_upstream, make_relay):
    upstream = make_upstream()
    relay = make_relay(upstream)
    name = "size-3000.delay-150.shared.example"
    with UdpClient(relay.port) as udp, TcpClient(relay.port) as tcp:
        udp.send(make_query(name, "TXT").to_wire())
        tcp.send(make_query(name, "TXT").to_wire())
        assert parse(udp.receive()).flags & dns.flags.TC
        complete = parse(tcp.receive())
    assert not complete.flags & dns.flags.TC and len(complete.answer) == 1
    assert len(upstream.queries) == 1


DIFFERENT = {
    "type": (dict(rrtype="A"), dict(rrtype="AAAA")), "RD": (dict(), dict(rd=False)), "CD": (dict(), dict(cd=True)), "AD": (dict(), dict(ad=True)),
    "DO": (dict(), dict(do=True)), "option": (dict(), dict(options=[(NSID, b"")])),
    "option's data": (dict(options=[(5, b"\x08")]), dict(options=[(5, b"\x0d")])),
}
SAME = {
    "EDNS or not": (dict(edns=False), dict()), "size": (dict(payload=512), dict(payload=4096)), "letter case": (dict(), dict(name="OVERLAP.example")),
    "option that stays here": (dict(), dict(options=[(COOKIE, b"12345678")])),
}


@pytest.mark.parametrize("what, count", [*((what, 2) for what in DIFFERENT), *((what, 1) for what in SAME)])
def test_what_makes_questions_the_same(holding, what, count):
    relay, upstream = holding
    with UdpClient(relay.port) as client:
        for variant in (DIFFERENT | SAME)[what]:
            client.send(make_query(**{"name": "overlap.example", **variant}).to_wire())
        for _ in range(2):
            assert clients.rcode(parse(client.receive())) == "NOERROR"
    assert len(upstream.queries) == count


def test_answered_questions_are_asked_anew(holding):
    """Sharing is no cache."""
    relay, upstream = holding
    for _ in range(2):
        assert_right(relay.ask("sequence.example"), "sequence.example")
    assert len(upstream.queries) == 2


def test_failure_reaches_everyone(make_upstream, make_relay):
    relay = make_relay(make_upstream(behaviour=behaviours.drop), relay={"deadline": "400ms"})
    sessions = [UdpClient(relay.port) for _ in range(20)]
    for session in sessions:
        session.send(make_query("lost.example").to_wire())
    for session in sessions:
        assert_failed(parse(session.receive()), "no answer in time")
        session.close()


def test_client_that_leaves_does_not_disturb_the_others(holding):
    relay, upstream = holding
    leaving = TcpClient(relay.port)
    leaving.send(raw_query("left.example"))
    upstream.wait_for_queries(1)
    with UdpClient(relay.port) as staying:
        staying.send(raw_query("left.example"))
        leaving.close()
        assert_right(parse(staying.receive()), "left.example")
    assert_right(relay.ask("later.example"), "later.example")
