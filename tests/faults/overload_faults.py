"""Too many clients, clients that do harm, and no descriptor left for them: the others are not to notice."""
import math
import resource
import subprocess
import sys
import time
from pathlib import Path

from lab import die_with_parent
from results import Result, ms
from scenarios import scenario
from support import clients
from support.relay import binary

PROGRAM = Path(__file__).resolve().parent / "bad_clients.py"
WELL_BEHAVED = {"rate": 200, "udp": 64, "tcp": 16, "tcp_share": 0.5}


class BadClients:
    """A process with many of them (bad_clients.py). It runs at low priority, not at the lab's: in life those are other
    machines."""

    def __init__(self, lab, kind, count):
        self.process = subprocess.Popen(["chrt", "--other", "0", "nice", "-n", "20", sys.executable, "-B", PROGRAM, lab.forwarder.address,
                                         kind, str(count)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        self.kind, self.count = kind, count

    def _counters(self):
        words = self.process.stdout.readline().split()
        return {name: int(value) for name, value in zip(words[::2], words[1::2])}

    def wait_until_made(self):
        """All have been connected once."""
        return self._counters()

    def counters(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self._counters()

    def leave(self):
        """All close at once."""
        self.process.kill()
        self.process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.leave()
        self.process.stdin.close()
        self.process.stdout.close()


def difference(after, before):
    return {name: value - before[name] if name != "open" else value for name, value in after.items()}


@scenario("bad-clients", "5,000 one-octet-a-second clients (slowloris) and 1,000 that never read",
          goal="well-behaved clients' p99 <= 2 x theirs without, or + 2 ms", peers=True)
def bad_clients(lab):
    """Over UDP and over TCP, each for itself; nothing of theirs may be lost or closed either."""
    lab.start()
    with lab.warm_up(**WELL_BEHAVED) as load:
        begin = time.monotonic()
        time.sleep(lab.pick(20, 4))
        end = time.monotonic()
    without = load.stop().sent_between(begin, end)
    with BadClients(lab, "slow", lab.pick(5000, 1000)) as slow, BadClients(lab, "deaf", lab.pick(1000, 200)) as deaf:
        slow.wait_until_made()
        deaf.wait_until_made()
        with lab.warm_up(**WELL_BEHAVED, name="beside") as load:
            before, begin, cpu = [one.counters() for one in (slow, deaf)], time.monotonic(), lab.forwarder.cpu_seconds()
            time.sleep(lab.pick(60, 8))
            after, end = [one.counters() for one in (slow, deaf)], time.monotonic()
            cpu = (lab.forwarder.cpu_seconds() - cpu) / (end - begin)
        pss = lab.forwarder.pss_kib()
    answers = load.stop().sent_between(begin, end)
    slowly, deafly = (difference(*pair) for pair in zip(after, before))
    result = Result(answers, {
        "without": ", ".join(f"{kind} p99 {ms(without.over(kind).p99)}" for kind in ("udp", "tcp")),
        "with": ", ".join(f"{kind} p99 {ms(answers.over(kind).p99)}" for kind in ("udp", "tcp")),
        "slow": f"{slowly['open']} open, {slowly['octets'] / (end - begin):.0f} octets/s, {slowly['closed']} closed",
        "deaf": f"{deafly['open']} open, {deafly['closed']} closed",
        "CPU": f"{cpu:.0%}", "PSS": f"{pss / 1024:.0f} MiB", "connections lost": answers.counters["closed"]})
    for kind in ("udp", "tcp"):
        limit = max(2 * without.over(kind).p99, without.over(kind).p99 + 0.002)
        result.goal(f"{kind} p99 <= {ms(limit)}", answers.over(kind).p99 <= limit)
    return result.lost_at_most(0).goal("no connection lost", answers.counters["closed"] == 0)


def exhaust(pids, spare):
    """Lowers each process's limit of open files to what it has open now and a few more; never raised again: the lab ends with them."""
    for pid in pids:
        _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = max(int(entry.name) for entry in Path(f"/proc/{pid}/fd").iterdir()) + 1
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + spare, hard))


def seconds_to_tcp_answer(lab, patience=5.0):
    """A new client connects and asks at once, as often as it is turned away; gives the seconds until it has an answer."""
    begin, port = time.monotonic(), int(lab.forwarder.address.rpartition(":")[2])
    number = 0
    while time.monotonic() < begin + patience:
        number += 1
        try:
            answer = clients.exchange(clients.raw_query(f"recovery-{number}.example"), port, "tcp", timeout=patience)
        except OSError:
            answer = None
        if answer and answer[3] & 15 == 0:
            return time.monotonic() - begin
        time.sleep(0.01)
    return math.inf


def crowd(lab, load, begin):
    """2,000 clients come, stay a while and leave, where there is not room for all; `load` asks over UDP and is to notice nothing."""
    with BadClients(lab, "idle", 2000) as idle:
        idle.wait_until_made()
        counters, cpu, measured = idle.counters(), lab.forwarder.cpu_seconds(), time.monotonic()
        time.sleep(lab.pick(20, 5))
        cpu = (lab.forwarder.cpu_seconds() - cpu) / (time.monotonic() - measured)
        kept, used = difference(idle.counters(), counters), lab.forwarder.descriptors()
        idle.leave()
        recovery = seconds_to_tcp_answer(lab)
    before, answers = load.stop().sent_between(end=begin), load.stop().sent_between(begin)
    limit = max(2 * before.p99, before.p99 + 0.002)
    result = Result(answers, {
        "p99 before": ms(before.p99), "CPU": f"{cpu:.1%}", "descriptors": used,
        "clients": f"{kept['open']} connected, {kept['closed']} closed", "TCP answer after they left": ms(recovery)})
    result.lost_at_most(0).goal(f"p99 <= {ms(limit)}", answers.p99 <= limit).goal("CPU < 20 %", cpu < 0.2)
    return result.goal("recovery < 1 s", recovery < 1.0)


@scenario("descriptors", "descriptors exhausted", goal="CPU < 20 %, UDP unaffected, recovery < 1 s", peers=True)
def descriptors(lab):
    """The limit is lowered while the forwarder runs, so that it cannot count on it: accepting fails."""
    lab.start()
    with lab.warm_up(seconds=lab.pick(15, 4)) as load:
        begin = time.monotonic()
        exhaust(lab.forwarder.pids(), spare=100)
        return crowd(lab, load, begin)


@scenario("descriptors-few", "128 descriptors for each process from the start, 2,000 TCP clients that come back when they are closed",
          goal="CPU < 20 %, UDP unaffected, recovery < 1 s")
def descriptors_few(lab):
    """The relay knows the limit, and closes whom it must to stay below."""
    program = lab.folder / "dotrelay-with-128-descriptors"
    program.write_text(f'#!/bin/sh\nulimit -n 128\nexec {binary()} "$@"\n')
    program.chmod(0o755)
    lab.start(program=program)
    with lab.warm_up(seconds=lab.pick(15, 4)) as load:
        return crowd(lab, load, time.monotonic())
