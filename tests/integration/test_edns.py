"""EDNS is hop by hop (RFC 6891 6.1.1): what the relay carries over, what it keeps to itself, what reaches which client."""
import itertools
import struct

import pytest

from support import behaviours, clients, dns_answers
from support.clients import TcpClient, assert_right, make_query, rcode, raw_query
from support.dns_answers import COOKIE, ECS, EDE, KEEPALIVE, NSID, PADDING, ZONEVERSION

CARRIED = {"NSID": (NSID, b""), "DAU": (5, b"\x08\x0d"), "DHU": (6, b"\x01\x02"), "N3U": (7, b"\x01"),
           "CHAIN": (13, b"\x07example\0"), "ZONEVERSION": (ZONEVERSION, b"")}
KEPT_HERE = {"COOKIE": (COOKIE, b"12345678"), "ECS": (ECS, b"\0\x01\x18\0\xc0\0\x02"), "KEEPALIVE": (KEEPALIVE, b""),
             "PADDING": (PADDING, bytes(20)), "router's MAC": (65001, b"\x02\0\0\0\0\x01"), "EXPIRE": (9, b""), "KEY-TAG": (14, b"\x4f\x66"),
             "unassigned": (4711, b"x")}
names = (f"edns-{number}.example" for number in itertools.count())


def codes(options):
    return [code for code, _ in options]


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("option", CARRIED)
def test_carried_over(shared_relay, shared_upstream, option, transport):
    name = next(names)
    assert_right(shared_relay.ask(name, transport=transport, options=[CARRIED[option]]), name)
    assert CARRIED[option] in shared_upstream.seen(name)[0].options


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("option", KEPT_HERE)
def test_not_carried_over(shared_relay, shared_upstream, option, transport):
    name = next(names)
    assert_right(shared_relay.ask(name, transport=transport, options=[KEPT_HERE[option]]), name)
    assert set(codes(shared_upstream.seen(name)[0].options)) <= {PADDING}


def test_all_options_at_once(shared_relay, shared_upstream):
    name = next(names)
    assert_right(shared_relay.ask(name, options=[*KEPT_HERE.values(), *CARRIED.values()]), name)
    seen = [option for option in shared_upstream.seen(name)[0].options if option[0] != PADDING]
    assert sorted(seen) == sorted(CARRIED.values())


@pytest.mark.parametrize("do, edns", [(True, True), (False, True), (False, False)])
def test_dnssec_ok(shared_relay, shared_upstream, do, edns):
    name = next(names)
    shared_relay.ask(name, edns=edns, do=do)
    sent = clients.parse(shared_upstream.seen(name)[0].message)
    assert sent.edns == 0 and bool(sent.ednsflags & 0x8000) == do


def test_version_and_other_flags_stay_here(shared_relay, shared_upstream):
    name = next(names)
    record = b"\0" + struct.pack("!HHIH", 41, 4096, 0x00007FFF, 0)   # every Z flag, DO clear
    clients.exchange(raw_query(name, additional=record, additional_count=1), shared_relay.port)
    assert clients.parse(shared_upstream.seen(name)[0].message).ednsflags & 0xFFFF == 0


@pytest.mark.parametrize("length", [1, 20, 40, 62, 63])
@pytest.mark.parametrize("options, edns", [([], False), ([], True), ([(NSID, b"")], True), (list(CARRIED.values()), True)])
def test_queries_are_padded_to_blocks(shared_relay, shared_upstream, length, options, edns):
    name = "p" * length + "." + next(names)
    shared_relay.ask(name, edns=edns, options=options)
    query = shared_upstream.seen(name)[0]
    padding = [data for code, data in query.options if code == PADDING]
    assert len(query.message) % 128 == 0 and len(padding) == 1 and not padding[0].strip(b"\0")
    assert query.options[-1][0] == PADDING and len(query.message) <= 256 + 128


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_only_end_to_end_options_of_the_answer_reach_a_client(make_upstream, make_relay, transport):
    passed = [(EDE, struct.pack("!H", 3) + b"stale"), (NSID, b"node-1"), (ZONEVERSION, b"\x02\0\0\0\0\x07")]
    held = [(PADDING, bytes(100)), (KEEPALIVE, b"\0\x64"), (COOKIE, b"1234567812345678"), (ECS, b"\0\x01\x18\x18\xc0\0\x02"), (65001, b"x")]
    relay = make_relay(make_upstream(behaviour=behaviours.with_options(*held[:2], *passed, *held[2:])))
    response = relay.ask("options.example", transport=transport, options=[(NSID, b"")])
    assert_right(response, "options.example")
    assert sorted(clients.options(response)) == sorted(passed)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_client_without_opt_gets_none(make_upstream, make_relay, transport):
    relay = make_relay(make_upstream(behaviour=behaviours.with_options((EDE, b"\0\x03"), (PADDING, bytes(50)))))
    response = relay.ask("plain.example", edns=False, transport=transport)
    assert_right(response, "plain.example")
    assert response.edns == -1


