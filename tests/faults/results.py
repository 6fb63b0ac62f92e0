"""What the clients of a scenario saw, the figures made of it, the goals they are held against, and the table.

sent: questions asked. lost: no NOERROR within 5 s. silent: no answer of any kind. p99 and max: of the times to the answer, over all
questions that got one (an error is an answer), measured from the question's leaving to its answer's arrival in the client's kernel.
"""
import math
from dataclasses import dataclass, field

PATIENCE_SECONDS = 5.0
NOERROR = 0

# Of a table of results; "late" is by how much the lab itself was woken late, at most.
COLUMNS = ("asked", "lost", "silent", "p99", "max", "late", "further figures")


@dataclass(frozen=True)
class Answer:
    """One question: when it was sent (time.monotonic()), seconds to its answer and the answer's RCODE, or None for silence."""

    sent: float
    latency: float | None
    rcode: int | None
    transport: str

    @property
    def lost(self):
        return self.rcode != NOERROR or self.latency > PATIENCE_SECONDS

    @property
    def silent(self):
        return self.latency is None


class Answers:
    """The questions of a load or of a part of it, and the load generator's counters (`late-us` is how late it was woken at most)."""

    def __init__(self, answers, counters):
        self.all, self.counters = answers, counters

    @staticmethod
    def parse(text):
        answers, counters = [], {}
        for line in text.splitlines():
            words = line.split()
            if words[0] == "#":
                counters = {name: int(value) for name, value in zip(words[1::2], words[2::2])}
            elif len(words) == 4:
                sent, latency, rcode, transport = words
                answers.append(Answer(int(sent) / 1e9, None if latency == "-" else int(latency) / 1e6,
                                      None if rcode == "-" else int(rcode), transport))
        return Answers(answers, counters)

    def __len__(self):
        return len(self.all)

    def __add__(self, other):
        counters = {name: max(value, other.counters[name]) if name == "late-us" else value + other.counters[name]
                    for name, value in self.counters.items()}
        return Answers(self.all + other.all, counters)

    def sent_between(self, begin=-math.inf, end=math.inf):
        return Answers([answer for answer in self.all if begin <= answer.sent < end], self.counters)

    def over(self, transport):
        return Answers([answer for answer in self.all if answer.transport == transport], self.counters)

    @property
    def lost(self):
        return sum(answer.lost for answer in self.all)

    @property
    def silent(self):
        return sum(answer.silent for answer in self.all)

    @property
    def latencies(self):
        return sorted(answer.latency for answer in self.all if answer.latency is not None)

    @property
    def p99(self):
        latencies = self.latencies
        return latencies[math.ceil(len(latencies) * 0.99) - 1] if latencies else math.inf

    @property
    def max(self):
        return self.latencies[-1] if self.latencies else math.inf

    @property
    def late(self):
        """Seconds by which the load generator itself was woken late, at most."""
        return self.counters.get("late-us", 0) / 1e6

    def first_noerror_after(self, moment):
        """Seconds from the moment to the first NOERROR that arrived after it; infinite when none did."""
        arrivals = (answer.sent + answer.latency for answer in self.all if answer.rcode == NOERROR)
        return min((arrival - moment for arrival in arrivals if arrival >= moment), default=math.inf)


def ms(seconds):
    """Milliseconds as people write them."""
    if seconds == math.inf:
        return "never"
    if seconds >= 1:
        return f"{seconds:.2f} s"
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


@dataclass
class Result:
    """What a scenario gives: the answers that its row counts, further figures by name, and for each goal whether it was reached."""

    answers: Answers
    figures: dict = field(default_factory=dict)
    goals: list = field(default_factory=list)
    upstreams_late: float = 0.0   # seconds by which an upstream was woken late, at most

    def goal(self, text, reached):
        self.goals.append((text, bool(reached)))
        return self

    def lost_at_most(self, count=0):
        return self.goal(f"{count} lost", self.answers.lost <= count)

    def max_at_most(self, seconds):
        return self.goal(f"max <= {ms(seconds)}", self.answers.max <= seconds)

    @property
    def reached(self):
        return all(reached for _, reached in self.goals)

    def columns(self):
        """The figures, one for each of COLUMNS."""
        answers = self.answers
        return (len(answers), answers.lost, answers.silent, ms(answers.p99), ms(answers.max), ms(max(answers.late, self.upstreams_late)),
                "; ".join(f"{name}: {value}" for name, value in self.figures.items()))

    def verdict(self):
        missed = [text for text, reached in self.goals if not reached]
        return "ok" if not missed else "MISSED: " + ", ".join(missed)


def cells(one):
    """Of a Result, or of the text that says why there is none: one for each of COLUMNS."""
    return one.columns() if isinstance(one, Result) else (one, *[""] * (len(COLUMNS) - 1))


def console_lines(scenario, result):
    answers = result.answers
    yield (f"  sent {len(answers)}  lost {answers.lost}  silent {answers.silent}  p99 {ms(answers.p99)}  max {ms(answers.max)}"
           f"  (woken late at most: clients {ms(answers.late)}, upstreams {ms(result.upstreams_late)})")
    for name, value in result.figures.items():
        yield f"  {name}: {value}"
    yield f"  goal: {scenario.goal}  {result.verdict()}"
