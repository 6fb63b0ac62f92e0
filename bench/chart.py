#!/usr/bin/env python3
"""Draws the figures of a run as small bar charts.

usage: chart.py RESULTS.json CHART.svg
"""
import io
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "tests")]

import matplotlib  # noqa: E402

matplotlib.use("svg")
# Text stays text, in whatever sans-serif font the reader has; equal figures make equal files.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "dotrelay",
                            "font.family": "sans-serif", "font.sans-serif": "DejaVu Sans", "font.size": 9,
                            "axes.spines.top": False, "axes.spines.right": False, "axes.spines.bottom": False, "hatch.linewidth": 0.8})

from matplotlib import pyplot  # noqa: E402

from figures import Figures  # noqa: E402
from workloads import FLOOR, OWN  # noqa: E402

OWN_COLOUR, FLOOR_COLOUR, PEER_COLOUR, TEXT_COLOUR = "#1b6ca8", "#5f7d95", "#c3c8cd", "#222222"
LONGEST = 6   # times dotrelay's bar; longer ones are cut, for they would make a point of all others

MEMORY = ("idle", "clients")   # in which the floor shows nothing: it takes what it wants at its start

# (workload, figure, what it is, its unit, divisor, digits)
PANELS = [
    ("udp", "cpu_us", "UDP: CPU a query", "µs", 1, 1),
    ("tcp", "cpu_us", "TCP that stays: CPU a query", "µs", 1, 1),
    ("tcp-once", "cpu_us", "A TCP connection each: CPU a query", "µs", 1, 0),
    ("latency", "p50_ms", "UDP, one at a time: median latency", "µs", 0.001, 0),
    ("idle", "pss_kib", "Memory, idle", "MiB", 1024, 1),
    ("clients", "kib_a_client", "Memory of an idle TCP client", "KiB", 1, 1),
]


def bars(figures, panel):
    """[(subject, value)], the least last: bars are drawn from below."""
    workload, key, _, _, divisor, _ = panel
    found = [(subject, entry["figures"][key] / divisor) for subject, entry in figures.workloads.get(workload, {}).items()
             if key in entry["figures"] and not (subject == FLOOR and workload in MEMORY)]
    return sorted(found, key=lambda one: -one[1])


def draw_panel(axes, figures, panel):
    workload, _, title, unit, _, digits = panel
    found = bars(figures, panel)
    axes.set_title(f"{title} ({unit})", loc="left", fontsize=10, color=TEXT_COLOUR)
    axes.set_xticks([])
    if not found:
        axes.text(0, 0.5, "not measured", transform=axes.transAxes)
        axes.set_yticks([])
        return
    longest = LONGEST * next((value for subject, value in found if subject == OWN), found[0][1])
    end = min(longest, max(value for _, value in found))
    for place, (subject, value) in enumerate(found):
        own, floor = subject == OWN, subject == FLOOR
        axes.barh(place, max(0, min(value, end)), height=0.7, color="white" if floor else OWN_COLOUR if own else PEER_COLOUR,
                  hatch="////" if floor else None, edgecolor=FLOOR_COLOUR if floor else "none", linewidth=0.8 if floor else 0)
        marked = "*" if figures.workloads[workload][subject].get("why") else ""
        cut = "... " if value > end else ""
        axes.text(max(0, min(value, end)) + end * 0.015, place, f"{cut}{value:,.{digits}f}{marked}", va="center", color=TEXT_COLOUR,
                  fontweight="bold" if own else "normal")
    axes.set_yticks(range(len(found)), [subject for subject, _ in found])
    axes.tick_params(axis="y", length=0, colors=TEXT_COLOUR)
    for label in axes.get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == OWN else "normal")
    axes.set_xlim(0, end * 1.18)


def caption(figures):
    about = figures.about
    machine = about["machine"]
    versions = ", ".join(f"{name} {subject['version']}" for name, subject in about["subjects"].items() if name != FLOOR)
    marked = any("why" in entry for panel in PANELS for entry in figures.workloads.get(panel[0], {}).values())
    return (f"{about['when']}; {machine['cpu']}, {machine['cores']} cores, {machine['system']}; one worker or thread each, on one core. "
            f"Short bars are good; '...' marks bars that were cut{', * a remark in the tables' if marked else ''}.\n{versions}")


def draw(figures, path):
    figure, panels = pyplot.subplots(3, 2, figsize=(10, 8.6), facecolor="white")
    for axes, panel in zip(panels.flat, PANELS):
        axes.set_facecolor("white")
        draw_panel(axes, figures, panel)
    figure.suptitle("What a query costs: dotrelay, the floor (hatched: no DNS logic at all), and other programs", x=0.02, ha="left",
                    fontsize=12, fontweight="bold", color=TEXT_COLOUR)
    figure.text(0.02, 0.012, caption(figures), fontsize=7.5, color=TEXT_COLOUR, va="bottom")
    figure.tight_layout(rect=(0.01, 0.05, 0.99, 0.98), h_pad=1.6, w_pad=2.5)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": figures.about["when"], "Creator": None})
    pyplot.close(figure)
    # Measured with a font that Matplotlib brings, shown with one that the reader has.
    Path(path).write_text(text.getvalue().replace("'DejaVu Sans', sans-serif", "sans-serif").replace("'DejaVu Sans'", "sans-serif"))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__.rpartition("\n\n")[2])
    draw(Figures.read(Path(sys.argv[1])), sys.argv[2])
