"""How much memory a subject needs: idling after some work, and for each client that stays connected.

Memory is the proportional set size (PSS). Every subject is measured in fresh processes, with no other one of the same program beside
them, which would take a share of its code's pages.
"""
import contextlib
import time

from measuring import Load
from reasons import Unmeasured, in_words
from support.processes import pss_kib
from workloads import OWN

FEWER_CLIENTS = 500


@contextlib.contextmanager
def rested(contestant, seconds):
    """Its subject, after 1,000 questions whose connections were closed, and so many seconds of rest."""
    with contestant:
        if contestant.broken:
            raise Unmeasured(contestant.broken)
        subject = contestant.subject
        with Load(subject.address, subject.transports[0], 20, 20) as load:
            load.run(30, 1000)
        time.sleep(seconds)
        yield subject


def idle(contestant, seconds):
    """{"pss_kib"}, of dotrelay also of the supervisor and of the worker by themselves."""
    with rested(contestant, seconds) as subject:
        found = {"pss_kib": subject.pss_kib()}
        if contestant.name == OWN:
            found |= {"supervisor_kib": pss_kib([subject.relay.supervisor]), "worker_kib": pss_kib(subject.relay.workers())}
    return found


def _with_clients(contestant, count, seconds):
    with rested(contestant, seconds) as subject:
        # Beside an idle load generator, as it will be afterwards: it shares libraries, and takes its part of them.
        with Load(subject.address, "udp", 1, 1):
            before = subject.pss_kib()
        with Load(subject.address, "tcp", count, min(count, 100)) as load:
            asked = load.run(30, count)
            time.sleep(seconds)
            after, closed = subject.pss_kib(), load.count_closed()
    unanswered = count - asked["answered"]
    if unanswered + asked["failed"] + closed > count / 100:
        raise Unmeasured(f"{asked['failed']:,} connections broke, {unanswered:,} got no response, {closed:,} were closed later")
    return {"kib_a_client": round((after - before) / count, 3), "clients": count, "closed": closed, "before_kib": before, "after_kib": after}


def clients(contestant, count, seconds):
    """({"kib_a_client", "clients", "closed", ...}, remark): with fewer clients where so many are too many."""
    try:
        return _with_clients(contestant, count, seconds), None
    except Exception as error:   # pylint: disable=broad-except
        if contestant.broken or count <= FEWER_CLIENTS:
            raise
        return _with_clients(contestant, FEWER_CLIENTS, seconds), f"with {FEWER_CLIENTS} clients; {count:,}: {in_words(error)}"
