"""The figures of a run: what each subject showed with each workload, in a form that becomes JSON."""
import json
import re
import statistics

from contestants import kind
from workloads import GOALS, OWN

KEYS = ("cpu_us", "per_second", "busy", "p50_ms", "p99_ms", "seconds")   # of each round; the median counts
SUMS = ("answered", "lost", "wrong", "failed")
TOLERATED = 0.01


class Figures:
    """`workloads` is {workload: {subject: {"figures": {key: number}, "rounds": [...], "why": text}}}; `why` says why figures are missing
    or to be distrusted."""

    def __init__(self, about, workloads=None):
        self.about, self.workloads = about, workloads if workloads is not None else {}

    @staticmethod
    def read(path):
        content = json.loads(path.read_text())
        return Figures({key: value for key, value in content.items() if key not in ("workloads", "goals")}, content["workloads"])

    def entry(self, workload, subject):
        return self.workloads.setdefault(workload, {}).setdefault(subject, {"figures": {}})

    def add_round(self, workload, subject, figures):
        """One round of a timed workload."""
        self.entry(workload, subject).setdefault("rounds", []).append(figures)

    def summarise(self):
        for subjects in self.workloads.values():
            for entry in subjects.values():
                if rounds := entry.get("rounds"):
                    sums = {key: sum(one[key] for one in rounds) for key in SUMS}
                    entry["figures"] = {key: statistics.median(one[key] for one in rounds) for key in KEYS} | sums
                    bad = sums["lost"] + sums["wrong"] + sums["failed"]
                    if bad > TOLERATED * (sums["answered"] + bad):
                        entry.setdefault("why", f"{bad / (sums['answered'] + bad):.0%} of the queries without a right response")

    def get(self, workload, subject, key):
        return self.workloads.get(workload, {}).get(subject, {}).get("figures", {}).get(key)

    def why(self, workload, subject):
        return self.workloads.get(workload, {}).get(subject, {}).get("why")

    def best(self, workload, of_kind, key):
        """(name, figure) of the subject of this kind with the least, of those that did their work; (None, None) without one."""
        found = [(entry["figures"][key], name) for name, entry in self.workloads.get(workload, {}).items()
                 if kind(name) == of_kind and key in entry["figures"] and "why" not in entry]
        figure, name = min(found, default=(None, None))
        return name, figure

    def judged(self):
        """[(goal, measured ratio or None, whether it is reached or None)] of the workloads that were measured with dotrelay."""
        if OWN not in self.about["subjects"]:
            return []
        measured = {name.partition("-")[0] if name.startswith("growth-") else name for name in self.workloads}
        return [(goal, *goal.judge(self)) for goal in GOALS if goal.workload in measured]

    def as_json(self):
        goals = [{"goal": goal.text, "measured": None if ratio is None else round(ratio, 4), "at most": goal.factor, "reached": reached}
                 for goal, ratio, reached in self.judged()]
        text = json.dumps(self.about | {"goals": goals, "workloads": self.workloads}, indent=1)
        # What holds no other object is one line, so that a round is.
        return re.sub(r"\{\s*([^{}\[\]]*?)\s*\}", lambda found: "{" + re.sub(r"\s*\n\s*", " ", found[1]) + "}", text) + "\n"
