"""Hosts that are built otherwise: addresses of every private range, and a host without IPv6; each in a network namespace of its own."""
import os
import re
import subprocess
import sys
import time

import pytest

from support.clients import TcpClient, UdpClient, ask, assert_right, exchange, parse, raw_query, rcode
from support.dot_upstream import DotUpstream
from support.event_loop import wait_until
from support.namespaces import can_make_namespaces, run_in_network_namespace
from support.relay import Relay, binary, run_binary, toml, upstream_table

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


def test_default_addresses_with_ipv6_switched_off(certificates, tmp_path):
    """The kernel knows IPv6, but no interface has it: ::1 may come later, and until then it is a warning."""
    def run():
        disable_ipv6()
        with DotUpstream(certificates.good) as upstream:
            relay = Relay(tmp_path, upstream_table(upstream, certificates), start=False)
            relay.tables["listen"] = {"workers": 1}
            with relay.start():
                assert_right(ask(12555, "without.six.example"), "without.six.example")
                assert relay.has_logged(r"warning.*\[::1\]:12555 is not an address of this machine yet")
                subprocess.run(["sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=0"], check=True)
                assert_right(ask(12555, "with.six.example", host="::1"), "with.six.example")
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


def without_ipv6(folder):
    """A program that runs the relay as a kernel without IPv6 would: no socket of that family can be made (seccomp)."""
    program = folder / "relay-without-ipv6"
    program.write_text(WITHOUT_IPV6.format(python=sys.executable, binary=str(binary())))
    program.chmod(0o755)
    return program


# Loads the system call's number and its first argument; socket(AF_INET6, ...) fails with EAFNOSUPPORT (97). x86-64 and arm64.
WITHOUT_IPV6 = """#!{python}
import ctypes, os, platform, struct, sys
number = 41 if platform.machine() == "x86_64" else 198
rules = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 10), (0x06, 0, 0, 0x00050000 | 97), (0x06, 0, 0, 0x7fff0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *rule) for rule in rules))
class Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
program = Program(len(rules), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0 and libc.prctl(22, 2, ctypes.byref(program), 0, 0) == 0
os.execv("{binary}", ["{binary}", *sys.argv[1:]])
"""


@pytest.mark.parametrize("addresses", [None, ["0.0.0.0:12555", "[::]:12555"]], ids=["default", "wildcards"])
def test_kernel_without_ipv6(certificates, tmp_path, addresses):
    """The default [::1] and the wildcard [::] are left out with a warning: nobody asked for that one address."""
    def run():
        with DotUpstream(certificates.good) as upstream:
            relay = Relay(tmp_path, upstream_table(upstream, certificates), start=False, program=without_ipv6(tmp_path))
            relay.tables["listen"] = {"workers": 1} | ({"addresses": addresses} if addresses else {})
            with relay.start():
                assert_right(ask(12555, "four.example"), "four.example")
                assert relay.has_logged(r"warning.*\[::1?\]:12555 is left out: this machine has no IPv6")
                relay.reload()
                assert_right(ask(12555, "reloaded.example"), "reloaded.example")
    run_in_network_namespace(run)


@pytest.mark.parametrize("addresses", [["127.0.0.1:12555", "[2001:db8::1]:12555"], ["[::]:12555"]], ids=["written", "only the wildcard"])
def test_kernel_without_ipv6_cannot_have_what_was_written(certificates, tmp_path, addresses):
    relay = Relay(tmp_path, upstream_table("127.0.0.1:853", certificates), start=False, program=without_ipv6(tmp_path))
    relay.tables["listen"] = {"addresses": addresses}
    relay.start(wait=False)
    assert relay.wait() == 1 and len(relay.lines) == 1 and "this machine has no IPv6" in relay.log
    checked = subprocess.run([str(relay.program), "check", "--config", str(relay.config_file)], capture_output=True, text=True)
    assert checked.returncode == 1 and checked.stderr.strip() == relay.log


def ip(words):
    subprocess.run(["ip", *words.split()], check=True)


def test_address_that_comes_later(certificates, tmp_path):
    """DHCP: the relay starts first, says so, and serves the address as soon as the machine has it; and again after it was lost."""
    def run():
        with DotUpstream(certificates.good) as upstream:
            relay = Relay(tmp_path, upstream_table(upstream, certificates), start=False)
            later = [("192.0.2.7", "192.0.2.7/32"), ("2001:db8::7", "2001:db8::7/128 nodad")]
            relay.tables["listen"] |= {"addresses": [f"127.0.0.1:{relay.port}", f"192.0.2.7:{relay.port}", f"[2001:db8::7]:{relay.port}"],
                                       "allow": ["0.0.0.0/0", "::/0"]}
            with relay.start():
                assert_right(relay.ask("now.example"), "now.example")
                assert relay.has_logged(rf":2:\d+: .*192\.0\.2\.7:{relay.port} is not an address of this machine yet; it is served once it is")
                for _ in range(2):
                    for host, address in later:
                        ip(f"address add {address} dev lo")
                        # On a busy machine the address is there before its routes are: a datagram may get lost.
                        query = raw_query("later.example")
                        wait_until(lambda: exchange(query, relay.port, host=host, timeout=1.0), 10, f"an answer from {host} over UDP")
                        for transport in ("udp", "tcp"):
                            assert_right(ask(relay.port, "later.example", transport=transport, host=host), "later.example")
                    for _, address in later:
                        ip(f"address del {address.split()[0]} dev lo")
                for _, address in later:
                    ip(f"address add {address} dev lo")
                wait_until(lambda: relay.count_logged(r"\[?(192\.0\.2\.7|2001:db8::7)\]?:\d+ is an address of this machine now") == 2, 10, "both are told")
    run_in_network_namespace(run)


