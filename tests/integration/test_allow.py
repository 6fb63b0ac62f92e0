"""Who may ask: UDP from elsewhere gets silence, TCP a reset, and nothing of it goes upstream."""
import socket

import pytest

from support.clients import TcpClient, UdpClient, assert_right, parse, raw_query
from support.ports import free_port


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
