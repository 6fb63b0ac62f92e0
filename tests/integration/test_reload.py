"""SIGHUP and --watch: a new configuration takes the place of the old one, no question is lost, and a bad file changes nothing."""
import os
import re
import signal
import subprocess
import time

import pytest

from support import behaviours
from support.clients import TcpClient, UdpClient, assert_failed, assert_right, parse, raw_query
from support.event_loop import wait_until
from support.load import Load
from support.ports import free_port
from support.relay import Relay, alive, binary, toml, upstream_table

REFUSED = r"supervisor: reload refused, nothing changed: "


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def proportional_kib(pid):
    return int(re.search(r"^Pss:\s+(\d+)", open(f"/proc/{pid}/smaps_rollup").read(), re.M).group(1))


def hang_up(relay):
    os.kill(relay.supervisor, signal.SIGHUP)


def wait_for_one_generation(relay, workers):
    """Those that have ended are reaped as well."""
    def children():
        return Relay._children(relay.supervisor)
    wait_until(lambda: len(children()) == workers, 8, lambda: f"{workers} workers, there are {children()}")


def test_nothing_is_lost_over_twenty_reloads(make_upstream, make_relay):
    """Every other file is bad. Afterwards nothing is left behind."""
    relay = make_relay(make_upstream(record=False), listen={"workers": 2})
    relay.reload()
    wait_for_one_generation(relay, 2)
    good = relay.config_file.read_text()
    time.sleep(0.1)
    before, memory = descriptors(relay.supervisor), proportional_kib(relay.supervisor)
    with Load(relay.port):
        for number in range(10):
            relay.config_file.write_text("[listen]\nworkers = 2\nbroken = 1\n" + good)
            hang_up(relay)
            wait_until(lambda: relay.count_logged(REFUSED) == number + 1)
            relay.config_file.write_text(good)
            relay.reload()
    wait_for_one_generation(relay, 2)
    wait_until(lambda: descriptors(relay.supervisor) == before)
    assert proportional_kib(relay.supervisor) < memory + 512
    assert relay.has_logged(re.escape(f"reloaded {relay.config_file}: 2 workers"))


def test_a_query_in_two_halves_and_one_that_is_owed(make_upstream, make_relay):
    """What is owed comes before the connection changes hands; what was half read goes with it."""
    upstream = make_upstream(behaviour=behaviours.by_name({"slow.example": behaviours.delayed(0.4)}))
    relay = make_relay(upstream)
    half = raw_query("half.example", message_id=2)
    frame = len(half).to_bytes(2, "big") + half
    with TcpClient(relay.port) as client, TcpClient(relay.port) as idle:
        old = relay.workers()
        client.send(raw_query("slow.example", message_id=1))
        client.socket.sendall(frame[:7])
        upstream.wait_for_queries(1)
        relay.reload()
        idle.send(raw_query("idle.example"))
        assert_right(parse(idle.receive()), "idle.example")
        assert_right(parse(client.receive()), "slow.example")
        wait_until(lambda: relay.workers() and not set(old) & set(relay.workers()), 5, "the old worker goes")
        client.socket.sendall(frame[7:])
        assert_right(parse(client.receive()), "half.example")


def test_many_idle_clients_change_hands(make_upstream, make_relay):
    """More than a socket's buffer of messages, twice in a row: through a worker that itself is about to go."""
    relay = make_relay(make_upstream(record=False), listen={"workers": 2})
    clients = [TcpClient(relay.port) for _ in range(800)]
    for number, client in enumerate(clients):
        client.send(raw_query(f"first-{number}.example"))
    for number, client in enumerate(clients):
        assert_right(parse(client.receive()), f"first-{number}.example")
    relay.reload()
    relay.reload()
    for number, client in enumerate(clients):
        client.send(raw_query(f"second-{number}.example"))
    for number, client in enumerate(clients):
        assert_right(parse(client.receive()), f"second-{number}.example")
        client.close()


def test_a_half_closed_client_gets_its_answers(make_upstream, make_relay):
    upstream = make_upstream(behaviour=behaviours.delayed(0.3))
    relay = make_relay(upstream)
    with TcpClient(relay.port) as client:
        client.send(raw_query("half-closed.example"))
        upstream.wait_for_queries(1)
        client.socket.shutdown(1)
        relay.reload()
        assert_right(parse(client.receive()), "half-closed.example")
        assert client.receive() is None


