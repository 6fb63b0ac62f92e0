"""Faults of the relay's own processes: workers killed, reloads, upgrades, the end, sleep. Clients are not to notice.

What the relay had read and what it answered is taken from its own counters, which it logs when it stops and which outlive workers,
reloads and upgrades; the load generator says independently what was asked and what came back.
"""
import contextlib
import math
import os
import random
import select
import shutil
import signal
import time
from pathlib import Path

from bookkeeping import counters_at_end, footprint, read_by, ready_lines, wait_for_one_generation
from results import Result, ms
from scenarios import scenario
from support.event_loop import wait_until
from support.relay import binary

RATE = 2000


def kill_one(relay, chance):
    """Kills a worker; gives when it was dead (monotonic) and the seconds from the signal until its replacement was ready, at most a
    millisecond too many."""
    before = set(ready_lines(relay))
    victim = chance.choice(relay.workers())
    handle = os.pidfd_open(victim)
    stamp = time.time()
    os.kill(victim, signal.SIGKILL)
    select.select([handle], [], [])   # readable when it is dead; a loop that looks would take the processor from it
    moment = time.monotonic()
    os.close(handle)
    new = wait_until(lambda: set(ready_lines(relay)) - before, 15, lambda: f"a replacement:\n{relay.log}")
    return moment, ready_lines(relay)[new.pop()] + 0.001 - stamp


def lost_without_kill(answers, kills):
    """Lost questions that no dead worker can have read: sent when it was dead, or longer before than any question took."""
    return sum(not any(0 <= kill - answer.sent <= answers.max for kill in kills) for answer in answers.all if answer.lost)


@scenario("worker-killed", "`kill -9` of random workers, 100 times under 2,000 qps (they had become ready: no back-off)",
          goal="lost <= queries that worker had already read; replacement <= 100 ms; 0 refused")
def worker_killed(lab):
    """The bound is what was read and never answered by the relay's counters. They say a little less than there was: a worker that is
    killed at work, as it is for about 5 % of the time, may have counted an answer that it did not send."""
    lab.start(log={"level": "debug"})
    relay, chance = lab.forwarder.relay, random.Random(1)
    load = lab.load(rate=RATE, udp=256)
    short = lab.load(rate=100, udp=0, tcp=32, short_lived=True, name="short")
    with load, short:
        time.sleep(lab.pick(5, 1.5))
        kills = []
        for _ in range(lab.pick(100, 20)):
            kills.append(kill_one(relay, chance))
            time.sleep(chance.uniform(0.2, 0.4))
    answers, tcp = load.stop(), short.stop()
    counters = counters_at_end(relay)
    # Answers over TCP are not counted apart, but the clients know theirs.
    unanswered = counters["queries_udp"] - (counters["answers"] - len(tcp.latencies))
    replacement = max(seconds for _, seconds in kills)
    at_work = math.ceil(0.05 * len(kills))
    unexplained = lost_without_kill(answers, [moment for moment, _ in kills])
    result = Result(answers, {
        "workers killed": len(kills),
        "lost for each": f"{answers.lost / len(kills):.1f}",
        "read and not answered": f"{unanswered} by the relay's counters, and up to {at_work} counted but not sent",
        "lost that no dead worker can have read": unexplained,
        "slowest replacement": ms(replacement),
        "refused": answers.counters["refused"] + tcp.counters["refused"],
        "short TCP connections": f"{len(tcp)}, {tcp.lost} lost with their worker"})
    result.goal("lost <= read and not answered", answers.lost <= unanswered + at_work)
    result.goal("every loss explained", unexplained == 0)
    result.goal("replacement <= 100 ms", replacement <= 0.100)
    return result.goal("0 refused", answers.counters["refused"] + tcp.counters["refused"] == 0)


class Traffic:
    """2,000 questions a second: over UDP, over persistent TCP connections, and a tenth over connections of their own."""

    def __init__(self, lab):
        self.loads = [lab.load(rate=RATE * 0.9, udp=256, tcp=64, tcp_share=0.5),
                      lab.load(rate=RATE * 0.1, udp=0, tcp=64, short_lived=True, name="short")]

    def stop(self):
        """Everything that was asked, of both kinds."""
        for load in self.loads:
            load.process.send_signal(signal.SIGTERM)
        return sum((load.stop() for load in self.loads[1:]), self.loads[0].stop())

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for load in self.loads:
            load.__exit__(kind)


def transport_figures(answers):
    """What a row that speaks of UDP and TCP says of each."""
    return {"of them over TCP": f"{len(answers.over('tcp'))}, p99 {ms(answers.over('tcp').p99)}, max {ms(answers.over('tcp').max)}",
            "connections lost": answers.counters["closed"], "refused": answers.counters["refused"]}


