#!/usr/bin/env python3
"""`./dev bench`: measures what a query costs dotrelay, the least that it can cost, and what it costs other programs, in one run on the same work.

Prints Markdown on standard output and its progress on standard error. The exit status is 1 when a goal was missed.
The relay is $DOTRELAY_BINARY, else build/dotrelay.
"""
import argparse
import os
import sys
import tempfile
from datetime import date
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent
sys.path[:0] = [str(FOLDER), str(PROJECT / "tests")]
os.environ.setdefault("DOTRELAY_BINARY", str(PROJECT / "build/dotrelay"))


def option_parser():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n")[0])
    parser.add_argument("--only", metavar="WORKLOAD,...", help="workloads to measure (default: all)")
    parser.add_argument("--subjects", metavar="NAME,...", help="programs to measure (default: all that are installed)")
    parser.add_argument("--beside", type=Path, metavar="PROGRAM", help="another dotrelay to measure in the same run, for example an older build")
    parser.add_argument("--rounds", type=int, help="how often to start and measure all subjects (5)")
    parser.add_argument("--turns", type=int, help="measurements of each subject in a round; the median of all counts (5)")
    parser.add_argument("--seconds", type=float, help="length of a measurement (0.3)")
    parser.add_argument("--quick", action="store_true", help="one short round, fewer clients: to see that it works")
    parser.add_argument("--growth", choices=["all"], help="measure growth of all subjects, not only of dotrelay and the floor")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to this file")
    parser.add_argument("--write", action="store_true", help="write bench/results and docs/performance.md")
    parser.add_argument("--list", action="store_true", help="list workloads and subjects")
    return parser


if {"-h", "--help"} & set(sys.argv[1:]):
    option_parser().parse_args()   # ends here: the packages that the rest needs may be missing

import counting  # noqa: E402
import memory  # noqa: E402
import tables  # noqa: E402
import workloads  # noqa: E402
from contestants import CLASSES, Contestant, add_beside, why_not  # noqa: E402
from figures import Figures  # noqa: E402
from measuring import measure  # noqa: E402
from place import Certificates, Cores, Upstream, machine, prepare_network  # noqa: E402
from reasons import in_words  # noqa: E402
from support.containment import contain  # noqa: E402
from support.documents import write_between_markers  # noqa: E402
from workloads import BESIDE, OWN, TWO_WORKERS  # noqa: E402

DOCUMENT = PROJECT / "docs/performance.md"

# Of a workload; with more their connections take longer than the measurement.
FEW_CLIENTS = 100


def parse_options():
    parser = option_parser()
    options = parser.parse_args()
    options.only = options.only.split(",") if options.only else list(workloads.ALL)
    all_subjects = [name for name in CLASSES if name != TWO_WORKERS]
    options.subjects = options.subjects.split(",") if options.subjects else list(all_subjects)
    if options.beside:
        if not os.access(options.beside, os.X_OK) or options.beside.is_dir():
            parser.error(f"--beside: {options.beside} is no program")
        add_beside(options.beside.resolve())
        options.subjects.insert(0, BESIDE)
    for given, known, what in ((options.only, workloads.ALL, "workload"), (options.subjects, CLASSES, "subject")):
        if unknown := [name for name in given if name not in known]:
            parser.error(f"there is no {what} {', '.join(unknown)}; --list shows them")
    if options.write and (options.quick or set(options.only) != set(workloads.ALL) or set(options.subjects) != set(all_subjects)):
        parser.error("--write wants a whole run: no --only, no --subjects, no --beside, no --quick")
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.turns = options.turns or (1 if options.quick else 5)
    options.seconds = options.seconds or 0.3
    options.warm_up = 0.1
    options.idle = 0.5 if options.quick else 2
    options.clients = 500 if options.quick else 5000
    return options


def say(text, end="\n"):
    print(text, end=end, file=sys.stderr, flush=True)


