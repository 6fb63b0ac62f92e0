"""Other programs from Debian in the relay's place, each configured as a fair operator would for DoT upstreams.

That is: sessions kept open and pipelined where that can be had, the order of the upstreams where there is one, time-outs below those of
the clients, a thread or process for each core where they can share a port, no DNSSEC validation and no logging, for the relay does neither.
nginx, haproxy and stunnel know nothing of DNS: they carry the octets of each TCP client over a TLS session of its own.
"""
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

from . import clients
from .certificates import SERVER_NAME
from .ports import free_port
from .processes import children, die_with_parent
from .resolvers import unbound_process
from .subjects import Subject

START_SECONDS = 15
CORES = 2
IDLE_SECONDS = 180
PIPELINED = 200
IN_FLIGHT = 4096         # on a session to an upstream
HANDSHAKE_SECONDS = 10   # of a byte relay: with less, thousands of clients that come at once make it begin handshakes again and again


def several(count, singular, plural):
    return f"1 {singular}" if count == 1 else f"{count} {plural}"


class NotInstalled(RuntimeError):
    pass


class DoesNotStart(RuntimeError):
    pass


class Peer(Subject):
    """A program of which `copies` run. A subclass has `program`, `template` for `how`, `config`, and `command`.

    It uses so many `cores`. With `tcp_clients` it is to keep so many of them for IDLE_SECONDS, and to take PIPELINED queries of each
    at once, as far as it can be told; without, its own limits stay.
    """

    program, package, template, suffix = "", "", "", "conf"

    def __init__(self, folder, certificates, hosts, *, cores=CORES, tcp_clients=None, **_):
        self.folder = Path(folder) / f"{self.name}-{time.monotonic_ns()}"
        self.folder.mkdir()
        self.certificates, self.hosts, self.port, self.running = certificates, hosts, free_port(), []
        self.cores, self.tcp_clients, self.how = cores, tcp_clients, self.configured(cores)
        self.address = f"127.0.0.1:{self.port}"
        self.config_file, self.log_file = self.folder / f"{self.name}.{self.suffix}", self.folder / "log"

    @classmethod
    def path(cls):
        return shutil.which(cls.program, path="/usr/sbin:/usr/bin:/sbin:/bin")

    @classmethod
    def configured(cls, cores=CORES):
        return cls.template.format(threads=several(cores, "thread", "threads"), processes=several(cores, "process", "processes"),
                                   listeners=several(cores, "listener", "listeners"))

    @classmethod
    def version(cls):
        """Debian's version of the package."""
        if not shutil.which("dpkg-query"):
            return "of unknown version"
        asked = subprocess.run(["dpkg-query", "--show", "--showformat", "${Version}", cls.package or cls.name],
                               capture_output=True, text=True)
        return asked.stdout.rpartition(":")[2].partition("-")[0].partition("+")[0] or "not installed"

    @property
    def copies(self):
        return 1

    def config(self):
        raise NotImplementedError

    def command(self):
        return [self.path(), "-c", self.config_file]

    @property
    def log(self):
        return self.log_file.read_text(errors="replace")

    def start(self):
        if not self.path():
            raise NotInstalled(f"{self.program} is not installed")
        self.config_file.write_text(self.config())
        with self.log_file.open("ab") as log:
            for _ in range(self.copies):
                self.running.append(subprocess.Popen([str(part) for part in self.command()], cwd=self.folder, stdin=subprocess.DEVNULL,
                                                     stdout=log, stderr=log, preexec_fn=die_with_parent))
        end, number = time.monotonic() + START_SECONDS, 0
        while not self._answers(f"start-{number}.example"):
            number += 1
            ended = [process.returncode for process in self.running if process.poll() is not None]
            if ended or time.monotonic() > end:
                raise DoesNotStart(f"exit status {ended}: {self.log[-300:]}" if ended else "no answer after its start")

    def _answers(self, name):
        try:
            octets = clients.exchange(clients.raw_query(name), self.port, self.transports[0], timeout=0.5)
        except OSError:   # the TCP port has no listener yet
            octets = None
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
    name, program = "unbound", "unbound"
    template = "{threads}, so-reuseport, infra-keep-probing, 100 TCP connections upstream"

    def config(self):
        servers = "".join(f"  forward-addr: {host.ip}@853#{SERVER_NAME}\n" for host in self.hosts)
        return f"""server:
  interface: 127.0.0.1@{self.port}
  do-ip6: no
  num-threads: {self.cores}
  so-reuseport: yes
  so-rcvbuf: 4m
  module-config: "iterator"
  tls-cert-bundle: "{self.certificates.ca_file}"
  outgoing-num-tcp: 100
  num-queries-per-thread: 4096
  infra-keep-probing: yes
{self.limits()}{unbound_process(self.folder)}remote-control:
  control-enable: no
forward-zone:
  name: "."
  forward-tls-upstream: yes
{servers}"""

    def limits(self):
        """It shortens the time of idle clients once they take half of the places, and keeps descriptors for UDP to upstreams.

        More in flight than a session to an upstream may have (200 by default) would cost handshakes, and meanwhile SERVFAILs."""
        if not self.tcp_clients:
            return "  outgoing-range: 4096\n"
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0] // self.cores - 300
        return f"""  outgoing-range: 64
  max-reuse-tcp-queries: {IN_FLIGHT}
  incoming-num-tcp: {min(2 * self.tcp_clients + 100, descriptors)}
  tcp-idle-timeout: 120000
  edns-tcp-keepalive: yes
  edns-tcp-keepalive-timeout: {1000 * IDLE_SECONDS}
"""

    def command(self):
        return [self.path(), "-d", "-c", self.config_file]


