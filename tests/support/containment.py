"""A tool that measures in process and network namespaces of its own, whose end is the end of all that runs in them."""
import os
import signal
import subprocess
import sys
from pathlib import Path

from .processes import die_with_parent

INSIDE = "DOTRELAY_CONTAINED"


def contain(script):
    """Outside, runs the script again in namespaces of its own and exits with its status; inside, SIGINT and SIGTERM become
    KeyboardInterrupt, so that what was made goes.

    The root's propagation stays: that of a chroot cannot be changed, and of what is mounted only /proc matters (it becomes private).
    """
    if os.environ.get(INSIDE) == script:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _interrupted)
        return
    command = ["unshare", "--net", "--pid", "--fork", "--kill-child", "--propagation", "unchanged", "--mount-proc",
               sys.executable, "-B", script, *sys.argv[1:]]
    child = subprocess.Popen(command, env={**os.environ, INSIDE: script}, preexec_fn=die_with_parent)

    def pass_on(number, _):
        inner = Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()
        for pid in inner or [child.pid]:
            os.kill(int(pid), number)

    signal.signal(signal.SIGINT, signal.SIG_IGN)   # a terminal sends it to both
    signal.signal(signal.SIGTERM, pass_on)
    sys.exit(child.wait())


def _interrupted(*_):
    raise KeyboardInterrupt
