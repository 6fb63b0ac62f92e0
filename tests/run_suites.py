#!/usr/bin/env python3
"""Runs the suites of a finished build and adds up their results; `./dev test` and `./dev asan` are its callers.

Six suites: unit (doctest executables), lint (checks of the sources), simulation (seeded lives in virtual time), fuzz (libFuzzer targets, a few seconds each),
manifests (type checks) and integration (pytest against the built binary). A passing test prints next to nothing, a
failing one everything it wrote. The last line is `N passed, N failed` over all of them; the exit status is 0 only if
nothing failed and every suite that was asked for ran something.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SUITES = ("lint", "unit", "simulation", "manifests", "fuzz", "integration")
# Debian's interpreter has the test libraries; one that comes first on the PATH may not.
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
CLANG_FORMAT_MAJOR = 14
DEFAULT_FUZZ_SECONDS = 5
SIMULATED_LIVES = 20000
SANITISED_LIVES = 500
SHORT_LIMIT_SECONDS = 120
INTEGRATION_LIMIT_SECONDS = 480
ONE_TEST_LIMIT_SECONDS = 60
PATIENCE_SECONDS = 2


@dataclass
class Count:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Count(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    def text(self):
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.passed} passed, {self.failed} failed{skipped}"


@dataclass
class Outcome:
    """What a finished command left: its exit status (None: it was stopped for taking too long) and its output."""

    status: int | None
    output: str

    @property
    def ok(self):
        return self.status == 0


def say(text):
    print(text, flush=True)


def left_running(session):
    """The processes of a session that are still there; each suite has a session of its own."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session and fields[0] not in "ZX":
                found.append((int(entry.name), (entry / "comm").read_text().strip()))
        except (OSError, IndexError, ValueError):
            continue  # it ended while we looked
    return found


def run(command, limit_seconds, environment=None, show=False, directory=ROOT):
    """Runs a command in a session of its own, so that nothing it starts outlives it unnoticed."""
    process = subprocess.Popen(
        [str(part) for part in command],
        cwd=directory,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=None if show else subprocess.PIPE,
        stderr=None if show else subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=limit_seconds)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        output = (output or "") + f"\nstopped: it took longer than {limit_seconds} s\n"
        status = None
    output = output or ""
    # A helper whose pipe has just been closed (a sanitizer's symbolizer, say) may need a moment to notice.
    patience = time.monotonic() + PATIENCE_SECONDS
    while left_running(process.pid) and time.monotonic() < patience:
        time.sleep(0.05)
    for pid, name in left_running(process.pid):
        output += f"\nleft running and stopped: process {pid} ({name})\n"
        status = status or 1
        os.kill(pid, signal.SIGKILL)
    return Outcome(status, output)


