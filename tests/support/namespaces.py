"""Runs a test's body in a network namespace of its own, where packet filters may be set without touching the host."""
import ctypes
import os
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


def can_make_namespaces():
    return os.geteuid() == 0 and subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0


def firewall(*rule):
    """One iptables rule in the current thread's namespace."""
    subprocess.run(["iptables", "-w", *rule], check=True, capture_output=True)