class Dnsdist(Peer):
    name, program = "dnsdist", "dnsdist"
    template = "{listeners}, firstAvailable, maxInFlight 1000, checks every second, 2 s to connect, 3 s to receive"

    def config(self):
        servers = "".join(
            f'newServer({{address="{host.address}", name="{host.name}", order={host.number}, tls="openssl", subjectName="{SERVER_NAME}", '
            f'validateCertificates=true, caStore="{self.certificates.ca_file}", maxInFlight=1000, checkInterval=1, checkTimeout=1000, '
            f'maxCheckFailures=1, rise=1, checkName="check.example.", tcpConnectTimeout=2, tcpSendTimeout=2, tcpRecvTimeout=3, '
            f'retries=5}})\n'
            for host in self.hosts)
        options = "reusePort=true" + (f", maxInFlight={PIPELINED}, tcpListenQueueSize=4096" if self.tcp_clients else "")
        listeners = "".join(f'{"addLocal" if number else "setLocal"}("{self.address}", {{{options}}})\n' for number in range(self.cores))
        return f"""{listeners}setACL({{"127.0.0.0/8"}})
setUDPSocketBufferSizes(4194304, 4194304)
setServerPolicy(firstAvailable)
setSecurityPollSuffix("")
{self.limits()}{servers}"""

    def limits(self):
        """TCP workers also carry the questions of UDP clients to the upstreams."""
        if not self.tcp_clients:
            return ""
        return f"""setMaxTCPClientThreads({self.cores})
setMaxTCPQueuedConnections({self.tcp_clients})
setMaxTCPConnectionsPerClient(0)
setTCPRecvTimeout({IDLE_SECONDS})
"""

    def command(self):
        return [self.path(), "--supervised", "--disable-syslog", "-C", self.config_file]


class Stubby(Peer):
    """One thread, however many cores there are; the time of its clients' connections is built in."""

    name, program, template, suffix = "stubby", "stubby", "in order, idle 10 s, time-out 4 s, back-off 5 s", "yml"

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
    name, program = "knot-resolver", "kresd"
    template = "{processes}, TLS_FORWARD to all (it chooses by time)"

    @property
    def copies(self):
        return self.cores

    def config(self):
        servers = ", ".join(f"{{'{host.ip}', hostname = '{SERVER_NAME}', ca_file = '{self.certificates.ca_file}'}}" for host in self.hosts)
        # tcp_pipeline also limits the session to the upstream: what is more gets SERVFAIL.
        limits = f"net.tcp_in_idle({1000 * IDLE_SECONDS})\nnet.tcp_pipeline({IN_FLIGHT})\n" if self.tcp_clients else ""
        return f"""net.listen('127.0.0.1', {self.port}, {{ kind = 'dns' }})
net.ipv6 = false
{limits}modules.unload('priming')
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
    """One thread for clients and one for upstreams, however many cores there are."""

    name, program, template = "smartdns", "smartdns", "asks all at once, the first answer counts (its default); no speed check"

    def config(self):
        servers = "".join(f"server-tls {host.address} -host-name {SERVER_NAME} -tls-host-verify {SERVER_NAME}\n" for host in self.hosts)
        limits = f"tcp-idle-time {IDLE_SECONDS}\n" if self.tcp_clients else ""
        return f"""bind {self.address}
