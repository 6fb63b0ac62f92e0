"""Local upstreams: zones that are asked for in plain text on purpose, over TCP, at private addresses, and at no other upstream."""
import os
import re
import signal
import subprocess

import pytest

from support import behaviours, local_resolvers
from support.clients import assert_failed, assert_right, rcode
from support.plain_upstream import local_upstream_table
from support.relay import binary, toml, upstream_table

LAN = {"names": ["lan.example", "20.172.in-addr.arpa"], "upstreams": ["local"]}


@pytest.fixture
def lan(make_upstream, make_plain_upstream, make_relay):
    """A relay with an upstream over TLS and one in plain text for zones: (relay, over TLS, in plain text)."""
    common, inner = make_upstream(), make_plain_upstream()
    return make_relay(common, zones=[LAN], local=[local_upstream_table(inner)], relay={"deadline": "1s"}), common, inner


@pytest.mark.parametrize("kind", [local_resolvers.Dnsmasq, local_resolvers.LocalUnbound, local_resolvers.Dnsdist], ids=lambda kind: kind.name)
def test_beside_resolvers_that_people_run(kind, make_upstream, make_relay, tmp_path):
    if kind(tmp_path, None).command()[0] is None:
        pytest.skip(f"{kind.name} is not installed")
    common = make_upstream()
    with kind(tmp_path, None) as resolver:
        relay = make_relay(common, zones=[LAN], local=[local_upstream_table(resolver)], relay={"deadline": "1s"})
        for number in range(30):
            transport = "tcp" if number % 2 else "udp"
            response = relay.ask(local_resolvers.HOST, "AAAA" if number % 3 else "A", transport=transport)
            assert rcode(response) == "NOERROR" and response.answer[0][0].address == (local_resolvers.ADDRESS6 if number % 3
                                                                                     else local_resolvers.ADDRESS)
        assert rcode(relay.ask("missing.lan.example")) == "NXDOMAIN"
        assert_right(relay.ask("www.example"), "www.example")
        assert relay.has_logged(r"upstream local \(127\.0\.0\.1:\d+\): ready, plain text on purpose")
        resolver.stop()
        assert_failed(relay.ask("late.lan.example"), f"local ({resolver.address}): connection refused")
        resolver.start()
        assert rcode(relay.ask(local_resolvers.HOST)) == "NOERROR"
    assert [query.name for query in common.queries] == ["www.example"]


def test_queries_in_plain_text_are_whole_unpadded_and_over_tcp_only(lan):
    relay, common, inner = lan
    for number in range(10):
        assert_right(relay.ask(f"n{number}.Lan.Example", transport="udp" if number % 2 else "tcp"), f"n{number}.lan.example")
        assert_right(relay.ask(f"n{number}.example"), f"n{number}.example")
    assert len(inner.queries) == 10 and inner.datagrams == 0 and len(inner.connections) == 1
    assert all(query.options == [] and len(query.message) == 12 + len(query.name) + 2 + 4 + 11 for query in inner.queries)
    assert all(query.options for query in common.queries)   # padding
    assert not any("lan" in query.name.lower() for query in common.queries) and len(common.queries) == 10


def test_both_kinds_are_named_in_the_log_and_by_check(lan):
    relay, _, inner = lan
    line = rf"plaintext on purpose: lan\.example, 20\.172\.in-addr\.arpa -> 127\.0\.0\.1:{inner.port}$"
    assert relay.has_logged("warning supervisor: " + line)
    assert relay.has_logged(rf"upstream 2: local, for zones only, in plain text, at 127\.0\.0\.1:{inner.port}$")
    checked = subprocess.run([binary(), "check", "--config", relay.config_file], capture_output=True, text=True, check=True)
    first, second = checked.stdout.splitlines()
    assert first == f"plaintext on purpose: lan.example, 20.172.in-addr.arpa -> 127.0.0.1:{inner.port}"
    assert second.endswith(": ok, 1 listen address, 2 upstreams, 1 zone")


