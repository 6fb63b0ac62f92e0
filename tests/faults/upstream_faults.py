"""Faults of upstream hosts and of the network to them. Each can be played to any forwarder."""
import time

from results import Result
from scenarios import scenario


@scenario("silent-sessions", "all established sessions go silent, new connections work", best="0 lost, max 105 ms",
          goal="0 lost, max <= 100 ms", peers=True)
def silent_sessions(lab):
    """One session may die in each worker, at both hosts: whatever is established at that moment."""
    lab.start()
    with lab.warm_up() as load:
        silenced = sum(host.silence_flows() for host in lab.hosts)
        fault = time.monotonic()
        time.sleep(lab.pick(30, 3))
    answers = load.stop().sent_between(fault - 0.5)
    result = Result(answers, {"sessions silenced": silenced})
    return result.goal("sessions to silence", silenced > 0).lost_at_most(0).max_at_most(0.100)
