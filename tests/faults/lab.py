"""The lab of `./dev faults`: a forwarder and its clients in one network namespace, each upstream host in a namespace of its own.

A host is joined to the forwarder's namespace by a veth pair (10.77.N.1 here, 10.77.N.2 there), so that a fault is made where it
happens in life: on the host's side of the cable, by packet filters, or by what is done to its process. README.md in this folder
says how a scenario uses it. Everything ends with the lab; whatever it started also ends with this process (PR_SET_PDEATHSIG).
"""
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support.certificates import SERVER_NAME, Authority  # noqa: E402
from support.namespaces import CLONE_NEWNET  # noqa: E402
from support.processes import LIBC, die_with_parent, measure, program, run  # noqa: E402

from results import Answers  # noqa: E402

PORT = 853


class Certificates:
    """What the lab's hosts show: the CA in `ca_file`, and one certificate for all of them, with its name also as CN (smartdns)."""

    def __init__(self, folder):
        self.authority = Authority(Path(folder), "lab-ca")
        self.ca_file = self.authority.certificate_file
        self.good = self.authority.issue(SERVER_NAME)


class Host:
    """An upstream: a namespace, a cable, and the DoT server in it."""

    def __init__(self, number, certificates, delay_ms=5):
        self.number, self.certificates = number, certificates
        self.name = f"upstream-{number}"
        self.near, self.ip, self.cable = f"10.77.{number}.1", f"10.77.{number}.2", f"far{number}"
        self.address = f"{self.ip}:{PORT}"
        self.delay_ms, self.idle_ms, self.process = delay_ms, 0, None
        # The namespace lives as long as this process does.
        self.holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], preexec_fn=die_with_parent)
        self._lay_cable()

    def _lay_cable(self):
        own = os.readlink("/proc/self/ns/net")
        end = time.monotonic() + 5
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == own:
            assert time.monotonic() < end, "no namespace within 5 s"
            time.sleep(0.002)
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", "near", "netns", self.holder.pid)
        run("ip", "address", "add", f"{self.near}/24", "dev", self.cable)
        run("ip", "link", "set", self.cable, "up")
        for command in ("link set lo up", f"address add {self.ip}/24 dev near", "link set near up"):
            self.inside("ip", *command.split())

    def prefix(self):
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]

    def inside(self, *command):
        """Runs a command in the host's namespace to its end; gives its output."""
        return run(*self.prefix(), *command)

    # The server.

    def start(self):
        self.process = subprocess.Popen(
            [*self.prefix(), program("faults-upstream"), self.ip, str(PORT), self.certificates.good.chain_file,
             self.certificates.good.key_file, str(self.delay_ms), str(self.idle_ms)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, preexec_fn=measure)
        line = self.process.stdout.readline()
        assert line == "ready\n", f"{self.name} does not start: {line}"
        return self

    def command(self, text):
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def set_delay(self, milliseconds):
        """Answers that much later from now on, also after a restart."""
        self.delay_ms = milliseconds
        if self.process:
            self.command(f"delay {milliseconds}")

    def set_idle(self, milliseconds):
        """Closes connections that are idle for so long; 0 never does."""
        self.idle_ms = milliseconds
        if self.process:
            self.command(f"idle {milliseconds}")

    def set_reading(self, reads):
        """Whether it reads what its connections bring; handshakes go on in either case."""
        self.command(f"reading {int(reads)}")

    def stats(self):
        """Counters of the running process: accepted, handshakes, resumed, queries, open, late-us."""
        self.command("stats")
        words = self.process.stdout.readline().split()
        return {name: int(value) for name, value in zip(words[::2], words[1::2])}

    def kill(self):
        """kill -9: the kernel resets or closes its connections."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process.stdin.close()
            self.process.stdout.close()
            self.process = None

    # The network.

    def flows(self):
        """The forwarder's port numbers of the connections to this host that are established now."""
        listing = run("ss", "-Htn", "state", "established", "dst", self.address)
        return [int(port) for port in re.findall(rf"{re.escape(self.near)}:(\d+)\s", listing)]

    def filter(self, *rules):
        """Adds rules to this host's packet filter, all at the same moment."""
        text = "*filter\n" + "".join(f"{rule}\n" for rule in rules) + "COMMIT\n"
        subprocess.run([*self.prefix(), "iptables-restore", "--noflush", "--wait"], input=text, text=True, check=True)

    def silence_flows(self):
        """Loses every packet of the connections that exist, both ways; new ones pass. Gives their number."""
        ports = self.flows()
        self.filter(*[rule for port in ports for rule in (f"-A INPUT -p tcp --sport {port} -j DROP",
                                                          f"-A OUTPUT -p tcp --dport {port} -j DROP")])
        return len(ports)

    def go_dark(self):
        """Loses every packet."""
        self.filter("-I INPUT -j DROP", "-I OUTPUT -j DROP")

    def come_back(self):
        """Takes back go_dark()."""
        self.filter("-D INPUT -j DROP", "-D OUTPUT -j DROP")

    def lose(self, probability):
        """Loses packets by chance, each with this probability."""
        chance = f"-m statistic --mode random --probability {probability} -j DROP"
        self.filter(f"-A INPUT {chance}", f"-A OUTPUT {chance}")

    def mend(self):
        """No packet is lost any more."""
        self.filter("-F INPUT", "-F OUTPUT")

    def pull_cable(self):
        """The link goes down on the forwarder's side, and its route with it."""
        run("ip", "link", "set", self.cable, "down")

    def plug_cable(self):
        run("ip", "link", "set", self.cable, "up")

    def stop(self):
        self.kill()
        self.holder.kill()
        self.holder.wait()


class Load:
    """A running load generator. stop() ends the sending, waits for what is owed, and gives the Answers."""

    def __init__(self, address, *, rate=200, udp=64, tcp=0, tcp_share=None, gap=None, seconds=None, name="load",
                 short_lived=False):
        command = [program("faults-load"), "--server", address, "--udp", udp, "--tcp", tcp, "--name", name]
        command += ["--gap", f"{gap[0]}:{gap[1]}"] if gap else ["--rate", rate]
        command += ["--tcp-share", tcp_share] if tcp_share is not None else []
        command += ["--seconds", seconds] if seconds else []
        command += ["--short-lived", 1] if short_lived else []
        self.process = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True, preexec_fn=measure)
        self.started = int(self.process.stdout.readline().split()[1]) / 1e9
        self.answers = None

    def stop(self):
        if self.answers is None:
            self.process.send_signal(signal.SIGTERM)
            self.finish()
        return self.answers

    def finish(self):
        """Waits for the end of `seconds`; gives the Answers."""
        text, _ = self.process.communicate()
        self.answers = Answers.parse(text)
        return self.answers

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        elif self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Lab:
    """Two hosts and a forwarder. `forwarder` is a class or function (folder, certificates, hosts) -> support.subjects.Subject."""

    def __init__(self, folder, certificates, forwarder, quick=False):
        self.folder, self.certificates, self.make_forwarder, self.quick = Path(folder), certificates, forwarder, quick
        self.hosts, self.forwarder = [], None

    @property
    def own(self):
        """Whether dotrelay is played to, and not another forwarder."""
        return self.forwarder.name == "dotrelay"

    def pick(self, full, quick):
        """The figure of the issue, or the one of --quick."""
        return quick if self.quick else full

    def __enter__(self):
        # A fresh namespace for the forwarder and for every process that this thread starts from now on.
        if LIBC.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare of the network namespace")
        run("ip", "link", "set", "lo", "up")
        try:
            for number in (1, 2):
                self.hosts.append(Host(number, self.certificates))
        except BaseException:
            self.__exit__(RuntimeError)
            raise
        return self

    def __exit__(self, kind, *_):
        forwarder, hosts = self.forwarder, self.hosts
        self.forwarder, self.hosts = None, []
        try:
            if forwarder:
                forwarder.stop(kind is None)
        finally:
            for host in hosts:
                host.stop()

    @property
    def first(self):
        return self.hosts[0]

    @property
    def second(self):
        return self.hosts[1]

    def start(self, delay_ms=5, **options):
        """Starts both hosts and the forwarder; `options` are configuration tables of the relay, ignored by peers."""
        for host in self.hosts:
            host.set_delay(delay_ms)
            host.start()
        self.start_forwarder(**options)

    def start_forwarder(self, **options):
        self.forwarder = self.make_forwarder(self.folder, self.certificates, self.hosts, **options)
        self.forwarder.start()

    def load(self, **options):
        return Load(self.forwarder.address, **options)

    def warm_up(self, seconds=None, **options):
        """A load that has run for a while before the fault, so that connections are there and their times are known."""
        load = self.load(**options)
        time.sleep(seconds or self.pick(5, 1.5))
        return load

    def upstreams_late(self):
        """Seconds by which a running upstream was woken late, at most: what the machine did to it."""
        return max((host.stats().get("late-us", 0) / 1e6 for host in self.hosts if host.process), default=0)

    def handshakes(self):
        return sum(host.stats()["handshakes"] for host in self.hosts if host.process)
