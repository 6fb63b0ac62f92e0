"""Faults of the relay's own processes: workers killed, reloads, upgrades, the end, sleep. Clients are not to notice.

What the relay had read and what it answered is taken from its own counters, which it logs when it stops and which outlive workers,
reloads and upgrades; the load generator says independently what was asked and what came back.
"""
import os
import random
import re
import signal
import time
from datetime import datetime, timezone

from results import Result, ms
from scenarios import scenario
from support.event_loop import wait_until

RATE = 2000
WORKER_READY = re.compile(r"^(\S+)Z \w+ +supervisor: worker \d+ is ready \(PID (\d+)\)")


def counters_at_end(relay):
    """Stops the relay, which must succeed, and gives the counters of its log (level debug)."""
    relay.stop()
    found = (re.search(r" debug +supervisor: (\w+) (\d+)$", line) for line in relay.lines)
    return {match.group(1): int(match.group(2)) for match in found if match}


def read_by(counters):
    return counters["queries_udp"] + counters["queries_tcp"]


def ready_lines(relay):
    """{PID: time.time()} of the replacements that were ready, by the log's own time stamps."""
    found = (WORKER_READY.match(line) for line in list(relay.lines))
    return {int(match.group(2)): datetime.fromisoformat(match.group(1)).replace(tzinfo=timezone.utc).timestamp()
            for match in found if match}


def kill_one(relay, chance):
    """Kills a worker; gives when (monotonic) and the seconds until its replacement was ready, a millisecond at most too many."""
    before = set(ready_lines(relay))
    victim = chance.choice(relay.workers())
    moment, stamp = time.monotonic(), time.time()
    os.kill(victim, signal.SIGKILL)
    new = wait_until(lambda: set(ready_lines(relay)) - before, 15, lambda: f"a replacement:\n{relay.log}")
    return moment, ready_lines(relay)[new.pop()] + 0.001 - stamp


def lost_by_kill(answers, kills):
    """How many of the lost questions were sent before a kill, close enough to be with the victim, and how many were not."""
    lost = [answer.sent for answer in answers.all if answer.lost]
    explained = sum(any(0 <= kill - sent < 0.050 for kill in kills) for sent in lost)
    return explained, len(lost) - explained


@scenario("worker-killed", "`kill -9` of random workers, 100 times under 2,000 qps (they had become ready: no back-off)",
          goal="lost <= queries that worker had already read; replacement <= 100 ms; 0 refused")
def worker_killed(lab):
    """Read and never answered, by the counters, is the bound; and nothing may be lost that was sent after a kill, or long before it."""
    lab.start(log={"level": "debug"})
    relay, chance = lab.forwarder.relay, random.Random(1)
    load = lab.load(rate=RATE, udp=256)
    short = lab.load(rate=100, udp=0, tcp=32, short_lived=True, name="short")
    with load, short:
        time.sleep(lab.pick(5, 1.5))
        kills = []
        for _ in range(lab.pick(100, 20)):
            kills.append(kill_one(relay, chance))
            time.sleep(chance.uniform(0.2, 0.4))
    answers, tcp = load.stop(), short.stop()
    counters = counters_at_end(relay)
    # Answers over TCP are not counted apart, but the clients know theirs.
    unanswered = counters["queries_udp"] - (counters["answers"] - len(tcp.latencies))
    replacement = max(seconds for _, seconds in kills)
    explained, unexplained = lost_by_kill(answers, [moment for moment, _ in kills])
    result = Result(answers, {
        "workers killed": len(kills),
        "lost for each": f"{answers.lost / len(kills):.1f}",
        "read and not answered": f"{unanswered} by the relay's counters",
        "lost that no dead worker can have read": unexplained,
        "slowest replacement": ms(replacement),
        "refused": answers.counters["refused"] + tcp.counters["refused"],
        "short TCP connections": f"{len(tcp)}, {tcp.lost} lost with their worker"})
    result.goal("lost <= read and not answered", answers.lost <= unanswered)
    result.goal("every loss explained", unexplained == 0)
    result.goal("replacement <= 100 ms", replacement <= 0.100)
    return result.goal("0 refused", answers.counters["refused"] + tcp.counters["refused"] == 0)
