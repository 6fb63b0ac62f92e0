#!/usr/bin/env python3
"""Counts the instructions that a UDP query costs a worker, with the largest shares, by running the worker under callgrind.

The same program gives the same figure on any machine and beside any load, so it shows changes that a stopwatch cannot. What it
leaves out is the kernel, where most of the time of a forwarder goes: system calls are counted only. A `rep` instruction counts once
for each of its steps, which makes a large memset or memcpy look far dearer than it is.

usage: instructions.py --build build/bench [--queries N] [--in-flight N,N] [--functions N] [--inclusive N]
The relay is $DOTRELAY_BINARY, else the one of --build; valgrind must be installed.
"""
import argparse
import collections
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import allocations  # noqa: E402
from allocations import closed_loop  # noqa: E402

WARM_UP = 3000
SYSTEM_CALLS = ("read", "recv", "recvmsg", "recvmmsg", "recvfrom", "write", "writev", "send", "sendmsg", "sendmmsg", "epoll_wait", "epoll_pwait",
                "epoll_ctl", "getsockopt", "setsockopt", "ioctl", "accept4", "close", "timerfd_settime", "eventfd")
NAME = re.compile(r"(c?)(fl|fi|fe|fn|ob)=\((\d+)\)(?: (.*))?$")
COST_LINE = (*"0123456789", "+", "-", "*")
SPACES = {"fl": "file", "fi": "file", "fe": "file", "fn": "function", "ob": "object"}


class Profile:
    """A dump of callgrind (https://valgrind.org/docs/manual/cl-format.html): what each function cost by itself and with what it calls.

    A function is (object, name); code inlined into it is its own.
    """

    def __init__(self, text):
        self.own, self.inclusive, self.calls = (collections.Counter() for _ in range(3))
        self.files = collections.defaultdict(collections.Counter)
        names = {"file": {}, "function": {}, "object": {}}
        here = dict.fromkeys(("file", "function", "object", "cfile", "cfunction", "cobject"), "")
        called = None
        for line in text.splitlines():
            if match := NAME.match(line):
                call, kind, number, name = match.groups()
                space = SPACES[kind]
                if name is not None:
                    names[space][number] = name
                here[call + space] = names[space][number]
                if kind in ("ob", "fn") and not call:
                    here["cobject"] = here["object"]
            elif line.startswith("calls="):
                called = (here["cobject"], here["cfunction"])
                self.calls[called] += int(line[6:].split()[0])
                here["cobject"] = here["object"]
            elif line.startswith(COST_LINE):
                cost = int(line.split()[1])
                function = (here["object"], here["function"])
                self.inclusive[function] += cost
                if called is None:
                    self.own[function] += cost
                    self.files[function][here["file"]] += cost
                called = None
        self.total = sum(self.own.values())

    def file(self, function):
        """Where a function is written: of the files that its code comes from, a source rather than a header inlined into it, and the
        project's rather than a library's."""
        files = [os.path.normpath(file) for file, _ in self.files[function].most_common() if file != "???"]
        own = [file for file in files if re.search(r"/src/[a-z]+/[^/]+$|/subprojects/", file) and not file.startswith("/usr/")]
        sources = [file for file in own if file.endswith((".c", ".cpp"))]
        return next(iter(sources + own + files), os.path.basename(function[0]))


def part(function, file):
    """The folder or library that a function counts for."""
    if found := re.search(r"/subprojects/([a-z]+)[^/]*/(?:.*/)?([^/]+)$", file):
        return f"{found[1]}: {found[2]}"
    if found := re.search(r"(?:^|/)(src/[a-z]+)/[^/]+$", file):
        return found[1]
    object_name = os.path.basename(function[0])
    return "templates of the standard library" if file.startswith("/usr/include/c++") else object_name or "?"


