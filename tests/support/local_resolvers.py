"""Plain resolvers from the distribution, as a router, a VPN or a cluster runs them: dnsmasq, unbound, dnsdist. Each serves `lan.example` on
loopback, over UDP and TCP, and refuses or denies all else.

CoreDNS is not in Debian; PlainUpstream does what its users report of it.
"""
import shutil

from .resolvers import Resolver, unbound_process

ADDRESS, ADDRESS6, HOST = "192.168.7.7", "fd00::7", "printer.lan.example"


class LocalUnbound(Resolver):
    name = "unbound"

    def command(self):
        config = self.folder / "local-unbound.conf"
        config.write_text(f"""server:
  interface: {self.address.replace(':', '@')}
{unbound_process(self.folder)}  num-threads: 1
  module-config: "iterator"
  local-zone: "lan.example." static
  local-data: "{HOST}. 60 A {ADDRESS}"
  local-data: "{HOST}. 60 AAAA {ADDRESS6}"
  local-zone: "." always_refuse
remote-control:
  control-enable: no
""")
        return [shutil.which("unbound", path="/usr/sbin:/usr/bin"), "-d", "-c", config]


class Dnsmasq(Resolver):
    name = "dnsmasq"

    def command(self):
        return [shutil.which("dnsmasq", path="/usr/sbin:/usr/bin"), "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                "--user=root", "--group=root", f"--pid-file={self.folder}/dnsmasq.pid", "--listen-address=127.0.0.1", "--bind-interfaces",
                f"--port={self.port}", "--local=/lan.example/", f"--host-record={HOST},{ADDRESS},{ADDRESS6},60"]


class Dnsdist(Resolver):
    name = "dnsdist"

    def command(self):
        config = self.folder / "dnsdist.conf"
        config.write_text(f"""setLocal('{self.address}')
setACL({{'127.0.0.0/8'}})
setSecurityPollSuffix('')
addAction(AndRule{{QNameRule('{HOST}'), QTypeRule(DNSQType.A)}}, SpoofAction('{ADDRESS}', {{ttl=60, ra=true}}))
addAction(AndRule{{QNameRule('{HOST}'), QTypeRule(DNSQType.AAAA)}}, SpoofAction('{ADDRESS6}', {{ttl=60, ra=true}}))
addAction('lan.example.', RCodeAction(DNSRCode.NXDOMAIN, {{ra=true}}))
addAction(AllRule(), RCodeAction(DNSRCode.REFUSED))
""")
        return [shutil.which("dnsdist", path="/usr/sbin:/usr/bin"), "--supervised", "--disable-syslog", "-C", config]
