"""Who may answer: every certificate class and pin. A server that fails gets no query at all, and the client learns why."""
import re
import time

import pytest

from support import behaviours
from support.certificates import Authority, openssl
from support.clients import addresses, assert_failed, assert_right, derived_address, rcode
from support.event_loop import wait_until
from support.relay import run_binary, upstream_table

CAUSES = {
    "expired": "certificate expired",
    "not_yet_valid": "certificate not yet valid",
    "wrong_name": "certificate is not for upstream.test",
    "self_signed": "certificate from an unknown CA",
    "unknown_ca": "certificate from an unknown CA",
    "borrowed_chain": "certificate from an unknown CA",
}
DEADLINE = {"deadline": "600ms"}


@pytest.fixture
def table(certificates):
    """upstream_table with a switch for the CA file."""
    def make(upstream, ca=True, **keys):
        return upstream_table(upstream, certificates if ca else None, **keys)
    return make


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("certificate", CAUSES)
def test_refused_certificates(make_upstream, make_relay, certificate, version):
    upstream = make_upstream(certificate, version=version)
    relay = make_relay(upstream, relay=DEADLINE)
    for transport in ("udp", "tcp"):
        assert_failed(relay.ask("refused.example", transport=transport), f"one ({upstream.address}): {CAUSES[certificate]}")
    assert upstream.connections and not upstream.queries
    wait_until(lambda: relay.has_logged(CAUSES[certificate]), what="the operator reads the reason too")


def below(certificates, label, extensions, names="DNS:upstream.test"):
    """A leaf below an intermediate with these extensions."""
    return Authority(certificates.folder, f"{label}-ca", issuer=certificates.authority, extensions=extensions).issue(label, names=names)


FINAL = {
    "its URI alone has the name": (lambda store: store.authority.issue("uri-name", names="URI:upstream.test"), "certificate is not for upstream.test"),
    "CA for clients": (lambda store: below(store, "client-ca", "extendedKeyUsage=clientAuth"), "its CA may not issue for servers"),
    "certificate for clients": (lambda store: store.authority.issue("for-clients", usages="extendedKeyUsage=clientAuth"), "certificate may not serve"),
    "key that may not sign": (lambda store: store.authority.issue("no-signing", rsa=True, usages="keyUsage=critical,keyEncipherment"), "may not sign (key usage)"),
    "constrained": (lambda store: below(store, "constrained", "nameConstraints=permitted;DNS:other.test"), "name constraints"),
    "constrained, critical": (lambda store: below(store, "constrained-critical", "nameConstraints=critical,excluded;DNS:test"), "name constraints"),
    "unknown critical extension": (lambda store: store.authority.issue("odd", usages="1.3.6.1.4.1.55555.1=critical,ASN1:NULL"), "critical extension"),
}


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("case", FINAL)
def test_a_certificate_that_is_no_good_is_refused_at_once(make_upstream, make_relay, certificates, case, version):
    """With its words, as a failure of authentication: waiting does not mend it, and no dial after dial is made."""
    make, words = FINAL[case]
    upstream = make_upstream(make(certificates), version=version)
    relay = make_relay(upstream)
    begun = time.monotonic()
    assert_failed(relay.ask("final.example"), words)
    assert time.monotonic() - begun < 2, "the deadline is 4 s"
    assert not upstream.queries and len(upstream.connections) <= 3


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_critical_name_constraints_that_hold_are_no_obstacle(make_upstream, make_relay, certificates, version):
    good = below(certificates, "well-constrained", "nameConstraints=critical,permitted;DNS:test,excluded;DNS:bad.test")
    assert_right(make_relay(make_upstream(good, version=version)).ask("within.example"), "within.example")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_intermediates_in_any_order(make_upstream, make_relay, certificates, version):
    lower = Authority(certificates.folder, "lower-ca", issuer=certificates.intermediate_authority)
    leaf = lower.issue("mixed-order")
    own, *issuers = re.findall(r"-----BEGIN.*?END CERTIFICATE-----\n", leaf.chain_file.read_text(), re.S)
    leaf.chain_file.write_text("".join([own, certificates.ca_file.read_text(), certificates.intermediate_authority.certificate_file.read_text(), *issuers]))
    assert_right(make_relay(make_upstream(leaf, version=version)).ask("order.example"), "order.example")


