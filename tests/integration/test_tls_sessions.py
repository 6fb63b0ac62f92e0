"""What the relay offers in a handshake, which versions it speaks, and how it resumes sessions."""
import os
import re
import signal
import time

import pytest

from support import behaviours
from support.clients import assert_failed, assert_right, rcode
from support.event_loop import wait_until
from support.relay import upstream_table

TLS_1_2, TLS_1_3 = 0x0303, 0x0304


def first_hello(upstream):
    return wait_until(lambda: upstream.connections and upstream.connections[0].hello)


def test_what_is_offered(make_upstream, make_relay):
    upstream = make_upstream()
    assert_right(make_relay(upstream).ask("offer.example"), "offer.example")
    hello = first_hello(upstream)
    assert hello.server_name == "upstream.test" and hello.alpn == ["dot"]
    assert set(hello.versions) == {TLS_1_2, TLS_1_3}
    assert hello.psk_modes in ([], [1]), "pure PSK without a key exchange has no forward secrecy"
    assert upstream.connections[0].alpn == "dot" and upstream.connections[0].version == "TLSv1.3"


@pytest.mark.parametrize("tls_name, sent", [("127.0.0.1", None), ("::1", None), ("upstream.test.", "upstream.test")])
def test_server_name(make_upstream, make_relay, certificates, tls_name, sent):
    """An address is never sent as a name, a trailing dot neither (RFC 6066)."""
    upstream = make_upstream("good" if sent else "ip_san")
    assert_right(make_relay(upstream_table(upstream, certificates, tls_name=tls_name)).ask("sni.example"), "sni.example")
    assert first_hello(upstream).server_name == sent


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_versions(make_upstream, make_relay, version):
    upstream = make_upstream(version=version)
    assert_right(make_relay(upstream).ask("version.example"), "version.example")
    assert upstream.connections[0].version == f"TLSv{version}"


def test_older_versions_are_refused(make_upstream, make_relay):
    upstream = make_upstream(version="1.1")
    response = make_relay(upstream, relay={"deadline": "600ms"}).ask("old.example")
    assert_failed(response)
    assert upstream.connections and not upstream.queries and not any(connection.established for connection in upstream.connections)


def test_server_without_alpn(make_upstream, make_relay):
    upstream = make_upstream(alpn=())
    assert_right(make_relay(upstream).ask("no-alpn.example"), "no-alpn.example")
    assert upstream.connections[0].alpn is None


def test_server_that_refuses_the_protocol(make_upstream, make_relay):
    upstream = make_upstream(handshake="alert")
    assert_failed(make_relay(upstream, relay={"deadline": "600ms"}).ask("alert.example"))
    assert not upstream.queries


def ask_on_new_connections(relay, upstream, count):
    """Every query on a connection of its own, for the upstream closes after each."""
    for number in range(count):
        assert_right(relay.ask(f"session-{number}.example"), f"session-{number}.example")
        wait_until(lambda: not any(connection.queries for connection in upstream.live_connections()))
    return [connection for connection in upstream.connections if connection.established and connection.queries]


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("certificate", ["good", "rsa", "intermediate"])
def test_resumption_with_tickets(make_upstream, make_relay, version, certificate):
    upstream = make_upstream(certificate, version=version, behaviour=behaviours.close_after(1))
    used = ask_on_new_connections(make_relay(upstream), upstream, 5)
    assert not used[0].resumed
    resumed = [connection.resumed for connection in used[1:]]
    assert all(resumed) if version == "1.3" else any(resumed)


def offered_tickets(upstream):
    hellos = [connection.hello for connection in upstream.connections if connection.hello]
    return [ticket for hello in hellos for ticket in [*hello.psk_identities, hello.ticket] if ticket]


