"""SIGUSR2: the program that is now at the relay's path takes the place of the running one, and no question is lost."""
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from support import behaviours
from support.clients import TcpClient, UdpClient, assert_right, parse, raw_query
from support.event_loop import wait_until
from support.load import Load
from support.namespaces import can_make_namespaces
from support.ports import free_port
from support.relay import alive, binary, run_binary

REFUSED = r"supervisor: upgrade refused, nothing changed: "


@pytest.fixture
def program(tmp_path):
    """A copy of the relay's binary that a test may replace."""
    return shutil.copy(binary(), tmp_path / "dotrelay")


def put_in_place(program, content):
    """As a package manager does it: written beside, renamed over."""
    new = program.with_suffix(".new")
    if isinstance(content, str):
        new.write_text(content)
        new.chmod(0o755)
    else:
        shutil.copy(content, new)
    new.rename(program)


def ask_for_upgrade(relay):
    os.kill(relay.supervisor, signal.SIGUSR2)


def upgrade(relay):
    upgraded, reloaded = (relay.count_logged(f"supervisor: {what} ") for what in ("upgraded", "reloaded"))
    ask_for_upgrade(relay)
    wait_until(lambda: relay.count_logged("supervisor: upgraded ") > upgraded, 10, lambda: f"an upgrade:\n{relay.log}")
    wait_until(lambda: relay.count_logged("supervisor: reloaded ") > reloaded, 10, lambda: f"new workers:\n{relay.log}")


def executable(pid):
    return os.readlink(f"/proc/{pid}/exe")


def test_ten_upgrades_under_load(make_upstream, make_relay, program):
    relay = make_relay(make_upstream(record=False), listen={"workers": 2}, program=program)
    pid, first = relay.supervisor, relay.workers()
    upgrade(relay)
    wait_until(lambda: len(relay.workers()) == 2)
    time.sleep(0.2)   # what has ended is also reaped
    before = len(os.listdir(f"/proc/{pid}/fd"))
    with Load(relay.port) as load:
        for _ in range(10):
            put_in_place(program, binary())
            upgrade(relay)
            assert executable(pid) == str(program), "it is the new file, not the deleted one"
    wait_until(lambda: len(relay.workers()) == 2)
    assert relay.supervisor == pid and alive(pid) and not set(first) & set(relay.workers())
    assert all(executable(worker) == str(program) for worker in relay.workers())
    wait_until(lambda: len(os.listdir(f"/proc/{pid}/fd")) == before, 5, lambda: os.listdir(f"/proc/{pid}/fd"))
    relay.stop()
    answers = int(next(line for line in relay.lines if "stopped: " in line).split("stopped: ")[1].split()[0])
    assert answers >= load.answered, "the count goes on through upgrades"


@pytest.mark.parametrize("relative", [False, True])
def test_a_symbolic_link_that_leads_to_another_file(make_upstream, make_relay, tmp_path, monkeypatch, relative):
    """Releases in folders of their own, and a link to the current one through which the relay is started."""
    old, new, current = (tmp_path / name for name in ("old", "new", "current"))
    for folder in (old, new):
        folder.mkdir()
        shutil.copy(binary(), folder / "dotrelay")
    current.symlink_to(old)
    monkeypatch.chdir(tmp_path)
    relay = make_relay(make_upstream(), program="./current/dotrelay" if relative else current / "dotrelay")
    for goal in (new, old):
        following = tmp_path / "following"
        following.symlink_to(goal)
        following.rename(current)
        upgrade(relay)
        assert executable(relay.supervisor) == str(goal / "dotrelay")
    assert relay.has_logged(f"upgrade: checking {current}/dotrelay")
    assert_right(relay.ask("linked.example"), "linked.example")


def test_an_address_that_an_old_worker_still_drains_comes_back(make_upstream, make_relay, program):
    """The worker that has left it outlives the program that started it; the next one may not take it for another program's."""
    upstream = make_upstream(behaviour=behaviours.by_name({"slow.example": behaviours.delayed(2.5)}))
    relay = make_relay(upstream, program=program, relay={"deadline": "5s"})
    first, second = f"127.0.0.1:{relay.port}", f"127.0.0.1:{free_port()}"
    with UdpClient(relay.port) as client:
        client.send(raw_query("slow.example"))
        upstream.wait_for_queries(1)
        relay.reload(listen={"addresses": [second]})
        upgrade(relay)
        relay.reload(listen={"addresses": [first]})
        assert_right(relay.ask("again.example"), "again.example")
        assert_right(parse(client.receive()), "slow.example")