class Lab:
    """What contestants are started with."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.cores, self.certificates = Cores(), Certificates(self.folder)
        with self.cores.on(self.cores.upstream):
            self.upstream = Upstream(self.certificates)


def reason(error):
    """In words for the published table; what happened goes to the console."""
    say(f"{type(error).__name__}: {error}")
    return in_words(error)


def measure_memory(lab, figures, options):
    for name in ("idle", "clients"):
        for subject in options.subjects if name in options.only else []:
            say(f"{name}: {subject}")
            entry = figures.entry(name, subject)
            contestant = Contestant(subject, lab, many_clients=name == "clients")
            try:
                if name == "idle":
                    entry["figures"] = memory.idle(contestant, options.idle)
                else:
                    entry["figures"], why = memory.clients(contestant, options.clients, options.idle)
                    if why:
                        entry["why"] = why
            except Exception as error:   # pylint: disable=broad-except
                entry["why"] = reason(error)


def timed_workloads(options):
    """[(workload, names of its subjects)]."""
    chosen = []
    for workload in workloads.TIMED:
        family = "growth" if workload.name.startswith("growth-") else workload.name
        if family not in options.only:
            continue
        names = options.subjects
        if workload.subjects and not (family == "growth" and options.growth):
            names = [name for name in workload.subjects if name in options.subjects or name == TWO_WORKERS and OWN in options.subjects]
        chosen.append((workload, [name for name in names if workload.transport in CLASSES[name].transports]))
    return chosen


def measure_times(lab, figures, options):
    """Each round has processes of its own: where memory happens to lie makes a few per cent. Within it all take turns quickly, for the
    pace of a virtual machine changes from second to second."""
    chosen = timed_workloads(options)
    for number in range(options.rounds):
        contestants = {name: Contestant(name, lab) for name in dict.fromkeys(name for _, names in chosen for name in names)}
        try:
            for contestant in contestants.values():
                contestant.start()
            for workload, names in chosen:
                say(f"round {number + 1} of {options.rounds}, {workload.name}: {', '.join(names)}")
                for name in names * (1 if workload.clients > FEW_CLIENTS else options.turns):
                    if lab.upstream.process.poll() is not None:
                        sys.exit("the upstream has ended")
                    take(contestants[name], workload, figures, options)
        finally:
            for contestant in contestants.values():
                contestant.stop()


def take(contestant, workload, figures, options):
    """One measurement. What failed once is not tried again in later rounds: it may cost minutes."""
    entry = figures.entry(workload.name, contestant.name)
    if "why" in entry:
        return
    contestant.revive()
    if contestant.broken:
        entry["why"] = contestant.broken
        return
    try:
        figures.add_round(workload.name, contestant.name, measure(contestant.subject, workload, options.seconds, options.warm_up))
    except Exception as error:   # pylint: disable=broad-except
        entry["why"] = reason(error) if contestant.alive else f"died: {reason(error)}"


def count(figures, options):
    for name, how, queries in (("allocations", counting.count_allocations, 2000 if options.quick else 20000),
                               ("instructions", counting.count_instructions, 500 if options.quick else 5000)):
        if name not in options.only or OWN not in options.subjects:
            continue
        say(name)
        try:
            figures.entry(name, OWN)["figures"] = how(queries)
        except Exception as error:   # pylint: disable=broad-except
            figures.entry(name, OWN)["why"] = reason(error)


def about(options):
    subjects = {name: {"version": CLASSES[name].version(), "how": why_not(name) or described(name)} for name in options.subjects}
    return {"when": date.today().isoformat(), "machine": machine(), "rounds": options.rounds, "turns": options.turns, "seconds": options.seconds, "subjects": subjects}


def described(name):
    kind = CLASSES[name]
    return kind.configured(1) if hasattr(kind, "configured") else kind.how or "1 worker"


def write(figures):
    import chart   # needs matplotlib
    (FOLDER / "results").mkdir(exist_ok=True)
    (FOLDER / "results/latest.json").write_text(figures.as_json())
    chart.draw(figures, FOLDER / "results/chart.svg")
    write_between_markers(DOCUMENT, "measured", tables.everything(figures))


def main():
    options = parse_options()
    if options.list:
        for name, title in workloads.ALL.items():
            print(f"{name:<14} {title}")
        print("subjects:", ", ".join(name for name in CLASSES if name != TWO_WORKERS))
        return 0
    if os.geteuid() != 0:
        sys.exit("./dev bench makes a network namespace, and needs root for it")
    contain(__file__)
    prepare_network()
    figures = Figures(about(options))
    with tempfile.TemporaryDirectory(prefix="dotrelay-bench-") as folder:
        lab = Lab(folder)
        try:
            measure_memory(lab, figures, options)
            measure_times(lab, figures, options)
        finally:
            lab.upstream.stop()
    count(figures, options)
    figures.summarise()
    print(tables.everything(figures))
    if options.json:
        options.json.write_text(figures.as_json())
    if options.write:
        write(figures)
    return 1 if any(reached is False for _, _, reached in figures.judged()) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
