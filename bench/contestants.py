"""The subjects of a run: dotrelay, the floor and the peers that are installed, each on the core for subjects."""
import contextlib
import select
import subprocess
import sys

from place import build
from support.certificates import SERVER_NAME
from support.peers import PEERS
from support.ports import free_port
from support.processes import die_with_parent
from support.relay import process_state
from support.subjects import Dotrelay, Subject
from workloads import BESIDE, FLOOR, OWN, TWO_WORKERS

MANY_CLIENTS = 10000
START_SECONDS = 10


class Floor(Subject):
    """The least that a relay can cost: bench/floor."""

    name, how, running = FLOOR, "the same system calls and TLS records, and no DNS logic", None

    def __init__(self, folder, certificates, hosts, **_):
        self.certificates, self.host, self.port = certificates, hosts[0], free_port()
        self.address = f"127.0.0.1:{self.port}"

    @classmethod
    def version(cls):
        return Dotrelay.version()

    def start(self):
        command = [build() / "bench/floor/bench-floor", self.port, *self.host.address.split(":"), self.certificates.own_ca_file, SERVER_NAME]
        self.running = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
        if not select.select([self.running.stdout], [], [], START_SECONDS)[0] or self.running.stdout.readline() != "ready\n":
            raise RuntimeError("the floor does not start")

    def pids(self):
        return [self.running.pid]

    def stop(self, _):
        self.running.kill()
        self.running.wait()
        self.running.stdout.close()


class PatientDotrelay(Dotrelay):
    """With `many_clients` they may be idle for as long as the peers let theirs."""

    def __init__(self, folder, certificates, hosts, *, cores, tcp_clients):
        limits = {"limits": {"tcp_clients": tcp_clients, "tcp_idle": "180s"}} if tcp_clients else {}
        super().__init__(folder, certificates, hosts, cores=cores, program=self.program, **limits)


CLASSES = {OWN: PatientDotrelay, TWO_WORKERS: PatientDotrelay, FLOOR: Floor, **PEERS}


def add_beside(program):
    """Another build of dotrelay takes part: an older one, say."""
    CLASSES[BESIDE] = type("DotrelayBeside", (PatientDotrelay,), {"name": BESIDE, "program": program})


def kind(name):
    """dotrelay, floor, forwarder (it knows DNS), or relay (of octets)."""
    if name in (OWN, BESIDE, TWO_WORKERS):
        return OWN
    return "floor" if name == FLOOR else "forwarder" if "udp" in PEERS[name].transports else "relay"


def why_not(name):
    """Why a subject cannot be measured on this machine; None when it can."""
    return "not installed" if name in PEERS and not PEERS[name].path() else None


class Contestant:
    """A subject and its fate: started again when it has died; `broken` says why it cannot be measured any more."""

    def __init__(self, name, lab, many_clients=True):
        self.name, self.lab, self.broken, self.subject = name, lab, why_not(name), None
        self.transports = CLASSES[name].transports
        self.many_clients, self.starts = many_clients, 0

    def start(self):
        """Gives itself. A failure to start is noted, not raised."""
        if self.broken:
            return self
        self.starts += 1
        try:
            with self.lab.cores.on(self.lab.cores.subject):
                self.subject = CLASSES[self.name](self.lab.folder, self.lab.certificates, [self.lab.upstream],
                                                  cores=2 if self.name == TWO_WORKERS else 1,
                                                  tcp_clients=MANY_CLIENTS if self.many_clients else None)
                self.subject.start()
        except Exception as error:   # pylint: disable=broad-except
            print(f"{self.name} does not start: {error}", file=sys.stderr, flush=True)
            self.broken = "does not start"
            self.stop()
        return self

    @property
    def alive(self):
        with contextlib.suppress(OSError):
            return self.subject is not None and all(process_state(pid) not in (None, "Z", "X") for pid in self.subject.pids())
        return False

    def revive(self):
        """Starts a subject that has died once more, up to three times in all."""
        if self.broken or self.alive:
            return
        self.stop()
        if self.starts < 3:
            self.start()
        else:
            self.broken = "dies again and again"

    def stop(self):
        subject, self.subject = self.subject, None
        if subject:
            with contextlib.suppress(Exception):
                subject.stop(False)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()
