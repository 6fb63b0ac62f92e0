"""`./dev bench` as a developer runs it, with its shortest measurement: the tool must not rot. What it measures is judged elsewhere."""
import json
import os
import subprocess
import sys

import pytest

from support.namespaces import can_make_namespaces
from support.relay import PROJECT, binary

TOOL = [sys.executable, "-B", str(PROJECT / "bench/bench.py")]
BUILD = binary().parents[1]
PROGRAMS = [BUILD / path for path in ("bench/load/bench-load", "bench/floor/bench-floor", "tests/faults/faults-upstream")]


def run(*arguments, timeout=40, **environment):
    environment = os.environ | {"DOTRELAY_BINARY": str(binary())} | environment
    return subprocess.run([*TOOL, *arguments], capture_output=True, text=True, timeout=timeout, env=environment)


def test_list_has_every_workload():
    listed = run("--list")
    assert listed.returncode == 0, listed.stderr
    assert {"udp", "tcp", "tcp-once", "latency", "idle", "clients"} <= {line.split()[0] for line in listed.stdout.splitlines()}


def test_unknown_workload():
    done = run("--only", "no-such-workload")
    assert done.returncode == 2 and "there is no workload no-such-workload" in done.stderr


@pytest.mark.skipif(not can_make_namespaces(), reason="needs root and network namespaces")
@pytest.mark.skipif(not all(program.exists() for program in PROGRAMS), reason="built without -Dbench=true, or without OpenSSL")
def test_two_subjects(tmp_path):
    """Figures of the relay and of the floor, and a judgement. Whether the goal is reached depends on how they were built."""
    done = run("--quick", "--only", "udp,tcp,idle", "--subjects", "dotrelay,floor", "--json", str(tmp_path / "figures.json"), TMPDIR=str(tmp_path))
    assert done.returncode in (0, 1), done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    for workload in ("udp", "tcp"):
        for subject, entry in figures["workloads"][workload].items():
            shown = entry["figures"]
            assert "why" not in entry and shown["cpu_us"] > 0 and shown["per_second"] > 0 and shown["p50_ms"] > 0, (workload, subject, entry)
            assert shown["lost"] == shown["wrong"] == shown["failed"] == 0, (workload, subject, entry)
    assert set(figures["workloads"]["udp"]) == {"dotrelay", "floor"}
    assert figures["workloads"]["idle"]["dotrelay"]["figures"]["worker_kib"] > 0
    assert any("floor" in goal["goal"] and goal["measured"] > 0 for goal in figures["goals"]), figures["goals"]
    assert "CPU us a query" in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["figures.json"], "nothing else is left behind"
