"""Supervisor and workers: replacement of dead and stuck workers, drain on SIGTERM, no orphans, PID 1."""
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time

import pytest

from support import behaviours, clients
from support.clients import TcpClient, UdpClient, assert_right, parse, raw_query
from support.event_loop import wait_until
from support.namespaces import can_make_namespaces
from support.relay import Relay, alive, binary, toml, upstream_table


@pytest.fixture
def two_workers(make_upstream, make_relay):
    relay = make_relay(make_upstream(), listen={"workers": 2})
    wait_until(lambda: len(relay.workers()) == 2)
    return relay


class Callers:
    """Threads that open a TCP connection for every question, and note what was refused or not answered."""

    def __init__(self, relay, count=2):
        self.relay, self.refused, self.answered, self.stop = relay, [], 0, threading.Event()
        self.threads = [threading.Thread(target=self._call) for _ in range(count)]

    def _call(self):
        number = 0
        while not self.stop.is_set():
            number += 1
            try:
                with TcpClient(self.relay.port, timeout=1) as client:
                    client.send(raw_query(f"call-{number}.example"))
                    self.answered += client.receive() is not None
            except ConnectionRefusedError as error:
                self.refused.append(error)
            except OSError:
                pass   # a client of the worker that died: its connection goes with it

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()


