"""Too many clients, clients that do harm, and no descriptor left for them: the others are not to notice."""
import resource
import subprocess
import sys
import time
from pathlib import Path

from lab import die_with_parent
from results import Result, ms
from scenarios import scenario

PROGRAM = Path(__file__).resolve().parent / "bad_clients.py"
WELL_BEHAVED = {"rate": 200, "udp": 64, "tcp": 16, "tcp_share": 0.5}


class BadClients:
    """A process with many of them (bad_clients.py). It runs at low priority: in life those are other machines."""

    def __init__(self, lab, kind, count):
        self.process = subprocess.Popen(["nice", "-n", "20", sys.executable, "-B", PROGRAM, lab.forwarder.address, kind, str(count)],
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