def reload_with_bad_file(relay):
    good = relay.config_file.read_text()
    refused = relay.count_logged("supervisor: reload refused, nothing changed: ")
    relay.config_file.write_text("[listen]\nworkers = 2\nbroken = 1\n" + good)
    os.kill(relay.supervisor, signal.SIGHUP)
    wait_until(lambda: relay.count_logged("supervisor: reload refused, nothing changed: ") > refused, 10, "the refusal")
    relay.config_file.write_text(good)


def reload_many(lab, count):
    """Every other file is bad; some come at once after another, some later. Gives the longest time from the signal to `reloaded`."""
    longest, chance = 0.0, random.Random(2)
    for number in range(count):
        time.sleep(chance.uniform(0, 0.3))
        if number % 2 == 0:
            reload_with_bad_file(lab.forwarder.relay)
            continue
        begin = time.monotonic()
        lab.forwarder.relay.reload()
        longest = max(longest, time.monotonic() - begin)
    return longest


PSS_NOISE_KIB = 512


@scenario("reload", "SIGHUP 100 times under 2,000 qps UDP and TCP, half of the files invalid",
          goal="0 lost, descriptors and PSS unchanged")
def reload(lab):
    """Compared with the same relay after ten reloads under the same load, when no client and no old worker is left. The program is a
    copy: pages of a file that other processes run, too, would count for less."""
    lab.start(program=shutil.copy(binary(), lab.folder / "dotrelay-reloaded"))
    with Traffic(lab):
        time.sleep(lab.pick(5, 1.5))
        reload_many(lab, 10)
    descriptors, pss = footprint(lab)
    with Traffic(lab) as traffic:
        time.sleep(lab.pick(5, 1.5))
        longest = reload_many(lab, lab.pick(100, 20))
        time.sleep(0.5)
        answers = traffic.stop()
    descriptors_after, pss_after = footprint(lab)
    result = Result(answers, {
        **transport_figures(answers),
        "slowest reload": ms(longest),
        "descriptors": f"{descriptors} before, {descriptors_after} after",
        "PSS": f"{pss} KiB before, {pss_after} KiB after"})
    result.lost_at_most(0).goal("no connection lost or refused", answers.counters["closed"] + answers.counters["refused"] == 0)
    result.goal("descriptors unchanged", descriptors == descriptors_after)
    return result.goal(f"PSS at most {PSS_NOISE_KIB} KiB more", pss_after <= pss + PSS_NOISE_KIB)


def upgrade(relay, program):
    """Installs a copy of the binary by a rename and has it take over; gives the seconds until the new workers serve."""
    new = program.with_suffix(".new")
    shutil.copy(binary(), new)
    new.rename(program)
    before = [relay.count_logged(f"supervisor: {what} ") for what in ("upgraded", "reloaded")]
    begin = time.monotonic()
    os.kill(relay.supervisor, signal.SIGUSR2)
    for count, what in zip(before, ("upgraded", "reloaded")):
        wait_until(lambda: relay.count_logged(f"supervisor: {what} ") > count, 15, lambda: f"{what}:\n{relay.log}")
    return time.monotonic() - begin


@scenario("upgrade", "SIGUSR2 binary upgrade 10 times under 2,000 qps", goal="0 lost")
def upgrade_many(lab):
    program = Path(shutil.copy(binary(), lab.folder / "dotrelay-installed"))
    lab.start(program=program)
    relay = lab.forwarder.relay
    supervisor = relay.supervisor
    with Traffic(lab) as traffic:
        time.sleep(lab.pick(5, 1.5))
        took = []
        for _ in range(lab.pick(10, 3)):
            took.append(upgrade(relay, program))
            time.sleep(0.5)
        answers = traffic.stop()
    wait_for_one_generation(relay)
    executables = {os.readlink(f"/proc/{pid}/exe") for pid in lab.forwarder.pids()}
    result = Result(answers, {**transport_figures(answers), "upgrades": len(took), "slowest": ms(max(took))})
    result.lost_at_most(0).goal("no connection lost or refused", answers.counters["closed"] + answers.counters["refused"] == 0)
    result.goal("all processes run the installed file", executables == {str(program)})
    return result.goal("same PID", relay.process.poll() is None and relay.supervisor == supervisor)


def end_peer(forwarder):
    """SIGTERM to another forwarder; gives how its processes ended."""
    for process in forwarder.running:
        process.send_signal(signal.SIGTERM)
    return {process.wait(15) for process in forwarder.running}


@scenario("sigterm", "SIGTERM under load (2,000 qps, answers take 200 ms)", peers=True,
          goal="0 lost of those read, exit within the grace period")