def test_as_many_workers_as_asked_for(two_workers):
    assert two_workers.has_logged(r"supervisor: ready: 2 workers")
    names = [open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")[1] for pid in two_workers.workers()]
    assert len(set(names)) == 2 and all(name.startswith(b"--worker=") for name in names)


def test_both_workers_serve_both_transports(two_workers):
    """Forty sockets each: the kernel spreads them over the workers."""
    for transport in ("udp", "tcp"):
        before = {pid: sum_of_ticks(pid) for pid in two_workers.workers()}
        for number in range(40):
            assert_right(two_workers.ask(f"{transport}-{number}.example", transport=transport), f"{transport}-{number}.example")
        assert all(sum_of_ticks(pid) > ticks for pid, ticks in before.items())


def sum_of_ticks(pid):
    """Nanoseconds on a CPU."""
    return int(open(f"/proc/{pid}/schedstat").read().split()[0])


def test_killed_worker_is_replaced(two_workers):
    victims = two_workers.workers()
    with Callers(two_workers) as callers:
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
            wait_until(lambda: len(two_workers.workers()) == 2 and victim not in two_workers.workers(), 5, "a new worker")
        wait_until(lambda: callers.answered > 20)
        answered = callers.answered
        wait_until(lambda: callers.answered > answered + 20, what="answers after the replacement")
    assert not callers.refused
    for number in range(20):
        assert_right(two_workers.ask(f"after-{number}.example"), f"after-{number}.example")


def test_a_worker_that_dies_at_once_again_and_again(make_upstream, make_relay):
    """It is started again more and more slowly; one that had lived is replaced without delay."""
    relay = make_relay(make_upstream())
    slow = r"supervisor: worker 1 was killed by signal 9; starting another in \d+ ms"
    prompt = r"supervisor: worker 1 was killed by signal 9; starting another$"

    def kill(after=0.0):
        ready = relay.count_logged(r"worker 1 is ready \(PID")
        time.sleep(after)
        os.kill(relay.workers()[0], signal.SIGKILL)
        wait_until(lambda: relay.count_logged(r"worker 1 is ready \(PID") > ready, 10, "a new worker")

    for _ in range(20):
        kill()
        if relay.count_logged(slow) >= 3:
            break
    delays = [int(line.split()[-2]) for line in relay.lines if re.search(slow, line)]
    assert len(delays) >= 3 and max(delays) > min(delays)
    before = relay.count_logged(prompt)
    kill(after=0.3)
    assert relay.count_logged(prompt) == before + 1
    assert_right(relay.ask("after.example"), "after.example")


def test_queries_that_arrive_while_a_worker_restarts_wait_in_its_socket(make_upstream, make_relay):
    relay = make_relay(make_upstream())
    with UdpClient(relay.port) as client:
        worker = relay.workers()[0]
        os.kill(worker, signal.SIGSTOP)
        for number in range(50):
            client.send(raw_query(f"queued-{number}.example", message_id=number))
        os.kill(worker, signal.SIGKILL)
        received = {parse(client.receive()).id for _ in range(50)}
    assert received == set(range(50))


def test_stopped_worker_is_replaced(two_workers):
    victim = two_workers.workers()[0]
    os.kill(victim, signal.SIGSTOP)
    with Callers(two_workers) as callers:
        wait_until(lambda: not alive(victim), 20, "the stuck worker is killed")
        wait_until(lambda: len(two_workers.workers()) == 2, 5, "a new worker")
    assert not callers.refused
    for number in range(20):
        assert_right(two_workers.ask(f"after-{number}.example"), f"after-{number}.example")


@pytest.mark.parametrize("sent_signal", [signal.SIGTERM, signal.SIGINT])
def test_drain_answers_what_was_read(make_upstream, make_relay, sent_signal):
    upstream = make_upstream(behaviour=behaviours.delayed(0.3))
    relay = make_relay(upstream, listen={"workers": 2})
    with UdpClient(relay.port) as udp, TcpClient(relay.port) as tcp:
        for number in range(20):
            udp.send(raw_query(f"drain-udp-{number}.example", message_id=number))
        tcp.send(*(raw_query(f"drain-tcp-{number}.example", message_id=number) for number in range(20)))
        upstream.wait_for_queries(40)
        workers = relay.workers()
        os.kill(relay.supervisor, sent_signal)
        for _ in range(20):
            for session, transport in ((udp, "udp"), (tcp, "tcp")):
                response = parse(session.receive())
                assert_right(response, f"drain-{transport}-{response.id}.example")
        assert tcp.receive() is None, "the connection ends after the last answer"
    assert relay.wait() == 0 and not any(alive(worker) for worker in workers)
    relay.assert_clean_log()
    relay.process = None
    with pytest.raises(ConnectionRefusedError):
        TcpClient(relay.port)


def test_drain_does_not_wait_for_idle_clients(make_upstream, make_relay):
    relay = make_relay(make_upstream())
    with TcpClient(relay.port) as idle:
        idle.send(raw_query("idle.example"))
        assert idle.receive()
        begin = time.monotonic()
        relay.stop()
        assert time.monotonic() - begin < 2
        assert idle.receive() is None


def test_drain_is_bounded_by_the_deadline(make_upstream, make_relay):
    upstream = make_upstream(behaviour=behaviours.drop)
    relay = make_relay(upstream, relay={"deadline": "800ms"})
    with UdpClient(relay.port) as client:
        client.send(raw_query("never.example"))
        upstream.wait_for_queries(1)
        begin = time.monotonic()
        relay.stop()
        assert time.monotonic() - begin < 2
        assert parse(client.receive()).rcode() == 2


def test_workers_follow_a_killed_supervisor(make_upstream, make_relay):
    upstream = make_upstream(behaviour=behaviours.delayed(0.3))
    relay = make_relay(upstream, listen={"workers": 2})
    workers = relay.workers()
    with UdpClient(relay.port) as client:
        client.send(raw_query("orphan.example"))
        upstream.wait_for_queries(1)
        os.kill(relay.supervisor, signal.SIGKILL)
        assert_right(parse(client.receive()), "orphan.example")
    wait_until(lambda: not any(alive(worker) for worker in workers), 6, "the workers go")
    relay.wait()
    relay.assert_clean_log()
    relay.process = None
    with pytest.raises(ConnectionRefusedError):
        TcpClient(relay.port)


def test_a_new_start_after_the_supervisors_death(make_upstream, make_relay):
    """The workers that it left behind still answer what they have read; they must not keep the port from the next relay."""
    upstream = make_upstream(behaviour=behaviours.by_name({"slow.example": behaviours.delayed(1.5)}))
    relay = make_relay(upstream, listen={"workers": 2})
    orphans = relay.workers()
    with UdpClient(relay.port) as udp, TcpClient(relay.port) as tcp:
        for client in (udp, tcp):
            client.send(raw_query("slow.example"))
        upstream.wait_for_queries(1)
        os.kill(relay.supervisor, signal.SIGKILL)
        relay.process.wait()
        relay.lines.clear()
        relay.start()
        assert any(alive(orphan) for orphan in orphans), "they still drain"
        for number in range(20):
            assert_right(relay.ask(f"successor-{number}.example"), f"successor-{number}.example")
            assert_right(relay.ask(f"successor-{number}.example", transport="tcp"), f"successor-{number}.example")
        for client in (udp, tcp):
            assert_right(parse(client.receive()), "slow.example")


def test_restart_on_the_same_port_at_once(make_upstream, make_relay):
    relay = make_relay(make_upstream())
    for number in range(3):
        with TcpClient(relay.port) as client:
            client.send(raw_query(f"before-{number}.example"))
            assert client.receive()
            relay.stop()
        relay.lines.clear()
        relay.start()
        assert_right(relay.ask(f"again-{number}.example"), f"again-{number}.example")


def test_signals_to_a_worker_alone(make_upstream, make_relay):
    """They mean the supervisor; what a worker must do it hears from there."""
    relay = make_relay(make_upstream())
    workers = relay.workers()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(workers[0], number)
        assert_right(relay.ask(f"{number}.example"), f"{number}.example")
    assert relay.workers() == workers


@pytest.mark.parametrize("sent_signal", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_process_group(make_upstream, make_relay, tmp_path, sent_signal):
    """As a terminal and some service managers send it: no worker ends before it is told to, so none is started in its place.

    The kernel signals the youngest first; here it takes its time.
    """
    upstream = make_upstream(behaviour=behaviours.delayed(0.3))
    relay = make_relay(upstream, start=False, listen={"workers": 3})
    with open(tmp_path / "log", "wb") as log:
        start_by_hand(relay, stderr=log)
    with UdpClient(relay.port) as client:
        client.send(raw_query("last.example"))
        upstream.wait_for_queries(2)
        for worker in relay.workers():
            os.kill(worker, sent_signal)
        time.sleep(0.05)
        os.kill(relay.supervisor, sent_signal)
        assert_right(parse(client.receive()), "last.example")
    process, relay.process = relay.process, None
    assert process.wait(5) == 0
    text = (tmp_path / "log").read_text()
    assert "stopped: " in text and "starting another" not in text and "is ready (PID" not in text, text


def test_counters_on_request(make_upstream, make_relay):
    relay = make_relay(make_upstream())
    for number in range(3):
        assert_right(relay.ask(f"counted-{number}.example"), f"counted-{number}.example")
    os.kill(relay.supervisor, signal.SIGUSR1)
    wait_until(lambda: relay.has_logged(r"supervisor: so far: 3 answers to clients") and relay.has_logged(r"supervisor: queries_udp 3$"))
    assert_right(relay.ask("after.example"), "after.example")


def test_workers_have_names(two_workers):
    names = {open(f"/proc/{pid}/comm").read().strip() for pid in two_workers.workers()}
    assert names == {"dotrelay-1", "dotrelay-2"}


@pytest.mark.skipif(not can_make_namespaces("--mount") or not shutil.which("nsenter"), reason="needs root and mount namespaces")
def test_a_worker_that_cannot_be_executed(make_upstream, make_relay):
    """/proc goes away while the relay runs, and with it the way to its own program."""
    relay = make_relay(make_upstream(), start=False)
    relay.config_file.write_text(toml(relay.tables))
    command = ["unshare", "--mount", str(binary()), "--config", str(relay.config_file)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: answers(relay), 10, "it serves")
        worker = Relay._children(process.pid)[0]
        subprocess.run(["nsenter", "-t", str(process.pid), "-m", "mount", "-t", "tmpfs", "none", "/proc"], check=True)
        os.kill(worker, signal.SIGKILL)
        line = next(line for line in process.stderr if "cannot" in line)
        assert "worker 1 cannot execute /proc/self/exe: no such file or directory" in line
        process.kill()


def test_starts_at_the_same_time(make_upstream, make_relay):
    """One of them serves, the others say why they do not."""
    relay = make_relay(make_upstream(), start=False)
    relay.config_file.write_text(toml(relay.tables))
    started = [subprocess.Popen([str(binary()), "--config", str(relay.config_file)], stderr=subprocess.PIPE, text=True) for _ in range(3)]
    wait_until(lambda: sum(process.poll() is not None for process in started) == 2, 10, "two have given up")
    left = next(process for process in started if process.poll() is None)
    assert_right(relay.ask("one.example"), "one.example")
    left.terminate()
    for process in started:
        assert process.wait(5) == (0 if process is left else 1)
        log = process.stderr.read()
        assert process is left or "address in use" in log, log
        process.stderr.close()


def answers(relay):
    """Whether it serves: for a relay whose log cannot be read."""
    try:
        with UdpClient(relay.port, timeout=1) as client:   # longer than any upstream here takes
            client.send(raw_query("serving.example"))
            return client.receive() is not None
    except OSError:
        return False


def start_by_hand(relay, stderr=subprocess.DEVNULL, shell=None, **arguments):
    relay.config_file.write_text(toml(relay.tables))
    command = [str(binary()), "--config", str(relay.config_file)]
    relay.process = subprocess.Popen(["sh", "-c", shell, "sh", *command] if shell else command, stderr=stderr, **arguments)
    wait_until(lambda: answers(relay), 10, "it serves")


def end_by_hand(relay):
    process, relay.process = relay.process, None
    os.kill(process.pid, signal.SIGTERM)
    assert process.wait(5) == 0


def stalled_pipe():
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    return reader, writer


def stalled_socket():
    """As the journal's is."""
    ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ends[1].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
    return tuple(end.detach() for end in ends)


def stalled_terminal():
    if not os.path.exists("/dev/ptmx") or not os.path.ismount("/dev/pts"):
        pytest.skip("no pseudo terminals here")
    return os.openpty()


def fill(writer):
    """Until it takes no octet more, without changing what others share of it."""
    try:
        with socket.socket(fileno=os.dup(writer)) as end:
            while True:
                end.send(b"x" * 64, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return
    except OSError:
        pass   # not a socket
    own = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        while True:
            os.write(own, b"x")
    except BlockingIOError:
        os.close(own)


@pytest.mark.parametrize("make", [stalled_pipe, stalled_socket, stalled_terminal])
def test_a_standard_error_that_is_not_read(make_upstream, make_relay, make):
    """Nothing waits for it: not the supervisor, not a worker, not the end. What was lost is told when it is read again."""
    relay = make_relay(make_upstream(), start=False, listen={"workers": 2})
    reader, writer = make()
    flags = fcntl.fcntl(writer, fcntl.F_GETFL)
    start_by_hand(relay, stderr=writer)
    fill(writer)
    for victim in relay.workers():
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(relay.workers()) == 2 and victim not in relay.workers(), 5, "a new worker")
    for number in range(20):
        assert_right(relay.ask(f"stalled-{number}.example"), f"stalled-{number}.example")
    text = b""
    while not re.search(rb"supervisor: \d+ log lines lost: standard error was not read", text):
        text += os.read(reader, 65536)
    assert fcntl.fcntl(writer, fcntl.F_GETFL) == flags, "the description that others share is untouched"
    fill(writer)
    end_by_hand(relay)
    for end in (reader, writer):
        os.close(end)


def test_a_standard_error_whose_reader_has_gone(make_upstream, make_relay):
    relay = make_relay(make_upstream(), start=False)
    reader, writer = os.pipe()
    start_by_hand(relay, stderr=writer)
    for end in (reader, writer):
        os.close(end)
    victim = relay.workers()[0]
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: relay.workers() and victim not in relay.workers(), 5, "a new worker")
    assert_right(relay.ask("gone.example"), "gone.example")
    end_by_hand(relay)


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 2>&-", "0<&- 1>&- 2>&-", "1>&-"])
def test_closed_standard_descriptors(make_upstream, make_relay, closed):
    """Each process fills them, so that no log line goes into what would get their numbers."""
    relay = make_relay(make_upstream(), start=False, listen={"workers": 2})
    start_by_hand(relay, shell=f'exec "$@" {closed}')
    numbers = [int(part[0]) for part in closed.split()]
    for pid in (relay.supervisor, *relay.workers()):
        for number in numbers:
            assert os.readlink(f"/proc/{pid}/fd/{number}") == "/dev/null"
    os.kill(relay.workers()[0], signal.SIGKILL)   # which is logged
    wait_until(lambda: len(relay.workers()) == 2)
    for number in range(20):
        assert_right(relay.ask(f"closed-{number}.example"), f"closed-{number}.example")
    end_by_hand(relay)


@pytest.mark.skipif(not can_make_namespaces() or not shutil.which("nsenter"), reason="needs root and namespaces")
def test_as_pid_1(make_upstream, certificates, tmp_path):
    """In a PID namespace of its own it serves, reaps orphans that are not its workers, and ends on SIGTERM."""
    prefix = ["unshare", "--pid", "--fork", "--kill-child"]
    with Relay(tmp_path, upstream_table(make_upstream(), certificates), prefix=prefix) as relay:
        assert_right(relay.ask("one.example"), "one.example")
        subprocess.run(["nsenter", "-t", str(relay.supervisor), "-p", "sh", "-c", "(sleep 0.05 &) ; (true &)"], check=True)

        def zombies():
            children = [pid for pid in Relay._children(relay.supervisor) if pid not in relay.workers()]
            return children
        wait_until(lambda: not zombies(), 3, "orphans are reaped")
        assert len(relay.workers()) == 1
        assert clients.rcode(relay.ask("x.onion")) == "NXDOMAIN"
