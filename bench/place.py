"""Where `./dev bench` measures: cores, network, the upstream, what it trusts, and the compiled programs."""
import contextlib
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(PROJECT / "tests"))

from support.certificates import SERVER_NAME, Authority  # noqa: E402
from support.processes import die_with_parent, run  # noqa: E402
from support.relay import binary  # noqa: E402

UPSTREAM_IP = "10.77.1.2"
SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")
# Of clients: above the ports that servers get, and enough of them for connections that are remembered after their end.
CLIENT_PORTS = "30000 65535"


def build():
    """The build folder with -Dbench=true: the relay's own if it is one, else that of ./dev bench."""
    for folder in (binary().parents[1], PROJECT / "build/bench"):
        if (folder / "bench/load/bench-load").is_file():
            return folder
    raise FileNotFoundError("bench-load is not built; ./dev bench does it")


class Cores:
    """One core for the subject, others for what is measured with: as many as there are, up to three."""

    def __init__(self):
        cores = sorted(os.sched_getaffinity(0))
        self.subject = cores[0]
        self.upstream = cores[min(1, len(cores) - 1)]
        self.load = cores[min(2, len(cores) - 1)]

    @contextlib.contextmanager
    def on(self, core):
        """Processes that are started meanwhile run on this core."""
        os.sched_setaffinity(0, {core})
        try:
            yield
        finally:
            # Threads that were started meanwhile (readers of logs) are this process's and not the subject's.
            for task in os.listdir("/proc/self/task"):
                with contextlib.suppress(ProcessLookupError):
                    os.sched_setaffinity(int(task), {self.load})


def prepare_network():
    """In a fresh namespace: loopback with the upstream's address."""
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{UPSTREAM_IP}/32", "dev", "lo")
    with contextlib.suppress(OSError):
        Path("/proc/sys/net/ipv4/ip_local_port_range").write_text(CLIENT_PORTS)


class Certificates:
    """The upstream's certificate, and in `ca_file` the bundle that subjects trust: the system's with the CA of the upstream.

    The size of the bundle is part of what a forwarder needs of memory. The floor takes no certificate that it cannot parse, so it gets
    `own_ca_file` alone. The name is also the CN, for smartdns.
    """

    def __init__(self, folder):
        authority = Authority(folder, "bench-ca")
        self.good = authority.issue(SERVER_NAME)
        system = next((Path(path) for path in SYSTEM_BUNDLES if Path(path).is_file()), None)
        self.own_ca_file = authority.certificate_file
        self.ca_file = folder / "bundle.pem"
        self.ca_file.write_bytes((system.read_bytes() + b"\n" if system else b"") + self.own_ca_file.read_bytes())


class Upstream:
    """A DoT server that answers at once. What a Subject is in front of."""

    number, name = 1, "upstream"

    def __init__(self, certificates, ip=UPSTREAM_IP, port=853):
        self.ip, self.address = ip, f"{ip}:{port}"
        command = [build() / "tests/faults/faults-upstream", ip, port, certificates.good.chain_file, certificates.good.key_file, "0", "0"]
        self.process = subprocess.Popen([str(part) for part in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                        preexec_fn=die_with_parent)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the upstream does not start")

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


def machine():
    """What the figures come from, in general words."""
    found = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    return {"cpu": found.group(1) if found else platform.machine(), "cores": os.cpu_count(),
            "system": f"Linux {'.'.join(platform.release().split('.')[:2])} ({platform.machine()})"}