def counted(output):
    """Reads the last `N passed, N failed` of a check's output; None if it has none."""
    found = re.findall(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", output, re.MULTILINE)
    return Count(*(int(number or 0) for number in found[-1])) if found else None


def judged(name, outcome, count, started):
    """Reports one command's result. A command that failed without naming a failed case counts as one."""
    count = count or Count(passed=1 if outcome.ok else 0)
    if not outcome.ok and count.failed == 0:
        count.failed = 1
    say(f"  {name:<24} {count.text()}  ({time.monotonic() - started:.1f} s)")
    if not outcome.ok:
        say(outcome.output.rstrip())
        say(f"  {name}: exit status {outcome.status}")
    return count


def introspect(build, what):
    text = subprocess.run(["meson", "introspect", f"--{what}", str(build)], check=True, capture_output=True, text=True)
    return json.loads(text.stdout)


def sanitizer_environment(build):
    """Reports of a sanitizer go to files: no process reads the workers' standard error."""
    reports = build / "reports"
    shutil.rmtree(reports, ignore_errors=True)
    reports.mkdir()
    common = f"log_path={reports}/report:abort_on_error=1"
    return {
        # A small quarantine, because there are tests that bound the relay's memory.
        "ASAN_OPTIONS": f"{common}:detect_leaks=1:quarantine_size_mb=8",
        "UBSAN_OPTIONS": f"{common}:halt_on_error=1:print_stacktrace=1",
    }


def sanitizer_reports(build):
    count = Count()
    for report in sorted((build / "reports").glob("report*")):
        say(f"--- {report}")
        say(report.read_text(errors="replace"))
        count.failed += 1
    return count


def fixed_addresses():
    """Sanitizer runtimes of 2022 crash at start where the kernel spreads addresses over more than 28 bits."""
    try:
        bits = int(Path("/proc/sys/vm/mmap_rnd_bits").read_text())
    except (OSError, ValueError):
        return []
    prefix = ["setarch", "-R"]
    if bits > 28 and subprocess.run([*prefix, "true"], capture_output=True).returncode == 0:
        return prefix
    return []


def run_unit(options):
    total = Count()
    environment = sanitizer_environment(options.build)
    for test in introspect(options.build, "tests"):
        if not any(suite.split(":")[-1] == "unit" for suite in test["suite"]):
            continue
        started = time.monotonic()
        outcome = run([*fixed_addresses(), *test["cmd"]], SHORT_LIMIT_SECONDS, {**environment, **test["env"]},
                      directory=test["workdir"] or ROOT)
        cases = re.search(r"test cases:\s*\d+\s*\|\s*(\d+) passed\s*\|\s*(\d+) failed", outcome.output)
        count = Count(int(cases[1]), int(cases[2])) if cases else None
        total += judged(test["name"], outcome, count, started)
    return total + sanitizer_reports(options.build)


def run_simulation(options):
    """All lives together are one test: the first that goes wrong ends the run and tells its seed."""
    binary = options.build / "tests" / "simulation" / "simulation"
    environment = sanitizer_environment(options.build)
    lives = SANITISED_LIVES if "asan" in options.build.name else SIMULATED_LIVES
    total = Count()
    for name, arguments in (("self-test", ["--self-test"]), (f"{lives} lives", [str(lives), "1"])):
        started = time.monotonic()
        outcome = run([*fixed_addresses(), binary, *arguments], SHORT_LIMIT_SECONDS, environment)
        total += judged(name, outcome, counted(outcome.output), started)
        if outcome.ok and arguments[0] != "--self-test":
            say(f"  {outcome.output.strip()}")
    return total + sanitizer_reports(options.build)


def shell_scripts():
    for folder in (".ci", "packaging", "container", "tests"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and re.match(rb"#!.*\b(ba)?sh\b", path.open("rb").readline()):
                yield path.relative_to(ROOT)
    yield Path("dev")


def run_lint(options):
    total = Count()
    checks = [(script.stem, [PYTHON, script, "--self-test", ROOT]) for script in sorted((ROOT / "tests/lint").glob("*.py"))]
    checks.append(("shellcheck", ["shellcheck", "--external-sources", *shell_scripts()]))
    sources = [path for folder in ("src", "tests", "bench") for path in sorted((ROOT / folder).rglob("*.[ch]pp"))]
    version = subprocess.run(["clang-format", "--version"], capture_output=True, text=True).stdout
    if re.search(rf"version {CLANG_FORMAT_MAJOR}\.", version):
        checks.append(("format", ["clang-format", "--dry-run", "-Werror", *sources]))
    else:
        # Other versions lay out some lines differently, and would blame sources that are right.
        say(f"  format: skipped, clang-format {CLANG_FORMAT_MAJOR} is needed")
    for name, command in checks:
        started = time.monotonic()
        outcome = run(command, SHORT_LIMIT_SECONDS)
        if name == "format":
            # One line a file instead of three for each space.
            files = dict.fromkeys(line.split(":")[0] for line in outcome.output.splitlines() if " error: " in line)
            outcome.output = "\n".join(["./dev format would change:", *files]) if files else outcome.output
        total += judged(name, outcome, counted(outcome.output), started)
    return total


def run_manifests(options):
    started = time.monotonic()
    outcome = run([ROOT / "tests/manifests/run", options.binary], SHORT_LIMIT_SECONDS)
    for line in outcome.output.splitlines():
        if line.startswith("skipped"):
            say(f"  {line}")
    return judged("manifests", outcome, counted(outcome.output), started)


def fuzz_targets(build):
    folder = str(ROOT / "tests" / "fuzz")
    return {
        target["name"]: Path(target["filename"][0])
        for target in introspect(build, "targets")
        if target["type"] == "executable" and target["defined_in"].startswith(folder)
    }


def run_fuzz(options):
    """Two targets at a time; what a target found stays in its corpus folder, so every run starts where the last ended."""
    targets = fuzz_targets(options.fuzz)
    if options.fuzz_target:
        if options.fuzz_target not in targets:
            say(f"there is no fuzz target '{options.fuzz_target}'; there are: {', '.join(sorted(targets))}")
            return Count(failed=1)
        targets = {options.fuzz_target: targets[options.fuzz_target]}
    artifacts = options.fuzz / "artifacts"
    artifacts.mkdir(exist_ok=True)

    def one(name):
        corpus = options.fuzz / "corpus" / name
        corpus.mkdir(parents=True, exist_ok=True)
        seeds = ROOT / "tests" / "fuzz" / "corpus" / name
        started = time.monotonic()
        outcome = run(
            [*fixed_addresses(), targets[name], f"-max_total_time={options.fuzz_seconds}", "-timeout=10",
             f"-artifact_prefix={artifacts}/{name}-", corpus, *([seeds] if seeds.is_dir() else [])],
            options.fuzz_seconds + SHORT_LIMIT_SECONDS, show=bool(options.fuzz_target))
        return name, outcome, started

    total = Count()
    with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
        for name, outcome, started in pool.map(one, sorted(targets)):
            runs = re.findall(r"Done (\d+) runs", outcome.output)
            total += judged(f"{name} ({runs[-1]} runs)" if runs else name, outcome, None, started)
    return total


def run_integration(options):
    """pytest prints its own progress and failures; the figures come from its report, not from its prose."""
    report = options.build / "pytest.xml"
    report.unlink(missing_ok=True)
    environment = sanitizer_environment(options.build)
    environment["DOTRELAY_BINARY"] = str(options.binary)
    outcome = run(
        [*fixed_addresses(), PYTHON, "-B", "-m", "pytest", "-p", "no:cacheprovider", "-q", "-ra", "--durations=5",
         f"--timeout={ONE_TEST_LIMIT_SECONDS}", f"--junitxml={report}", "tests/integration"],
        INTEGRATION_LIMIT_SECONDS * (2 if "asan" in options.build.name else 1), environment, show=True)
    if outcome.output:
        say(outcome.output.strip())
    count = Count()
    if report.exists():
        for suite in xml.etree.ElementTree.parse(report).getroot().iter("testsuite"):
            bad = int(suite.get("failures")) + int(suite.get("errors"))
            skipped = int(suite.get("skipped"))
            count += Count(max(0, int(suite.get("tests")) - bad - skipped), bad, skipped)
    if not outcome.ok and count.failed == 0:
        say(f"  pytest: exit status {outcome.status}")
        count.failed = 1
    return count + sanitizer_reports(options.build)


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, help="build folder with the unit tests and the binary")
    parser.add_argument("--fuzz", type=Path, help="build folder with the fuzz targets")
    parser.add_argument("--binary", type=Path, help="the binary for the integration tests (default: that of --build)")
    parser.add_argument("--suites", default=",".join(SUITES), help="which to run, separated by commas")
    parser.add_argument("--fuzz-target", help="only this one, with its output shown")
    parser.add_argument("--fuzz-seconds", type=int, default=DEFAULT_FUZZ_SECONDS)
    parser.add_argument("--list-fuzz-targets", type=Path, metavar="BUILD", help="print ninja's names of them and end")
    options = parser.parse_args()
    for name in ("build", "fuzz", "binary", "list_fuzz_targets"):
        if getattr(options, name):
            setattr(options, name, getattr(options, name).resolve())
    if options.build and not options.binary:
        options.binary = options.build / "src" / "dotrelay"
    return options


def main():
    options = parse_options()
    if options.list_fuzz_targets:
        for path in fuzz_targets(options.list_fuzz_targets).values():
            print(path.relative_to(options.list_fuzz_targets))
        return 0
    runners = {"lint": run_lint, "unit": run_unit, "simulation": run_simulation, "manifests": run_manifests,
               "fuzz": run_fuzz, "integration": run_integration}
    total = Count()
    for name in options.suites.split(","):
        say(f"{name}:")
        started = time.monotonic()
        count = runners[name](options)
        if count.passed + count.failed == 0:
            say(f"  {name}: nothing ran")
            count.failed = 1
        say(f"{name}: {count.text()} in {time.monotonic() - started:.0f} s")
        total += count
    if total.skipped:
        say(f"{total.skipped} skipped")
    say(f"{total.passed} passed, {total.failed} failed")
    return 0 if total.failed == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
