"""Runs a test's body in a network namespace of its own, where packet filters may be set without touching the host."""
import ctypes
import os
import queue
import subprocess
import threading

CLONE_NEWNET = 0x40000000


def run_in_network_namespace(function):
    """Calls `function` on a thread in a fresh namespace with loopback up; sockets, processes and threads made there stay there.

    An exception is raised again here. The namespace goes with its last process and socket.
    """
    result = {}

    def body():
        try:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "unshare of the network namespace")
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            result["value"] = function()
        except BaseException as error:   # pylint: disable=broad-except
            result["error"] = error

    thread = threading.Thread(target=body, name="network-namespace")
    thread.start()
    thread.join()
    if "error" in result:
        raise result["error"]
    return result.get("value")


class NeighbourNamespace:
    """Another machine: a namespace joined to the current thread's by a pair of links, `near` here and `far` there."""

    def __init__(self, near="near", far="far"):
        self._tasks = queue.Queue()
        ready = threading.Event()
        self._failure = None

        def body():
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
                self._failure = OSError(ctypes.get_errno(), "unshare of the network namespace")
            self._id = threading.get_native_id()
            ready.set()
            while (task := self._tasks.get()) is not None:
                function, done, result = task
                try:
                    result["value"] = function()
                except BaseException as error:   # pylint: disable=broad-except
                    result["error"] = error
                done.set()

        self._thread = threading.Thread(target=body, name="neighbour-namespace")
        self._thread.start()
        ready.wait()
        if self._failure:
            self.__exit__()
            raise self._failure
        subprocess.run(["ip", "link", "add", near, "type", "veth", "peer", "name", far], check=True)
        subprocess.run(["ip", "link", "set", far, "netns", str(self._id)], check=True)
        subprocess.run(["ip", "link", "set", near, "up"], check=True)
        self.run(lambda: subprocess.run(["ip", "link", "set", far, "up"], check=True))

    def run(self, function):
        """Calls `function` over there."""
        done, result = threading.Event(), {}
        self._tasks.put((function, done, result))
        done.wait()
        if "error" in result:
            raise result["error"]
        return result.get("value")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._tasks.put(None)
        self._thread.join()


def can_make_namespaces(kind="--net"):
    """`kind` as `unshare` names it. There are none of "--mount" where the root is no mount point, as in a plain chroot."""
    return os.geteuid() == 0 and subprocess.run(["unshare", kind, "true"], capture_output=True).returncode == 0


def firewall(*rule):
    """One iptables rule in the current thread's namespace."""
    subprocess.run(["iptables", "-w", *rule], check=True, capture_output=True)
