"""The scriptable upstream itself, asked by kdig and by Python's ssl: a test bench that lies by accident proves nothing."""
import re
import socket
import ssl
import struct
import subprocess
import time

import pytest

from support import behaviours, clients, dns_answers, tap_proxy
from support.certificates import SERVER_NAME
from support.event_loop import wait_until
from support.relay import Relay, toml


class DotClient:
    """A plain DoT client on a blocking socket."""

    def __init__(self, upstream, certificates, port=None, name=SERVER_NAME, session=None, context=None):
        self.context = context or ssl.create_default_context(cafile=certificates.ca_file)
        self.context.set_alpn_protocols(["dot"])
        plain = socket.create_connection((upstream.host, port or upstream.port), timeout=3)
        self.plain = plain
        self.tls = self.context.wrap_socket(plain, server_hostname=name, session=session)

    def send(self, *queries):
        self.tls.sendall(b"".join(struct.pack("!H", len(query)) + query for query in queries))

    def receive(self):
        length = self._exactly(2)
        return None if length is None else self._exactly(int.from_bytes(length, "big"))

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                part = self.tls.recv(count - len(data))
            except (ConnectionResetError, ssl.SSLEOFError):
                return None
            if not part:
                return None
            data += part
        return data


def kdig(upstream, certificates, *arguments):
    return subprocess.run(["kdig", "@127.0.0.1", "-p", str(upstream.port), "+tls", f"+tls-ca={certificates.ca_file}",
                           f"+tls-hostname={SERVER_NAME}", "+retry=0", "+time=2", *arguments], capture_output=True, text=True).stdout


def test_kdig_gets_the_derived_answer(make_upstream, certificates):
    upstream = make_upstream()
    assert clients.derived_address("WWW.Example.Org") in kdig(upstream, certificates, "www.example.org", "A")
    assert clients.derived_address("www.example.org", "AAAA") in kdig(upstream, certificates, "www.example.org", "AAAA")
    assert upstream.connections[0].hello.server_name == SERVER_NAME
    assert [query.name for query in upstream.queries] == ["www.example.org", "www.example.org"]


@pytest.mark.parametrize("rrtype", ["MX", "TXT", "NS", "SRV", "HTTPS", "CAA", "DNSKEY", "ANY"])
def test_every_type_is_well_formed(make_upstream, certificates, rrtype):
    shown = kdig(make_upstream(), certificates, "types.example", rrtype)
    assert "status: NOERROR" in shown and "ANSWER SECTION" in shown and "malformed" not in shown.lower()


@pytest.mark.parametrize("name, expected", [
    ("nxdomain.example", "status: NXDOMAIN"), ("servfail.example", "status: SERVFAIL"), ("refused.example", "status: REFUSED"),
    ("rcode-23.example", "BADCOOKIE"), ("servfail.ede-9.example", "EDE: 9"), ("nodata.example", "ANSWER: 0; AUTHORITY: 1")])
def test_labels_choose_the_answer(make_upstream, certificates, name, expected):
    assert expected in kdig(make_upstream(), certificates, name, "A", "+edns")


def test_sizes_are_exact(make_upstream, certificates):
    client = DotClient(make_upstream(), certificates)
    for size in (1, 2, 255, 256, 257, 512, 5000, 65000):
        client.send(clients.raw_query(f"size-{size}.example", dns_answers.TXT))
        response = clients.parse(client.receive())
        assert len(response.answer[0][0].to_wire()) == size


@pytest.mark.parametrize("name", ["expired", "not_yet_valid", "wrong_name", "self_signed", "unknown_ca", "borrowed_chain"])
def test_bad_certificates_are_refused(make_upstream, certificates, name):
    upstream = make_upstream(name)
    with pytest.raises(ssl.SSLCertVerificationError):
        DotClient(upstream, certificates)
    assert not upstream.queries


@pytest.mark.parametrize("name, host", [("good", SERVER_NAME), ("rsa", SERVER_NAME), ("intermediate", SERVER_NAME),
                                        ("ip_san", "127.0.0.1"), ("wildcard", "host.wild.test")])
def test_good_certificates_are_accepted(make_upstream, certificates, name, host):
    client = DotClient(make_upstream(name), certificates, name=host)
    client.send(clients.raw_query("a.example"))
    clients.assert_right(clients.parse(client.receive()), "a.example")


def test_pins_are_those_that_kdig_computes(make_upstream, certificates):
    shown = subprocess.run(["kdig", "@127.0.0.1", "-p", str(make_upstream().port), "-d", "a.example", "+tls-pin=" +
                            certificates.good.pin.removeprefix("sha256/")], capture_output=True, text=True)
    assert "status: NOERROR" in shown.stdout + shown.stderr, shown


@pytest.mark.parametrize("version, seen", [("1.2", "TLSv1.2"), ("1.3", "TLSv1.3")])
@pytest.mark.parametrize("tickets", [True, False])
def test_versions_and_tickets(make_upstream, certificates, version, seen, tickets):
    upstream = make_upstream(version=version, tickets=tickets)
    first = DotClient(upstream, certificates)
    first.send(clients.raw_query("a.example"))
    assert first.receive()
    second = DotClient(upstream, certificates, session=first.tls.session, context=first.context)
    second.send(clients.raw_query("b.example"))
    assert second.receive()
    connections = upstream.connections
    assert [connection.version for connection in connections] == [seen, seen]
    assert [connection.alpn for connection in connections] == ["dot", "dot"]
    assert not connections[0].resumed and connections[1].resumed == (tickets or version == "1.2")
    assert bool(connections[1].hello.psk_identities) == (version == "1.3" and tickets)


