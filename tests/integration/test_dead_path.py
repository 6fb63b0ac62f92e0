"""Dead is not slow: an established path that loses every packet, made with a packet filter in a network namespace of its own.

New connections pass; only the old flow is dropped. TCP shows it at once (unacknowledged octets), and the relay must not wait for the
deadline.
"""
import dataclasses
import shutil
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from support import behaviours
from support.clients import assert_failed, assert_right
from support.dot_upstream import DotUpstream
from support.namespaces import can_make_namespaces, firewall, run_in_network_namespace
from support.relay import Relay, upstream_table

pytestmark = pytest.mark.skipif(not can_make_namespaces() or not shutil.which("iptables", path="/usr/sbin:/sbin"),
                                reason="needs root and iptables")


def drop_flow(connection, target="DROP"):
    """Loses every packet of this connection, both ways."""
    far_port = str(connection.transport.get_extra_info("peername")[1])
    extra = ["--reject-with", "tcp-reset"] if target == "REJECT" else []
    firewall("-A", "INPUT", "-p", "tcp", "--sport", far_port, "-j", target, *extra)
    firewall("-A", "INPUT", "-p", "tcp", "--dport", far_port, "-j", target, *extra)


def scenario(certificates, tmp_path, body, count=1, **arguments):
    def run():
        upstreams = [DotUpstream(certificates.good).start() for _ in range(count)]
        tables = [upstream_table(upstream, certificates, f"upstream-{number}") for number, upstream in enumerate(upstreams)]
        with Relay(tmp_path, tables, **arguments) as relay:
            body(relay, *upstreams)
        for upstream in upstreams:
            upstream.stop(reset=True)
    run_in_network_namespace(run)


def test_established_flow_dies_and_a_fresh_one_answers(certificates, tmp_path):
    def body(relay, upstream):
        for number in range(3):   # a few round trips, so that TCP knows its path
            assert_right(relay.ask(f"before-{number}.example"), f"before-{number}.example")
        for connection in upstream.live_connections():
            drop_flow(connection)
        begin = time.monotonic()
        assert_right(relay.ask("after.example"), "after.example")
        assert time.monotonic() - begin < 0.7, "the dead connection was given up by TCP's evidence, not by the deadline"
    scenario(certificates, tmp_path, body)


def test_busy_flow_dies(certificates, tmp_path):
    """Under steady load new octets leave all the time: the age of the oldest unacknowledged ones tells."""
    def body(relay, upstream):
        for number in range(3):
            assert_right(relay.ask(f"before-{number}.example"), f"before-{number}.example")
        times, stop = [], threading.Event()

        def load(worker):
            number = 0
            while not stop.is_set():
                name, begin = f"load-{worker}-{number}.example", time.monotonic()
                assert_right(relay.ask(name), name)
                times.append(time.monotonic() - begin)
                number += 1
                time.sleep(0.005)

        with ThreadPoolExecutor(20) as pool:
            workers = [pool.submit(load, worker) for worker in range(20)]
            time.sleep(0.5)
            for connection in upstream.live_connections():
                drop_flow(connection)
            time.sleep(1)
            stop.set()
            for worker in workers:
                worker.result()
        assert max(times) < 0.5
    scenario(certificates, tmp_path, body)


def test_dead_host_fails_over(certificates, tmp_path):
    def body(relay, first, second):
        assert_right(relay.ask("before.example"), "before.example")
        firewall("-A", "INPUT", "-p", "tcp", "--dport", str(first.port), "-j", "DROP")
        firewall("-A", "INPUT", "-p", "tcp", "--sport", str(first.port), "-j", "DROP")
        begin = time.monotonic()
        assert_right(relay.ask("after.example"), "after.example")
        assert time.monotonic() - begin < 0.8
        assert second.queries
        begin = time.monotonic()
        for number in range(10):
            assert_right(relay.ask(f"later-{number}.example"), f"later-{number}.example")
        assert time.monotonic() - begin < 1.0, "later questions do not each discover the dead host again"
    scenario(certificates, tmp_path, body, count=2)


