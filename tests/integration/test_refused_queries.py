"""Well-formed queries that the relay answers itself: opcodes, EDNS versions, transfers, classes, TSIG and special names."""
import struct

import dns.rcode
import pytest

from support import clients, dns_answers
from support.clients import ask, make_query, raw_query, rcode

OPT = dns_answers.opt_record()
NOTIMP, REFUSED, BADVERS = 4, 5, 16
TSIG_RDATA = b"\x08hmac-md5\x07sig-alg\x03reg\x03int\0" + b"\0\0\x66\0\0\0" + struct.pack("!HH", 300, 16) + bytes(16) + b"\x12\x34\0\0\0\0"
TSIG = b"\x03key\0" + struct.pack("!HHIH", 250, 255, 0, len(TSIG_RDATA)) + TSIG_RDATA


@pytest.fixture(params=["udp", "tcp"])
def answer_of(request, shared_relay, shared_upstream):
    """Sends octets and gives the raw answer; nothing of it may have gone upstream."""
    seen = len(shared_upstream.queries)

    def run(query):
        response = clients.exchange(query, shared_relay.port, request.param)
        assert response is not None and response[:2] == query[:2] and response[2] & 0x80
        return response
    yield run
    assert len(shared_upstream.queries) == seen


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
@pytest.mark.parametrize("edns", [True, False])
def test_other_opcodes(answer_of, opcode, edns):
    query = raw_query("opcode.example", flags=0x0100 | opcode << 11, additional=OPT if edns else b"", additional_count=int(edns))
    response = answer_of(query)
    assert response[3] & 15 == NOTIMP and response[2] >> 3 & 15 == opcode
    assert response[11] == int(edns), "an OPT answers an OPT"
    assert not edns or response.endswith(response[-11:]) and response[-11:-8] == b"\0\0\x29"


def test_opcode_is_checked_before_the_question(answer_of):
    response = answer_of(struct.pack("!HHHHHH", 7, 0x2000, 0, 0, 0, 0))
    assert response[3] & 15 == NOTIMP
    response = answer_of(raw_query("broken.example", flags=0x2000, additional_count=1))
    assert response[3] & 15 == NOTIMP


@pytest.mark.parametrize("opcode", [4, 5, 15])
def test_other_opcodes_have_no_flags_of_queries(answer_of, opcode):
    """RA, AD and CD mean something in queries only (RFC 6895 2)."""
    response = answer_of(raw_query("opcode.example", flags=0x01b0 | opcode << 11))
    assert response[2] == 0x81 | opcode << 3 and response[3] == NOTIMP


@pytest.mark.parametrize("rrtype", [0, 41, 128, 250], ids=["0", "OPT", "NXNAME", "TSIG"])
@pytest.mark.parametrize("edns", [True, False])
def test_types_that_are_no_questions(answer_of, rrtype, edns):
    """RFC 9824 3.5: FORMERR, and to EDNS clients the error 30, Invalid Query Type."""
    response = clients.parse(answer_of(raw_query("type.example", rrtype, additional=OPT if edns else b"", additional_count=int(edns))))
    assert rcode(response) == "FORMERR" and not response.answer
    assert clients.options(response) == ([(dns_answers.EDE, b"\0\x1e")] if edns else [])


@pytest.mark.parametrize("version", [1, 2, 255])
def test_later_edns_versions(answer_of, version):
    response = clients.parse(answer_of(raw_query("version.example", additional=dns_answers.opt_record(version=version), additional_count=1)))
    assert response.rcode() == dns.rcode.BADVERS and response.edns == 0 and not response.answer


def test_version_is_checked_before_the_type(answer_of):
    response = answer_of(raw_query("version.example", 252, additional=dns_answers.opt_record(version=1), additional_count=1))
    assert clients.parse(response).rcode() == dns.rcode.BADVERS


@pytest.mark.parametrize("rrtype", [252, 251, 249], ids=["AXFR", "IXFR", "TKEY"])
@pytest.mark.parametrize("edns", [True, False])
def test_transfers_and_key_exchange(answer_of, rrtype, edns):
    response = answer_of(raw_query("transfer.example", rrtype, additional=OPT if edns else b"", additional_count=int(edns)))
    parsed = clients.parse(response)
    assert rcode(parsed) == "REFUSED" and parsed.edns == (0 if edns else -1) and not parsed.answer
    assert parsed.question[0].rdtype == rrtype


@pytest.mark.parametrize("rrclass", [0, 2, 3, 4, 254, 65280])
def test_other_classes(answer_of, rrclass):
    assert rcode(clients.parse(answer_of(raw_query("version.bind", 16, rrclass=rrclass)))) == "REFUSED"


