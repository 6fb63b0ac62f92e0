"""Real DoT resolvers from the distribution, each with the same small zone and no way out: unbound and Knot Resolver (kresd).

They run in the foreground from a temporary folder on loopback, and serve `real.example` only. unbound holds it as a zone file with
DNSSEC records (their signatures are made up: an authoritative answer is not validated), kresd as forged answers.
"""
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import dns.rdata
import dns.rdataclass
import dns.rdatatype

from .ports import free_port

ZONE = "real.example"
BIG_TEXT = " ".join(f'"{letter * 200}"' for letter in "abcdefghijkl")
RECORDS = [
    ("all", "A", "192.0.2.7"), ("all", "AAAA", "2001:db8::7"), ("all", "MX", "10 mail.real.example."), ("all", "MX", "20 mail2.real.example."),
    ("all", "TXT", '"first string" "second string"'), ("all", "HTTPS", "1 . alpn=h2,h3 ipv4hint=192.0.2.7"),
    ("all", "SRV", "1 2 853 target.real.example."), ("all", "CAA", '0 issue "ca.example"'),
    ("all", "DNSKEY", "257 3 13 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxILfDLUT0rAK9iUzy1L53eKGQ=="),
    ("big", "TXT", BIG_TEXT), ("mail", "A", "192.0.2.25"), ("target", "AAAA", "2001:db8::853"),
]
SIGNATURE = "{type} 13 {labels} 300 20300101000000 20200101000000 4711 real.example. " + "c2lnbmF0dXJl" * 7 + "c2ln"


def zone_file():
    lines = [f"{ZONE}. 300 SOA ns.{ZONE}. root.{ZONE}. 1 3600 600 86400 60", f"{ZONE}. 300 NS ns.{ZONE}.", f"ns.{ZONE}. 300 A 127.0.0.1"]
    owners = {(f"{owner}.{ZONE}.", rrtype) for owner, rrtype, _ in RECORDS} | {(f"{ZONE}.", "SOA"), (f"{ZONE}.", "NS")}
    lines += [f"{owner}.{ZONE}. 300 {rrtype} {rdata}" for owner, rrtype, rdata in RECORDS]
    lines += [f"{owner} 300 RRSIG {SIGNATURE.format(type=rrtype, labels=owner.count('.'))}" for owner, rrtype in sorted(owners)]
    return "\n".join(lines) + "\n"


def lua_string(octets):
    return "'" + "".join(f"\\{octet:03d}" for octet in octets) + "'"


def kresd_policies():
    """policy.ANSWER rules; kresd takes rdata in wire form."""
    lines = []
    for owner in dict.fromkeys(owner for owner, _, _ in RECORDS):
        types = {}
        for name, rrtype, rdata in RECORDS:
            if name == owner:
                wire = dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.from_text(rrtype), rdata).to_wire()
                types.setdefault(rrtype, []).append(lua_string(wire))
        table = ", ".join(f"[kres.type.{rrtype}] = {{ ttl = 300, rdata = {{ {', '.join(rdatas)} }} }}" if rrtype not in ("HTTPS", "CAA")
                          else f"[{int(dns.rdatatype.from_text(rrtype))}] = {{ ttl = 300, rdata = {{ {', '.join(rdatas)} }} }}"
                          for rrtype, rdatas in types.items())
        lines.append(f"policy.add(policy.domains(policy.ANSWER({{ {table} }}, true), {{ todname('{owner}.{ZONE}') }}))")
    return "\n".join(lines)


class Resolver:
    """A resolver process; `address` is its DoT address."""

    name = ""

    def __init__(self, folder, certificate):
        self.folder, self.certificate, self.port, self.process = Path(folder), certificate, free_port(), None
        self.address = f"127.0.0.1:{self.port}"

    def command(self):
        raise NotImplementedError

    def start(self):
        with open(self.folder / f"{self.name}.log", "ab") as log:
            self.process = subprocess.Popen(self.command(), cwd=self.folder, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        end = time.monotonic() + 15
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > end:
                    text = (self.folder / f"{self.name}.log").read_text()
                    self.stop()
                    raise RuntimeError(f"{self.name} does not start:\n{text}") from None
                time.sleep(0.02)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def unbound_process(folder):
    """The lines of an unbound.conf that keep the process in the foreground, as this user, with all its files in `folder`."""
    return f"""  username: ""
  chroot: ""
  directory: "{folder}"
  pidfile: ""
  use-syslog: no
  do-daemonize: no
"""


class Unbound(Resolver):
    name = "unbound"

    def command(self):
        (self.folder / "real.zone").write_text(zone_file())
        config = self.folder / "unbound.conf"
        config.write_text(f"""server:
  interface: {self.address.replace(':', '@')}
  tls-port: {self.port}
  tls-service-key: "{self.certificate.key_file}"
  tls-service-pem: "{self.certificate.chain_file}"
{unbound_process(self.folder)}  num-threads: 1
  module-config: "iterator"
  minimal-responses: no
  deny-any: no
  rrset-roundrobin: no
  incoming-num-tcp: 50
  local-zone: "nowhere.example." always_nxdomain
  local-zone: "refused.example." always_refuse
auth-zone:
  name: "{ZONE}."
  zonefile: "{self.folder}/real.zone"
  for-downstream: yes
  for-upstream: no
  fallback-enabled: no
remote-control:
  control-enable: no
""")
        return [shutil.which("unbound", path="/usr/sbin:/usr/bin"), "-d", "-c", config]


class KnotResolver(Resolver):
    name = "kresd"

    def command(self):
        config = self.folder / "kresd.conf"
        config.write_text(f"""
net.listen('127.0.0.1', {self.port}, {{ kind = 'tls' }})
net.tls('{self.certificate.chain_file}', '{self.certificate.key_file}')
net.ipv6 = false
modules.unload('priming')
modules.unload('ta_update')
modules.unload('ta_signal_query')
modules.unload('detect_time_skew')
trust_anchors.remove('.')
cache.size = 4 * MB
cache.storage = 'lmdb://{self.folder}/kresd-cache'
modules.load('policy')
{kresd_policies()}
policy.add(policy.suffix(policy.REFUSE, {{ todname('refused.example') }}))
policy.add(policy.all(policy.DENY))
""")
        return [shutil.which("kresd", path="/usr/sbin:/usr/bin"), "-n", "-c", config, self.folder]