def test_all_paths_dead_and_back(certificates, tmp_path):
    def body(relay, upstream):
        assert_right(relay.ask("before.example"), "before.example")
        for flag in ("--dport", "--sport"):
            firewall("-A", "INPUT", "-p", "tcp", flag, str(upstream.port), "-j", "DROP")
        begin = time.monotonic()
        assert_failed(relay.ask("during.example"))
        assert time.monotonic() - begin < 1.4
        firewall("-F", "INPUT")
        assert_right(relay.ask("back.example"), "back.example")
    scenario(certificates, tmp_path, body, relay={"deadline": "1s"})


@pytest.mark.parametrize("largest", [1400, 1000])
def test_large_packets_are_lost(certificates, tmp_path, largest):
    """An MTU black hole: TCP connects, the certificates never come. Smaller segments are tried, and remembered."""
    def run():
        # Packets as they are on a wire: no larger than the MTU, and none that the kernel would cut only later.
        subprocess.run(["ip", "link", "set", "dev", "lo", "mtu", "1500", "gso_max_segs", "1"], check=True)
        chain = tmp_path / "long-chain.pem"
        chain.write_text(certificates.rsa.chain_file.read_text() + 5 * certificates.ca_file.read_text())
        long_chain = dataclasses.replace(certificates.rsa, chain_file=chain)
        upstream = DotUpstream(long_chain, behaviour=behaviours.close_after(1)).start()
        firewall("-A", "INPUT", "-p", "tcp", "--sport", str(upstream.port), "-m", "length", "--length", f"{largest + 1}:65535", "-j", "DROP")
        with Relay(tmp_path, [upstream_table(upstream, certificates)], relay={"deadline": "4s"}) as relay:
            begin = time.monotonic()
            assert_right(relay.ask("first.example"), "first.example")
            assert time.monotonic() - begin < 4
            assert relay.has_logged(r"warning .*upstream one .*: large packets are lost on this path \(MTU\?\)")
            begin = time.monotonic()
            for number in range(5):
                assert_right(relay.ask(f"later-{number}.example"), f"later-{number}.example")
            assert time.monotonic() - begin < 1.5, "each on a new connection, at once"
            assert relay.count_logged("large packets are lost") == 1
        upstream.stop(reset=True)
    run_in_network_namespace(run)


def test_slow_is_not_dead(certificates, tmp_path):
    """Acknowledged but late: the connection stays, and the late answer counts."""
    def body(relay, upstream):
        assert_right(relay.ask("before.example"), "before.example")
        assert_right(relay.ask("delay-900.example"), "delay-900.example")
        assert_right(relay.ask("behind.example"), "behind.example")
        used = {query.connection for query in upstream.queries}
        assert len(used) == 1 and len(upstream.seen("delay-900.example")) == 1
    scenario(certificates, tmp_path, body, relay={"deadline": "4s"})


def hold_acknowledgements(upstream):
    """The upstream's host acknowledges with its next data and not before (RFC 1122 4.2.3.2): segments without any are lost."""
    firewall("-A", "INPUT", "-p", "tcp", "--sport", str(upstream.port), "--tcp-flags", "SYN,FIN,RST,ACK,PSH", "ACK",
             "-m", "length", "--length", "40:80", "-j", "DROP")


def test_delayed_acknowledgements_are_learned(certificates, tmp_path):
    """Answers after 150 ms, acknowledgements with them: the first is suspected, and what it took is granted from then on."""
    def body(relay, upstream):
        assert_right(relay.ask("before.example"), "before.example")
        hold_acknowledgements(upstream)
        for number in range(8):
            assert_right(relay.ask(f"delay-150.n{number}.example"), f"delay-150.n{number}.example")
        assert len({query.connection for query in upstream.queries}) <= 2
        assert len([query for query in upstream.queries if query.name.startswith("delay-150")]) <= 9, "one query was asked twice"
        assert relay.has_logged("acknowledges late, it is given 1[0-9]{2} ms more")
        assert not relay.has_logged("passed over") and not relay.has_logged("went silent")
    scenario(certificates, tmp_path, body)
