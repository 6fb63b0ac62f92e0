"""Zones: names that only certain upstreams see, in their own order, and names that never leave the relay."""
import os
import re
import signal
import subprocess
import time

import pytest

from support import behaviours
from support.clients import assert_failed, assert_right, rcode
from support.event_loop import wait_until
from support.relay import upstream_table

CORP = {"names": ["corp.example", "20.172.in-addr.arpa"], "upstreams": ["office"]}


@pytest.fixture
def office(make_upstream, make_relay, certificates):
    """A relay with a common upstream and one for zones only: (relay, common, office)."""
    common, inner = make_upstream(), make_upstream()
    relay = make_relay(upstream_table(common, certificates, "common"), upstream_table(inner, certificates, "office", zone_only=True),
                       zones=[CORP, {"names": ["no.example"], "answer": "nxdomain"}, {"names": ["void.example"], "answer": "nodata"},
                              {"names": ["never.example"], "answer": "refused"}])
    return relay, common, inner


def dig(relay, *arguments):
    return subprocess.run(["dig", "@127.0.0.1", "-p", str(relay.port), "+tries=1", "+time=5", *arguments],
                          capture_output=True, text=True, check=True).stdout


def test_each_name_at_the_upstream_of_its_zone(office):
    relay, common, inner = office
    for number in range(20):
        assert_right(relay.ask(f"n{number}.Corp.Example", transport="udp" if number % 2 else "tcp"), f"n{number}.corp.example")
        assert_right(relay.ask(f"n{number}.example"), f"n{number}.example")
    assert "status: NOERROR" in dig(relay, "-x", "172.20.1.1")
    assert len(inner.queries) == 21 and all(query.name.lower().endswith(("corp.example", "20.172.in-addr.arpa")) for query in inner.queries)
    assert len(common.queries) == 20 and not any("corp" in query.name.lower() for query in common.queries)


def test_a_zone_fails_by_itself(office):
    relay, common, inner = office
    assert_right(relay.ask("www.corp.example"), "www.corp.example")
    inner.stop(reset=True)
    assert_failed(relay.ask("late.corp.example"), f"office ({inner.address}): connection refused")
    assert_right(relay.ask("www.example"), "www.example")
    assert not common.seen("late.corp.example") and len(common.queries) == 1
    assert relay.has_logged(r"no upstream among office is usable, clients get SERVFAIL: office ")
    inner.start()
    assert_right(relay.ask("back.corp.example"), "back.corp.example")


def test_silence_in_a_zone_is_no_reason_to_ask_others(office):
    relay, common, inner = office
    assert_right(relay.ask("www.example"), "www.example")
    inner.behaviour = behaviours.drop
    begin = time.monotonic()
    assert_failed(relay.ask("silent.corp.example"), f"office ({inner.address}): no answer in time")
    assert time.monotonic() - begin < 2.5 and not common.seen("silent.corp.example")


def test_the_order_of_the_zone(make_upstream, make_relay):
    one, two, three = make_upstream(), make_upstream(), make_upstream()
    relay = make_relay(one, two, three, zones=[{"names": ["corp.example"], "upstreams": ["three", "one"]}])
    assert_right(relay.ask("a.corp.example"), "a.corp.example")
    assert three.seen("a.corp.example")
    three.stop(reset=True)
    assert_right(relay.ask("b.corp.example"), "b.corp.example")
    assert one.seen("b.corp.example") and not two.queries
    one.stop(reset=True)
    assert_failed(relay.ask("c.corp.example"), f"three ({three.address}): ", f"; one ({one.address}): ")
    assert not two.queries


@pytest.mark.parametrize("transport", ["+notcp", "+tcp"])
def test_answers_of_the_relay_itself(office, transport):
    relay, common, inner = office
    shown = dig(relay, transport, "x.no.example")
    assert "status: NXDOMAIN" in shown
    assert re.search(r"^no\.example\.\s+300\s+IN\s+SOA\s+no\.example\. nobody\.invalid\. 1 3600 1200 604800 300$", shown, re.M)
    shown = dig(relay, transport, "void.example", "AAAA")
    assert "status: NOERROR" in shown and "ANSWER: 0, AUTHORITY: 1" in shown
    assert "status: REFUSED" in dig(relay, transport, "a.never.example")
    assert not common.queries and not inner.queries


LOCAL = ["printer.local", "a.test", "b.invalid", "c.alt", "d.internal", "e.home.arpa", "f.service.arpa"]
ADDRESSES = ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.0.1", "169.254.1.1", "127.0.0.1", "0.0.0.0",
             "192.0.2.1", "198.51.100.1", "203.0.113.1", "255.255.255.255", "::", "::1", "fd00::1", "fe80::1", "febf::1", "2001:db8::1"]


def test_local_names_never_leave(office):
    relay, common, inner = office
    for name in LOCAL:
        assert rcode(relay.ask(name)) == "NXDOMAIN", name
    for address in ADDRESSES:
        shown = dig(relay, "-x", address)
        # Two of them are the apex of a zone of their own, which is there and has no PTR record.
        assert f"status: {'NOERROR' if address in ('::', '::1', '255.255.255.255') else 'NXDOMAIN'}" in shown, shown
        assert re.search(r"AUTHORITY: 1[,;]", shown) and re.search(r"\sIN\s+SOA\s", shown)
    assert not common.queries and not inner.queries


def test_public_addresses_and_look_alikes_do(office):
    relay, common, _ = office
    for address in ["9.255.255.255", "11.0.0.1", "172.15.0.1", "172.32.0.1", "100.63.0.1", "100.128.0.1", "192.167.0.1", "2001:db9::1", "fc00::1"]:
        assert "status: NOERROR" in dig(relay, "-x", address)
    for name in ["local.example", "notlocal", "home.example", "arpa"]:
        assert_right(relay.ask(name), name)
    assert len(common.queries) == 13


def test_ds_of_a_local_zone_is_asked_of_its_parent(office):
    relay, common, _ = office
    relay.ask("10.in-addr.arpa", "DS")
    assert len(common.seen("10.in-addr.arpa")) == 1
    assert rcode(relay.ask("1.10.in-addr.arpa", "DS")) == "NXDOMAIN"
    response = relay.ask("10.in-addr.arpa", "SOA")
    assert rcode(response) == "NOERROR" and len(response.answer) == 1
    assert len(common.queries) == 1


def test_a_zone_opens_a_local_name_at_a_reload(make_upstream, make_relay):
    upstream = make_upstream()
    relay = make_relay(upstream)
    assert rcode(relay.ask("a.cluster.local")) == "NXDOMAIN"
    relay.reload(zone=[{"names": ["cluster.local"], "upstreams": ["one"]}])
    assert_right(relay.ask("a.cluster.local"), "a.cluster.local")
    assert rcode(relay.ask("a.other.local")) == "NXDOMAIN"
    relay.reload(zone=[])
    assert rcode(relay.ask("a.cluster.local")) == "NXDOMAIN"


def test_local_answers_are_counted(office):
    relay, _, _ = office
    relay.ask("a.local")
    relay.ask("a.no.example")
    os.kill(relay.supervisor, signal.SIGUSR1)
    wait_until(lambda: relay.has_logged(r": answered_locally 2$"), what="the counters in the log")


def test_the_log_says_who_serves_what(office):
    relay, _, _ = office
    assert relay.has_logged(r"upstream 2: office, for zones only, TLS name ")
    assert relay.has_logged(r"zone corp\.example, 20\.172\.in-addr\.arpa: office$")
    assert relay.has_logged(r"zone no\.example: answered here, nxdomain$")
