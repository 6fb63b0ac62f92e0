"""How programs of a measurement run: ended with this one, before other work of the machine, from the right build folder."""
import ctypes
import os
import re
import signal
import subprocess
import time
from pathlib import Path

from .relay import PROJECT, binary

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1
CPUCLOCK_SCHED = 2


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def come_first(priority=1):
    """This process runs before other work of the machine, which is not what is measured."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(priority))
    except OSError:
        os.setpriority(os.PRIO_PROCESS, 0, -10 * priority)


def measure():
    """For upstreams and clients: they also run before the forwarder, which may take all that it can get."""
    die_with_parent()
    come_first(2)


def program(name, folder="tests/faults"):
    """A compiled program of this folder: of the build that the relay is from, else of build/faults or build/test."""
    builds = [binary().parents[1], PROJECT / "build/faults", PROJECT / "build/test"]
    for build in builds:
        if (build / folder / name).is_file():
            return build / folder / name
    raise FileNotFoundError(f"{name} is not built; ./dev faults does it")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout


def children(pid):
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


def cpu_seconds(pids):
    """User and system time of the processes, in nanoseconds' steps, also of their threads that have ended (stunnel has one a client)."""
    return sum(time.clock_gettime((~pid << 3) | CPUCLOCK_SCHED) for pid in pids)


def pss_kib(pids):
    """Proportional set size of the processes together: a shared page counts once over all that share it."""
    return sum(int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1)) for pid in pids)


def descriptors(pids):
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)