def test_class_any_is_relayed(shared_relay, shared_upstream):
    response = clients.parse(clients.exchange(raw_query("any-class.example", rrclass=255), shared_relay.port))
    assert rcode(response) == "NOERROR" and len(shared_upstream.seen("any-class.example")) == 1


@pytest.mark.parametrize("edns", [True, False])
def test_signed_queries(answer_of, edns):
    records = (OPT if edns else b"") + TSIG
    response = answer_of(raw_query("signed.example", additional=records, additional_count=1 + edns))
    assert response[3] & 15 == NOTIMP and response[11] == int(edns)


@pytest.mark.parametrize("name, expected", [
    ("resolver.arpa", "NOERROR"), ("_dns.resolver.arpa", "NOERROR"), ("RESOLVER.Arpa", "NOERROR"), ("a.b.resolver.arpa", "NOERROR"),   # RFC 9462 6.4
    ("onion", "NXDOMAIN"), ("x.onion", "NXDOMAIN"), ("deep.X.ONION", "NXDOMAIN")])   # RFC 7686 2
@pytest.mark.parametrize("rrtype", ["A", "SVCB", "TXT"])
def test_names_that_must_not_leave(answer_of, name, expected, rrtype):
    response = clients.parse(answer_of(make_query(name, rrtype).to_wire()))
    assert rcode(response) == expected and not response.answer and response.edns == 0
    assert response.question[0].name.to_text() == name + ".", "the question keeps its letter case"


@pytest.mark.parametrize("name", ["localhost", "LocalHost", "www.localhost"])
def test_localhost(answer_of, name):
    for rrtype, address in (("A", "127.0.0.1"), ("AAAA", "::1")):
        response = clients.parse(answer_of(make_query(name, rrtype).to_wire()))
        assert rcode(response) == "NOERROR" and clients.addresses(response) == [address]
        assert response.answer[0].name == response.question[0].name
    response = clients.parse(answer_of(make_query(name, "MX").to_wire()))
    assert rcode(response) == "NOERROR" and not response.answer


@pytest.mark.parametrize("name", ["notresolver.arpa", "resolver.arpa.example", "myonion", "onion.example", "mylocalhost", "localhost.example"])
def test_names_that_only_look_special(shared_relay, name):
    clients.assert_right(ask(shared_relay.port, name), name)


def test_refusals_do_not_need_an_upstream(make_relay, make_upstream):
    """They come at once although the only upstream is down."""
    relay = make_relay(make_upstream(start=False))
    assert rcode(relay.ask("x.onion")) == "NXDOMAIN"
    response = relay.ask("localhost")
    assert clients.addresses(response) == ["127.0.0.1"]


@pytest.mark.parametrize("port", [7, 13, 17, 19, 37])
def test_silence_for_ports_that_answer_anything(shared_relay, shared_upstream, port):
    """Such a service and the relay would answer each other for ever."""
    try:
        client = clients.UdpClient(shared_relay.port, source="127.0.0.19", source_port=port)
    except OSError as error:
        pytest.skip(f"port {port} cannot be bound: {error}")
    with client:
        client.send(raw_query("echo.example"))
        client.send(raw_query("echo.example", flags=0x7800))
        client.send(raw_query("echo.onion"))
        assert client.receive(timeout=0.1) is None
    assert not shared_upstream.seen("echo.example")


def test_error_answers_over_udp_are_limited_for_a_network(make_upstream, make_relay):
    """Forged sources must not make a mirror of the relay. Questions and TCP go on."""
    relay = make_relay(make_upstream())
    query = raw_query("transfer.example", 252)
    with clients.UdpClient(relay.port, source="127.0.9.1") as client:
        answers = 0
        for _ in range(30):
            for _ in range(50):
                client.send(query)
            while answers < 1000 and client.receive(timeout=0.02) is not None:
                answers += 1
        while client.receive(timeout=0.02) is not None:
            answers += 1
        assert answers <= 1400, "1,000 at once, then 100 a second"
        assert rcode(relay.ask("refused.example", 252, transport="tcp")) == "REFUSED"
    with clients.UdpClient(relay.port, source="127.0.9.2") as client:
        client.send(raw_query("question.example"))
        clients.assert_right(clients.parse(client.receive()), "question.example")
    with clients.UdpClient(relay.port, source="127.0.8.1") as client:
        client.send(query)
        assert client.receive()[3] & 15 == REFUSED, "another network"
