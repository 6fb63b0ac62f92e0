"""What `./dev bench` measures, and the goals that the figures are held against."""
from collections.abc import Callable
from dataclasses import dataclass

UDP_AND_TCP, TCP = ("udp", "tcp"), ("tcp",)
OWN, BESIDE, FLOOR, TWO_WORKERS = "dotrelay", "dotrelay beside", "floor", "dotrelay, 2 workers"


@dataclass(frozen=True)
class Workload:
    """A load that is timed. `subjects` of None are all that speak its transport.

    `clients` sockets or connections share the questions `in_flight`; with the mode tcp-once each question has a connection of its own.
    """

    name: str
    title: str
    mode: str
    clients: int
    in_flight: int
    subjects: tuple | None = None

    @property
    def transport(self):
        return "udp" if self.mode == "udp" else "tcp"


GROWTH = (1, 10, 100, 1000, 9000)   # clients

TIMED = [
    Workload("udp", "UDP, 200 in flight from 20 sockets", "udp", 20, 200),
    Workload("tcp", "TCP, 20 connections that stay, 200 in flight", "tcp", 20, 200),
    Workload("tcp-once", "TCP, a connection for each query, 64 in flight", "tcp-once", 64, 64),
    Workload("latency", "UDP, one query at a time", "udp", 1, 1),
    Workload("workers", "UDP, 200 in flight, two workers on the core of one", "udp", 20, 200, (OWN, TWO_WORKERS)),
    *[Workload(f"growth-{clients}", f"TCP, 200 in flight from {clients:,} connections", "tcp", clients, 200, (OWN, BESIDE, FLOOR))
      for clients in GROWTH],
]

# Name on the command line -> what it is.
ALL = {
    "idle": "memory after 1,000 queries and 2 s of idling",
    "clients": "memory for each of 5,000 idle TCP clients that have asked once",
    **{workload.name: workload.title for workload in TIMED if not workload.name.startswith("growth-")},
    "growth": f"TCP, 200 in flight from {', '.join(f'{clients:,}' for clients in GROWTH)} connections",
    "allocations": "allocations a query, in a warm worker",
    "instructions": "instructions a UDP query in user space, 200 in flight",
}


@dataclass(frozen=True)
class Goal:
    """Reached when `own` is at most `factor` times `reference`. Both are functions of the Figures, which give None without a figure."""

    workload: str
    text: str
    own: Callable
    factor: float = 1.0
    reference: Callable = lambda _: 1.0
    digits: int = 2

    def judge(self, figures):
        """(the measured ratio or None, True, False or None): None where there is nothing to compare with; no figure of its own, or
        one not to be trusted, is a miss."""
        own, reference = self.own(figures), self.reference(figures)
        ratio = own / reference if own is not None and reference else None
        if own is None or figures.why(self.workload, OWN):
            return ratio, False
        return ratio, None if ratio is None else round(ratio, self.digits) <= self.factor


def _of(workload, subject, key="cpu_us"):
    return lambda figures: figures.get(workload, subject, key)


def _best(workload, kind, key="cpu_us"):
    return lambda figures: figures.best(workload, kind, key)[1]


def _growth(subject):
    def of(figures):
        few, many = (figures.get(f"growth-{clients}", subject, "cpu_us") for clients in (10, GROWTH[-1]))
        return many / few if few and many else None
    return of


def _worst(*measured):
    """The largest of several figures that all have to be there."""
    def of(figures):
        values = [figure(figures) for figure in measured]
        return None if None in values else max(values)
    return of


GOALS = [
    Goal("udp", "CPU a query over UDP at most 1.25 x the floor's", _of("udp", OWN), 1.25, _of("udp", FLOOR)),
    Goal("udp", "CPU a query over UDP at most 0.34 x the best forwarder's", _of("udp", OWN), 0.34, _best("udp", "forwarder")),
    Goal("tcp", "CPU a query over TCP at most 1.25 x the floor's", _of("tcp", OWN), 1.25, _of("tcp", FLOOR)),
    Goal("tcp", "CPU a query over TCP at most 0.75 x nginx's", _of("tcp", OWN), 0.75, _of("tcp", "nginx")),
    Goal("tcp-once", "CPU a connection with one query at most 1.2 x the floor's", _of("tcp-once", OWN), 1.2, _of("tcp-once", FLOOR)),
    Goal("tcp-once", "CPU a connection with one query at most 0.72 x the best forwarder's", _of("tcp-once", OWN), 0.72,
         _best("tcp-once", "forwarder")),
    Goal("latency", "median latency at most the best forwarder's", _of("latency", OWN, "p50_ms"), 1.0, _best("latency", "forwarder", "p50_ms")),
    Goal("idle", "a worker's memory at most 3 MiB", _of("idle", OWN, "worker_kib"), 3.0, lambda _: 1024),
    Goal("idle", "the supervisor's memory at most 2 MiB", _of("idle", OWN, "supervisor_kib"), 2.0, lambda _: 1024),
    Goal("clients", "memory of an idle TCP client at most 1 KiB", _of("clients", OWN, "kib_a_client"), 1.0),
    Goal("growth", "CPU a query at 9,000 clients relative to 10 at most 1.1 x the floor's", _growth(OWN), 1.1, _growth(FLOOR)),
    Goal("allocations", "no allocations a query over UDP and TCP",
         _worst(_of("allocations", OWN, "udp"), _of("allocations", OWN, "tcp")), 0.0),
]