def test_what_a_ca_file_holds_and_cannot_be_used_is_named(certificates, tmp_path):
    openssl("genpkey", "-algorithm", "ED25519", "-out", tmp_path / "odd.key")
    openssl("req", "-x509", "-new", "-key", tmp_path / "odd.key", "-subj", "/CN=Odd\x1b[31m CA", "-days", "3", "-out", tmp_path / "odd.pem")
    mixed = tmp_path / "mixed.pem"
    mixed.write_text(certificates.ca_file.read_text() + (tmp_path / "odd.pem").read_text())
    config = tmp_path / "dotrelay.toml"
    config.write_text(f'[listen]\naddresses = ["127.0.0.1:5300"]\n[[upstream]]\nname = "one"\naddresses = ["127.0.0.1:853"]\n'
                      f'tls_name = "upstream.test"\nca_file = "{mixed}"\n')
    done = run_binary("check", "--config", config)
    assert done.returncode == 0 and "certificate 2 (Odd?[31m CA) is left out: it is signed with Ed25519" in done.stderr
    config.write_text(config.read_text().replace(str(mixed), str(tmp_path / "odd.pem")))
    done = run_binary("check", "--config", config)
    assert done.returncode == 1 and "holds no certificate that can be used" in done.stderr


@pytest.mark.parametrize("certificate", CAUSES)
def test_the_next_upstream_answers_instead(make_upstream, make_relay, certificate):
    bad, good = make_upstream(certificate), make_upstream()
    relay = make_relay(bad, good)
    assert_right(relay.ask("next.example"), "next.example")
    assert not bad.queries and len(good.queries) == 1


def test_failure_without_edns_is_a_bare_servfail(make_upstream, make_relay):
    response = make_relay(make_upstream("expired"), relay=DEADLINE).ask("plain.example", edns=False)
    assert rcode(response) == "SERVFAIL" and response.edns == -1


