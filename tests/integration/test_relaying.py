"""The main job: a plain question in, the upstream's answer out, over UDP and TCP, IPv4 and IPv6."""
import itertools
import random
import struct

import dns.flags
import dns.message
import dns.name
import pytest

from support import behaviours, clients, dns_answers
from support.clients import TcpClient, UdpClient, ask, assert_right, raw_query, rcode
from support.event_loop import wait_until

TYPES = ["A", "AAAA", "MX", "TXT", "NS", "SRV", "HTTPS", "CAA", "DNSKEY", "ANY", "TYPE65280"]
names = (f"name-{number}.relaying.example" for number in itertools.count())


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_addresses(shared_relay, transport, host):
    for rrtype in ("A", "AAAA"):
        name = next(names)
        assert_right(ask(shared_relay.port, name, rrtype, transport, host), name, rrtype)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("rrtype", TYPES)
def test_every_type_comes_back_as_the_upstream_sent_it(shared_relay, rrtype, transport):
    name = next(names)
    response = shared_relay.ask(name, rrtype, transport)
    query = clients.make_query(name, rrtype).to_wire()
    expected = clients.parse(dns_answers.default_answer(query))
    assert response.rcode() == expected.rcode() and response.flags == expected.flags
    assert response.sections[:3] == expected.sections[:3]
    assert [rrset.ttl for rrset in response.answer] == [rrset.ttl for rrset in expected.answer]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("label, expected", [("nxdomain", "NXDOMAIN"), ("nodata", "NOERROR"), ("servfail", "SERVFAIL"),
                                             ("refused", "REFUSED"), ("formerr", "FORMERR"), ("notimp", "NOTIMP")])
def test_response_codes(shared_relay, transport, label, expected):
    response = shared_relay.ask(f"{label}.{next(names)}", "A", transport)
    assert rcode(response) == expected and not response.answer
    assert len(response.authority) == (1 if expected in ("NXDOMAIN", "NOERROR") else 0)


@pytest.mark.parametrize("flags", [dict(rd=False), dict(rd=True), dict(cd=True), dict(ad=True), dict(rd=False, cd=True, ad=True)])
def test_flags_go_up_as_they_came(shared_relay, shared_upstream, flags):
    name = next(names)
    response = shared_relay.ask(name, **flags)
    seen = shared_upstream.seen(name)[0].flags
    wanted = {"rd": dns.flags.RD, "cd": dns.flags.CD, "ad": dns.flags.AD}
    for flag, bit in wanted.items():
        assert bool(seen & bit) == flags.get(flag, flag == "rd"), flag
    assert bool(response.flags & dns.flags.RD) == flags.get("rd", True)


@pytest.mark.parametrize("bits", [0x8000, 0x8400, 0x8580, 0x81B0, 0x8380, 0x85B0])
@pytest.mark.parametrize("edns", [True, False])
def test_flags_of_the_answer_come_back(make_upstream, make_relay, bits, edns):
    upstream = make_upstream(behaviour=lambda query: query.reply(query.message[:2] + struct.pack("!H", bits) + query.answer()[4:]))
    response = make_relay(upstream).ask("flags.example", edns=edns, transport="tcp")
    assert response.flags == bits


def test_many_concurrent_questions_share_a_connection(make_upstream, make_relay):
    upstream = make_upstream(behaviour=behaviours.reordered(50, order=lambda held: random.Random(7).sample(held, len(held))))
    relay = make_relay(upstream)
    asked = {}
    with UdpClient(relay.port) as client:
        for number in range(50):
            query = clients.make_query(f"many-{number}.example", "A")
            query.id = number + 1000
            asked[query.id] = query
            client.send(query.to_wire())
        for _ in range(50):
            response = clients.parse(client.receive())
            query = asked.pop(response.id)
            assert response.question == query.question
            assert_right(response, query.question[0].name.to_text())
    assert not asked
    assert len(upstream.connections) <= 2


def test_identical_ids_of_different_clients_do_not_mix(shared_relay):
    sessions = [UdpClient(shared_relay.port) for _ in range(40)]
    asked = [next(names) for _ in sessions]
    for session, name in zip(sessions, asked):
        session.send(raw_query(name, message_id=4242))
    for session, name in zip(sessions, asked):
        response = clients.parse(session.receive())
        assert response.id == 4242 and response.question[0].name == dns.name.from_text(name)
        assert_right(response, name)
        session.close()


def test_upstream_ids_are_the_relays_own(make_upstream, make_relay):
    upstream = make_upstream()
    relay = make_relay(upstream)
    with UdpClient(relay.port) as client:
        for number in range(20):
            client.send(raw_query(f"id-{number}.example", message_id=number))
            assert client.receive()[:2] == struct.pack("!H", number)
    upstream_ids = [struct.unpack("!H", query.message[:2])[0] for query in upstream.queries]
    # Drawn at random from the free ones: one may come again once its answer has come.
    assert len(set(upstream_ids)) >= 10 and upstream_ids != list(range(20))
    assert sorted(upstream_ids) != upstream_ids, "identifiers are drawn at random"


@pytest.mark.parametrize("edns", [True, False])
def test_tcp_pipelining_out_of_order(shared_relay, edns):
    with TcpClient(shared_relay.port) as client:
        slow, fast = "delay-200.pipelining.example", next(names)
        client.send(clients.make_query(slow, edns=edns).to_wire(), clients.make_query(fast, edns=edns).to_wire())
        assert_right(clients.parse(client.receive()), fast)
        assert_right(clients.parse(client.receive()), slow)


def test_tcp_query_in_pieces(shared_relay):
    name = next(names)
    query = raw_query(name)
    with TcpClient(shared_relay.port) as client:
        for octet in struct.pack("!H", len(query)) + query:
            client.socket.sendall(bytes([octet]))
        assert_right(clients.parse(client.receive()), name)


def test_client_that_closes_its_sending_side_is_answered(shared_relay):
    with TcpClient(shared_relay.port) as client:
        client.send(raw_query("delay-100.half-closed.example"))
        client.socket.shutdown(1)
        assert_right(clients.parse(client.receive()), "delay-100.half-closed.example")


@pytest.mark.parametrize("label", [b"\0", b"\xff\xfe", b"with.dot", b" ", b"\\", b"x" * 63])
def test_names_are_octets(shared_relay, shared_upstream, label):
    wire = bytes([len(label)]) + label + b"\x07octetsx\0"
    query = raw_query("")[:12] + wire + struct.pack("!HH", 1, 1)
    response = clients.exchange(query, shared_relay.port)
    assert response[:2] == query[:2] and response[12:12 + len(wire)] == wire
    assert clients.parse(response).answer[0][0].to_wire() == dns_answers.digest(wire)[:4]


def test_longest_name_and_root(shared_relay):
    longest = ".".join(["a" * 63, "b" * 63, "c" * 63, "d" * 61])
    assert_right(shared_relay.ask(longest), longest)
    assert rcode(shared_relay.ask(".", "NS")) == "NOERROR"


def test_no_log_line_per_query(make_upstream, make_relay):
    relay = make_relay(make_upstream())
    relay.ask("first.example")
    wait_until(lambda: relay.has_logged("ready, TLS"), what="the line about the upstream")
    before = len(relay.lines)
    for number in range(20):
        relay.ask(f"log-{number}.example")
    assert len(relay.lines) == before
