"""What is counted and not timed: allocations and instructions of dotrelay's worker."""
import collections

import instructions
from allocations import culprits
from place import build

SHARES = 5


def count_allocations(queries):
    """{"udp", "tcp"}: allocations a query."""
    return {load: round(culprits.measure(load, build(), 200, queries)["allocations"], 4) for load in ("udp", "tcp")}


def count_instructions(queries):
    """{"instructions", "shares": [[part, instructions a query], ...]}."""
    profile = instructions.profiles(build(), [200], queries)[200]
    by_part = collections.Counter()
    for function, cost in profile.own.items():
        by_part[instructions.part(function, profile.file(function))] += cost
    return {"instructions": round(profile.total / queries), "shares": [[name, round(cost / queries)] for name, cost in by_part.most_common(SHARES)]}