def describe(function, file):
    """A function without its arguments, and its file."""
    name, before = re.sub(r"dotrelay::|\(anonymous namespace\)::", "", function[1]), None
    while name != before:
        name, before = re.sub(r"\([^()]*\)", "", name), name
    return f"{name.removesuffix(' const')} ({re.sub(r'^.*/(?=src/|subprojects/)', '', file).removeprefix('subprojects/')})"


def control(pid, *command):
    subprocess.run(["callgrind_control", *command, str(pid)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def profiles(build, in_flight, queries):
    """{questions in flight: Profile of `queries` queries over UDP} of a warm worker."""
    build = Path(build)
    found = {}
    with tempfile.TemporaryDirectory(prefix="dotrelay-instructions-") as folder:
        command = f"/usr/bin/valgrind -q --tool=callgrind --instr-atstart=no --callgrind-out-file={folder}/profile"
        variables = {"LD_PRELOAD": str(allocations.library(build, "worker-command")), "WORKER_COMMAND": command}
        with closed_loop.relay_between(variables) as relay:
            [worker] = relay.workers()
            for dump, number in enumerate(in_flight, start=1):
                closed_loop.ask("udp", relay.port, WARM_UP, number)
                control(worker, "-i", "on")
                closed_loop.ask("udp", relay.port, queries, number)
                control(worker, "-d")
                control(worker, "-i", "off")
                found[number] = Profile(Path(f"{folder}/profile.{dump}").read_text())
    return found


def print_profile(profile, queries, functions, inclusive):
    by_part = collections.Counter()
    for function, cost in profile.own.items():
        by_part[part(function, profile.file(function))] += cost
    print("  shares by folder, file of Mbed TLS, or library:")
    for name, cost in by_part.most_common(functions):
        print(f"    {cost / profile.total:6.1%} {cost / queries:8,.0f}  {name}")
    print("  shares by function, its own instructions:")
    for function, cost in profile.own.most_common(functions):
        times = f", called {profile.calls[function] / queries:.2f} times" if profile.calls[function] else ""
        print(f"    {cost / profile.total:6.1%} {cost / queries:8,.0f}  {describe(function, profile.file(function))}{times}")
    if inclusive:
        print("  shares by function, with what it calls:")
    # What was running when counting began has no true figure, and the stripped insides of a library no name.
    named = [(function, cost) for function, cost in profile.inclusive.most_common() if cost <= profile.total and not function[1].startswith("0x")]
    for function, cost in named[:inclusive]:
        print(f"    {cost / profile.total:6.1%} {cost / queries:8,.0f}  {describe(function, profile.file(function))}")
    calls = {function[1]: number / queries for function, number in profile.calls.items() if function[1].split("@")[0] in SYSTEM_CALLS}
    print("  calls a query into the kernel, which is not in these figures: "
          + ", ".join(f"{name} {number:.3f}" for name, number in sorted(calls.items(), key=lambda item: -item[1]) if number >= 0.001))
    if not any("aesni" in name for _, name in profile.own):
        print("  AES was computed without the processor's instructions for it: the figures are not those of this machine without valgrind")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--build", default=str(closed_loop.PROJECT / "build/bench"), help="a meson build folder with -Dbench=true")
    parser.add_argument("--queries", type=int, default=5000)
    parser.add_argument("--in-flight", default="200,1", help="numbers of questions in flight")
    parser.add_argument("--functions", type=int, default=5, help="how many shares to show")
    parser.add_argument("--inclusive", type=int, default=0, help="how many functions to show with what they call")
    arguments = parser.parse_args()
    os.environ.setdefault("DOTRELAY_BINARY", str(Path(arguments.build) / "src/dotrelay"))
    found = profiles(arguments.build, [int(number) for number in arguments.in_flight.split(",")], arguments.queries)
    for number, profile in found.items():
        print(f"UDP, {number} in flight: {profile.total / arguments.queries:,.0f} instructions a query")
        print_profile(profile, arguments.queries, arguments.functions, arguments.inclusive)


if __name__ == "__main__":
    main()