def test_wrong_messages_are_wrong(make_upstream, certificates):
    makers = [behaviours.with_other_id, behaviours.other_question("other.example"), behaviours.other_question(rrtype=28),
              behaviours.other_question(rrclass=3), behaviours.echoed, behaviours.empty, behaviours.short, behaviours.without_question,
              behaviours.header_only(1), behaviours.other_opcode, behaviours.cut_inside_record]
    client = DotClient(make_upstream(behaviour=behaviours.then_answer(*makers)), certificates)
    query = clients.raw_query("a.example", message_id=0x1234)
    client.send(query)
    received = [client.receive() for _ in range(len(makers) + 1)]
    assert received[0][:2] != query[:2] and received[4] == query and received[5] == b""
    assert received[1][2:] != received[-1][2:] and clients.parse(received[1]).question[0].name.to_text() == "other.example."
    assert clients.parse(received[2]).question[0].rdtype == 28 and clients.parse(received[3]).question[0].rdclass == 3
    assert len(received[8]) == 12 and received[8][3] & 15 == 1
    assert clients.parse(received[7]).question == [] and len(clients.parse(received[7]).answer) == 1
    assert (received[9][2] >> 3) & 15 == 4
    with pytest.raises(Exception):
        clients.parse(received[10])
    clients.assert_right(clients.parse(received[-1]), "a.example")


@pytest.mark.parametrize("behaviour, answers", [
    (behaviours.close, 0), (behaviours.reset, 0), (behaviours.half_close, 0), (behaviours.close_after(2), 2),
    (behaviours.close_after(2, reset=True), 2), (behaviours.answer_then_half_close, 1)])
def test_broken_connections_end_for_the_client(make_upstream, certificates, behaviour, answers):
    client = DotClient(make_upstream(behaviour=behaviour), certificates)
    client.send(*(clients.raw_query(f"{number}.example") for number in range(3)))
    received = []
    while (message := client.receive()) is not None:
        received.append(message)
    assert len(received) == answers


def test_reordering_and_delay(make_upstream, certificates):
    client = DotClient(make_upstream(behaviour=behaviours.reordered(3)), certificates)
    client.send(*(clients.raw_query(f"{number}.example", message_id=number) for number in range(3)))
    assert [client.receive()[:2] for _ in range(3)] == [b"\0\2", b"\0\1", b"\0\0"]
    client = DotClient(make_upstream(), certificates)
    begin = time.monotonic()
    client.send(clients.raw_query("delay-150.example"))
    assert client.receive() and 0.14 < time.monotonic() - begin < 1


@pytest.mark.parametrize("octets", ["records", "segments"])
def test_one_octet_at_a_time(make_upstream, certificates, octets):
    upstream = make_upstream(octets=octets)
    client = DotClient(upstream, certificates)
    client.send(clients.raw_query("a.example"))
    clients.assert_right(clients.parse(client.receive()), "a.example")


@pytest.mark.parametrize("handshake", ["close", "reset", "alert", "garbage"])
def test_refused_handshakes(make_upstream, certificates, handshake):
    upstream = make_upstream(handshake=handshake)
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        DotClient(upstream, certificates)


def test_unfinished_handshake_and_idle_close(make_upstream, certificates):
    silent = socket.create_connection(("127.0.0.1", make_upstream(handshake="never").port))
    silent.settimeout(0.1)
    with pytest.raises(TimeoutError):
        silent.recv(1)
    idle = make_upstream(idle_close=0.05)
    client = DotClient(idle, certificates)
    assert client.receive() is None
    wait_until(lambda: idle.connections[0].closed)


def test_stopping_and_starting_again(make_upstream, certificates):
    upstream = make_upstream()
    DotClient(upstream, certificates)
    upstream.stop(reset=True)
    with pytest.raises(ConnectionRefusedError):
        DotClient(upstream, certificates)
    upstream.start()
    DotClient(upstream, certificates)


def test_tap_sees_records_only(make_upstream, certificates):
    upstream = make_upstream()
    with tap_proxy.TapProxy(upstream.port) as proxy:
        client = DotClient(upstream, certificates, port=proxy.port)
        client.send(clients.raw_query("secret.example"))
        assert client.receive()
        tap = proxy.taps[0]
        types = tap_proxy.record_types(tap.from_relay)
        assert types[0] == "handshake" and types[-1] == "application_data"
        with pytest.raises(AssertionError):
            tap_proxy.record_types(bytes(tap.from_relay[5:]))
        assert b"secret" not in tap.from_relay


def test_real_resolver_serves_the_zone(resolver, certificates):
    shown = kdig(resolver, certificates, "all.real.example", "MX")
    assert re.search(r"MX\s+10 mail\.real\.example\.", shown)


def test_toml_of_tables():
    assert toml({"listen": {"workers": 1, "addresses": ["a"]}, "upstream": [{"name": "x"}, {"name": "y"}]}) == (
        '[listen]\nworkers = 1\naddresses = ["a"]\n[[upstream]]\nname = "x"\n[[upstream]]\nname = "y"\n')


@pytest.mark.parametrize("line, clean", [
    ("==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x60", False), ("==7==ERROR: LeakSanitizer: detected memory leaks", False),
    ("src/dns/edns.cpp:7:3: runtime error: left shift of negative value", False), ("SUMMARY: UndefinedBehaviorSanitizer: x", False),
    ("2026-11-23T09:30:00.123Z error   worker 1: upstream one (127.0.0.1:853): certificate expired", True)])
def test_broken_relays_are_noticed_in_their_log(tmp_path, line, clean):
    relay = Relay(tmp_path, {"name": "one"}, start=False)
    relay.lines = ["2026-11-23T09:30:00.123Z info    supervisor: ready: 1 worker", line]
    if clean:
        relay.assert_clean_log()
    else:
        with pytest.raises(AssertionError):
            relay.assert_clean_log()
