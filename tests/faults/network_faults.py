"""Faults of the network between forwarder and upstreams: links that flap, lose packets, or are not there. For any forwarder."""
import time

from results import Result, ms
from scenarios import scenario


def flap(lab, hosts, seconds):
    """One second up, one second down, all of `hosts` at the same time."""
    begin = time.monotonic()
    lab.first.lose(0.05)
    lab.second.lose(0.05)
    for number in range(1, seconds + 1):
        time.sleep(max(0, begin + number - time.monotonic()))
        for host in hosts:
            host.go_dark() if number % 2 else host.come_back()


def flapping(lab, hosts):
    lab.start()
    before = lab.handshakes()
    with lab.warm_up() as load:
        fault, seconds = time.monotonic(), lab.pick(60, 10)
        flap(lab, hosts, seconds)
        end = time.monotonic()
    answers = load.stop().sent_between(fault, end)
    handshakes = lab.handshakes() - before
    allowed = int(len(answers) * 0.0001)
    result = Result(answers, {"handshakes": handshakes})
    # Two workers, both upstreams, one new connection every 200 ms at most: the rule for dials while nothing is usable.
    bound = 2 * 2 * 5 * seconds
    return result.goal("<= 0.01 % lost", answers.lost <= allowed).goal(f"handshakes <= {bound}", handshakes <= bound)


@scenario("flapping-first", "first upstream flapping 1 s up, 1 s down, 60 s; 5 % packet loss to both",
          goal="<= 0.01 % lost, handshakes bounded")
def flapping_first(lab):
    return flapping(lab, [lab.first])


@scenario("flapping-both", "both flapping 1 s up, 1 s down, 60 s; 5 % packet loss", goal="<= 0.01 % lost, handshakes bounded", peers=True)
def flapping_both(lab):
    return flapping(lab, lab.hosts)


def cpu_share(lab, seconds):
    """The part of one core that the forwarder takes in this time."""
    spent, begin = lab.forwarder.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (lab.forwarder.cpu_seconds() - spent) / (time.monotonic() - begin)


@scenario("no-route", "no route at all", goal="CPU < 2 %, SERVFAIL with the cause at once", peers=True)
def no_route(lab):
    """Both cables are pulled, and the routes go with them. The figures are of the time without; "at once" is 100 ms."""
    lab.start()
    with lab.warm_up() as load:
        seconds = lab.pick(15, 5)
        healthy = cpu_share(lab, seconds)
        for host in lab.hosts:
            host.pull_cable()
        fault = time.monotonic()
        cause = lab.forwarder.cause("cause.example")
        share = cpu_share(lab, seconds)
        plugged = time.monotonic()
        for host in lab.hosts:
            host.plug_cable()
        time.sleep(lab.pick(5, 3))
    everything = load.stop()
    answers = everything.sent_between(fault, plugged)
    errors = sum(answer.rcode == 2 for answer in answers.all)
    back = everything.first_noerror_after(plugged)
    result = Result(answers, {"SERVFAIL": errors, "cause": cause or "none", "CPU": f"{share:.2%} ({healthy:.2%} before)",
                            "first answer": f"{ms(back)} after the return"})
    result.goal("CPU < 2 %", share < 0.02).goal("SERVFAIL to all", errors == len(answers)).max_at_most(0.100)
    return result.goal("the cause", "unreachable" in (cause or "") or "no route" in (cause or ""))