@pytest.mark.parametrize("beside", [True, False], ids=["beside another address", "alone"])
def test_interface_that_comes_later(certificates, tmp_path, beside):
    """A link-local address belongs to an interface, which comes after the start and is made anew later on."""
    def run():
        with DotUpstream(certificates.good) as upstream:
            relay = Relay(tmp_path, upstream_table(upstream, certificates), start=False)
            scoped = f"[fe80::7%br-lan]:{relay.port}"
            relay.tables["listen"]["addresses"] = [f"127.0.0.1:{relay.port}", scoped] if beside else [scoped]
            relay.start(wait=beside)
            wait_until(lambda: relay.has_logged(r"there is no interface br-lan; it is served once there is"), 5, "the warning")
            try:
                for count in (1, 2):
                    ip("link add br-lan type bridge")
                    ip("link set br-lan up")
                    ip("address add fe80::7/64 dev br-lan nodad")
                    if beside or count == 2:
                        wait_until(lambda: relay.count_logged("supervisor: reloaded") >= count - (not beside), 5, "the new sockets serve")
                    else:
                        wait_until(lambda: relay.has_logged("supervisor: ready"), 5, "the start")
                    for transport in ("udp", "tcp"):
                        assert_right(ask(relay.port, "link.local.example", transport=transport, host="fe80::7%br-lan"), "link.local.example")
                    ip("link del br-lan")
                if beside:
                    assert_right(relay.ask("still.example"), "still.example")
            finally:
                relay.stop()
    run_in_network_namespace(run)


def test_wait_for_an_interface_ends_with_a_signal(certificates, tmp_path):
    relay = Relay(tmp_path, upstream_table("127.0.0.1:853", certificates), start=False)
    relay.tables["listen"]["addresses"] = [f"[fe80::7%none-such]:{relay.port}"]
    relay.start(wait=False)
    wait_until(lambda: relay.has_logged("there is no interface none-such"), 5, "the warning")
    relay.stop()


def test_upstream_that_is_the_relay_itself(certificates, tmp_path):
    """By a wildcard and an address of this machine: only the machine knows."""
    def run():
        ip("address add 192.0.2.7/32 dev lo")
        relay = Relay(tmp_path, upstream_table("192.0.2.7:853", certificates), start=False)
        relay.tables["listen"]["addresses"] = ["0.0.0.0:853"]
        relay.start(wait=False)
        assert relay.wait() == 1 and len(relay.lines) == 1
        assert re.search(r":6:\d+: upstream\.addresses: 192\.0\.2\.7:853 is the relay itself", relay.log), relay.log
        checked = run_binary("check", "--config", relay.config_file)
        assert checked.returncode == 1 and checked.stderr.strip() == relay.log
    run_in_network_namespace(run)


def test_upstream_with_a_scope(certificates, tmp_path):
    """A resolver at a link-local address, whose interface comes after the relay."""
    def run():
        relay = Relay(tmp_path, upstream_table("[fe80::7%br-lan]:8853", certificates))
        with relay:
            assert relay.has_logged(r"cannot be reached before there is an interface br-lan")
            assert rcode(relay.ask("early.example", timeout=10)) == "SERVFAIL"
            ip("link add br-lan type bridge")
            ip("link set br-lan up")
            ip("address add fe80::7/64 dev br-lan nodad")
            with DotUpstream(certificates.good, host="fe80::7%br-lan", port=8853):
                wait_until(lambda: rcode(relay.ask("late.example", timeout=10)) == "NOERROR", 10, "an answer")
    run_in_network_namespace(run)


def test_check_warns_of_a_port_that_needs_a_right(tmp_path):
    relay = Relay(tmp_path, upstream_table("127.0.0.1:8853"), start=False)
    relay.config_file.write_text(toml(relay.tables | {"listen": {"addresses": ["127.0.0.1:53"]}}))
    for path in (tmp_path, *tmp_path.parents):
        if path.stat().st_uid == os.geteuid() and len(path.parts) > 2:
            path.chmod(0o755)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", str(binary()), "check", "--config", str(relay.config_file)]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert re.search(r":2:14: listen.addresses: 127\.0\.0\.1:53: this user may not bind port 53; it needs CAP_NET_BIND_SERVICE", checked.stderr)
    assert "may not bind" not in run_binary("check", "--config", relay.config_file).stderr


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