def test_number_of_workers(make_upstream, make_relay):
    relay = make_relay(make_upstream(record=False), listen={"workers": 2})
    with Load(relay.port):
        for workers in (3, 1, 2):
            relay.reload(listen={"workers": workers})
            wait_for_one_generation(relay, workers)
    for number in range(30):
        assert_right(relay.ask(f"after-{number}.example"), f"after-{number}.example")


def test_fewer_workers_while_one_hangs(make_upstream, make_relay):
    """Nobody reads its sockets any more: new clients must not wait there until it is killed."""
    relay = make_relay(make_upstream(record=False), listen={"workers": 2}, relay={"deadline": "5s"})
    for pid in relay.workers():
        if b"--worker=2" in open(f"/proc/{pid}/cmdline", "rb").read():
            os.kill(pid, signal.SIGSTOP)
            hung = pid
    relay.reload(listen={"workers": 1})
    for number in range(30):
        assert_right(relay.ask(f"udp-{number}.example", timeout=1), f"udp-{number}.example")
    time.sleep(0.8)   # what a worker may take to accept its last TCP clients
    for number in range(30):
        assert_right(relay.ask(f"tcp-{number}.example", transport="tcp", timeout=1), f"tcp-{number}.example")
    assert alive(hung), "it has been gone too early to prove anything"
    os.kill(hung, signal.SIGKILL)


def test_addresses_come_and_go(make_upstream, make_relay):
    relay = make_relay(make_upstream(), listen={"workers": 2})
    first, second = f"127.0.0.1:{relay.port}", f"127.0.0.2:{free_port()}"
    second_port = int(second.split(":")[1])
    with Load(relay.port, udp=2, tcp=2):
        relay.reload(listen={"addresses": [first, second]})
        with TcpClient(second_port, host="127.0.0.2") as client:
            client.send(raw_query("second.example", message_id=1))
            assert_right(parse(client.receive()), "second.example")
            relay.reload(listen={"addresses": [first]})
            client.send(raw_query("stays.example", message_id=2))
            assert_right(parse(client.receive()), "stays.example")
        wait_for_one_generation(relay, 2)
        with pytest.raises(ConnectionRefusedError):
            TcpClient(second_port, host="127.0.0.2")
        relay.reload(listen={"addresses": [first, second]})
        with UdpClient(second_port, host="127.0.0.2") as client:
            client.send(raw_query("again.example"))
            assert_right(parse(client.receive()), "again.example")


def test_an_address_becomes_the_wildcard(make_upstream, make_relay):
    relay = make_relay(make_upstream())
    relay.reload(listen={"addresses": [f"0.0.0.0:{relay.port}"]})
    for transport in ("udp", "tcp"):
        assert_right(relay.ask("wildcard.example", transport=transport), "wildcard.example")
        assert_right(relay.ask("other.example", transport=transport), "other.example")


def test_an_address_that_is_in_use_refuses_the_reload(make_upstream, make_relay):
    relay, other = make_relay(make_upstream()), make_relay(make_upstream())
    good = relay.config_file.read_text()
    relay.config_file.write_text(good.replace(f'"127.0.0.1:{relay.port}"', f'"127.0.0.1:{relay.port}", "127.0.0.1:{other.port}"'))
    before = descriptors(relay.supervisor)
    hang_up(relay)
    wait_until(lambda: relay.has_logged(REFUSED + f"cannot listen on 127.0.0.1:{other.port} .*in use"))
    assert descriptors(relay.supervisor) == before
    assert_right(relay.ask("still.example"), "still.example")


def test_a_bad_file_says_why(make_upstream, make_relay):
    relay = make_relay(make_upstream())
    workers = relay.workers()
    relay.config_file.write_text('[relay]\ndeadline = "2s"\ndeadlin = "4s"\n')
    hang_up(relay)
    wait_until(lambda: relay.has_logged(REFUSED + re.escape(f"{relay.config_file}:3:1: ")))
    relay.config_file.unlink()
    hang_up(relay)
    wait_until(lambda: relay.has_logged(REFUSED + ".*No such file"))
    assert relay.workers() == workers
    assert_right(relay.ask("still.example"), "still.example")