@pytest.mark.parametrize("version, least", [("1.2", 2), ("1.3", 4)])
def test_tickets_are_used_once(make_upstream, make_relay, version, least):
    """With TLS 1.2 a resumed session may come without a new ticket; the next handshake is a full one then."""
    upstream = make_upstream(version=version, behaviour=behaviours.close_after(1))
    ask_on_new_connections(make_relay(upstream), upstream, 6)
    offered = offered_tickets(upstream)
    assert len(offered) >= least and len(offered) == len(set(offered))


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_without_tickets(make_upstream, make_relay, version):
    upstream = make_upstream(version=version, tickets=False, behaviour=behaviours.close_after(1))
    ask_on_new_connections(make_relay(upstream), upstream, 3)


def test_tickets_that_the_server_forgot(make_upstream, make_relay, certificates):
    """After a restart the server has new ticket keys: a full handshake, no lost query."""
    upstream = make_upstream(behaviour=behaviours.close_after(1))
    relay = make_relay(upstream)
    ask_on_new_connections(relay, upstream, 2)
    upstream.context = upstream._make_context(certificates.good, None, True, ("dot",))
    assert_right(relay.ask("forgotten.example"), "forgotten.example")
    last = [connection for connection in upstream.connections if connection.queries][-1]
    assert last.hello.psk_identities and not last.resumed


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("how", ["close", "reset", "alert"])
def test_server_that_aborts_handshakes_with_tickets(make_upstream, make_relay, how, version):
    """A balancer before servers with different keys: the handshake is begun again without one, unnoticed."""
    upstream = make_upstream(version=version, behaviour=behaviours.close_after(1))
    relay = make_relay(upstream, log={"level": "debug"})
    ask_on_new_connections(relay, upstream, 1)
    upstream.refuse_tickets = how
    before = len(upstream.connections)
    for number in range(3):
        begin = time.monotonic()
        assert_right(relay.ask(f"refused-{number}.example"), f"refused-{number}.example")
        assert time.monotonic() - begin < 0.35, "no back-off"
        wait_until(lambda: not any(connection.queries for connection in upstream.live_connections()))
    hellos = [connection.hello for connection in upstream.connections[before:] if connection.hello]
    offered = [bool(hello.psk_identities or hello.ticket) for hello in hellos]
    assert offered == [True, False] * 3, "each ticket that is refused takes the others with it"
    assert not relay.has_logged("passed over")
    relay.stop()
    assert relay.has_logged(r"upstream_tickets_refused 3$")


def test_server_that_aborts_every_handshake_is_not_dialled_in_a_loop(make_upstream, make_relay):
    upstream = make_upstream(behaviour=behaviours.close_after(1))
    relay = make_relay(upstream, relay={"deadline": "1s"})
    ask_on_new_connections(relay, upstream, 2)
    upstream.handshake, before = "close", len(upstream.connections)
    assert_failed(relay.ask("down.example"), "connection")
    assert 2 <= len(upstream.connections) - before <= 8


def test_tickets_survive_an_outage(make_upstream, make_relay):
    """A dial that no packet answers spends none."""
    upstream = make_upstream(behaviour=behaviours.close_after(1))
    relay = make_relay(upstream, relay={"deadline": "1500ms"})
    ask_on_new_connections(relay, upstream, 5)
    upstream.stop()
    assert_failed(relay.ask("outage.example"), "connection refused")
    before = len(upstream.connections)
    upstream.start()
    assert_right(relay.ask("again.example"), "again.example")
    first = [connection for connection in upstream.connections[before:] if connection.queries][0]
    assert first.resumed


def test_tickets_stay_with_their_name(make_upstream, make_relay, certificates):
    """Two names at one address: a session checked for one must not be resumed for the other (Unbound, 2026)."""
    upstream = make_upstream(behaviour=lambda query: (behaviours.rcode(2)(query), query.connection.close()))
    tables = [upstream_table(upstream, certificates, "one"), upstream_table(upstream, certificates, "two", tls_name="other.test")]
    relay = make_relay(*tables, relay={"deadline": "700ms"})
    for number in range(3):
        assert rcode(relay.ask(f"{number}.example")) == "SERVFAIL"
    for connection in upstream.connections:
        if connection.hello and connection.hello.server_name == "other.test":
            assert not connection.resumed and not connection.hello.psk_identities and not connection.queries