def sigterm(lab):
    """All that was sent before the signal counts. What came later the relay may have read or not; so what it says it has read must also
    be what all clients together got answered."""
    deadline, slack = 4.0, 1.0
    lab.start(delay_ms=200, log={"level": "debug"}, relay={"deadline": f"{deadline:.0f}s"})
    with Traffic(lab) as traffic:
        time.sleep(lab.pick(5, 1.5))
        begin = time.monotonic()
        ended = counters_at_end(lab.forwarder.relay) if lab.own else end_peer(lab.forwarder)
        took = time.monotonic() - begin
        everything = traffic.stop()
    answers = everything.sent_between(end=begin)
    in_flight = sum(answer.silent or answer.sent + answer.latency > begin for answer in answers.all)
    result = Result(answers, {"in flight at the signal": in_flight, "exit": f"after {ms(took)} (grace: {deadline + slack:.0f} s)"})
    if lab.own:   # counters_at_end checks that the status is 0
        answered = len(everything.latencies)
        result.figures["read"] = f"{read_by(ended)} by the relay's counters, {answered} of them answered"
        result.goal("all that was read is answered", read_by(ended) == answered)
    else:
        result.goal("exit status 0", ended == {0})
    return result.lost_at_most(0).goal("exit within the grace period", took <= deadline + slack)


@contextlib.contextmanager
def stopped(pids):
    """SIGSTOP for all of them, and SIGCONT at the end."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@scenario("suspended", "SIGSTOP 90 s of all processes with flows dropped, then SIGCONT", goal="first answer <= 0.5 s")
def suspended(lab):
    """What was sent shortly before SIGCONT waits in the sockets; what is sent after it is what counts."""
    lab.start()
    lab.warm_up(rate=RATE / 10).stop()
    pids = lab.forwarder.pids()
    silenced = sum(host.silence_flows() for host in lab.hosts)
    with stopped(pids):
        time.sleep(lab.pick(90, 10) - 0.5)
        load = lab.load(rate=RATE / 10)
        time.sleep(0.5)
        begin = time.monotonic()
    with load:
        time.sleep(lab.pick(10, 4))
    queued, answers = load.stop().sent_between(end=begin), load.stop().sent_between(begin)
    first = answers.first_noerror_after(begin)
    result = Result(answers, {
        "sessions silenced": silenced,
        "first answer to a new query": ms(first),
        "queued while it slept": f"{len(queued)}, {queued.lost} lost, the first answered after {ms(queued.first_noerror_after(begin))}"})
    result.goal("sessions to silence", silenced > 0).goal("first answer <= 0.5 s", first <= 0.5).lost_at_most(0)
    return result.goal("the same processes", lab.forwarder.pids() == pids)


def change_pins(relay, pin):
    relay.reload(upstream=[table | {"pins": [pin]} for table in relay.tables["upstream"]])
    wait_for_one_generation(relay)


@scenario("pin-changed", "pin changed, SIGHUP, upstream still offers the old key and accepts old tickets", goal="refused")
def pin_changed(lab):
    """Hosts that close early make the relay use its tickets first: they are there, and accepted. Lost is here what must be refused."""
    lab.start()
    relay, pins = lab.forwarder.relay, [lab.certificates.good.pin, lab.certificates.authority.issue("other").pin]
    change_pins(relay, pins[0])
    for host in lab.hosts:
        host.set_idle(100)
    with lab.load(gap=(300, 300), udp=64) as load:
        time.sleep(lab.pick(5, 3))
    before = load.stop()
    for host in lab.hosts:
        host.set_idle(0)
    resumed = sum(host.stats()["resumed"] for host in lab.hosts)
    lab.warm_up().stop()   # connections with the old key are open, and tickets left
    open_before = sum(host.stats()["open"] for host in lab.hosts)
    change_pins(relay, pins[1])
    seen = [host.stats()["queries"] for host in lab.hosts]
    with lab.load(tcp=16) as load:
        time.sleep(lab.pick(5, 2))
        cause = lab.forwarder.cause("cause.example")
    answers = load.stop()
    asked = sum(host.stats()["queries"] for host in lab.hosts) - sum(seen)
    change_pins(relay, pins[0])
    again = lab.load(seconds=1).finish()
    result = Result(answers, {"sessions resumed before": resumed, "connections open before": open_before,
                              "refused": f"{answers.lost} of {len(answers)}", "cause": f'"{cause}"', "queries that the hosts saw": asked,
                              "with the old pin again": f"{again.lost} of {len(again)} lost"})
    result.goal("tickets were used", resumed > 0 and open_before > 0 and before.lost == 0)
    result.goal("every query refused with an answer", answers.lost == len(answers) > 0 and answers.silent == 0)
    result.goal("the cause names the pin", "pin" in (cause or "")).goal("no query sent", asked == 0)
    return result.goal("works again", again.lost == 0)