def test_a_program_that_fails_its_check(make_upstream, make_relay, program):
    relay = make_relay(make_upstream(), program=program)
    workers = relay.workers()
    put_in_place(program, "#!/bin/sh\necho 'I am broken' >&2\nexit 1\n")
    ask_for_upgrade(relay)
    wait_until(lambda: relay.has_logged(REFUSED + ".*exited with status 1"))
    assert relay.has_logged("I am broken")
    program.unlink()
    ask_for_upgrade(relay)
    wait_until(lambda: relay.has_logged(REFUSED + f"cannot execute {program}: no such file or directory"))
    program.write_bytes(b"\x7fELF of another machine")
    ask_for_upgrade(relay)
    wait_until(lambda: relay.has_logged(REFUSED + f"cannot execute {program}: permission denied"))
    program.chmod(0o755)
    ask_for_upgrade(relay)
    wait_until(lambda: relay.has_logged(REFUSED + f"cannot execute {program}: exec format error"))
    assert relay.workers() == workers
    assert_right(relay.ask("still.example"), "still.example")
    put_in_place(program, binary())
    upgrade(relay)
    assert_right(relay.ask("new.example"), "new.example")


def foreign(program):
    """A program for a machine that none of us has: a relay's file with another e_machine."""
    content = bytearray(binary().read_bytes())
    content[18:20] = b"\xcd\xab"
    program.write_bytes(content)
    program.chmod(0o755)


NOT_THE_RELAY = {
    "true": (lambda program: put_in_place(program, Path("/bin/true")), "check does not say that it takes over"),
    "a script": (lambda program: put_in_place(program, "#!/bin/sh\nexit 0\n"), "check does not say that it takes over"),
    "a script that repeats": (lambda program: put_in_place(program, "#!/bin/sh\necho \"$@\"\nexit 0\n"), "check does not say"),
    "a wrong answer": (lambda program: put_in_place(program, '#!/bin/bash\n[[ $3 = --answer=* ]] && echo takes over 1 0 >&${3#--answer=}\nexit 0\n'),
                       "check does not say"),
    "an older version": (lambda program: put_in_place(program, "#!/bin/sh\necho 'unknown argument' >&2\nexit 2\n"),
                         "check exited with status 2; if it is another version of dotrelay, restart the relay"),
    "another machine": (foreign, "cannot execute .*: exec format error"),
}


@pytest.mark.parametrize("kind", NOT_THE_RELAY)
def test_a_program_that_is_not_the_relay(make_upstream, make_relay, program, kind):
    """That it exits with status 0 is not enough."""
    relay = make_relay(make_upstream(), program=program)
    workers = relay.workers()
    program.unlink()
    make, words = NOT_THE_RELAY[kind]
    make(program)
    ask_for_upgrade(relay)
    wait_until(lambda: relay.has_logged(REFUSED + ".*" + words), 5, lambda: relay.log)
    assert relay.workers() == workers
    assert_right(relay.ask("still.example"), "still.example")


def test_a_program_that_changes_while_it_checks(make_upstream, make_relay, program):
    relay = make_relay(make_upstream(), program=program)
    put_in_place(program, f'#!/bin/sh\n{binary()} "$@" && cp /bin/true {program}.x && mv {program}.x {program}\n')
    ask_for_upgrade(relay)
    wait_until(lambda: relay.has_logged(REFUSED + f"{program} has changed since its check"))
    assert_right(relay.ask("still.example"), "still.example")


def test_the_check_that_earlier_versions_ask_for(tmp_path, certificates):
    path = tmp_path / "dotrelay.toml"
    path.write_text('[[upstream]]\nname = "one"\naddresses = ["127.0.0.1"]\ntls_name = "upstream.test"\n'
                    f'ca_file = "{certificates.ca_file}"\n')
    result = run_binary("check", "--handover=1", "--config", path)
    assert result.returncode == 0 and result.stdout == "" and result.stderr == ""


def test_a_program_that_cannot_be_executed(make_upstream, make_relay, program, tmp_path):
    """A script that passes its check, and then has lost its interpreter."""
    relay = make_relay(make_upstream(), program=program)
    interpreter = shutil.copy("/bin/sh", tmp_path / "interpreter")
    put_in_place(program, f'#!{interpreter}\n{binary()} "$@" && rm -f {interpreter}\n')
    ask_for_upgrade(relay)
    wait_until(lambda: relay.has_logged("supervisor: upgrade failed, nothing changed: cannot execute"))
    assert_right(relay.ask("still.example"), "still.example")
    relay.reload()
    assert_right(relay.ask("reloaded.example"), "reloaded.example")


