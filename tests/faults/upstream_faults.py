"""Faults of upstream hosts: sessions, hosts and processes that die, are slow, or hang up. Each can be played to any forwarder."""
import statistics
import time

from results import Result, ms
from scenarios import scenario

BEFORE = 0.5   # seconds before a fault that its row counts, too


def counted(everything, fault, **figures):
    """The Result of what was sent from shortly before the fault on. Losses before it are told: they are not the fault's."""
    earlier = everything.sent_between(everything.all[0].sent + 0.5, fault - BEFORE)
    if earlier.lost:
        figures["before the fault"] = f"{earlier.lost} of {len(earlier)} lost"
    return Result(everything.sent_between(fault - BEFORE), {name.replace("_", " "): value for name, value in figures.items()})


@scenario("silent-sessions", "all established sessions go silent, new connections work", best="0 lost, max 105 ms",
          goal="0 lost, max <= 100 ms", peers=True)
def silent_sessions(lab):
    lab.start()
    with lab.warm_up() as load:
        silenced = sum(host.silence_flows() for host in lab.hosts)
        fault = time.monotonic()
        time.sleep(lab.pick(15, 2))
    result = counted(load.stop(), fault, sessions_silenced=silenced).lost_at_most(0).max_at_most(0.100)
    return result.goal("sessions to silence", silenced > 0) if lab.own else result


@scenario("first-blackholed", "first upstream blackholed for good", best="0 lost, max 2.5 s",
          goal="0 lost, p99 <= 50 ms, max <= 250 ms", peers=True)
def first_blackholed(lab):
    lab.start()
    with lab.warm_up() as load:
        fault = time.monotonic()
        lab.first.go_dark()
        time.sleep(lab.pick(30, 10))
    result = counted(load.stop(), fault)
    return result.lost_at_most(0).goal("p99 <= 50 ms", result.answers.p99 <= 0.050).max_at_most(0.250)


@scenario("both-dark", "both dark for 20 s, then back", best="first answer 0.25 s, 0 lost after return",
          goal="first answer <= 0.25 s after return, 0 lost after it", peers=True)
def both_dark(lab):
    """The figures are of the questions that were sent after the return."""
    lab.start()
    with lab.warm_up() as load:
        fault = time.monotonic()
        for host in lab.hosts:
            host.go_dark()
        dark = time.monotonic()
        time.sleep(max(0, fault + lab.pick(20, 5) - time.monotonic()))
        returned = time.monotonic()
        for host in lab.hosts:
            host.come_back()
        time.sleep(lab.pick(30, 8))
    answers = load.stop()
    meanwhile, after = answers.sent_between(dark, returned - 5), answers.sent_between(returned)
    first = answers.first_noerror_after(returned)
    result = Result(after, {"first answer": f"{ms(first)} after the return",
                            "in the dark": f"{meanwhile.silent} of {len(meanwhile)} silent"})
    return result.goal("first answer <= 0.25 s", first <= 0.25).lost_at_most(0)


@scenario("killed-pipeline", "first upstream's process killed mid-pipeline at 5,000 qps with answers taking 200 ms (1,000 in flight)",
          goal="0 lost, max <= 450 ms", peers=True)
def killed_pipeline(lab):
    lab.start(delay_ms=200)
    with lab.warm_up(rate=5000, udp=128) as load:
        fault = time.monotonic()
        lab.first.kill()
        time.sleep(lab.pick(10, 3))
    return counted(load.stop(), fault).lost_at_most(0).max_at_most(0.450)


@scenario("killed-restarted", "first upstream's process killed; restarted 5 times, 1 s each", best="0 lost, max 3 ms",
          goal="0 lost, max <= 20 ms", peers=True)
def killed_restarted(lab):
    """Down for a second, then up for long enough to be used again before the next time."""
    lab.start(delay_ms=1)
    with lab.warm_up() as load:
        fault = time.monotonic()
        for _ in range(lab.pick(5, 2)):
            lab.first.kill()
            time.sleep(1)
            lab.first.start()
            time.sleep(lab.pick(5, 2))
    return counted(load.stop(), fault).lost_at_most(0).max_at_most(0.020)


@scenario("first-slow", "first answers after 5 s, second at once", best="0 lost, max 2.4 s",
          goal="0 lost, max <= 500 ms, p99 <= 100 ms once 10 s have passed", peers=True)
def first_slow(lab):
    lab.start()
    with lab.warm_up() as load:
        lab.second.set_delay(0)
        fault = time.monotonic()
        lab.first.set_delay(5000)
        time.sleep(lab.pick(30, 20))
    everything = load.stop()
    later = everything.sent_between(fault + 10)
    result = counted(everything, fault, p99_after_10_s=ms(later.p99))
    return result.lost_at_most(0).max_at_most(0.500).goal("p99 <= 100 ms once 10 s have passed", later.p99 <= 0.100)


@scenario("idle-close", "upstreams close after 1 s idle; single queries 0.95 to 1.10 s apart", best="0 lost, max 4 to 8 ms",
          goal="0 lost, max <= 8 ms", peers=True)
def idle_close(lab):
    """All but the first question, which finds no connection yet. The forwarder has to learn the time that they close after."""
    for host in lab.hosts:
        host.set_idle(1000)
    lab.start(delay_ms=0)
    with lab.load(gap=(950, 1100), udp=1) as load:
        time.sleep(lab.pick(60, 15))
    answers = load.stop()
    answers = answers.sent_between(answers.all[0].sent + 0.5)
    return Result(answers, {"handshakes": lab.handshakes()}).lost_at_most(0).max_at_most(0.008)


@scenario("stops-reading", "upstream stops reading, 5,000 qps for 60 s, second upstream healthy",
          goal="PSS plateaus under the configured bound, clients served", peers=True)
def stops_reading(lab):
    """Handshakes go on, which is worse than a process that stands still. The bound: 1 MiB is queued to a connection, of which a
    worker has 4 at most. The plateau is told by the medians of the second and the last quarter of the time."""
    lab.start()
    with lab.warm_up(rate=5000, udp=128) as load:
        before = lab.forwarder.pss_kib()
        fault, seconds = time.monotonic(), lab.pick(60, 10)
        lab.first.set_reading(False)
        samples = []
        while (now := time.monotonic()) < fault + seconds:
            samples.append((now - fault, lab.forwarder.pss_kib()))
            time.sleep(0.2)
    bound = before + 2 * 4 * 1024
    largest = max(kib for _, kib in samples)
    early, late = (statistics.median(kib for at, kib in samples if begin <= at / seconds < begin + 0.25) for begin in (0.25, 0.75))
    result = counted(load.stop(), fault, PSS=f"{before} KiB before, {early:.0f} in the second quarter, {late:.0f} in the last, "
                                             f"{largest} at most")
    result.lost_at_most(0).goal(f"PSS <= {bound} KiB", largest <= bound)
    return result.goal("PSS of the last quarter <= 1.05 x that of the second", late <= early * 1.05)
