"""Runs the relay's binary for a test: writes its configuration, waits until it serves, reads its log, checks how it ends."""
import functools
import json
import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

from . import clients
from .event_loop import wait_until
from .ports import free_port

PROJECT = Path(__file__).resolve().parents[2]
SANITIZER_REPORT = re.compile(r"ERROR: \w+Sanitizer|runtime error:|SUMMARY: \w+Sanitizer")
SIGNS_OF_A_CRASH = re.compile(r"Assertion .* failed|terminate called|core dumped")


def binary():
    """The relay to test: $DOTRELAY_BINARY, else the test build, else the optimised one."""
    named = os.environ.get("DOTRELAY_BINARY")
    candidates = [Path(named).resolve()] if named else [PROJECT / "build/test/src/dotrelay", PROJECT / "build/dotrelay"]
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise FileNotFoundError(f"no relay binary: looked for {', '.join(map(str, candidates))}; build it or set DOTRELAY_BINARY")


def upstream_table(upstream, certificates=None, name="one", tls_name="upstream.test", **keys):
    """The [[upstream]] table for a DotUpstream (or several: its addresses), trusting the test CA unless told otherwise."""
    servers = upstream if isinstance(upstream, (list, tuple)) else [upstream]
    table = {"name": name, "addresses": [getattr(server, "address", server) for server in servers], "tls_name": tls_name}
    if certificates is not None:
        table["ca_file"] = str(certificates.ca_file)
    return table | keys


def toml(tables):
    """TOML of {table: {key: value}}; a list of dictionaries becomes an array of tables. JSON's strings and lists are valid TOML."""
    lines = []
    for table, content in tables.items():
        for part in content if isinstance(content, list) else [content]:
            lines.append(f"[[{table}]]" if isinstance(content, list) else f"[{table}]")
            lines += [f"{key} = {json.dumps(value)}" for key, value in part.items()]
    return "\n".join(lines) + "\n"


