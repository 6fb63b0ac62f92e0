"""What a scenario is played to: dotrelay here, other forwarders in peers.py. Each has an address, processes and a log."""
import re
from pathlib import Path

from support import clients
from support.relay import Relay, upstream_table


def cpu_seconds(pids):
    """User and system time of the processes, from the scheduler's nanoseconds: /proc/PID/stat counts in hundredths of a second."""
    return sum(int(task.read_text().split()[0]) for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def pss_kib(pids):
    """Proportional set size of the processes together: a shared page counts once over all who share it."""
    return sum(int(re.search(r"^Pss:\s+(\d+)", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.M).group(1)) for pid in pids)


def descriptors(pids):
    return sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in pids)


class Subject:
    """A forwarder in front of the lab's hosts. A subclass gives start(), stop(), pids() and log."""

    name, version = "", ""
    address = "127.0.0.1:12555"

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
    """The relay with two workers, for the machine of the measurement has two cores. `relay` is the support.relay.Relay."""

    name = "dotrelay"

    def __init__(self, folder, certificates, hosts, *, listen=None, relay=None, **options):
        upstreams = [upstream_table(host.address, certificates, host.name) for host in hosts]
        self.relay = Relay(folder, upstreams, listen={"workers": 2} | (listen or {}), relay={"deadline": "4s"} | (relay or {}),
                           start=False, **options)
        self.address = f"127.0.0.1:{self.relay.port}"

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
