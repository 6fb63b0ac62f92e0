"""The figures of a run as Markdown."""
import statistics

from support.documents import markdown_table
from workloads import ALL, BESIDE, FLOOR, GROWTH, OWN, TIMED


def number(value, digits=1):
    return "-" if value is None else f"{value:,.{digits}f}"


def remark(entry):
    return entry.get("why", "")


def timed_table(figures, workload):
    floor = figures.get(workload, FLOOR, "cpu_us")
    rows = []
    for subject, entry in figures.workloads[workload].items():
        own = entry["figures"]
        cost = own.get("cpu_us")
        bad = sum(own.get(key, 0) for key in ("lost", "wrong", "failed"))
        rows.append((subject, number(cost), number(cost / floor, 2) if cost and floor else "-", number(own.get("per_second"), 0),
                     f"{own['busy']:.0%}" if own else "-", number(own.get("p50_ms"), 3), number(own.get("p99_ms"), 3),
                     f"{bad:,}" if own else "-", remark(entry)))
    return markdown_table(("", "CPU us a query", "x floor", "queries a second", "busy", "p50 ms", "p99 ms", "lost", "remark"), rows)


def idle_table(figures):
    rows = []
    for subject, entry in figures.workloads["idle"].items():
        own = entry["figures"]
        parts = f"supervisor {own['supervisor_kib']:,} KiB, worker {own['worker_kib']:,} KiB" if "worker_kib" in own else remark(entry)
        rows.append((subject, number(own["pss_kib"] / 1024 if own else None), parts))
    return markdown_table(("", "PSS, MiB", "remark"), rows)


def clients_table(figures):
    """With the memory before they came: some reserve places for all clients that they may ever have."""
    rows = []
    for subject, entry in figures.workloads["clients"].items():
        own = entry["figures"]
        before, after = (number(own[key] / 1024) if own else "-" for key in ("before_kib", "after_kib"))
        rows.append((subject, number(own.get("kib_a_client"), 2), number(own.get("clients"), 0), before, after, remark(entry)))
    return markdown_table(("", "KiB a client", "clients", "MiB without", "MiB with them", "remark"), rows)


def growth_table(figures):
    measured = {name: subjects for name, subjects in figures.workloads.items() if name.startswith("growth-")}
    subjects = list(dict.fromkeys(subject for entries in measured.values() for subject in entries))
    rows = []
    for subject in subjects:
        costs = [figures.get(f"growth-{clients}", subject, "cpu_us") for clients in GROWTH]
        whys = "; ".join(f"{name.partition('-')[2]}: {entries[subject]['why']}" for name, entries in measured.items()
                         if "why" in entries.get(subject, {}))
        rows.append((subject, *map(number, costs), number(costs[-1] / costs[1], 2) if costs[-1] and costs[1] else "-", whys))
    return markdown_table(("CPU us a query at", *[f"{clients:,}" for clients in GROWTH], f"{GROWTH[-1]:,} / 10", "remark"), rows)


def allocations_table(figures):
    rows = [(subject, number(entry["figures"].get("udp"), 2), number(entry["figures"].get("tcp"), 2), remark(entry))
            for subject, entry in figures.workloads["allocations"].items()]
    return markdown_table(("allocations a query", "UDP", "TCP", "remark"), rows)


def instructions_table(figures):
    entry = figures.workloads["instructions"][OWN]
    if not entry["figures"]:
        return remark(entry)
    total = entry["figures"]["instructions"]
    rows = [("all", f"{total:,}", "")] + [(name, f"{cost:,}", f"{cost / total:.0%}") for name, cost in entry["figures"]["shares"]]
    return markdown_table(("", "instructions a query", "share"), rows)


def beside_table(figures):
    """The turns of the two follow each other, so a ratio of neighbours says more than one of medians."""
    rows = []
    for workload, subjects in figures.workloads.items():
        pairs = list(zip(*[[turn["cpu_us"] for turn in subjects.get(name, {}).get("rounds", [])] for name in (OWN, BESIDE)]))
        if pairs:
            own, other = map(statistics.median, zip(*pairs))
            rows.append((workload, number(own, 3), number(other, 3), number(statistics.median(a / b for a, b in pairs), 3)))
    return markdown_table(("CPU us a query", OWN, BESIDE, "median of the turns' ratios"), rows)


def goals_table(figures):
    words = {True: "reached", False: "MISSED", None: "nothing to compare with"}
    return markdown_table(("goal", "measured", "at most", ""),
                          [(goal.text, number(ratio, 2), number(goal.factor, 2), words[reached]) for goal, ratio, reached in figures.judged()])


def headline(figures):
    about = figures.about
    machine = about["machine"]
    number = about["rounds"] * about.get("turns", 1)
    rounds = "one measurement" if number == 1 else f"median of {number} measurements in {about['rounds']} rounds,"
    return f"{about['when']}, {machine['cpu']}, {machine['cores']} cores, {machine['system']}; {rounds} of {about['seconds']:g} s each."


def everything(figures):
    """The page's measured part."""
    others = {"idle": idle_table, "clients": clients_table, "growth": growth_table, "allocations": allocations_table,
              "instructions": instructions_table}
    timed = {workload.name for workload in TIMED}
    measured = {subject for subjects in figures.workloads.values() for subject in subjects}
    subjects = [f"- {name} {about['version']}: {about['how']}" for name, about in figures.about["subjects"].items() if name in measured]
    parts = [headline(figures), "\n".join(subjects)]
    present = {"growth" if name.startswith("growth-") else name for name in figures.workloads}
    for name, title in ALL.items():
        if name in present:
            table = timed_table(figures, name) if name in timed else others[name](figures)
            parts.append(f"### `{name}`: {title}\n\n{table}")
    if BESIDE in figures.about["subjects"]:
        parts.append(f"### One build beside another\n\n{beside_table(figures)}")
    if figures.judged():
        parts.append(f"### Goals\n\n{goals_table(figures)}")
    return "\n\n".join(parts)
