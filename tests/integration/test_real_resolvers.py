"""dig through the relay against kdig +tls at the same real resolver: header, sections and RCODE must be the same."""
import itertools
import re
import subprocess

import dns.rdata
import pytest

from support.certificates import SERVER_NAME
from support.relay import Relay, upstream_table

TYPES = ["A", "AAAA", "MX", "TXT", "HTTPS", "SRV", "CAA", "DNSKEY", "ANY"]
FLAVOURS = {"plain": ["+noedns"], "edns": ["+edns=0"], "do": ["+dnssec"], "cd": ["+edns=0", "+cdflag"], "no-rd": ["+edns=0", "+nord"],
            "no-rd-plain": ["+noedns", "+nord"], "do-cd": ["+dnssec", "+cdflag"]}
SECTION = re.compile(r"^;; (\w+) SECTION:$")


@pytest.fixture(scope="module")
def relay(resolver, certificates, tmp_path_factory):
    with Relay(tmp_path_factory.mktemp("relay"), upstream_table(resolver, certificates, resolver.name), relay={"deadline": "5s"}) as running:
        running.resolver = resolver
        yield running


def comparable(text):
    """Status, flags and sections of dig's or kdig's output, with rdata in one common form."""
    status = re.search(r"status: (\w+)", text)
    flags = re.search(r"^;; [Ff]lags: ([a-z ]*);", text, re.M)
    assert status and flags, text
    edns = re.search(r"^;? ?(?:EDNS: version: 0, flags:|;; Version: 0; flags:) ?([a-z]*)", text, re.M)
    sections, current = {}, None
    for line in text.splitlines():
        if found := SECTION.match(line):
            current = found.group(1)
        elif not line.strip():
            current = None
        elif current in ("ANSWER", "AUTHORITY", "ADDITIONAL") and not line.startswith(";"):
            owner, ttl, rrclass, rrtype, rdata = line.split(None, 4)
            parsed = dns.rdata.from_text(rrclass, rrtype, rdata, relativize=False).to_wire()
            sections.setdefault(current, []).append((owner.lower(), ttl, rrclass, rrtype, parsed))
    return {"status": status.group(1), "flags": sorted(flags.group(1).split()), "edns": edns and edns.group(1),
            "sections": {name: sorted(records) for name, records in sections.items()}}


def dig(relay, name, rrtype, transport, flavour):
    command = ["dig", "@127.0.0.1", "-p", str(relay.port), name, rrtype, "+tcp" if transport == "tcp" else "+notcp", "+noadflag",
               "+nocookie", "+tries=1", "+time=6", "+ttlid", "+bufsize=4096"]
    if "+noedns" in flavour:
        command.remove("+bufsize=4096")
    return subprocess.run(command + flavour, capture_output=True, text=True).stdout


def kdig(resolver, certificates, name, rrtype, flavour):
    return subprocess.run(["kdig", "@127.0.0.1", "-p", str(resolver.port), "+tls", f"+tls-ca={certificates.ca_file}", "+noidn",
                           f"+tls-hostname={SERVER_NAME}", "+retry=0", "+time=6", name, rrtype, *flavour],
                          capture_output=True, text=True).stdout


@pytest.mark.parametrize("flavour", FLAVOURS)
@pytest.mark.parametrize("rrtype", TYPES)
def test_same_answer_as_kdig(relay, certificates, rrtype, flavour):
    expected = comparable(kdig(relay.resolver, certificates, "all.real.example", rrtype, FLAVOURS[flavour]))
    tcp = comparable(dig(relay, "all.real.example", rrtype, "tcp", FLAVOURS[flavour]))
    udp_text = dig(relay, "all.real.example", rrtype, "udp", FLAVOURS[flavour])   # on TC dig asks again over TCP by itself
    assert tcp == expected
    assert comparable(udp_text) == expected


@pytest.mark.parametrize("name, rrtype", [("missing.real.example", "A"), ("x.nowhere.example", "A"), ("mail.real.example", "MX"),
                                          ("x.refused.example", "A"), ("real.example", "SOA"), ("big.real.example", "TXT")])
@pytest.mark.parametrize("flavour", ["plain", "do"])
def test_same_negative_and_large_answers(relay, certificates, name, rrtype, flavour):
    expected = comparable(kdig(relay.resolver, certificates, name, rrtype, FLAVOURS[flavour]))
    for transport in ("udp", "tcp"):
        assert comparable(dig(relay, name, rrtype, transport, FLAVOURS[flavour])) == expected


def test_truncated_answer_sends_dig_to_tcp(relay):
    shown = dig(relay, "big.real.example", "TXT", "udp", ["+edns=0"])
    assert "Truncated, retrying in TCP mode" in shown and shown.count("l" * 200) == 1


def test_two_hundred_concurrent_digs_worth(relay):
    """dig -f with pairs of lookups keeps the machine busy with one process instead of two hundred."""
    lookups = list(itertools.chain.from_iterable((name + ".real.example", "A") for name in ["all", "mail"] * 100))
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(relay.port), "+short", *lookups], capture_output=True, text=True)
    assert done.stdout.split().count("192.0.2.7") == 100 and done.stdout.split().count("192.0.2.25") == 100
