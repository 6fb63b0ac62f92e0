"""Who may ask: UDP from elsewhere gets silence, TCP a reset, and nothing of it goes upstream."""
import socket
import subprocess

import pytest

from support.clients import TcpClient, UdpClient, assert_right, parse, raw_query
from support.dot_upstream import DotUpstream
from support.namespaces import NeighbourNamespace, can_make_namespaces, run_in_network_namespace
from support.ports import free_port
from support.event_loop import wait_until
from support.relay import Relay, upstream_table


@pytest.fixture
def guarded(make_upstream, make_relay):
    upstream = make_upstream()
    return make_relay(upstream, listen={"allow": ["127.0.0.1/32"]}), upstream


def is_silent(port, source):
    with UdpClient(port, source=source) as client:
        client.send(raw_query("intruder.example"))
        client.send(raw_query("intruder.onion"))
        return client.receive(timeout=0.1) is None


def test_udp_from_elsewhere(guarded):
    relay, upstream = guarded
    assert is_silent(relay.port, "127.0.0.2")
    assert_right(relay.ask("allowed.example"), "allowed.example")
    assert not upstream.seen("intruder.example")


def test_tcp_from_elsewhere_is_reset(guarded):
    relay, upstream = guarded
    client = socket.socket()
    client.bind(("127.0.0.2", 0))
    client.settimeout(3)
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        client.connect(("127.0.0.1", relay.port))
        for _ in range(100):
            client.sendall(b"\0\x1d" + raw_query("intruder.example"))
            if not client.recv(1):
                pytest.fail("closed in order instead of reset")
    client.close()
    assert_right(relay.ask("allowed.example", transport="tcp"), "allowed.example")
    assert not upstream.seen("intruder.example")


@pytest.mark.parametrize("allow, source, allowed", [
    (["loopback"], "127.0.0.1", True), (["loopback"], "127.255.3.9", True), (["private"], "127.0.0.1", False), (["10.0.0.0/8"], "127.0.0.1", False),
    (["127.0.0.0/30"], "127.0.0.3", True), (["127.0.0.0/30"], "127.0.0.4", False), (["10.0.0.0/8", "127.0.0.9/32"], "127.0.0.9", True),
    (["0.0.0.0/0"], "127.1.2.3", True), (["::/0"], "127.0.0.1", False)])
def test_ranges(make_upstream, make_relay, allow, source, allowed):
    relay = make_relay(make_upstream(), listen={"allow": allow})
    if not allowed:
        assert is_silent(relay.port, source)
        return
    for client_type in (UdpClient, TcpClient):
        with client_type(relay.port, source=source) as client:
            client.send(raw_query("range.example"))
            assert_right(parse(client.receive()), "range.example")


@pytest.mark.parametrize("allow, allowed", [(["loopback"], True), (["::1/128"], True), (["127.0.0.0/8"], False), (["fc00::/7"], False)])
def test_ranges_of_ipv6(make_upstream, make_relay, allow, allowed):
    port = free_port()
    make_relay(make_upstream(), port=port, listen={"addresses": [f"[::1]:{port}"], "allow": allow})
    with UdpClient(port, host="::1") as client:
        client.send(raw_query("six.example"))
        received = client.receive(timeout=3 if allowed else 0.1)
        assert (received is not None) == allowed


def test_the_log_tells_who_was_denied(guarded):
    """One line a minute, for UDP and TCP together."""
    relay, _ = guarded
    assert is_silent(relay.port, "127.0.0.2")
    assert is_silent(relay.port, "127.0.0.3")
    with pytest.raises(OSError):
        with TcpClient(relay.port, source="127.0.0.4") as client:
            client.send(raw_query("intruder.example"))
            if client.receive() is None:
                raise ConnectionResetError
    wait_until(lambda: relay.has_logged(r"info    worker 1: denied 127\.0\.0\.2 over UDP: listen\.allow does not list it"))
    assert relay.count_logged("denied") == 1


def address(interface, text):
    subprocess.run(["ip", "address", "add", text, "dev", interface, *(["nodad"] if ":" in text else [])], check=True)


def is_served_over_udp(port, host, source):
    with UdpClient(port, host=host, source=source) as client:
        client.send(raw_query("neighbour.example"))
        octets = client.receive(timeout=0.3)
    if octets is not None:
        assert_right(parse(octets), "neighbour.example")
    return octets is not None


def is_served(port, host, source):
    over_udp = is_served_over_udp(port, host, source)
    try:
        with TcpClient(port, host=host, source=source) as client:
            client.send(raw_query("neighbour.example"))
            over_tcp = client.receive()
    except OSError:
        over_tcp = None
    assert over_udp == (over_tcp is not None)
    return over_udp


@pytest.mark.skipif(not can_make_namespaces(), reason="needs root and network namespaces")
@pytest.mark.parametrize("allow, served", [(None, True), (["local"], True), (["loopback", "private"], False)], ids=["default", "local", "without"])
def test_neighbours_with_public_addresses(certificates, tmp_path, allow, served):
    """Networks on this machine's links are "local", those behind a router are not; and as they are now, not at the start."""
    def run():
        with NeighbourNamespace() as neighbour, DotUpstream(certificates.good) as upstream:
            for text in ("203.0.113.1/24", "2001:db8:7::1/64"):
                address("near", text)
            for text in ("203.0.113.2/24", "2001:db8:7::2/64", "198.51.100.2/32", "192.0.2.2/24"):
                neighbour.run(lambda text=text: address("far", text))
            subprocess.run(["ip", "route", "add", "198.51.100.0/24", "via", "203.0.113.2"], check=True)
            relay = Relay(tmp_path, upstream_table(upstream, certificates), start=False)
            relay.tables["listen"] = {"addresses": [f"0.0.0.0:{relay.port}", f"[::]:{relay.port}"], "workers": 1}
            if allow:
                relay.tables["listen"]["allow"] = allow
            with relay.start():
                def asks(host, source, how=is_served):
                    return neighbour.run(lambda: how(relay.port, host, source))
                assert asks("203.0.113.1", "203.0.113.2") == served
                assert asks("2001:db8:7::1", "2001:db8:7::2") == served
                assert not asks("203.0.113.1", "198.51.100.2")
                wait_until(lambda: relay.has_logged(r"denied \S+ over (UDP|TCP): listen\.allow does not list it"))
                address("near", "192.0.2.1/24")
                if served:
                    wait_until(lambda: asks("192.0.2.1", "192.0.2.2", is_served_over_udp))
                    subprocess.run(["ip", "address", "del", "192.0.2.1/24", "dev", "near"], check=True)
                    subprocess.run(["ip", "route", "add", "192.0.2.0/24", "dev", "near"], check=True)
                    wait_until(lambda: not asks("203.0.113.1", "192.0.2.2", is_served_over_udp))
    run_in_network_namespace(run)
