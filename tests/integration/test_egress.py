"""By which of its ways the machine reaches an upstream: source, interface and mark, seen at the other end of two links."""
import ctypes
import re
import subprocess
import threading

import pytest

from support.clients import assert_right, rcode
from support.dot_upstream import DotUpstream
from support.event_loop import wait_until
from support.namespaces import CLONE_NEWNET, can_make_namespaces, run_in_network_namespace
from support.relay import Relay, binary, toml, upstream_table

pytestmark = pytest.mark.skipif(not can_make_namespaces(), reason="needs root and network namespaces")

# The machine has two ways to the upstream at 10.9.0.1. The routing table prefers wan0; what has mark 16 takes wan1.
OUR_SIDE = """link set lo up
link add wan0 type veth peer name far0 netns {peer}
link add wan1 type veth peer name far1 netns {peer}
address add 10.1.0.2/24 dev wan0
address add 10.2.0.2/24 dev wan1
link set wan0 up
link set wan1 up
route add default via 10.1.0.1 dev wan0 metric 1
route add default via 10.2.0.1 dev wan1 metric 2
rule add fwmark 16 table 100
route add default via 10.2.0.1 dev wan1 table 100"""
THEIR_SIDE = """link set lo up
address add 10.9.0.1/32 dev lo
address add 10.1.0.1/24 dev far0
address add 10.2.0.1/24 dev far1
link set far0 up
link set far1 up
route add 10.3.0.1 via 10.1.0.2"""


def ip(lines):
    for line in lines.splitlines():
        subprocess.run(["ip", *line.split()], check=True)


def with_two_ways(certificates, body):
    """Calls body(upstream) in a namespace that reaches the upstream's namespace in two ways."""
    def run():
        ready, links, started, done = (threading.Event() for _ in range(4))
        far = {}

        def far_side():
            ctypes.CDLL(None).unshare(CLONE_NEWNET)
            far["tid"] = threading.get_native_id()
            ready.set()
            links.wait(10)
            ip(THEIR_SIDE)
            with DotUpstream(certificates.good, host="10.9.0.1", port=8853) as far["upstream"]:
                started.set()
                done.wait(60)

        thread = threading.Thread(target=far_side)
        thread.start()
        try:
            assert ready.wait(10)
            ip(OUR_SIDE.format(peer=far["tid"]))
            links.set()
            assert started.wait(10)
            body(far["upstream"])
        finally:
            links.set()
            done.set()
            thread.join()
    run_in_network_namespace(run)


def sources(upstream):
    return {connection.transport.get_extra_info("peername")[0] for connection in upstream.connections}


@pytest.mark.parametrize("keys, source", [({}, "10.1.0.2"), ({"interface": "wan1"}, "10.2.0.2"), ({"mark": 16}, "10.2.0.2"), ({"source": "10.3.0.1"}, "10.3.0.1")],
                         ids=["none", "interface", "mark", "source"])
def test_way_to_the_upstream(certificates, tmp_path, keys, source):
    """Also a change of the network that does not concern this way leaves the connection alone."""
    def body(upstream):
        ip("address add 10.3.0.1/32 dev lo")
        with Relay(tmp_path, upstream_table(upstream, certificates, **keys)) as relay:
            assert_right(relay.ask("way.example"), "way.example")
            assert sources(upstream) == {source}
            ip("address add 192.0.2.200/32 dev lo")
            subprocess.run(["sleep", "0.3"], check=True)   # the relay looks 0.1 s after the event
            assert_right(relay.ask("later.example"), "later.example")
            assert len(upstream.connections) == 1, relay.log
    with_two_ways(certificates, body)


def comes_later(certificates, tmp_path, egress, *, warning, command, source):
    """The relay starts without what `egress` names, and answers by it once `command` has made it; never by another way meanwhile."""
    def body(upstream):
        if "interface" in egress:
            ip("link set wan1 name modem")
        with Relay(tmp_path, upstream_table(upstream, certificates, **egress), relay={"deadline": "500ms"}) as relay:
            assert relay.has_logged(warning)
            assert rcode(relay.ask("early.example")) == "SERVFAIL"
            ip(command)
            wait_until(lambda: rcode(relay.ask("late.example")) == "NOERROR", 5, "an answer")
            assert sources(upstream) == {source}
    with_two_ways(certificates, body)


def test_source_that_comes_later(certificates, tmp_path):
    comes_later(certificates, tmp_path, {"source": "10.3.0.1"},
                warning=r":9:\d+: upstream\.source: 10\.3\.0\.1 is not an address of this machine yet",
                command="address add 10.3.0.1/32 dev lo", source="10.3.0.1")


def test_interface_that_comes_later(certificates, tmp_path):
    comes_later(certificates, tmp_path, {"interface": "wan1"},
                warning=r":9:\d+: upstream\.interface: one cannot be reached before there is an interface wan1",
                command="link set modem down\nlink set modem name wan1\nlink set wan1 up\nroute replace default via 10.2.0.1 dev wan1 metric 2",
                source="10.2.0.2")


def test_mark_without_the_right(certificates, tmp_path):
    """The start refuses and says what to grant; check, which another user may run, warns of the same."""
    relay = Relay(tmp_path, upstream_table("10.9.0.1:853", certificates, mark=16), start=False)
    relay.config_file.write_text(toml(relay.tables))
    without = ["setpriv", "--bounding-set=-net_admin,-net_raw", str(binary())]
    started = subprocess.run([*without, "--config", str(relay.config_file)], capture_output=True, text=True, timeout=10)
    words = r":9:8: upstream\.mark: this process may not mark its packets; it needs CAP_NET_ADMIN or, since Linux 5\.17, CAP_NET_RAW"
    assert started.returncode == 1 and re.search(words, started.stderr), started.stderr
    checked = subprocess.run([*without, "check", "--config", str(relay.config_file)], capture_output=True, text=True, timeout=10)
    assert checked.returncode == 0 and re.search(words, checked.stderr), checked.stderr
