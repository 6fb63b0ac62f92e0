"""What is measured: dotrelay here, other forwarders in peers.py. Each has an address, processes and a log."""
import subprocess

from . import clients
from .processes import cpu_seconds, descriptors, pss_kib
from .relay import Relay, binary, upstream_table


class Subject:
    """A forwarder in front of hosts: objects with ip, address, name and number. A subclass gives start(), stop(clean), pids() and log.

    `how` says in a clause how it is configured; `transports` are those over which clients may ask.
    """

    name, how, transports = "", "", ("udp", "tcp")
    address = "127.0.0.1:12555"

    @classmethod
    def version(cls):
        raise NotImplementedError

    def pids(self):
        raise NotImplementedError

    def cause(self, name):
        """The text of the first Extended DNS Error that comes with the answer to this name; None without one or an answer."""
        octets = clients.exchange(clients.make_query(name).to_wire(), int(self.address.rpartition(":")[2]))
        errors = clients.extended_errors(clients.parse(octets)) if octets else []
        return errors[0][1] if errors else None

    def cpu_seconds(self):
        return cpu_seconds(self.pids())

    def pss_kib(self):
        return pss_kib(self.pids())

    def descriptors(self):
        return descriptors(self.pids())


class Dotrelay(Subject):
    """The relay, a worker for each core. `relay` is the support.relay.Relay."""

    name = "dotrelay"
    program = None   # another than support.relay.binary()

    def __init__(self, folder, certificates, hosts, *, cores=2, listen=None, relay=None, **options):
        upstreams = [upstream_table(host.address, certificates, host.name) for host in hosts]
        self.relay = Relay(folder, upstreams, listen={"workers": cores} | (listen or {}), relay={"deadline": "4s"} | (relay or {}),
                           start=False, **options)
        self.address = f"127.0.0.1:{self.relay.port}"
        self.how = "1 worker" if cores == 1 else f"{cores} workers"

    @classmethod
    def version(cls):
        return subprocess.run([cls.program or binary(), "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]

    @property
    def log(self):
        return self.relay.log

    def start(self):
        self.relay.start()

    def pids(self):
        return [self.relay.supervisor, *self.relay.workers()]

    def stop(self, clean):
        if clean and self.relay.process:
            self.relay.stop()
        else:
            self.relay.kill()
