"""What is no proper query: exactly the RCODE or the silence that the design states, over UDP and TCP, and never a word upstream."""
import struct

import pytest

from support import clients, dns_answers
from support.clients import TcpClient, UdpClient, raw_query

OPT = dns_answers.opt_record()
FORMERR, NOTIMP = 1, 4
NAME = "malformed.example"
SENTINEL = "sentinel.onion"   # answered by the relay itself, at once


def with_question(wire, counts=(1, 0, 0, 0), rest=b""):
    return struct.pack("!HHHHHH", 0x2222, 0x0100, *counts) + wire + rest


def opt(rdata, owner=b"\0", rdlength=None):
    return owner + struct.pack("!HHIH", 41, 1232, 0, len(rdata) if rdlength is None else rdlength) + rdata


SILENT = {
    "one octet": b"\x11",
    "eleven octets": raw_query(NAME)[:11],
    "header with QR": raw_query(NAME, flags=0x8100)[:12],
    "answer": dns_answers.default_answer(raw_query(NAME)),
    "QR and another opcode": raw_query(NAME, flags=0xA100),
    "QR and malformed": raw_query(NAME, flags=0x8100) + b"trailing",
}

QUESTION = b"\x09malformed\x07example\0\0\1\0\1"
FORMAT_ERRORS = {
    "header only": with_question(b"", (0, 0, 0, 0)),
    "header that promises a question": with_question(b"", (1, 0, 0, 0)),
    "no question": with_question(QUESTION, (0, 0, 0, 0)),
    "two questions": with_question(QUESTION * 2, (2, 0, 0, 0)),
    "two questions promised, one there": with_question(QUESTION, (2, 0, 0, 0)),
    "65535 questions promised": with_question(QUESTION, (65535, 0, 0, 0)),
    "name without end": with_question(b"\x09malformed"),
    "label past the end": with_question(b"\x3fabc\0\0\1\0\1"),
    "name only": with_question(QUESTION[:-4]),
    "class missing": with_question(QUESTION[:-2]),
    "half a class": with_question(QUESTION[:-1]),
    "label type 01": with_question(b"\x41a\0\0\1\0\1"),
    "label type 10": with_question(b"\x81a\0\0\1\0\1"),
    "pointer to itself": with_question(b"\xc0\x0c\0\1\0\1"),
    "pointer into the header": with_question(b"\xc0\x00\0\1\0\1"),
    "pointer past the end": with_question(b"\xc3\xff\0\1\0\1"),
    "name of 256 octets": with_question(b"\x3f" + b"a" * 63 + b"\x3f" + b"b" * 63 + b"\x3f" + b"c" * 63 + b"\x3e" + b"d" * 62 + b"\0\0\1\0\1"),
    "additional record promised": with_question(QUESTION, (1, 0, 0, 1)),
    "answer record promised": with_question(QUESTION, (1, 1, 0, 0)),
    "authority record promised": with_question(QUESTION, (1, 0, 1, 0)),
    "record cut in its header": raw_query(NAME, additional=OPT[:6], additional_count=1),
    "record shorter than its length": raw_query(NAME, additional=opt(b"", rdlength=4), additional_count=1),
    "two OPTs": raw_query(NAME, additional=OPT * 2, additional_count=2),
    "OPT with an owner": raw_query(NAME, additional=opt(b"", owner=b"\1a\0"), additional_count=1),
    "option header cut": raw_query(NAME, additional=opt(b"\0\x0a\0"), additional_count=1),
    "option past the end": raw_query(NAME, additional=opt(b"\0\x0a\0\x09abcd"), additional_count=1),
    "second option past the end": raw_query(NAME, additional=opt(b"\0\x0a\0\0\0\x0c\xff\xff"), additional_count=1),
    "record with a pointer loop": raw_query(NAME, additional=b"\xc0\x23\0\1\0\1\0\0\0\0\0\0", additional_count=1),
}


@pytest.mark.parametrize("case", SILENT)
def test_silence_over_udp(shared_relay, shared_upstream, case):
    with UdpClient(shared_relay.port) as client:
        client.send(SILENT[case])
        sentinel = raw_query(SENTINEL)
        client.send(sentinel)
        assert client.receive()[:2] == sentinel[:2]
        assert client.receive(timeout=0.05) is None
    assert not shared_upstream.seen(NAME)


def test_empty_datagram(shared_relay):
    with UdpClient(shared_relay.port) as client:
        client.send(b"")
        sentinel = raw_query(SENTINEL)
        client.send(sentinel)
        assert client.receive()[:2] == sentinel[:2]


@pytest.mark.parametrize("case", [*SILENT, "zero length"])
def test_silence_over_tcp(shared_relay, shared_upstream, case):
    """The connection may go on or end; what must not come is an answer to this."""
    with TcpClient(shared_relay.port) as client:
        sentinel = raw_query(SENTINEL, message_id=0x7777)
        client.send(SILENT.get(case, b""))
        try:
            client.send(sentinel)
            received = client.receive()
        except (BrokenPipeError, ConnectionResetError):
            received = None
        assert received is None or received[:2] == b"\x77\x77"
    assert not shared_upstream.seen(NAME)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("case", FORMAT_ERRORS)
def test_format_errors(shared_relay, shared_upstream, case, transport):
    query = FORMAT_ERRORS[case]
    seen = len(shared_upstream.queries)
    response = clients.exchange(query, shared_relay.port, transport)
    assert response is not None, "a format error is answered, not ignored"
    assert response[:2] == query[:2]
    assert response[2] & 0xF9 == 0x81 and response[3] & 15 == FORMERR, response.hex()
    clients.parse(response)
    assert len(shared_upstream.queries) == seen


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_format_error_has_an_opt_when_the_query_had_one(shared_relay, transport):
    broken = raw_query(NAME, additional=OPT, additional_count=2)
    assert clients.parse(clients.exchange(broken, shared_relay.port, transport)).edns == 0
    plain = raw_query(NAME, additional_count=1)
    assert clients.parse(clients.exchange(plain, shared_relay.port, transport)).edns == -1


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("edns", [True, False])
def test_octets_behind_a_query_are_ignored(shared_relay, shared_upstream, edns, transport):
    """As unbound, dnsmasq and dnsdist do. Nothing of them goes upstream."""
    name = f"behind-{transport}-{edns}.example"
    query = raw_query(name, additional=OPT if edns else b"", additional_count=int(edns)) + b"secret octets"
    clients.assert_right(clients.parse(clients.exchange(query, shared_relay.port, transport)), name)
    assert b"secret" not in shared_upstream.seen(name)[0].message


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_good_queries_after_bad_ones(shared_relay, transport):
    """A format error does not cost a TCP client its connection."""
    client = (UdpClient if transport == "udp" else TcpClient)(shared_relay.port)
    with client:
        client.send(FORMAT_ERRORS["two OPTs"])
        assert client.receive()[3] & 15 == FORMERR
        client.send(raw_query("after.bad.example"))
        clients.assert_right(clients.parse(client.receive()), "after.bad.example")


def test_answers_are_never_larger_than_what_provoked_them_by_much(shared_relay):
    """Format errors must not amplify: header, question and OPT at most."""
    for query in FORMAT_ERRORS.values():
        response = clients.exchange(query, shared_relay.port)
        assert len(response) <= len(query) + 11
