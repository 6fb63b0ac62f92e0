"""What the relay says of itself and what the kernel says of its processes: counters, replacements, descriptors, memory."""
import re
import time
from datetime import datetime, timezone

from support.event_loop import wait_until
from support.relay import Relay

WORKER_READY = re.compile(r"^(\S+)Z \w+ +supervisor: worker \d+ is ready \(PID (\d+)\)")


def counters_at_end(relay):
    """Stops the relay, which must succeed, and gives the counters of its log (level debug)."""
    relay.stop()
    found = (re.search(r" debug +supervisor: (\w+) (\d+)$", line) for line in relay.lines)
    return {match.group(1): int(match.group(2)) for match in found if match}


def read_by(counters):
    return counters["queries_udp"] + counters["queries_tcp"]


def ready_lines(relay):
    """{PID: time.time()} of the replacements that were ready, by the log's own time stamps."""
    found = (WORKER_READY.match(line) for line in list(relay.lines))
    return {int(match.group(2)): datetime.fromisoformat(match.group(1)).replace(tzinfo=timezone.utc).timestamp()
            for match in found if match}


def wait_for_one_generation(relay):
    """Old workers have left and were reaped."""
    wait_until(lambda: len(relay.workers()) == 2 == len(Relay._children(relay.supervisor)), 15, "old workers leave")


def footprint(lab):
    """Descriptors and PSS of supervisor and workers without clients and without upstream connections: the relay closes those after
    30 s of idling, in a quick run the hosts do it earlier."""
    wait_for_one_generation(lab.forwarder.relay)
    for host in lab.hosts:
        host.set_idle(lab.pick(0, 200))
    wait_until(lambda: not any(host.flows() for host in lab.hosts), 60, "upstream connections are closed as idle")
    for host in lab.hosts:
        host.set_idle(0)
    time.sleep(0.5)
    return lab.forwarder.descriptors(), lab.forwarder.pss_kib()