@pytest.mark.parametrize("key", ["config", "ca_file"])
def test_a_fifo_in_place_of_a_file(make_upstream, make_relay, tmp_path, key):
    """Nobody writes to it, so whoever opens it waits for ever."""
    relay = make_relay(make_upstream())
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    if key == "config":
        relay.config_file.unlink()
        relay.config_file.symlink_to(fifo)
    else:
        relay.config_file.write_text(toml(relay.tables | {"upstream": [relay.tables["upstream"][0] | {"ca_file": str(fifo)}]}))
    hang_up(relay)
    wait_until(lambda: relay.has_logged(REFUSED + ".*is a FIFO, not a file"), 3)
    assert_right(relay.ask("still.example"), "still.example")


def test_a_new_worker_that_fails(make_upstream, make_relay, certificates, tmp_path):
    """A CA file of thousands gives the time to kill it before it is ready."""
    relay = make_relay(make_upstream(record=False), listen={"workers": 2})
    large = tmp_path / "large.pem"
    large.write_text(certificates.ca_file.read_text() * 2000)
    old = relay.workers()
    with Load(relay.port, udp=2, tcp=2):
        relay.config_file.write_text(toml(relay.tables | {
            "upstream": [relay.tables["upstream"][0] | {"ca_file": str(large)}],
            "listen": {"addresses": relay.tables["listen"]["addresses"] + [f"127.0.0.1:{free_port()}"], "workers": 3}}))
        before = descriptors(relay.supervisor)
        hang_up(relay)
        new = wait_until(lambda: [pid for pid in relay.workers() if pid not in old], 20)
        os.kill(new[0], signal.SIGKILL)
        wait_until(lambda: relay.has_logged(REFUSED + r"a new worker \d was killed by signal 9 before it was ready"), 20)
        wait_until(lambda: sorted(relay.workers()) == sorted(old))
        wait_until(lambda: descriptors(relay.supervisor) == before)
    relay.reload()


def test_log_level(make_upstream, make_relay):
    relay = make_relay(make_upstream())
    relay.config_file.write_text(toml(relay.tables | {"log": {"level": "error"}}))
    old = relay.workers()
    hang_up(relay)
    wait_until(lambda: relay.workers() and not set(old) & set(relay.workers()))
    lines = len(relay.lines)
    hang_up(relay)
    assert_right(relay.ask("quiet.example"), "quiet.example")
    assert len(relay.lines) == lines
    relay.reload(log={"level": "debug"})


def test_other_pins_are_not_fooled_by_an_old_connection_or_ticket(make_upstream, make_relay, certificates):
    upstream = make_upstream()
    relay = make_relay(upstream_table(upstream, certificates, pins=[certificates.good.pin]), relay={"deadline": "600ms"})
    assert_right(relay.ask("pinned.example"), "pinned.example")
    relay.reload(upstream=[upstream_table(upstream, certificates, pins=[certificates.rsa.pin])])
    queries = len(upstream.queries)
    assert_failed(relay.ask("refused.example"), "pin")
    assert len(upstream.queries) == queries
    relay.reload(upstream=[upstream_table(upstream, certificates, pins=[certificates.good.pin])])
    assert_right(relay.ask("again.example"), "again.example")


def test_clients_that_may_ask_no_more_are_reset(make_upstream, make_relay):
    relay = make_relay(make_upstream())
    with TcpClient(relay.port) as client:
        client.send(raw_query("allowed.example"))
        assert client.receive()
        relay.reload(listen={"allow": ["192.0.2.0/24"]})
        assert client.receive() is None


def test_killed_worker_of_a_later_generation_is_replaced(make_upstream, make_relay):
    relay = make_relay(make_upstream(), listen={"workers": 2})
    relay.reload()
    wait_for_one_generation(relay, 2)
    victim = relay.workers()[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(relay.workers()) == 2 and victim not in relay.workers())
    for number in range(20):
        assert_right(relay.ask(f"replaced-{number}.example"), f"replaced-{number}.example")


@pytest.mark.skipif(not os.path.exists("/dev/ptmx") or not os.path.ismount("/dev/pts"), reason="no pseudo terminals here")
def test_a_terminal_that_goes_ends_the_relay(make_upstream, make_relay):
    """Whoever closes the window does not ask for a reload."""
    relay = make_relay(make_upstream(), start=False)
    relay.config_file.write_text(toml(relay.tables))
    master, terminal = os.openpty()
    process = subprocess.Popen([str(binary()), "--config", str(relay.config_file)], stdin=terminal, stderr=terminal)
    os.close(terminal)
    log = b""
    while b"ready: " not in log:
        log += os.read(master, 4096)
    process.send_signal(signal.SIGHUP)
    while b"reloaded " not in log:
        log += os.read(master, 4096)
    os.close(master)
    process.send_signal(signal.SIGHUP)
    assert process.wait(5) == 0


