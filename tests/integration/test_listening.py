"""The relay's sockets: right source address, IPv6, address in use, nobody else on the port."""
import os
import re
import shutil
import socket
import subprocess
import sys

import pytest

from support.clients import TcpClient, UdpClient, ask, assert_right, parse, raw_query
from support.ports import free_port
from support.relay import Relay, run_binary, upstream_table

BIND_AS_NOBODY = """
import socket, sys
kind, host, port = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
one = socket.socket(socket.AF_INET, kind)
one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
one.bind((host, port))
one.listen() if kind == socket.SOCK_STREAM else None
"""


@pytest.mark.parametrize("destination", ["127.0.0.1", "127.0.0.5", "127.3.2.1"])
def test_wildcard_answers_from_the_address_asked(make_upstream, make_relay, destination):
    """The client's socket is connected: an answer from another address would not arrive."""
    port = free_port()
    make_relay(make_upstream(), port=port, listen={"addresses": [f"0.0.0.0:{port}"]})
    for transport in ("udp", "tcp"):
        assert_right(ask(port, "wildcard.example", transport=transport, host=destination), "wildcard.example")


def test_both_wildcards_and_several_addresses(make_upstream, make_relay):
    port, other = free_port(), free_port()
    make_relay(make_upstream(), port=port, listen={"addresses": [f"0.0.0.0:{port}", f"[::]:{port}", f"127.0.0.1:{other}"]})
    for transport in ("udp", "tcp"):
        assert_right(ask(port, "four.example", transport=transport, host="127.0.0.5"), "four.example")
        assert_right(ask(port, "six.example", transport=transport, host="::1"), "six.example")
        assert_right(ask(other, "other.example", transport=transport), "other.example")


def test_only_the_configured_address(shared_relay):
    with pytest.raises(ConnectionRefusedError):
        TcpClient(shared_relay.port, host="127.0.0.9")


def assert_in_use(result, port):
    assert result.returncode == 1 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert "address in use" in result.stderr.lower() and str(port) in result.stderr


def test_second_start(make_upstream, make_relay):
    relay = make_relay(make_upstream(), listen={"workers": 2})
    assert_in_use(run_binary("--config", relay.config_file), relay.port)
    for number in range(10):
        assert_right(relay.ask(f"first-{number}.example"), f"first-{number}.example")


@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
@pytest.mark.parametrize("reuse", [False, True])
def test_port_of_another_program(make_upstream, certificates, tmp_path, kind, reuse):
    relay = Relay(tmp_path, upstream_table(make_upstream(), certificates), start=False)
    with socket.socket(socket.AF_INET, kind) as other:
        if reuse:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", relay.port))
        if kind == socket.SOCK_STREAM:
            other.listen()
        relay.start(wait=False)
        status = relay.wait()
    assert status == 1 and len(relay.lines) == 1 and "address in use" in relay.log.lower()


def test_shared_port_on_request(make_upstream, make_relay):
    """listen.share_port lets a second instance serve beside the first; both answer."""
    port = free_port()
    first, second = make_upstream(), make_upstream()
    listen = {"addresses": [f"127.0.0.1:{port}"], "share_port": True}
    make_relay(first, port=port, listen=listen)
    make_relay(second, port=port, listen=listen)
    for number in range(60):
        assert_right(ask(port, f"surge-{number}.example"), f"surge-{number}.example")
    assert first.queries and second.queries


def test_stranger_on_the_port(make_upstream, make_relay):
    """A process of the same user joins the port after the start: nothing prevents it, but the log says so."""
    relay = make_relay(make_upstream())
    assert not relay.has_logged("other processes")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        stranger.bind(("127.0.0.1", relay.port))
        relay.reload()
        words = rf"warning.*127\.0\.0\.1:{relay.port} \(UDP\): other processes have 1 socket .*127\.0\.0\.1:{relay.port} of user {os.geteuid()}$"
        assert relay.has_logged(words), relay.log
    relay.reload(relay={"deadline": "3s"})
    assert relay.count_logged("other processes") == 1, relay.log


@pytest.mark.skipif(not shutil.which("setpriv"), reason="needs setpriv")
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "127.0.0.5"])
def test_another_user_cannot_bind(make_upstream, make_relay, kind, host):
    port = free_port()
    make_relay(make_upstream(), port=port, listen={"addresses": [f"0.0.0.0:{port}"], "workers": 2})
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", BIND_AS_NOBODY, str(int(kind)),
                           host, str(port)], capture_output=True, text=True)
    assert done.returncode != 0 and "Address already in use" in done.stderr, done.stderr


def test_burst_of_datagrams(make_upstream, make_relay):
    """More than the kernel's default buffer holds, sent before the relay can read any."""
    relay = make_relay(make_upstream())
    with UdpClient(relay.port) as client:
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        for number in range(1000):
            client.send(raw_query(f"burst-{number}.example", message_id=number))
        assert len({parse(client.receive()).id for _ in range(1000)}) == 1000


def test_start_says_what_an_operator_needs(make_upstream, make_relay):
    upstream = make_upstream()
    relay = make_relay(upstream, listen={"workers": 2})
    assert f"127.0.0.1:{relay.port}" in relay.log and "2 workers" in relay.log
    assert upstream.address in relay.log or "one" in relay.log
    line = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (debug|info |warning|error) +(supervisor|worker \d+): "
    assert relay.lines and all(re.match(line, one) for one in relay.lines), relay.log
