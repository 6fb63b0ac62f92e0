"""Other forwarders from Debian in the relay's place, each configured as a fair operator would for two DoT upstreams.

That is: sessions kept open and pipelined where that can be had, the order of the upstreams where there is one, time-outs below those of
the clients, two threads or processes where they can share a port, no DNSSEC validation and no logging, for the relay does neither.
"""
import shutil
import signal
import subprocess
import time
from pathlib import Path

from lab import SERVER_NAME
from processes import die_with_parent
from results import Result, markdown_table
from subjects import Subject
from support import clients
from support.ports import free_port
from support.resolvers import unbound_process

START_SECONDS = 15


def children(pid):
    return [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in task.read_text().split()]


class Peer(Subject):
    """A forwarder of which `processes` copies run. A subclass has `program`, `how` for the table, `config`, and `command`."""

    program, how, suffix, processes = "", "", "conf", 1

    def __init__(self, folder, certificates, hosts, **_):
        self.folder = Path(folder) / f"{self.name}-{time.monotonic_ns()}"
        self.folder.mkdir()
        self.certificates, self.hosts, self.port, self.running = certificates, hosts, free_port(), []
        self.address = f"127.0.0.1:{self.port}"
        self.config_file, self.log_file = self.folder / f"{self.name}.{self.suffix}", self.folder / "log"

    @classmethod
    def path(cls):
        return shutil.which(cls.program, path="/usr/sbin:/usr/bin:/sbin:/bin")

    def config(self):
        raise NotImplementedError

    def command(self):
        return [self.path(), "-c", self.config_file]

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    def start(self):
        if not self.path():
            raise RuntimeError("not installed")
        self.config_file.write_text(self.config())
        with self.log_file.open("ab") as log:
            for _ in range(self.processes):
                self.running.append(subprocess.Popen([str(part) for part in self.command()], cwd=self.folder, stdin=subprocess.DEVNULL,
                                                     stdout=log, stderr=log, preexec_fn=die_with_parent))
        end, number = time.monotonic() + START_SECONDS, 0
        while not self._answers(f"start-{number}.example"):
            number += 1
            ended = [process.returncode for process in self.running if process.poll() is not None]
            if ended or time.monotonic() > end:
                raise RuntimeError(f"does not start: exit status {ended}: {self.log[-300:]}" if ended else "no answer after its start")

    def _answers(self, name):
        octets = clients.exchange(clients.raw_query(name), self.port, timeout=0.5)
        if octets is None or octets[3] & 15 != 0:
            time.sleep(0.1)
            return False
        return True

    def pids(self):
        own = [process.pid for process in self.running]
        return own + [child for pid in own for child in children(pid)]

    def stop(self, _):
        for process in self.running:
            process.send_signal(signal.SIGTERM)
        for process in self.running:
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running = []
        shutil.rmtree(self.folder, ignore_errors=True)


class Unbound(Peer):
    name, program, how = "unbound", "unbound", "2 threads, so-reuseport, infra-keep-probing, 100 TCP connections upstream"

    def config(self):
        servers = "".join(f"  forward-addr: {host.ip}@853#{SERVER_NAME}\n" for host in self.hosts)
        return f"""server:
  interface: 127.0.0.1@{self.port}
  do-ip6: no
  num-threads: 2
  so-reuseport: yes
  so-rcvbuf: 4m
  module-config: "iterator"
  tls-cert-bundle: "{self.certificates.ca_file}"
  outgoing-num-tcp: 100
  outgoing-range: 4096
  num-queries-per-thread: 4096
  infra-keep-probing: yes
{unbound_process(self.folder)}remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-tls-upstream: yes
{servers}"""

    def command(self):
        return [self.path(), "-d", "-c", self.config_file]


