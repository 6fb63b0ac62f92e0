#!/usr/bin/env python3
"""`./dev faults`: plays faults of upstreams, networks, processes and clients to the relay, and shows what its clients noticed.

Every scenario has a lab of its own (lab.py) and prints sent / lost / silent / p99 / max and its goal with `ok` or `MISSED`. The exit
status is 1 when a goal was missed. The relay is $DOTRELAY_BINARY, else build/dotrelay.
"""
import argparse
import os
import platform
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parents[1]
sys.path[:0] = [str(FOLDER), str(FOLDER.parent)]
os.environ.setdefault("DOTRELAY_BINARY", str(PROJECT / "build/dotrelay"))


def option_parser():
    parser = argparse.ArgumentParser(prog="./dev faults", description=__doc__.split("\n")[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="scenarios to play (default: all)")
    parser.add_argument("--quick", action="store_true", help="seconds instead of a minute for each")
    parser.add_argument("--peers", action="store_true", help="also play to other forwarders what applies to them")
    parser.add_argument("--only-peers", metavar="NAME", help="play only to these forwarders (separated by commas), not to the relay")
    parser.add_argument("--write", action="store_true", help="write the figures into docs/reliability.md")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    return parser


if {"-h", "--help"} & set(sys.argv[1:]):
    option_parser().parse_args()   # ends here: the packages that the rest needs may be missing

import upstream_faults  # noqa: E402, F401  (in the order of the table)
import network_faults  # noqa: E402, F401
import process_faults  # noqa: E402, F401
import overload_faults  # noqa: E402, F401
import peers  # noqa: E402
import results  # noqa: E402
from lab import Certificates, Lab  # noqa: E402
from scenarios import REGISTER  # noqa: E402
from support.containment import contain  # noqa: E402
from support.documents import markdown_table, write_between_markers  # noqa: E402
from support.peers import DoesNotStart, NotInstalled  # noqa: E402
from support.processes import come_first  # noqa: E402
from support.subjects import Dotrelay  # noqa: E402

DOCUMENT = PROJECT / "docs/reliability.md"

# What the tables say of a failure. Its text goes to the console alone.
NO_FIGURES = {NotInstalled: "not installed", DoesNotStart: "does not start"}


def parse_options():
    parser = option_parser()
    options = parser.parse_args()
    unknown = [name for name in options.scenarios if name not in REGISTER]
    if unknown:
        parser.error(f"there is no scenario {', '.join(unknown)}; --list shows them")
    if options.write and (options.quick or options.scenarios):
        parser.error("--write wants a whole run: no SCENARIO, no --quick")
    return options


def play(scenario, forwarder, options, certificates, folder):
    """One scenario, one forwarder. Gives the Result, or words for the table that say why there is none."""
    print(f"{scenario.name}: {scenario.row}" + (f" [{forwarder.name}]" if forwarder is not Dotrelay else ""), flush=True)
    begin, lab = time.monotonic(), Lab(folder, certificates, forwarder, options.quick)
    try:
        with lab:
            result = scenario.run(lab)
            result.upstreams_late = lab.upstreams_late()
    except Exception as error:   # pylint: disable=broad-except
        print(f"  FAILED: {type(error).__name__}: {error}", flush=True)
        return NO_FIGURES.get(type(error), "not measured")
    for line in results.console_lines(scenario, result):
        print(line)
    print(f"  ({time.monotonic() - begin:.0f} s)", flush=True)
    return result


def machine():
    """What the figures come from, in general words."""
    return f"{os.cpu_count()} cores ({platform.machine()}), Linux {'.'.join(platform.release().split('.')[:2])}"


def own_table(played):
    rows = [(scenario.row, scenario.goal, result.verdict() if isinstance(result, results.Result) else "FAILED", *results.cells(result), scenario.best)
            for scenario, result in played]
    return markdown_table(("scenario", "goal", "reached", *results.COLUMNS, "best known forwarder"), rows)


def main():
    options = parse_options()
    if options.list:
        for scenario in REGISTER.values():
            print(f"{scenario.name:<22} {scenario.row}")
        return 0
    if os.geteuid() != 0:
        sys.exit("./dev faults makes network namespaces, and needs root for it")
    contain(__file__)
    come_first()
    chosen = [REGISTER[name] for name in options.scenarios] or list(REGISTER.values())
    played, by_peer = [], {}
    with tempfile.TemporaryDirectory(prefix="dotrelay-faults-") as folder:
        certificates = Certificates(folder)
        if not options.only_peers:
            played = [(scenario, play(scenario, Dotrelay, options, certificates, folder)) for scenario in chosen]
        if options.peers or options.only_peers:
            by_peer = peers.play_all([scenario for scenario in chosen if scenario.peers], options.only_peers,
                                     lambda scenario, forwarder: play(scenario, forwarder, options, certificates, folder))
    if options.write:
        when = f"{date.today().isoformat()}, {machine()}."
        if played:
            write_between_markers(DOCUMENT, "measured", f"{when}\n\n{own_table(played)}")
        if by_peer:
            write_between_markers(DOCUMENT, "peers", f"{when}\n\n{peers.table(by_peer)}")
    missed = [scenario.name for scenario, result in played if isinstance(result, str) or not result.reached]
    if played:
        print("every goal reached" if not missed else f"missed: {', '.join(missed)}")
    return 1 if missed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
