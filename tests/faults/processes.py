"""How the lab starts processes: ended with this one, before other work of the machine, from the right build folder."""
import ctypes
import os
import signal
import subprocess

from support.relay import PROJECT, binary

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


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


def program(name):
    """One of the two compiled programs: of the build that the relay is from, else of build/faults or build/test."""
    folders = [binary().parents[1], PROJECT / "build/faults", PROJECT / "build/test"]
    for folder in folders:
        if (folder / "tests/faults" / name).is_file():
            return folder / "tests/faults" / name
    raise FileNotFoundError(f"{name} is not built; ./dev faults does it")


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip()}")
    return done.stdout
