"""An upstream that takes fewer connections than the relay has workers (RFC 7766 6.2.2): all of them are served through those that there are."""
import os
import re
import signal
import statistics
import time

import pytest

from support import behaviours, clients, dns_answers
from support.clients import UdpClient, assert_right
from support.event_loop import wait_until

WORKERS = {"workers": 4}
LIMITED = "takes no more connections"
VARIANTS = ["close", "reset", "never", "late"]


def counters(relay):
    """The relay's counters, by name, as it logs them on SIGUSR1."""
    before = len(relay.lines)
    os.kill(relay.supervisor, signal.SIGUSR1)
    wait_until(lambda: any("log_lines_lost" in line for line in relay.lines[before:]), what="the counters in the log")
    found = {}
    for line in relay.lines[before:]:
        found.update({name: int(value) for name, value in re.findall(r": (\w+) (\d+)$", line)})
    return found


def ask_many(relay, count, prefix="q", gap=0.0, timeout=3.0):
    """Questions from a socket each, so that they reach all workers; gives the answers and the times."""
    times, answers = [], []
    for number in range(count):
        name = f"{prefix}{number}.example"
        with UdpClient(relay.port) as client:
            begin = time.monotonic()
            client.send(clients.make_query(name).to_wire())
            octets = client.receive(timeout)
            times.append(time.monotonic() - begin)
        answers.append((name, octets and clients.parse(octets)))
        time.sleep(gap)
    return answers, times


def assert_all_right(answers):
    for name, answer in answers:
        assert answer is not None, f"{name}: no answer"
        assert_right(answer, name)


@pytest.mark.parametrize("beyond", VARIANTS)
def test_all_workers_answer(make_upstream, make_relay, beyond):
    """160 queries over four workers, where two get a connection. The second upstream is not asked."""
    first, second = make_upstream(max_connections=2, beyond=beyond), make_upstream()
    relay = make_relay(first, second, listen=WORKERS)
    answers, _ = ask_many(relay, 40, "first")
    assert_all_right(answers)
    begun = len(second.queries)
    answers, times = ask_many(relay, 160)
    assert_all_right(answers)
    assert not second.queries[begun:], f"{len(second.queries)} queries at the second upstream"
    if beyond != "never":
        assert begun == 0
        assert first.turned_away < 20
    assert statistics.median(times) < 0.05
    totals = counters(relay)
    assert totals["passed_to_sibling"] > 0
    assert totals["taken_from_sibling"] == totals["passed_to_sibling"]
    assert not relay.has_logged("passed over until it works again")


@pytest.mark.parametrize("beyond", VARIANTS)
def test_alone(make_upstream, make_relay, beyond):
    """The same without a second upstream: no SERVFAIL, and the limit is told once."""
    upstream = make_upstream(max_connections=2, beyond=beyond)
    relay = make_relay(upstream, listen=WORKERS)
    answers, times = ask_many(relay, 160)
    assert_all_right(answers)
    assert statistics.median(times) < 0.05
    assert relay.count_logged(LIMITED) <= 1


def test_options_pass(make_upstream, make_relay):
    upstream = make_upstream(max_connections=1, behaviour=behaviours.with_options((dns_answers.NSID, b"server-7")))
    relay = make_relay(upstream, listen=WORKERS)
    ask_many(relay, 40)
    seen = len(upstream.queries)
    for number in range(20):
        with UdpClient(relay.port) as client:
            client.send(clients.make_query(f"nsid{number}.example", options=[(dns_answers.NSID, b"")]).to_wire())
            answer = clients.parse(client.receive(3.0))
        assert (dns_answers.NSID, b"server-7") in clients.options(answer), answer
    assert all(dns_answers.NSID in dict(query.options) for query in upstream.queries[seen:])


def test_a_killed_lender(make_upstream, make_relay):
    """Those that send through a worker that is killed go on at once; no query is lost that another worker had."""
    upstream = make_upstream(max_connections=2)
    relay = make_relay(upstream, listen=WORKERS)
    ask_many(relay, 40)
    for pid in relay.workers()[:3]:
        os.kill(pid, signal.SIGKILL)
        answers, times = ask_many(relay, 40, f"killed-{pid}-")
        assert_all_right(answers)
        assert max(times) < 1.5


@pytest.mark.parametrize("upstreams", [1, 2])
def test_a_hanging_lender(make_upstream, make_relay, upstreams):
    """Its own clients wait until it is replaced; those of the others do not."""
    others = [make_upstream() for _ in range(upstreams - 1)]
    relay = make_relay(make_upstream(max_connections=2), *others, listen=WORKERS, relay={"deadline": "4s"})
    ask_many(relay, 60)
    hanging = relay.workers()[0]
    os.kill(hanging, signal.SIGSTOP)
    answers, times = ask_many(relay, 40, "hanging", timeout=6.0)
    assert_all_right(answers)
    assert sum(spent > 0.5 for spent in times) <= 3   # the first of the one that hangs, and of those that send through it


def test_outage_and_return(make_upstream, make_relay):
    upstream = make_upstream(max_connections=2)
    relay = make_relay(upstream, listen=WORKERS, relay={"deadline": "1s"})
    assert_all_right(ask_many(relay, 40)[0])
    upstream.stop(reset=True)
    down, _ = ask_many(relay, 8, "down")
    assert all(clients.rcode(answer) == "SERVFAIL" for _, answer in down)
    assert relay.count_logged("passed over until it works again") >= 1
    upstream.start()
    wait_until(lambda: clients.rcode(relay.ask("back.example")) == "NOERROR", what="the upstream is used again")
    time.sleep(0.5)
    assert_all_right(ask_many(relay, 80, "back")[0])


def test_a_restart_is_no_limit(make_upstream, make_relay):
    """All connections die and are made anew: each worker gets its own again."""
    upstream = make_upstream()
    relay = make_relay(upstream, listen=WORKERS)
    assert_all_right(ask_many(relay, 60)[0])
    for _ in range(3):
        upstream.stop(reset=True)
        upstream.start()
        assert_all_right(ask_many(relay, 60)[0])
    assert not relay.has_logged(LIMITED)


def test_more_places(make_upstream, make_relay):
    """Once the server takes more connections the workers get them, one after the other."""
    upstream = make_upstream(max_connections=1)
    relay = make_relay(upstream, listen=WORKERS)
    assert_all_right(ask_many(relay, 80, gap=0.01)[0])
    assert relay.count_logged(LIMITED) == 1
    upstream.max_connections = None
    end = time.monotonic() + 14
    while len(upstream.live_connections()) < 2 and time.monotonic() < end:
        assert_all_right(ask_many(relay, 8, f"more-{end}", gap=0.05)[0])
    assert len(upstream.live_connections()) >= 2


def test_reload(make_upstream, make_relay):
    upstream = make_upstream(max_connections=2)
    relay = make_relay(upstream, listen=WORKERS)
    for _ in range(3):
        assert_all_right(ask_many(relay, 40)[0])
        relay.reload()
    assert_all_right(ask_many(relay, 160)[0])