def test_a_bad_file_refuses_the_upgrade(make_upstream, make_relay, program):
    relay = make_relay(make_upstream(), program=program)
    good = relay.config_file.read_text()
    relay.config_file.write_text("nonsense\n")
    ask_for_upgrade(relay)
    wait_until(lambda: relay.has_logged(REFUSED + ".*exited with status 1"))
    assert relay.has_logged(f"{relay.config_file}:1:")
    relay.config_file.write_text(good)
    upgrade(relay)
    assert_right(relay.ask("good.example"), "good.example")


def test_a_file_that_turns_bad_keeps_the_old_workers(make_upstream, make_relay, program):
    """The new program adopts them: it replaces those that die, and a good file is loaded later."""
    relay = make_relay(make_upstream(), listen={"workers": 2}, program=program)
    good, old = relay.config_file.read_text(), relay.workers()
    put_in_place(program, f'#!/bin/sh\n[ $1 = check ] || exec {binary()} "$@"\n{binary()} "$@" && echo nonsense > {relay.config_file}\n')
    ask_for_upgrade(relay)
    wait_until(lambda: relay.has_logged("reload refused, nothing changed: .*:1:"))
    assert relay.has_logged("supervisor: upgraded ") and relay.workers() == old
    with Load(relay.port, udp=2, tcp=0):
        pass
    os.kill(old[0], signal.SIGKILL)
    wait_until(lambda: len(relay.workers()) == 2 and old[0] not in relay.workers())
    for number in range(20):
        assert_right(relay.ask(f"adopted-{number}.example"), f"adopted-{number}.example")
    relay.config_file.write_text(good)
    relay.reload()
    wait_until(lambda: len(relay.workers()) == 2 and not set(old) & set(relay.workers()))
    assert_right(relay.ask("good.example"), "good.example")


def test_a_stuck_adopted_worker_is_killed(make_upstream, make_relay, program):
    relay = make_relay(make_upstream(), program=program)
    upgrade(relay)
    victim = wait_until(lambda: len(relay.workers()) == 1 and relay.workers()[0])
    os.kill(victim, signal.SIGSTOP)
    wait_until(lambda: not alive(victim), 8, "the stuck worker is killed")
    assert_right(relay.ask("replaced.example"), "replaced.example")


def test_signals_during_an_upgrade(make_upstream, make_relay, program):
    relay = make_relay(make_upstream(record=False), program=program, listen={"workers": 2})
    with Load(relay.port, udp=2, tcp=2):
        for number in range(8):
            upgraded = relay.count_logged("supervisor: upgraded ")
            ask_for_upgrade(relay)
            end = time.monotonic() + 0.01 * number
            while time.monotonic() < end:
                os.kill(relay.supervisor, signal.SIGHUP)
                time.sleep(0.001)
            wait_until(lambda: relay.count_logged("supervisor: upgraded ") > upgraded, 10)
        wait_until(lambda: len(relay.workers()) == 2, 10)


@pytest.mark.parametrize("wait", [0, 0.01, 0.03, 0.06, 0.2])
def test_sigterm_during_an_upgrade(make_upstream, make_relay, program, wait):
    upstream = make_upstream(behaviour=behaviours.delayed(0.3))
    relay = make_relay(upstream, program=program, listen={"workers": 2})
    with TcpClient(relay.port) as tcp, UdpClient(relay.port) as udp:
        for client in (tcp, udp):
            client.send(raw_query("last.example"))
        upstream.wait_for_queries(1)
        ask_for_upgrade(relay)
        time.sleep(wait)
        relay.stop(4)
        for client in (tcp, udp):
            assert_right(parse(client.receive()), "last.example")


@pytest.mark.skipif(not can_make_namespaces() or not shutil.which("nsenter"), reason="needs root and namespaces")
def test_as_pid_1(make_upstream, make_relay, program):
    """The namespace has the outer /proc, where LeakSanitizer would not find the check's process: here it does not look."""
    no_leak_check = f"ASAN_OPTIONS={os.environ.get('ASAN_OPTIONS', '')}:detect_leaks=0"
    relay = make_relay(make_upstream(record=False), program=program,
                       prefix=["env", no_leak_check, "unshare", "--pid", "--fork", "--kill-child"])
    with Load(relay.port, udp=2, tcp=2):
        for _ in range(3):
            upgrade(relay)
        subprocess.run(["nsenter", "-t", str(relay.supervisor), "-p", "sh", "-c", "(sleep 0.05 &) ; (true &)"], check=True)
    wait_until(lambda: relay._children(relay.supervisor) == relay.workers(), 5, "orphans are reaped")
    assert len(relay.workers()) == 1