def test_signals_right_after_the_start(make_upstream, make_relay):
    relay = make_relay(make_upstream(), start=False)
    relay.start(wait=False)

    def is_prepared():
        """SIGHUP is blocked or caught: otherwise it is not the relay's code yet that runs."""
        status = open(f"/proc/{relay.supervisor}/status").read()
        return any(int(mask, 16) & 1 << signal.SIGHUP - 1 for mask in re.findall(r"Sig(?:Blk|Cgt):\s+(\w+)", status))

    wait_until(is_prepared)
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        hang_up(relay)
        time.sleep(0.001)
    assert_right(relay.ask("early.example"), "early.example")
    relay.stop()


@pytest.mark.parametrize("wait", [0, 0.02, 0.2])
def test_sigterm_right_after_sighup(make_upstream, make_relay, wait):
    upstream = make_upstream(behaviour=behaviours.delayed(0.3))
    relay = make_relay(upstream, listen={"workers": 2})
    with TcpClient(relay.port) as tcp, UdpClient(relay.port) as udp:
        for client in (tcp, udp):
            client.send(raw_query("last.example"))
        upstream.wait_for_queries(1)
        hang_up(relay)
        time.sleep(wait)
        relay.stop(4)
        for client in (tcp, udp):
            assert_right(parse(client.receive()), "last.example")


def watched(make_upstream, make_relay, **arguments):
    return make_relay(make_upstream(), arguments=["--watch"], **arguments)


def test_watch_sees_a_rewritten_and_a_renamed_file(make_upstream, make_relay):
    relay = watched(make_upstream, make_relay)
    relay.config_file.write_text(toml(relay.tables) + "# rewritten\n")
    wait_until(lambda: relay.count_logged("supervisor: reloaded") == 1)
    new = relay.config_file.with_suffix(".new")
    new.write_text(toml(relay.tables | {"listen": relay.tables["listen"] | {"workers": 2}}))
    new.rename(relay.config_file)
    wait_until(lambda: relay.has_logged("reloaded .*: 2 workers"))
    assert relay.count_logged("supervisor: reloaded") == 2


def test_watch_says_once_that_a_file_is_bad(make_upstream, make_relay):
    relay = watched(make_upstream, make_relay)
    relay.config_file.write_text("nonsense\n")
    wait_until(lambda: relay.has_logged(REFUSED))
    time.sleep(2.2)
    assert relay.count_logged(REFUSED) == 1
    assert_right(relay.ask("still.example"), "still.example")


def test_watch_sees_a_swapped_volume_and_a_ca_file(make_upstream, certificates, tmp_path):
    """Kubernetes makes a folder for each version of a ConfigMap, and swaps the link "..data" by renaming another over it."""
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text(certificates.unknown_authority.certificate_file.read_text())
    upstream = make_upstream()
    relay = Relay(tmp_path, upstream_table(upstream, ca_file=str(ca_file)), relay={"deadline": "500ms"}, start=False,
                  arguments=["--watch"])
    text = toml(relay.tables)

    def publish(version, content):
        folder = tmp_path / f"..{version}"
        folder.mkdir()
        (folder / "dotrelay.toml").write_text(content)
        (tmp_path / "..data_tmp").symlink_to(folder.name)
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    publish("one", text)
    relay.config_file = tmp_path / "linked.toml"
    relay.config_file.symlink_to("..data/dotrelay.toml")
    with relay:
        relay.start()
        assert_failed(relay.ask("unknown.example"), "unknown CA")
        ca_file.write_text(certificates.ca_file.read_text())
        wait_until(lambda: relay.count_logged("supervisor: reloaded") == 1)
        assert_right(relay.ask("known.example"), "known.example")
        publish("two", text.replace("workers = 1", "workers = 2"))
        wait_until(lambda: relay.has_logged("reloaded .*: 2 workers"))
        assert (tmp_path / "..data").resolve().name == "..two"
