#!/usr/bin/env python3
"""Counts the allocations that a query costs the relay, over UDP, one TCP connection, and a TCP connection each; and names their places.

usage: culprits.py --build build/bench [--in-flight N] [--queries N] [--only udp|tcp|tcp-one-shot]
The relay is $DOTRELAY_BINARY, else the one of --build.
"""
import argparse
import collections
import os
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import allocations  # noqa: E402
from allocations import closed_loop  # noqa: E402

WARM_UP = 5000
SETTLING = 0.2   # seconds: closing clients and frees that wait for a later turn belong to the queries before
# A chain ends where the relay's own event handling begins; all of them come from there.
FIRST_OF_ALL = ("uv__io_poll", "uv_run", "uv__run_timers", "run_worker")


def chain(stack, names):
    """The functions from the culprit outwards, each with file and line; of the standard library only what the culprit called."""
    shown, library = [], None
    for function, place in (place for address in stack for place in names.get(address, [("?", "?")])):
        if function in FIRST_OF_ALL or function.startswith("uv__"):
            break
        if place.startswith("?") or place.startswith("/usr/include/"):
            library = function
            continue
        if not shown and library is not None:
            shown.append(library)
        shown.append(f"{function} ({'/'.join(place.split('/')[-2:])})")
    return shown or [library or "?"]


def print_culprits(difference, mapped, queries, least=0.01):
    names = allocations.resolve({address for stack in difference for address in stack}, mapped)
    by_chain = collections.Counter()
    octets = collections.Counter()
    for stack, (calls, size) in difference.items():
        key = tuple(chain(stack, names))
        by_chain[key] += calls
        octets[key] += size
    for key, calls in by_chain.most_common():
        if calls / queries < least:
            break
        print(f"  {calls / queries:6.3f} a query, {octets[key] / calls:6.0f} octets each:")
        for function in key:
            print(f"           {function}")


def measure(load, build, in_flight, queries, stacks=False):
    """Counters of a query in a warm worker: {"allocations": n, "frees": n, "bytes": n}; with `stacks` what `print_culprits` takes instead."""
    build = Path(build)
    with tempfile.TemporaryDirectory(prefix="dotrelay-allocations-") as folder:
        variables = allocations.environment(folder, allocations.library(build), stacks)
        with closed_loop.relay_between(variables) as relay:
            [worker] = relay.workers()
            look = allocations.stacks if stacks else allocations.read
            closed_loop.ask(load, relay.port, WARM_UP, in_flight)
            time.sleep(SETTLING)
            before = look(folder, worker)
            closed_loop.ask(load, relay.port, queries, in_flight)
            time.sleep(SETTLING)
            after = look(folder, worker)
            if stacks:
                return allocations.more_stacks(before, after), allocations.mappings(worker), queries
    return {key: (after[key] - before[key]) / queries for key in after}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--build", default=str(closed_loop.PROJECT / "build/bench"), help="a meson build folder with -Dbench=true")
    parser.add_argument("--in-flight", type=int, default=200)
    parser.add_argument("--queries", type=int, default=20000)
    parser.add_argument("--only", choices=list(closed_loop.LOADS))
    parser.add_argument("--no-stacks", action="store_true", help="the figures alone")
    arguments = parser.parse_args()
    os.environ.setdefault("DOTRELAY_BINARY", str(Path(arguments.build) / "src/dotrelay"))
    for load in [arguments.only] if arguments.only else closed_loop.LOADS:
        how = (load, arguments.build, arguments.in_flight, arguments.queries)
        spent = measure(*how)
        print(f"{closed_loop.LOADS[load][0]}, {arguments.in_flight} in flight: {spent['allocations']:.3f} allocations a query, "
              f"{spent['frees']:.3f} frees, {spent['bytes']:.0f} octets", flush=True)
        if not arguments.no_stacks:
            print_culprits(*measure(*how, stacks=True))


if __name__ == "__main__":
    main()