class Dnsdist(Peer):
    name, program, how = "dnsdist", "dnsdist", "firstAvailable, maxInFlight 1000, checks every second, 2 s to connect, 3 s to receive"

    def config(self):
        servers = "".join(
            f'newServer({{address="{host.address}", name="{host.name}", order={host.number}, tls="openssl", subjectName="{SERVER_NAME}", '
            f'validateCertificates=true, caStore="{self.certificates.ca_file}", maxInFlight=1000, checkInterval=1, checkTimeout=1000, '
            f'maxCheckFailures=1, rise=1, checkName="check.example.", tcpConnectTimeout=2, tcpSendTimeout=2, tcpRecvTimeout=3, '
            f'retries=5}})\n'
            for host in self.hosts)
        return f"""setLocal("{self.address}", {{reusePort=true}})
addLocal("{self.address}", {{reusePort=true}})
setACL({{"127.0.0.0/8"}})
setUDPSocketBufferSizes(4194304, 4194304)
setServerPolicy(firstAvailable)
setSecurityPollSuffix("")
{servers}"""

    def command(self):
        return [self.path(), "--supervised", "--disable-syslog", "-C", self.config_file]


class Stubby(Peer):
    name, program, how, suffix = "stubby", "stubby", "in order, idle 10 s, time-out 4 s, back-off 5 s", "yml"

    def config(self):
        servers = "".join(f'  - address_data: {host.ip}\n    tls_port: 853\n    tls_auth_name: "{SERVER_NAME}"\n' for host in self.hosts)
        return f"""resolution_type: GETDNS_RESOLUTION_STUB
dns_transport_list:
  - GETDNS_TRANSPORT_TLS
tls_authentication: GETDNS_AUTHENTICATION_REQUIRED
tls_ca_file: "{self.certificates.ca_file}"
tls_query_padding_blocksize: 128
edns_client_subnet_private: 1
round_robin_upstreams: 0
idle_timeout: 10000
timeout: 4000
tls_connection_retries: 2
tls_backoff_time: 5
appdata_dir: "{self.folder}"
listen_addresses:
  - 127.0.0.1@{self.port}
upstream_recursive_servers:
{servers}"""

    def command(self):
        return [self.path(), "-C", self.config_file]


class KnotResolver(Peer):
    name, program, how, processes = "knot-resolver", "kresd", "2 processes, TLS_FORWARD to both (it chooses by time)", 2

    def config(self):
        servers = ", ".join(f"{{'{host.ip}', hostname = '{SERVER_NAME}', ca_file = '{self.certificates.ca_file}'}}" for host in self.hosts)
        return f"""net.listen('127.0.0.1', {self.port}, {{ kind = 'dns' }})
net.ipv6 = false
modules.unload('priming')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('detect_time_skew')
trust_anchors.remove('.')
cache.size = 32 * MB
modules.load('policy')
policy.add(policy.all(policy.TLS_FORWARD({{ {servers} }})))
"""

    def command(self):
        return [self.path(), "-n", "-c", self.config_file, self.folder]


class Smartdns(Peer):
    name, program, how = "smartdns", "smartdns", "asks both at once, the first answer counts (its default); no speed check"

    def config(self):
        servers = "".join(f"server-tls {host.address} -host-name {SERVER_NAME} -tls-host-verify {SERVER_NAME}\n" for host in self.hosts)
        return f"""bind {self.address}
bind-tcp {self.address}
ca-file {self.certificates.ca_file}
speed-check-mode none
response-mode fastest-response
dualstack-ip-selection no
log-level error
log-file {self.folder}/smartdns.log
cache-persist no
{servers}"""

    def command(self):
        return [self.path(), "-f", "-c", self.config_file, "-p", self.folder / "pid"]


PEERS = {peer.name: peer for peer in (Unbound, Dnsdist, Stubby, KnotResolver, Smartdns)}


def version(peer):
    """Debian's version of the package."""
    asked = subprocess.run(["dpkg-query", "--show", "--showformat", "${Version}", peer.name], capture_output=True, text=True)
    return asked.stdout.partition("-")[0].partition("+")[0] or "not installed"


def play_all(scenarios, only, play):
    """{scenario: {peer's name: Result or text}} of all peers, or of those that `only` names."""
    names = only.split(",") if only else list(PEERS)
    return {scenario: {name: play(scenario, PEERS[name]) for name in names} for scenario in scenarios}


def table(by_peer):
    names = list(next(iter(by_peer.values()), {}))
    configured = "\n".join(f"- {name} {version(PEERS[name])}: {PEERS[name].how}" for name in names)
    rows = [(scenario.row, *[one.measured() if isinstance(one, Result) else f"not measured: {one}" for one in played.values()])
            for scenario, played in by_peer.items()]
    return configured + "\n\n" + markdown_table(("scenario", *names), rows)