def first_connections(relay):
    """Each worker's log line about its first connection."""
    lines = [line for line in relay.lines if re.search(r"worker \d+: .*: ready, TLS", line)]
    return {re.search(r"worker (\d+)", line).group(1): line for line in reversed(lines)}


def ask_until_both_workers_have_connected(relay, upstream):
    """The kernel spreads the clients' ports over the workers."""
    for number in range(100):
        assert_right(relay.ask(f"spread-{number}.example"), f"spread-{number}.example")
        wait_until(lambda: not any(connection.queries for connection in upstream.live_connections()))
        if len(first_connections(relay)) == 2:
            return
    raise AssertionError("100 questions reached one worker only")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_workers_share_their_tickets(make_upstream, make_relay, version):
    """A ticket that one worker got resumes the other's first connection; none is offered twice over both."""
    upstream = make_upstream(version=version, behaviour=behaviours.close_after(1))
    relay = make_relay(upstream, listen={"workers": 2})
    ask_until_both_workers_have_connected(relay, upstream)
    ask_on_new_connections(relay, upstream, 10)
    used = [connection for connection in upstream.connections if connection.established and connection.queries]
    assert not used[0].resumed
    offered = offered_tickets(upstream)
    assert len(offered) >= (10 if version == "1.3" else 5) and len(offered) == len(set(offered))
    if version == "1.3":
        assert sorted("resumed" in line for line in first_connections(relay).values()) == [False, True]
        assert all(connection.resumed for connection in used[1:])


def replace_worker(relay):
    """Kills the only worker and waits for the next."""
    def ready():
        return len([line for line in list(relay.lines) if "is ready (PID" in line])
    old, before = relay.workers(), ready()
    os.kill(old[0], signal.SIGKILL)
    wait_until(lambda: ready() > before, 10, "another worker is ready")
    assert relay.workers() != old


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tickets_outlive_their_worker(make_upstream, make_relay, version):
    upstream = make_upstream(version=version, behaviour=behaviours.close_after(1))
    relay = make_relay(upstream)
    ask_on_new_connections(relay, upstream, 3)
    replace_worker(relay)
    before = len(upstream.connections)
    assert_right(relay.ask("successor.example"), "successor.example")
    first = [connection for connection in upstream.connections[before:] if connection.queries][0]
    assert first.resumed
    offered = offered_tickets(upstream)
    assert offered and len(offered) == len(set(offered))


def test_a_worker_with_other_authorities_resumes_nothing_of_the_one_before(make_upstream, make_relay, certificates, tmp_path):
    """The CA file changed without a reload, and a worker was replaced: what it trusts now must be what is checked."""
    ca_file = tmp_path / "changing-ca.pem"
    ca_file.write_text(certificates.ca_file.read_text())
    upstream = make_upstream(behaviour=behaviours.close_after(1))
    relay = make_relay(upstream_table(upstream, certificates, ca_file=str(ca_file)))
    ask_on_new_connections(relay, upstream, 2)
    ca_file.write_text("# another edition\n" + ca_file.read_text())
    replace_worker(relay)
    before = len(upstream.connections)
    assert_right(relay.ask("successor.example"), "successor.example")
    first = [connection for connection in upstream.connections[before:] if connection.queries][0]
    assert not first.resumed and not first.hello.psk_identities


@pytest.mark.parametrize("octets", ["records", "segments"])
@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_one_octet_at_a_time(make_upstream, make_relay, octets, version):
    """The handshake too arrives octet by octet in the second form."""
    upstream = make_upstream(octets=octets, version=version)
    relay = make_relay(upstream)
    for number in range(3):
        assert_right(relay.ask(f"octets-{number}.example"), f"octets-{number}.example")
    assert len([connection for connection in upstream.connections if connection.queries]) == 1
