"""An outage of every upstream: how long a client waits for SERVFAIL with the cause, and how long after the return for the first answer.

Goals: SERVFAIL within the deadline (and a little for the machine), and an answer within 0.3 s of the return, whether questions were waiting
when the upstream came back, kept arriving, or came only then. The upstream goes with a reset of its connections and returns on the same port.
"""
import contextlib
import random
import socket
import tempfile
import time
from pathlib import Path

from bench import Goals, Stopwatch, arguments
from support import clients
from support.certificates import CertificateStore
from support.clients import UdpClient, raw_query
from support.dot_upstream import DotUpstream
from support.relay import Relay, upstream_table

SLACK = 0.15   # what a busy machine may add to the deadline


def deadline_without_upstreams(goals, relay, kind, cause, seconds):
    for transport in ("udp", "tcp"):
        watch = Stopwatch()
        response = relay.ask(f"{kind}-{transport}.example", transport=transport, timeout=seconds + 5)
        took, errors = watch.seconds, clients.extended_errors(response)
        right = clients.rcode(response) == "SERVFAIL" and errors and errors[0][0] in (22, 23) and cause in errors[0][1]
        goals.state(f"all {kind}, {transport}: {clients.rcode(response)} after", f"{took:.3f} s {errors}", bool(right) and took <= seconds + SLACK)


def first_answer(client, names, returned, every):
    """Seconds from the return to the first NOERROR, asking again every so often when `every` is given; None after 10 s."""
    next_question = time.monotonic()
    while time.monotonic() - returned < 10:
        if every and time.monotonic() >= next_question:
            client.send(raw_query(next(names)))
            next_question += every
        answer = client.receive(timeout=every or 10)
        if answer is not None and answer[3] & 15 == 0:
            return time.monotonic() - returned
    return None


def outage(relay, upstream, names, kind, seconds):
    """One outage and return. Gives the seconds to the first answer."""
    upstream.stop(reset=True)
    with UdpClient(relay.port) as client:
        end = time.monotonic() + seconds
        if kind == "waiting":          # asked late enough for the question to live until the return
            time.sleep(max(0, seconds - 2.5))
            client.send(raw_query(next(names)))
        while kind == "arriving" and time.monotonic() < end:
            client.send(raw_query(next(names)))
            client.receive(timeout=0.02)
        time.sleep(max(0, end - time.monotonic()))
        returned = time.monotonic()
        upstream.start()
        if kind == "afterwards":
            client.send(raw_query(next(names)))
        return first_answer(client, names, returned, 0.02 if kind == "arriving" else None)


def main():
    options = arguments(__doc__, ("--rounds", 20, "outages of each kind"), ("--longest", 5.0, "seconds of the longest outage"),
                        ("--goal", 0.3, "seconds from the return to the first answer"), ("--deadline", 4, "relay.deadline in seconds"))
    goals, names = Goals(), (f"recovery-{number}.example" for number in range(1000000))
    with tempfile.TemporaryDirectory(prefix="dotrelay-acceptance-") as folder, contextlib.ExitStack() as stack:
        certificates = CertificateStore(folder)
        keys = {"relay": {"deadline": f"{options.deadline}s"}}
        down = DotUpstream(certificates.good)
        expired = stack.enter_context(DotUpstream(certificates.expired))
        mute = stack.enter_context(contextlib.closing(socket.create_server(("127.0.0.1", 0))))   # takes connections, says nothing
        for kind, address, cause in (("refusing", down.address, "connection refused"), ("expired", expired.address, "certificate expired"),
                                     ("mute", f"127.0.0.1:{mute.getsockname()[1]}", "timed out")):
            with Relay(folder, upstream_table(address, certificates), **keys) as relay:
                deadline_without_upstreams(goals, relay, kind, cause, options.deadline)

        upstream = stack.enter_context(DotUpstream(certificates.good, record=False))
        relay = stack.enter_context(Relay(Path(folder), upstream_table(upstream, certificates), **keys))
        clients.assert_right(relay.ask("before.example"), "before.example")
        for kind in ("waiting", "arriving", "afterwards"):
            took = [outage(relay, upstream, names, kind, random.uniform(0.2, options.longest)) for _ in range(options.rounds)]
            missing = took.count(None)
            known = sorted(seconds for seconds in took if seconds is not None)
            goals.state(f"questions {kind}: first answer after the return",
                        f"max {known[-1]:.3f} s, median {known[len(known) // 2]:.3f} s, of {len(known)}; {missing} without an answer",
                        not missing and known[-1] <= options.goal)
    goals.exit()


if __name__ == "__main__":
    main()
