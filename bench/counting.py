"""What is counted and not timed: allocations and instructions of dotrelay's worker."""
import collections
import tempfile
import time

import allocations
import instructions
from allocations import closed_loop, culprits
from place import build

IN_FLIGHT = 200
SHORT = 1000   # queries
SHARES = 5


def count_allocations(queries):
    """{"udp", "tcp"}: allocations a query."""
    return {load: round(_allocations(load, queries), 4) for load in ("udp", "tcp")}


def _allocations(load, queries):
    """By how much a long run has more than a short one: what a connection costs at its start is in both."""
    with tempfile.TemporaryDirectory(prefix="dotrelay-allocations-") as folder:
        with closed_loop.relay_between(allocations.environment(folder, allocations.library(build()))) as relay:
            [worker] = relay.workers()

            def spent(count):
                before = allocations.read(folder, worker)["allocations"]
                closed_loop.ask(load, relay.port, count, IN_FLIGHT)
                time.sleep(culprits.SETTLING)
                return allocations.read(folder, worker)["allocations"] - before

            spent(culprits.WARM_UP)
            short = spent(SHORT)
            return (spent(SHORT + queries) - short) / queries


def count_instructions(queries):
    """{"instructions", "shares": [[part, instructions a query], ...]}."""
    profile = instructions.profiles(build(), [IN_FLIGHT], queries)[IN_FLIGHT]
    by_part = collections.Counter()
    for function, cost in profile.own.items():
        by_part[instructions.part(function, profile.file(function))] += cost
    return {"instructions": round(profile.total / queries), "shares": [[name, round(cost / queries)] for name, cost in by_part.most_common(SHARES)]}
