"""Hosts that are built otherwise: addresses of every private range, and a host without IPv6; each in a network namespace of its own."""
import subprocess
import time

import pytest

from support.clients import TcpClient, UdpClient, ask, assert_right, parse, raw_query
from support.dot_upstream import DotUpstream
from support.namespaces import can_make_namespaces, run_in_network_namespace
from support.relay import Relay, upstream_table

pytestmark = pytest.mark.skipif(not can_make_namespaces(), reason="needs root and network namespaces")

PRIVATE = ["10.0.0.1", "10.255.255.254", "172.16.0.1", "172.31.255.254", "192.168.7.7", "100.64.0.1", "100.127.255.254", "169.254.3.3",
           "fc00::1", "fdff::1"]
# Of this machine, so they count as loopback. test_allow.py asks from another machine's.
PUBLIC = ["9.255.255.255", "11.0.0.1", "172.15.255.254", "172.32.0.1", "192.167.255.254", "192.169.0.1", "100.63.255.254", "100.128.0.1",
          "169.253.0.1", "203.0.113.5", "2001:db8::1", "fbff::1", "fe00::1"]


def add_addresses(addresses):
    for address in addresses:
        length = "/128" if ":" in address else "/32"
        subprocess.run(["ip", "address", "add", address + length, "dev", "lo", *(["nodad"] if ":" in address else [])], check=True)


def is_served(port, address):
    """Whether a client with this address (asking the same address, so that no route matters) gets an answer over UDP and TCP."""
    try:
        with TcpClient(port, host=address, source=address) as tcp:
            tcp.send(raw_query("network.example"))
            over_tcp = tcp.receive()
    except OSError:
        over_tcp = None   # reset already while sending
    with UdpClient(port, host=address, source=address) as udp:
        udp.send(raw_query("network.example"))
        octets = udp.receive(timeout=3 if over_tcp else 0.05)
    if octets is not None:
        assert_right(parse(octets), "network.example")
    assert (octets is None) == (over_tcp is None), address
    return octets is not None


@pytest.mark.parametrize("allow, served", [
    (None, ["127.0.0.1", "::1", *PRIVATE, *PUBLIC]), (["private"], PRIVATE), (["loopback"], ["127.0.0.1", "::1", *PRIVATE, *PUBLIC]), (["203.0.113.0/24", "fbff::/16"], ["203.0.113.5", "fbff::1"])],
    ids=["default", "private", "loopback", "ranges"])
def test_who_is_served(certificates, tmp_path, allow, served):
    def run():
        add_addresses(PRIVATE + PUBLIC)
        with DotUpstream(certificates.good) as upstream:
            relay = Relay(tmp_path, upstream_table(upstream, certificates), start=False)
            relay.tables["listen"] = {"addresses": [f"0.0.0.0:{relay.port}", f"[::]:{relay.port}"], "workers": 1}
            if allow:
                relay.tables["listen"]["allow"] = allow
            with relay.start():
                everyone = ["127.0.0.1", "::1", *PRIVATE, *PUBLIC]
                assert [address for address in everyone if is_served(relay.port, address)] == served
    run_in_network_namespace(run)


def disable_ipv6():
    subprocess.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1"], check=True)


def test_default_addresses_without_ipv6(certificates, tmp_path):
    """The default [::1] is skipped with a warning, for nobody asked for it."""
    def run():
        disable_ipv6()
        with DotUpstream(certificates.good) as upstream:
            relay = Relay(tmp_path, upstream_table(upstream, certificates), start=False)
            relay.tables["listen"] = {"workers": 1}
            with relay.start():
                assert_right(ask(12555, "without.six.example"), "without.six.example")
                assert relay.has_logged(r"warning.*\[::1\]:12555")
    run_in_network_namespace(run)


def test_default_addresses(certificates, tmp_path):
    def run():
        with DotUpstream(certificates.good) as upstream:
            relay = Relay(tmp_path, upstream_table(upstream, certificates), start=False)
            relay.tables["listen"] = {"workers": 1}
            with relay.start():
                for host in ("127.0.0.1", "::1"):
                    for transport in ("udp", "tcp"):
                        assert_right(ask(12555, "default.example", transport=transport, host=host), "default.example")
    run_in_network_namespace(run)


def test_written_address_without_ipv6_is_an_error(certificates, tmp_path):
    def run():
        disable_ipv6()
        relay = Relay(tmp_path, upstream_table("127.0.0.1:853", certificates), start=False)
        relay.tables["listen"]["addresses"] = [f"127.0.0.1:{relay.port}", f"[::1]:{relay.port}"]
        relay.start(wait=False)
        assert relay.wait() == 1 and len(relay.lines) == 1 and f"[::1]:{relay.port}" in relay.log
    run_in_network_namespace(run)


def test_address_of_another_host_is_an_error(certificates, tmp_path):
    relay = Relay(tmp_path, upstream_table("127.0.0.1:853", certificates), start=False)
    relay.tables["listen"]["addresses"] = [f"203.0.113.77:{relay.port}"]
    relay.start(wait=False)
    assert relay.wait() == 1 and len(relay.lines) == 1 and f"203.0.113.77:{relay.port}" in relay.log


def test_containers_that_start_end_no_back_off(certificates, tmp_path):
    """Addresses come and go that no way to an upstream uses: a refused upstream keeps its back-off, in all workers."""
    def run():
        with DotUpstream(certificates.self_signed) as refused, DotUpstream(certificates.good) as good:
            tables = [upstream_table(refused, certificates, "refused"), upstream_table(good, certificates, "good")]
            with Relay(tmp_path, tables, listen={"workers": 4}) as relay:
                for number in range(40):
                    if number % 5 == 0:
                        subprocess.run(["ip", "address", "add", f"192.0.2.{number}/32", "dev", "lo"], check=True)
                    assert_right(relay.ask(f"n{number}.example"), f"n{number}.example")
                    time.sleep(0.06)
                assert len(refused.connections) <= 6
    run_in_network_namespace(run)
