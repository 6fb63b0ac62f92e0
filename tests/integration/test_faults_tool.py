"""`./dev faults` as a developer runs it, with its shortest scenario: the tool must not rot. What it measures is judged elsewhere."""
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support import clients
from support.event_loop import wait_until
from support.namespaces import can_make_namespaces
from support.ports import free_port
from support.relay import PROJECT, Relay, binary, upstream_table

TOOL = [sys.executable, "-B", str(PROJECT / "tests/faults/faults.py")]
PROGRAMS = binary().parents[1] / "tests/faults"


def run(*arguments, timeout=30, **environment):
    environment = os.environ | {"DOTRELAY_BINARY": str(binary())} | environment
    return subprocess.run([*TOOL, *arguments], capture_output=True, text=True, timeout=timeout, env=environment)


def descendants(pid):
    """How many processes descend from this one."""
    try:
        children = [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]
    except OSError:   # it ended meanwhile
        return 0
    return len(children) + sum(map(descendants, children))


def test_list_has_every_row():
    listed = run("--list")
    assert listed.returncode == 0, listed.stderr
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert len(names) == len(set(names)) >= 11 and "silent-sessions" in names


def test_unknown_scenario():
    done = run("no-such-scenario")
    assert done.returncode == 2 and "there is no scenario no-such-scenario" in done.stderr


@pytest.mark.skipif(not can_make_namespaces() or not shutil.which("iptables", path="/usr/sbin:/sbin"), reason="needs root and iptables")
@pytest.mark.skipif(not (PROGRAMS / "faults-upstream").exists(), reason="built without OpenSSL")
def test_one_scenario(tmp_path):
    done = run("--quick", "silent-sessions", TMPDIR=str(tmp_path))
    figures = re.search(r"sent (\d+)  lost (\d+)  silent (\d+)  p99 \S+ m?s  max \S+ m?s", done.stdout)
    assert figures, done.stdout + done.stderr
    assert int(figures.group(1)) > 300 and int(figures.group(2)) == 0, done.stdout
    assert re.search(r"sessions silenced: [1-9]", done.stdout) and "goal: 0 lost, max <= 100 ms" in done.stdout
    assert not list(tmp_path.iterdir()), "nothing is left behind"


@pytest.mark.skipif(not (PROGRAMS / "faults-upstream").exists(), reason="built without OpenSSL")
def test_upstream_sends_long_answers_whole(tmp_path, certificates):
    """TXT: 53 KB, in several TLS records. What is asked behind it still gets its own answer."""
    port = free_port()
    command = [PROGRAMS / "faults-upstream", "127.0.0.1", port, certificates.good.chain_file, certificates.good.key_file, "0", "0"]
    with subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as upstream:
        assert upstream.stdout.readline() == "ready\n"
        with Relay(tmp_path, upstream_table(f"127.0.0.1:{port}", certificates)) as relay:
            for number in range(3):
                answer = clients.exchange(clients.make_query(f"long-{number}.example", "TXT").to_wire(), relay.port, "tcp")
                assert len(answer) > 50000 and clients.rcode(clients.parse(answer)) == "NOERROR"
                assert clients.addresses(clients.ask(relay.port, f"short-{number}.example")) == ["192.0.2.7"]


@pytest.mark.skipif(not can_make_namespaces() or not PROGRAMS.is_dir(), reason="needs root and the load generator")
def test_interrupted(tmp_path):
    """SIGTERM in the middle: no folder and no process stays."""
    environment = os.environ | {"DOTRELAY_BINARY": str(binary()), "TMPDIR": str(tmp_path)}
    with subprocess.Popen([*TOOL, "both-dark"], stdout=subprocess.PIPE, text=True, env=environment) as tool:
        assert tool.stdout.readline().startswith("both-dark")
        wait_until(lambda: descendants(tool.pid) > 5, 10, "relay, upstreams and load generator run")
        tool.terminate()
        assert tool.wait(10) == 130
    assert not list(tmp_path.iterdir())
