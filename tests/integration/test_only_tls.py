"""The upstream side carries TLS and nothing else: a tap between relay and upstream sees records only, and no name in any of them."""
import re

import pytest

from support import behaviours, dns_answers, tap_proxy
from support.clients import assert_right, rcode
from support.event_loop import wait_until
from support.relay import upstream_table

NAMES = [f"very-secret-name-{number}.example" for number in range(10)]


def assert_only_tls(tap):
    for stream in (bytes(tap.from_relay), bytes(tap.from_upstream)):
        types = tap_proxy.record_types(stream)
        assert not types or types[0] in ("handshake", "alert")
        assert b"secret" not in stream.lower()
        assert not any(dns_answers.wire_name(name) in stream for name in NAMES)


@pytest.fixture
def tapped(make_upstream, make_relay, certificates):
    proxies = []

    def make(relay=None, ask_for=None, **upstream_arguments):
        upstream = make_upstream(**upstream_arguments)
        proxies.append(tap_proxy.TapProxy(upstream.port).__enter__())
        return make_relay(upstream_table(proxies[-1], certificates), relay=relay), upstream, proxies[-1]

    yield make
    for proxy in proxies:
        proxy.__exit__()


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_answered_questions(tapped, version):
    relay, upstream, proxy = tapped(version=version, behaviour=behaviours.close_after(4))
    for name in NAMES:
        assert_right(relay.ask(name), name)
    assert len(upstream.queries) >= len(NAMES) and proxy.taps
    for tap in proxy.taps:
        assert_only_tls(tap)
    applications = tap_proxy.record_types(proxy.taps[0].from_relay).count("application_data")
    assert applications >= 4


@pytest.mark.parametrize("certificate", ["expired", "wrong_name", "unknown_ca", "self_signed", "not_yet_valid"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_refused_certificates(tapped, certificate, version):
    """Nothing but the handshake and the alert that ends it leaves the relay."""
    relay, upstream, proxy = tapped(certificate=certificate, version=version, relay={"deadline": "400ms"})
    assert rcode(relay.ask(NAMES[0])) == "SERVFAIL"
    wait_until(lambda: proxy.taps)
    for tap in proxy.taps:
        assert_only_tls(tap)
    assert not upstream.queries


@pytest.mark.parametrize("handshake", ["garbage", "alert", "close", "never"])
def test_no_fallback_when_tls_fails(tapped, handshake):
    relay, upstream, proxy = tapped(handshake=handshake, relay={"deadline": "400ms"})
    assert rcode(relay.ask(NAMES[0])) == "SERVFAIL"
    assert proxy.taps
    for tap in proxy.taps:
        types = tap_proxy.record_types(bytes(tap.from_relay))
        assert set(types) <= {"handshake", "alert", "change_cipher_spec"}
        assert not re.search(rb"secret", bytes(tap.from_relay))
    assert not upstream.queries


def test_query_sizes_are_hidden_in_blocks(tapped):
    """Names of 1 to 60 octets make records of the same size."""
    relay, _, proxy = tapped(version="1.3")
    assert_right(relay.ask("warm-up.example"), "warm-up.example")
    sizes = set()
    for length in (1, 30, 60):
        before = len(proxy.taps[0].from_relay)
        assert_right(relay.ask("s" * length + ".example"), "s" * length + ".example")
        sizes.add(len(proxy.taps[0].from_relay) - before)
    assert len(sizes) == 1 and len(proxy.taps) == 1
