"""Free ports below the kernel's range for outgoing connections, so that no socket takes one between the choice and its use."""
import errno
import itertools
import os
import socket

_candidates = itertools.count(10000 + os.getpid() * 61 % 18000)


def is_free(port):
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(family, kind) as probe:
                if kind == socket.SOCK_STREAM:
                    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind((host, port))
                except OSError as error:
                    if error.errno != errno.EADDRNOTAVAIL:   # a host without IPv6
                        return False
    return True


def free_port():
    """A port that is free for UDP and TCP on both loopback addresses and was not given out before by this process."""
    for candidate in itertools.islice(_candidates, 20000):
        port = 10000 + candidate % 20000
        if port != 12555 and is_free(port):
            return port
    raise RuntimeError("no free port from 10000 to 29999")