def process_state(pid):
    """The state letter of /proc/PID/stat, or None when the process is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def alive(pid):
    return process_state(pid) not in (None, "Z", "X")


@functools.cache
def knows_table(program, table):
    """False for a program of an earlier version, as a benchmark runs one beside the new one."""
    defaults = subprocess.run([program, "--print-defaults"], capture_output=True, text=True, check=True).stdout
    return f"[{table}]" in defaults.splitlines()


class Relay:
    """One running relay. Tables given as keyword arguments (listen, relay, cache, limits, log) are merged into a small default, which
    has no cache: most tests count what goes upstream. `zones` and `local` are lists of [[zone]] and of [[local_upstream]] tables."""

    def __init__(self, folder, upstreams, *, listen=None, relay=None, cache=None, limits=None, log=None, zones=(), local=(), port=None,
                 prefix=(), start=True, arguments=(), program=None):
        self.port = port or free_port()
        self.folder = Path(folder)
        self.tables = {
            "listen": {"addresses": [f"127.0.0.1:{self.port}"], "workers": 1} | (listen or {}),
            "upstream": [upstreams] if isinstance(upstreams, dict) else list(upstreams),
            "relay": {"deadline": "2s"} | (relay or {}),
        }
        if cache or knows_table(program or binary(), "cache"):
            self.tables["cache"] = {"size": "0"} | (cache or {})
        if limits:
            self.tables["limits"] = limits
        if log:
            self.tables["log"] = log
        if zones:
            self.tables["zone"] = list(zones)
        if local:
            self.tables["local_upstream"] = list(local)
        self.config_file = self.folder / f"relay-{self.port}.toml"
        self.prefix, self.lines, self.process, self.reader = list(prefix), [], None, None
        self.arguments, self.program = list(arguments), program
        if start:
            self.start()

    def start(self, wait=True):
        self.config_file.write_text(toml(self.tables))
        environment = dict(os.environ)
        environment.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0")
        environment.setdefault("UBSAN_OPTIONS", "print_stacktrace=1:halt_on_error=1")
        command = [*self.prefix, str(self.program or binary()), "--config", str(self.config_file), *self.arguments]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, env=environment)
        self.reader = threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True)
        self.reader.start()
        if wait:
            wait_until(lambda: self.has_logged(r"supervisor: ready: \d+ worker") or self.process.poll() is not None, 15,
                       "the relay says ready")
            assert self.process.poll() is None, f"the relay ended with {self.process.returncode}:\n{self.log}"
        return self

    def reload(self, timeout=10, **tables):
        """Changes keys of the configuration, sends SIGHUP, and waits until the new workers serve."""
        for table, keys in tables.items():
            self.tables[table] = self.tables.get(table, {}) | keys if isinstance(keys, dict) else keys
        self.config_file.write_text(toml(self.tables))
        before = self.count_logged(r"supervisor: reloaded ")
        os.kill(self.supervisor, signal.SIGHUP)
        wait_until(lambda: self.count_logged(r"supervisor: reloaded ") > before, timeout, lambda: f"a reload:\n{self.log}")

    def _read_log(self, stream):
        for line in stream:
            self.lines.append(line.rstrip("\n"))

    @property
    def log(self):
        return "\n".join(self.lines)

    def has_logged(self, pattern):
        return any(re.search(pattern, line) for line in list(self.lines))

    def count_logged(self, pattern):
        return sum(re.search(pattern, line) is not None for line in list(self.lines))

    @property
    def supervisor(self):
        """The supervisor's PID, also when a prefix command such as unshare runs it as a child."""
        return self._children(self.process.pid)[0] if self.prefix else self.process.pid

    @staticmethod
    def _children(pid):
        try:
            return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except (FileNotFoundError, ProcessLookupError):
            return []

    def workers(self):
        """PIDs of the living workers."""
        def is_worker(pid):
            try:
                return b"--worker=" in Path(f"/proc/{pid}/cmdline").read_bytes() and alive(pid)
            except (FileNotFoundError, ProcessLookupError):
                return False
        return [pid for pid in self._children(self.supervisor) if is_worker(pid)]

    def ask(self, name, rrtype="A", transport="udp", **query):
        return clients.ask(self.port, name, rrtype, transport, **query)

    def resident_kib(self):
        """VmRSS of the supervisor and its workers together."""
        total = 0
        for pid in [self.supervisor, *self.workers()]:
            found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
            total += int(found.group(1)) if found else 0
        return total

    def cpu_seconds(self):
        ticks = 0
        for pid in [self.supervisor, *self.workers()]:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def wait(self, timeout=10):
        """Waits for the end of the process and of its log; gives the exit status."""
        status = self.process.wait(timeout)
        self.reader.join(5)
        return status

    def assert_clean_log(self):
        report = SANITIZER_REPORT.search(self.log) or SIGNS_OF_A_CRASH.search(self.log)
        assert not report, f"the relay broke:\n{self.log}"

    def stop(self, timeout=10):
        """SIGTERM, and everything that must hold at the end: status 0, no worker left, no sanitizer report."""
        if self.process is None:
            return
        if self.process.poll() is not None:
            self.reader.join(5)
            self.assert_clean_log()
            raise AssertionError(f"the relay ended by itself with {self.process.returncode}:\n{self.log}")
        workers = self.workers()
        os.kill(self.supervisor, signal.SIGTERM)
        try:
            status = self.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the relay did not end within {timeout} s of SIGTERM:\n{self.log}") from None
        self.process = None
        self.assert_clean_log()
        assert status == 0, f"exit status {status} after SIGTERM:\n{self.log}"
        assert not [pid for pid in workers if alive(pid)], f"workers outlived the supervisor:\n{self.log}"

    def kill(self):
        """For tests that break the relay on purpose: ends what is left of it."""
        if self.process is None:
            return
        workers = self.workers()
        self.process.kill()
        self.process.wait()
        end = time.monotonic() + 5
        while any(alive(pid) for pid in workers) and time.monotonic() < end:
            time.sleep(0.01)
        for pid in workers:
            if alive(pid):
                os.kill(pid, signal.SIGKILL)
        self.reader.join(5)
        self.process = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            print(f"--- log of the relay on port {self.port}\n{self.log}")
            self.kill()


def run_binary(*arguments, timeout=10):
    """Runs the binary to its end with the given arguments."""
    return subprocess.run([str(binary()), *map(str, arguments)], capture_output=True, text=True, timeout=timeout)