def test_when_it_fails_no_other_upstream_stands_in(lan):
    relay, common, inner = lan
    assert_right(relay.ask("a.lan.example"), "a.lan.example")
    inner.behaviour = behaviours.drop
    assert_failed(relay.ask("silent.lan.example"), f"local ({inner.address}): no answer in time")
    inner.behaviour = behaviours.rcode(2)
    assert rcode(relay.ask("broken.lan.example")) == "SERVFAIL"
    inner.behaviour = lambda query: query.connection.send_plain(b"\x00\x04junk")
    assert rcode(relay.ask("junk.lan.example")) == "SERVFAIL"
    inner.behaviour = None
    inner.stop(reset=True)
    assert_failed(relay.ask("gone.lan.example"), f"local ({inner.address}): connection refused")
    inner.start()
    assert_right(relay.ask("back.lan.example"), "back.lan.example")
    assert not common.queries


def test_a_server_that_ends_connections_loses_nothing(lan):
    """After each answer, as old servers do, or when they were idle, as CoreDNS and dnsmasq do."""
    relay, _, inner = lan

    def once(query):
        query.reply()
        query.connection.close()
    inner.behaviour = once
    for number in range(20):
        assert_right(relay.ask(f"once{number}.lan.example"), f"once{number}.lan.example")
    assert len(inner.connections) >= 20
    inner.behaviour, inner.idle_close = None, 0.05
    for number in range(10):
        assert_right(relay.ask(f"idle{number}.lan.example"), f"idle{number}.lan.example")
        os.sched_yield()


def test_the_next_address_serves_when_the_first_is_down(make_upstream, make_plain_upstream, make_relay):
    first, second = make_plain_upstream(), make_plain_upstream()
    relay = make_relay(make_upstream(), zones=[LAN], local=[local_upstream_table(first, second)])
    assert_right(relay.ask("a.lan.example"), "a.lan.example")
    first.stop(reset=True)
    assert_right(relay.ask("b.lan.example"), "b.lan.example")
    assert first.seen("a.lan.example") and second.seen("b.lan.example")


def test_ad_of_an_answer_in_plain_text_is_not_believed(lan):
    relay, _, inner = lan

    def authentic(query):
        message = bytearray(query.answer())
        message[3] |= 0x20
        query.reply(bytes(message))
    inner.behaviour = authentic
    response = relay.ask("signed.lan.example", do=True)
    assert_right(response, "signed.lan.example")
    assert not response.flags & 0x20


def test_it_comes_and_goes_with_a_reload(lan, certificates):
    relay, common, inner = lan
    assert_right(relay.ask("a.lan.example"), "a.lan.example")
    relay.reload(zone=[{"names": ["lan.example"], "upstreams": ["one"]}])
    assert_right(relay.ask("b.lan.example"), "b.lan.example")
    assert common.seen("b.lan.example") and not inner.seen("b.lan.example")
    relay.reload(zone=[LAN])
    os.kill(relay.workers()[0], signal.SIGKILL)
    assert_right(relay.ask("c.lan.example"), "c.lan.example")
    assert inner.seen("c.lan.example") and not common.seen("c.lan.example")


def test_answers_are_kept_as_others_are(make_upstream, make_plain_upstream, make_relay):
    inner = make_plain_upstream()
    relay = make_relay(make_upstream(), zones=[LAN], local=[local_upstream_table(inner)], cache={"size": "1MiB"})
    for _ in range(5):
        assert_right(relay.ask("kept.lan.example"), "kept.lan.example")
    assert len(inner.queries) == 1


FORBIDDEN = [
    ({"name": "local", "addresses": ["8.8.8.8"]}, r'local_upstream\.addresses: "8\.8\.8\.8" is not a private address'),
    ({"name": "local", "addresses": ["169.254.169.254"]}, r"is not a private address"),
    ({"name": "one", "addresses": ["10.0.0.1"]}, r'another upstream is called "one" already'),
    ({"name": "local", "addresses": ["10.0.0.1"], "tls_name": "x"}, r'unknown key "tls_name" in \[\[local_upstream\]\]'),
]


@pytest.mark.parametrize("table, message", FORBIDDEN)
def test_refused_configurations(table, message, make_relay, certificates, tmp_path):
    relay = make_relay(upstream_table("192.0.2.1", certificates), zones=[LAN], local=[table], start=False)
    relay.config_file.write_text(toml(relay.tables))
    checked = subprocess.run([binary(), "check", "--config", relay.config_file], capture_output=True, text=True, check=False)
    assert checked.returncode == 1
    assert re.search(rf"^{relay.config_file}:\d+:\d+: .*{message}", checked.stderr), checked.stderr