bind-tcp {self.address}
ca-file {self.certificates.ca_file}
speed-check-mode none
response-mode fastest-response
dualstack-ip-selection no
log-level error
log-file {self.folder}/smartdns.log
cache-persist no
{limits}{servers}"""

    def command(self):
        return [self.path(), "-f", "-c", self.config_file, "-p", self.folder / "pid"]


class ByteRelay(Peer):
    """Takes two descriptors for each client, so the process's limit may allow fewer clients than are to come."""

    transports = ("tcp",)

    def most_clients(self):
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        return min(self.tcp_clients or descriptors, (descriptors - 40) // 2)


class Nginx(ByteRelay):
    name, program = "nginx", "nginx"
    template = "stream module, {processes}, TLS 1.3 with tickets, one session for each client"

    def config(self):
        servers = "".join(f"    server {host.address}{' backup' if number else ''};\n" for number, host in enumerate(self.hosts))
        return f"""load_module modules/ngx_stream_module.so;
user root;
daemon off;
pid {self.folder}/pid;
error_log stderr crit;
worker_processes {self.cores};
events {{ worker_connections {2 * self.most_clients() + 20}; }}
stream {{
  upstream resolvers {{
{servers}  }}
  server {{
    listen {self.address} reuseport backlog=4096;
    proxy_pass resolvers;
    proxy_connect_timeout {HANDSHAKE_SECONDS}s;
    proxy_timeout {IDLE_SECONDS}s;
    proxy_buffer_size 4k;
    proxy_ssl on;
    proxy_ssl_protocols TLSv1.3;
    proxy_ssl_verify on;
    proxy_ssl_trusted_certificate {self.certificates.ca_file};
    proxy_ssl_name {SERVER_NAME};
    proxy_ssl_server_name on;
    proxy_ssl_session_reuse on;
  }}
}}
"""

    def command(self):
        return [self.path(), "-e", "stderr", "-c", self.config_file]


class Haproxy(ByteRelay):
    name, program, suffix = "haproxy", "haproxy", "cfg"
    template = "mode tcp, {threads}, TLS 1.3 with tickets, one session for each client"

    def config(self):
        servers = "".join(
            f"  server {host.name} {host.address} ssl verify required ca-file {self.certificates.ca_file} sni str({SERVER_NAME}) "
            f"verifyhost {SERVER_NAME} ssl-min-ver TLSv1.3{' backup' if number else ''}\n" for number, host in enumerate(self.hosts))
        return f"""global
  nbthread {self.cores}
  maxconn {self.most_clients()}
  no strict-limits
defaults
  mode tcp
  timeout connect {HANDSHAKE_SECONDS}s
  timeout client {IDLE_SECONDS}s
  timeout server {IDLE_SECONDS}s
listen dns
  bind {self.address} backlog 4096
{servers}"""

    def command(self):
        return [self.path(), "-db", "-f", self.config_file]


class Stunnel(ByteRelay):
    """A thread for each client, however many cores there are; how many it takes it works out from its limit of descriptors."""

    name, program, package = "stunnel", "stunnel", "stunnel4"
    template = "a thread for each client, TLS 1.3 with tickets, one session for each client"

    def config(self):
        servers = "".join(f"connect = {host.address}\n" for host in self.hosts)
        return f"""foreground = yes
pid =
syslog = no
debug = err
socket = l:TCP_NODELAY=1
socket = r:TCP_NODELAY=1
[dns]
client = yes
accept = {self.address}
{servers}failover = prio
sslVersionMin = TLSv1.3
verifyChain = yes
CAfile = {self.certificates.ca_file}
checkHost = {SERVER_NAME}
sni = {SERVER_NAME}
TIMEOUTconnect = {HANDSHAKE_SECONDS}
TIMEOUTidle = {IDLE_SECONDS}
"""

    def command(self):
        return [self.path(), self.config_file]


PEERS = {peer.name: peer for peer in (Unbound, Dnsdist, Stubby, KnotResolver, Smartdns, Nginx, Haproxy, Stunnel)}
