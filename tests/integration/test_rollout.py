"""Rollouts with listen.share_port: a new relay starts beside the old one, the old one is stopped, and no question is lost."""
import os
import signal
import time

from support import behaviours
from support.clients import TcpClient, UdpClient, assert_right, parse, raw_query

CLIENTS = 40


def test_the_relay_that_goes_leaves_all_clients_to_the_other(make_upstream, make_relay):
    """While the old relay still waits for its last answers it must not hold on to a share of the new questions."""
    upstream = make_upstream(behaviour=behaviours.delayed(0.5))
    listen = {"workers": 2, "share_port": True}
    old = make_relay(upstream, listen=listen)
    new = make_relay(upstream, listen=listen, port=old.port)

    # Each client has its own port, so the kernel spreads them over all workers of both relays.
    early = [UdpClient(old.port) for _ in range(CLIENTS)]
    late = [UdpClient(old.port) for _ in range(CLIENTS)]
    for number, client in enumerate(early):
        client.send(raw_query(f"early-{number}.example"))
    time.sleep(0.1)
    os.kill(old.supervisor, signal.SIGTERM)
    for number, client in enumerate(late):
        time.sleep(0.005)
        client.send(raw_query(f"late-{number}.example"))
    with TcpClient(old.port) as client:
        client.send(raw_query("tcp.example"))
        assert_right(parse(client.receive()), "tcp.example")

    for name, clients in (("early", early), ("late", late)):
        for number, client in enumerate(clients):
            octets = client.receive(timeout=3)
            assert octets is not None, f"{name}-{number} was lost"
            assert_right(parse(octets), f"{name}-{number}.example")
            client.close()
    assert old.wait() == 0
    old.process = None
    assert_right(new.ask("after.example"), "after.example")
