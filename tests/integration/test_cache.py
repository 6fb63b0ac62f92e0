"""The answer cache of the running relay: one for all workers, through reloads, upgrades and kills; stale answers in an outage."""
import os
import shutil
import signal
import time

import dns.edns
import dns.rcode

from support.clients import UdpClient, make_query, parse
from support.event_loop import wait_until
from support.relay import binary, upstream_table

CACHE = {"size": "256KiB"}


def ask(relay, name, rrtype="A", **options):
    """From a port of its own, so that any of the workers may be asked."""
    with UdpClient(relay.port) as client:
        client.send(make_query(name, rrtype, **options).to_wire())
        return parse(client.receive())


def ask_all_workers(relay, name):
    return [ask(relay, name) for _ in range(20)]


def ttl(response):
    return response.answer[0].ttl


def error_codes(response):
    return [int(option.code) for option in response.options if isinstance(option, dns.edns.EDEOption)]


def names(prefix, count=20):
    return [f"{prefix}{number}.example" for number in range(count)]


def test_workers_answer_from_one_memory(make_upstream, make_relay):
    upstream = make_upstream(ttl=300)
    relay = make_relay(upstream, listen={"workers": 2}, cache=CACHE)
    first = ask(relay, "www.example")
    time.sleep(1.1)
    answers = ask_all_workers(relay, "www.example")
    assert upstream.query_count == 1
    assert {answer.answer[0][0].to_text() for answer in answers} == {first.answer[0][0].to_text()}
    assert all(298 <= ttl(answer) <= 299 for answer in answers)


def test_it_survives_reloads_kills_and_an_upgrade(make_upstream, make_relay, tmp_path):
    upstream = make_upstream(ttl=300)
    program = shutil.copy(binary(), tmp_path / "dotrelay")
    relay = make_relay(upstream, listen={"workers": 2}, cache=CACHE, program=program)
    known = names("known")
    for name in known:
        ask(relay, name)
    assert upstream.query_count == len(known)
    relay.reload(relay={"deadline": "3s"})
    for worker in relay.workers():
        os.kill(worker, signal.SIGKILL)
    wait_until(lambda: relay.count_logged(r"worker \d is ready") == 2, 5)
    os.kill(relay.supervisor, signal.SIGUSR2)
    wait_until(lambda: relay.has_logged(r"supervisor: upgraded to ") and relay.count_logged(r"supervisor: reloaded ") == 2, 10,
               lambda: f"the upgrade:\n{relay.log}")
    for name in known:
        assert ask(relay, name).rcode() == dns.rcode.NOERROR
    assert upstream.query_count == len(known)


def test_a_reload_that_changes_the_upstreams_empties_it(make_upstream, make_relay, certificates):
    old, new = make_upstream(ttl=300), make_upstream(ttl=200)
    relay = make_relay(old, cache=CACHE)
    assert ttl(ask(relay, "www.example")) == 300
    relay.reload(upstream=[upstream_table(new, certificates)])
    assert ttl(ask(relay, "www.example")) == 200
    assert new.query_count == 1


def test_in_an_outage_known_names_are_answered_stale_and_the_return_shows_at_once(make_upstream, make_relay):
    upstream = make_upstream(ttl=1)
    relay = make_relay(upstream, cache=CACHE, relay={"deadline": "1s"})
    known = names("known")
    for name in known:
        ask(relay, name)
    upstream.stop(reset=True)
    time.sleep(2.1)
    assert ask(relay, "unknown.example").rcode() == dns.rcode.SERVFAIL
    began = time.monotonic()
    for name in known:
        answer = ask(relay, name)
        assert (answer.rcode(), ttl(answer), error_codes(answer)) == (dns.rcode.NOERROR, 5, [3])
    assert time.monotonic() - began < 1
    answer = ask(relay, "unknown.example")
    assert (answer.rcode(), error_codes(answer)) == (dns.rcode.SERVFAIL, [22])
    upstream.ttl = 300
    upstream.start()
    wait_until(lambda: ttl(ask(relay, "known0.example")) > 5, 3, "a fresh answer")


def test_an_upstream_that_is_late_is_not_waited_for_longer_than_half_of_the_deadline(make_upstream, make_relay):
    upstream = make_upstream(ttl=1)
    relay = make_relay(upstream, cache=CACHE, relay={"deadline": "2s"})
    ask(relay, "www.example")
    time.sleep(2.1)
    upstream.behaviour = lambda query: None
    began = time.monotonic()
    answer = ask(relay, "www.example")
    assert 0.9 < time.monotonic() - began < 1.5
    assert (ttl(answer), error_codes(answer)) == (5, [3])


def test_without_a_cache_every_question_goes_upstream(make_upstream, make_relay):
    upstream = make_upstream(ttl=300)
    relay = make_relay(upstream, cache={"size": "0"})
    for _ in range(3):
        ask(relay, "www.example")
    assert upstream.query_count == 3