@pytest.mark.parametrize("certificate", ["good", "rsa", "intermediate"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_accepted_certificates(make_upstream, make_relay, certificate, version):
    assert_right(make_relay(make_upstream(certificate, version=version)).ask("good.example"), "good.example")


@pytest.mark.parametrize("tls_name, accepted", [("host.wild.test", True), ("HOST.Wild.test", True), ("host.wild.test.", True),
                                                ("wild.test", False), ("a.host.wild.test", False), ("hostwild.test", False)])
def test_wildcard_names(make_upstream, make_relay, table, tls_name, accepted):
    upstream = make_upstream("wildcard")
    response = make_relay(table(upstream, tls_name=tls_name), relay=DEADLINE).ask("wild.example")
    if accepted:
        assert_right(response, "wild.example")
    else:
        assert_failed(response, f"certificate is not for {tls_name}")
        assert not upstream.queries


@pytest.mark.parametrize("tls_name, accepted", [("127.0.0.1", True), ("::1", True), ("127.0.0.2", False), ("upstream.test", False)])
def test_addresses_as_names(make_upstream, make_relay, table, tls_name, accepted):
    upstream = make_upstream("ip_san")
    response = make_relay(table(upstream, tls_name=tls_name), relay=DEADLINE).ask("ip.example")
    if accepted:
        assert_right(response, "ip.example")
    else:
        assert_failed(response, f"certificate is not for {tls_name}")
        assert not upstream.queries


def test_address_name_is_not_matched_by_a_dns_name(make_upstream, make_relay, table, certificates):
    upstream = make_upstream(certificates.authority.issue("ip-as-dns", names="DNS:127.0.0.1"))
    assert_failed(make_relay(table(upstream, tls_name="127.0.0.1"), relay=DEADLINE).ask("ip.example"), "certificate is not for 127.0.0.1")


@pytest.mark.parametrize("certificate, pin_of", [
    ("self_signed", "leaf"), ("self_signed_client", "leaf"), ("unknown_ca", "leaf"), ("good", "leaf"), ("intermediate", "leaf"), ("intermediate", "issuer")])
def test_a_matching_pin_alone_authenticates(make_upstream, make_relay, table, certificates, certificate, pin_of):
    chosen = getattr(certificates, certificate)
    pin = chosen.pin if pin_of == "leaf" else chosen.issuer_pin
    upstream = make_upstream(certificate)
    assert_right(make_relay(table(upstream, ca=False, pins=[pin])).ask("pinned.example"), "pinned.example")


def test_any_of_several_pins_will_do(make_upstream, make_relay, table, certificates):
    pins = [certificates.rsa.pin, certificates.self_signed.pin, certificates.good.pin]
    assert_right(make_relay(table(make_upstream("self_signed"), ca=False, pins=pins)).ask("pinned.example"), "pinned.example")


@pytest.mark.parametrize("certificate", ["good", "self_signed", "intermediate", "unknown_ca"])
@pytest.mark.parametrize("ca", [True, False])
def test_no_matching_pin(make_upstream, make_relay, table, certificates, certificate, ca):
    upstream = make_upstream(certificate)
    response = make_relay(table(upstream, ca=ca, pins=[certificates.rsa.pin]), relay=DEADLINE).ask("pinned.example")
    untrusted = ca and certificate in ("self_signed", "unknown_ca")
    assert_failed(response, CAUSES[certificate] if untrusted else "no pin matches")
    assert not upstream.queries


@pytest.mark.parametrize("chain", ["borrowed_chain", "forged_chain"])
def test_pin_of_a_certificate_that_signed_nothing_here(make_upstream, make_relay, table, certificates, chain):
    """The pinned intermediate is public; sending it beside a leaf it never signed must not authenticate that leaf."""
    upstream = make_upstream(chain)
    response = make_relay(table(upstream, ca=False, pins=[certificates.intermediate.issuer_pin]), relay=DEADLINE).ask("stolen.example")
    assert rcode(response) == "SERVFAIL" and not upstream.queries


@pytest.mark.parametrize("certificate", ["expired", "wrong_name", "unknown_ca", "self_signed"])
def test_with_a_ca_file_the_pin_does_not_replace_it(make_upstream, make_relay, table, certificates, certificate):
    upstream = make_upstream(certificate)
    pin = getattr(certificates, certificate).pin
    assert_failed(make_relay(table(upstream, pins=[pin]), relay=DEADLINE).ask("both.example"), CAUSES[certificate])
    assert not upstream.queries


@pytest.mark.parametrize("pin_of", ["leaf", "issuer", "root"])
def test_pin_and_ca_file_both_hold(make_upstream, make_relay, table, certificates, pin_of):
    pin = {"leaf": certificates.intermediate.pin, "issuer": certificates.intermediate.issuer_pin,
           "root": certificates.authority.pin}[pin_of]
    upstream = make_upstream("intermediate")
    response = make_relay(table(upstream, pins=[pin])).ask("both.example")
    assert addresses(response) == [derived_address("both.example")]


def test_system_bundle_is_the_default(make_upstream, make_relay, table):
    upstream = make_upstream()
    assert_failed(make_relay(table(upstream, ca=False), relay=DEADLINE).ask("system.example"), "certificate from an unknown CA")
    assert not upstream.queries


def test_resumption_does_not_outlive_the_certificate(make_upstream, make_relay, certificates):
    """A ticket taken while the certificate was valid must not open a session after its end."""
    upstream = make_upstream(certificates.issue_for_seconds("brief", 4), behaviour=behaviours.close_after(1))
    relay = make_relay(upstream, relay=DEADLINE)
    assert_right(relay.ask("brief.example"), "brief.example")
    seen = len(upstream.queries)

    def refused():
        response = relay.ask("brief.example")
        return rcode(response) == "SERVFAIL" and response
    assert_failed(wait_until(refused, 8), "certificate expired")
    assert any(connection.resumed for connection in upstream.connections), "while it was valid, tickets were used"
    begun = len(upstream.connections)
    assert_failed(relay.ask("after.example"), "certificate expired")
    assert not [query for query in upstream.queries[seen:] if query.name == "after.example"]
    assert all(not connection.established or not connection.resumed for connection in upstream.connections[begun:])