def test_client_with_opt_gets_one_though_the_upstream_has_none(make_upstream, make_relay):
    relay = make_relay(make_upstream(behaviour=lambda query: query.reply(dns_answers.build(query.message, query.question, edns=False))))
    assert relay.ask("no-opt.example").edns == 0
    assert relay.ask("no-opt-2.example", edns=False).edns == -1


@pytest.mark.parametrize("edns, expected", [(True, "BADCOOKIE"), (False, "SERVFAIL")])
def test_extended_rcode(make_upstream, make_relay, edns, expected):
    response = make_relay(make_upstream()).ask("rcode-23.example", edns=edns)
    assert rcode(response) == expected and response.edns == (0 if edns else -1)


def opt_in_the_middle(pointer, address=b"\xc0\0\2\2"):
    """OPT, then two address records; with `pointer` the second's owner points into the first's, behind the OPT."""
    def run(query):
        base = query.answer(edns=False)
        opt = dns_answers.opt_record(dns_answers.option(PADDING, b"secret" * 5) + dns_answers.option(KEEPALIVE, b"\0\x64"))
        behind = len(base) + len(opt)
        owner = b"\x01b" + (struct.pack("!H", 0xC000 | behind + 5) if pointer else b"\x04test\0")
        records = dns_answers.record(b"\xc0\0\2\1", 1, owner=b"\x04glue\x04test\0") + dns_answers.record(address, 1, owner=owner)
        query.reply(base[:10] + b"\0\3" + base[12:] + opt + records)
    return run


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("edns", [True, False])
@pytest.mark.parametrize("pointer", [True, False])
def test_opt_that_is_not_last(make_upstream, make_relay, pointer, edns, transport):
    """It is cut out, and what stands behind it stays readable."""
    relay = make_relay(make_upstream(behaviour=opt_in_the_middle(pointer)))
    octets = clients.exchange(make_query("middle.example", edns=edns).to_wire(), relay.port, transport)
    response = clients.parse(octets)
    assert_right(response, "middle.example")
    glue = {rrset.name.to_text(): rrset[0].address for rrset in response.additional}
    assert glue == {"glue.test.": "192.0.2.1", "b.test.": "192.0.2.2"}
    assert b"secret" not in octets and response.edns == (0 if edns else -1) and not clients.options(response)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_address_behind_the_opt_that_looks_like_a_pointer(make_upstream, make_relay, transport):
    """Octets of 192.168.0.0/16 begin as a compression pointer does."""
    relay = make_relay(make_upstream(behaviour=opt_in_the_middle(True, b"\xc0\xa8\1\1")))
    response = relay.ask("router.example", edns=False, transport=transport)
    assert response.edns == -1
    assert {rrset.name.to_text(): rrset[0].address for rrset in response.additional} == {"glue.test.": "192.0.2.1", "b.test.": "192.168.1.1"}


def test_keepalive_over_tcp_when_asked(shared_relay):
    asked = shared_relay.ask(next(names), transport="tcp", options=[(KEEPALIVE, b"")])
    assert clients.options(asked) == [(KEEPALIVE, struct.pack("!H", 300))], "tcp_idle is 30 s, the unit 100 ms"
    assert clients.options(shared_relay.ask(next(names), transport="tcp")) == []
    assert clients.options(shared_relay.ask(next(names), transport="udp", options=[(KEEPALIVE, b"")])) == []


def test_keepalive_states_the_configured_time(make_upstream, make_relay):
    relay = make_relay(make_upstream(), limits={"tcp_idle": "5s"})
    with TcpClient(relay.port) as client:
        client.send(make_query("a.example", options=[(KEEPALIVE, b"")]).to_wire())
        assert clients.options(clients.parse(client.receive())) == [(KEEPALIVE, struct.pack("!H", 50))]


def test_relays_own_payload_size_is_safe(shared_relay, shared_upstream):
    name = next(names)
    response = shared_relay.ask(name, payload=4096)
    assert 512 <= response.payload <= 1232
    assert clients.parse(shared_upstream.seen(name)[0].message).payload >= 512


@pytest.mark.parametrize("code", [1, 4], ids=["FORMERR", "NOTIMP"])
def test_upstream_that_does_not_understand_edns(make_upstream, make_relay, code):
    """Asked once more without an OPT, and for an hour without from then on; the other upstream is not needed."""
    first, second = make_upstream(behaviour=behaviours.without_edns(code)), make_upstream()
    relay = make_relay(first, second)
    for number in range(3):
        name = f"no-edns-{number}.example"
        response = relay.ask(name)
        assert_right(response, name)
        assert response.edns == 0
    assert [query.message[11] for query in first.queries] == [1, 0, 0, 0] and not second.queries
    assert relay.has_logged(r"info .*upstream one .*does not understand EDNS")
