"""Chains of certificates that try what a judge of them must look at, with the verdict of the relay and the independent one of `openssl verify`.

Each case is one line of `cases.tsv` in the folder: name, file with the chain as a server sends it, file with the authorities, the host that is asked for,
and `good` or `bad`. Where OpenSSL's command line is known to be of another opinion, the case says so (`differs`); every other one is compared when it is
made, so that no case rests on this project's opinion alone.
"""
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HOST = "upstream.test"
CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign"
CONFIG = """
[req]
distinguished_name = subject
x509_extensions = extensions
string_mask = {mask}
[subject]
[extensions]
{extensions}
{sections}
"""


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr}")
    return done.stdout


class Matrix:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.cases = []
        openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", self.key("ec"))
        openssl("genpkey", "-algorithm", "ED25519", "-out", self.key("ed25519"))
        self.root = self.ca("root")
        self.make()
        self.compare()
        lines = ["\t".join([name, str(chain), str(root), host, "good" if good else "bad"]) for name, chain, root, host, good, _ in self.cases]
        (self.folder / "cases.tsv").write_text("".join(line + "\n" for line in lines))

    def key(self, name):
        return self.folder / f"{name}.matrix-key"

    def certificate(self, name, issuer=None, extensions="", subject=None, expired=False, key="ec", ca_key="ec", sections="",
                    mask="utf8only"):
        """All of one curve have the same key: the issuer is told by names alone, as far as these cases go."""
        out = self.folder / f"{name}.matrix-pem"
        config = out.with_suffix(".matrix-cnf")
        config.write_text(CONFIG.format(extensions=extensions, sections=sections, mask=mask))
        signer = ["-CA", issuer, "-CAkey", self.key(ca_key)] if issuer else []
        openssl("req", "-x509", "-new", "-utf8", "-config", config, "-key", self.key(key), "-subj", subject or f"/O=Matrix/CN={name}", "-days", 30,
                *signer, "-out", out)
        if expired:
            request = out.with_suffix(".matrix-csr")
            openssl("x509", "-in", out, "-x509toreq", "-copy_extensions", "copyall", "-signkey", self.key(key), "-out", request)
            openssl("x509", "-req", "-in", request, "-copy_extensions", "copyall", *signer, "-days", -1, "-out", out)
        return out

    def ca(self, name, issuer=None, extensions="", basic=CA, **more):
        return self.certificate(name, issuer, f"{basic}\n{extensions}", **more)

    def leaf(self, name, issuer, names=f"DNS:{HOST}", extensions="extendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature", **more):
        return self.certificate(f"{name}-leaf", issuer, (f"subjectAltName={names}\n" if names else "") + extensions, **more)

    def case(self, name, good, chain, root=None, host=HOST, differs=False):
        file = self.folder / f"{name}.matrix-chain"
        file.write_text("".join(part.read_text() for part in chain))
        self.cases.append((name, file, root or self.root, host, good, differs))

    def compare(self):
        def verdict(case):
            name, chain, root, host, _, _ = case
            kind = "-verify_ip" if host.replace(".", "").isdigit() or ":" in host else "-verify_hostname"
            done = subprocess.run(["openssl", "verify", "-no-CApath", "-no-CAstore", "-purpose", "sslserver", kind, host, "-CAfile", str(root),
                                   "-untrusted", str(chain), str(chain)], capture_output=True, text=True)
            return done.returncode == 0
        compared = [case for case in self.cases if not case[5]]
        with ThreadPoolExecutor(4) as pool:
            wrong = [case[0] for case, good in zip(compared, pool.map(verdict, compared)) if good != case[4]]
        if wrong:
            raise RuntimeError(f"openssl is of another opinion about {', '.join(wrong)}")

    def make(self):
        self.make_paths()
        self.make_purposes()
        self.make_names()
        self.make_constraints()
        self.make_extensions()
        self.make_keys()

    def make_paths(self):
        top, stranger = self.ca("top", self.root), self.ca("stranger")
        bottom = self.ca("bottom", top)
        leaf = self.leaf("paths", bottom)
        self.case("in order", True, [leaf, bottom, top])
        self.case("reversed", True, [leaf, top, bottom])
        self.case("with root and a stranger between", True, [leaf, self.root, stranger, top, bottom])
        self.case("one is missing", False, [leaf, top])
        self.case("of a stranger", False, [self.leaf("strange", stranger), stranger])
        expired = self.ca("bottom-expired", top, subject="/O=Matrix/CN=bottom", expired=True)
        self.case("expired and valid", True, [leaf, expired, bottom, top])
        self.case("expired alone", False, [leaf, expired, top])
        cross = self.ca("top-cross", stranger, subject="/O=Matrix/CN=top")
        self.case("crossed", True, [leaf, bottom, cross, top], differs=True)   # OpenSSL does not go back
        limited = self.ca("top-limited", self.root, "extendedKeyUsage=clientAuth", subject="/O=Matrix/CN=top")
        self.case("crossed, the first is not for servers", True, [leaf, bottom, limited, top], differs=True)
        self.case("not a CA", False, [self.leaf("under-leaf", leaf), leaf, bottom, top])
        no_sign = self.ca("no-sign", self.root, basic="basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign")
        self.case("CA without keyCertSign", False, [self.leaf("no-sign", no_sign), no_sign])
        short = self.ca("short", self.root, basic="basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=keyCertSign")
        below = self.ca("below-short", short)
        self.case("path length kept", True, [self.leaf("short", short), short])
        self.case("path length exceeded", False, [self.leaf("below-short", below), below, short])
        chain = []
        issuer = self.root
        for number in range(9):
            issuer = self.ca(f"level-{number}", issuer)
            chain.insert(0, issuer)
            if number == 7:
                self.case("eight intermediates", True, [self.leaf("eight", issuer), *chain])
        self.case("nine intermediates", False, [self.leaf("nine", issuer), *chain], differs=True)

    def make_purposes(self):
        for label, usage, good, differs in [("server", "serverAuth", True, False), ("client", "clientAuth", False, False),
                                            ("mail", "emailProtection", False, False), ("several", "clientAuth,serverAuth", True, False),
                                            ("any", "anyExtendedKeyUsage", True, True)]:   # OpenSSL does not take any for one
            purpose = f"extendedKeyUsage={usage}"
            ca = self.ca(f"ca-for-{label}", self.root, purpose)
            root = self.ca(f"root-for-{label}", None, purpose)
            self.case(f"CA for {label}", good, [self.leaf(f"ca-for-{label}", ca), ca], differs=differs)
            self.case(f"root for {label}", good, [self.leaf(f"root-for-{label}", root)], root=root, differs=differs or not good)
            self.case(f"server for {label}", good, [self.leaf(f"for-{label}", self.root, extensions=purpose)], differs=differs)
        self.case("server that may not sign", False, [self.leaf("no-sign-server", self.root, extensions="keyUsage=keyEncipherment")], differs=True)
        self.case("server without usages", True, [self.leaf("no-usage", self.root, extensions="")])

    def make_names(self):
        for name, names, host, good, differs in [
                ("URI of the name", f"URI:{HOST}", HOST, False, False), ("URI beside", f"URI:https://x.test,DNS:{HOST}", HOST, True, False),
                ("mail of the name", f"email:a@{HOST}", HOST, False, True), ("no name but CN", "", HOST, False, True),
                ("letters", "DNS:UpStream.TEST", HOST, True, False), ("wildcard", "DNS:*.a.test", "x.a.test", True, False),
                ("wildcard, two labels", "DNS:*.a.test", "x.y.a.test", False, False), ("wildcard, no label", "DNS:*.a.test", "a.test", False, False),
                ("wildcard in a part", "DNS:x*.a.test", "xy.a.test", False, True), ("wildcard to the right", "DNS:a.*.test", "a.b.test", False, False),
                ("wildcard alone", "DNS:*", "test", False, False), ("address", "IP:127.0.0.1", "127.0.0.1", True, False),
                ("address as a host", "DNS:127.0.0.1", "127.0.0.1", False, False), ("another address", "IP:127.0.0.2", "127.0.0.1", False, False),
                ("IPv6 address", "IP:2001:db8::1", "2001:db8::1", True, False), ("host for an address", f"DNS:{HOST}", "127.0.0.1", False, False)]:
            label = name.replace(" ", "-").replace(",", "")
            self.case(name, good, [self.leaf(label, self.root, names, subject=f"/CN={host}" if not names else None)], host=host, differs=differs)

    def make_constraints(self):
        address, both = "IP:127.0.0.1", f"DNS:{HOST},IP:127.0.0.1"
        directory = "[dir]\nO=Matrix\n"
        for name, constraint, names, host, good, differs in [
                ("permitted", "permitted;DNS:test", "", HOST, True, False),
                ("permitted, whole name", f"permitted;DNS:{HOST.upper()}", "", HOST, True, False),
                ("permitted, with a dot", "permitted;DNS:.test", "", HOST, True, False),
                ("permitted, dot and whole name", f"permitted;DNS:.{HOST}", "", HOST, False, False),
                ("permitted, another", "permitted;DNS:other.test", "", HOST, False, False),
                ("permitted, part of a label", "permitted;DNS:stream.test", "", HOST, False, False),
                ("permitted, two", "permitted;DNS:other.test,permitted;DNS:test", "", HOST, True, False),
                ("excluded", "excluded;DNS:test", "", HOST, False, False),
                ("excluded, another", "excluded;DNS:other.test", "", HOST, True, False),
                ("excluded within permitted", f"permitted;DNS:test,excluded;DNS:{HOST}", "", HOST, False, False),
                ("a second name outside", "permitted;DNS:test", f"DNS:{HOST},DNS:x.example", HOST, False, False),
                ("excluded by a wildcard", "excluded;DNS:bad.w.test", "DNS:*.w.test", "bad.w.test", False, True),
                ("wildcard within", "permitted;DNS:w.test", "DNS:*.w.test", "x.w.test", True, False),
                ("address range", "permitted;IP:127.0.0.0/255.0.0.0", address, "127.0.0.1", True, False),
                ("address outside", "permitted;IP:10.0.0.0/255.0.0.0", address, "127.0.0.1", False, False),
                ("address beside the name outside", "permitted;IP:10.0.0.0/255.0.0.0", both, HOST, False, False),
                ("addresses do not bind names", "permitted;IP:10.0.0.0/255.0.0.0", "", HOST, True, False),
                ("no addresses at all", "excluded;IP:0.0.0.0/0.0.0.0", address, "127.0.0.1", False, False),
                ("IPv6 range", "permitted;IP:2001:db8::/ffff:ffff::", "IP:2001:db8::1", "2001:db8::1", True, False),
                ("IPv6 outside", "excluded;IP:2001:db8::/ffff:ffff::", "IP:2001:db8::1", "2001:db8::1", False, False),
                ("IPv4 range for IPv6", "excluded;IP:0.0.0.0/0.0.0.0", "IP:2001:db8::1", "2001:db8::1", True, False),
                ("mask with a hole", "permitted;IP:127.0.0.1/255.0.0.255", address, "127.0.0.1", False, True),
                ("directory", "permitted;dirName:dir", "", HOST, True, False),
                ("directory excluded", "excluded;dirName:dir", "", HOST, False, False),
                ("mail that is not there", "permitted;email:x.test", "", HOST, True, False),
                ("mail that is there", "permitted;email:x.test", f"DNS:{HOST},email:a@x.test", HOST, None, True)]:
            label = name.replace(" ", "-").replace(",", "")
            for critical in (True, False) if good is None or name in ("permitted", "permitted, another", "excluded") else (True,):
                # What cannot be compared is refused when the constraint is critical.
                verdict = not critical if good is None else good
                value = f"nameConstraints={'critical,' if critical else ''}{constraint}"
                ca = self.ca(f"{label}-{critical}", self.root, value, sections=directory)
                self.case(f"{name}, {'critical' if critical else 'not critical'}", verdict,
                          [self.leaf(f"{label}-{critical}", ca, names or f"DNS:{HOST}"), ca], host=host, differs=differs)
        root = self.ca("constrained-root", None, "nameConstraints=critical,permitted;DNS:other.test")
        self.case("constrained root", False, [self.leaf("constrained-root", root)], root=root, differs=True)   # OpenSSL leaves roots out
        self.case("constrained root, within", True, [self.leaf("in-constrained-root", root, "DNS:a.other.test")], root=root, host="a.other.test")
        upper = self.ca("constrained-top", self.root, "nameConstraints=critical,permitted;DNS:other.test")
        lower = self.ca("constrained-bottom", upper)
        self.case("constrained two steps up", False, [self.leaf("two-steps", lower), lower, upper])
        spelled = self.ca("spelled", self.root, "nameConstraints=critical,excluded;dirName:dir", sections="[dir]\nO=mATRIX\n", mask="pkix")
        self.case("directory in other letters", False, [self.leaf("spelled", spelled), spelled])

    def make_extensions(self):
        unknown = "1.3.6.1.4.1.55555.1={}ASN1:NULL"
        plain = self.ca("plain", self.root)
        odd = self.ca("odd", self.root, unknown.format("critical,"))
        self.case("unknown extension", True, [self.leaf("unknown", self.root, extensions=unknown.format(""))])
        self.case("unknown critical extension", False, [self.leaf("unknown-critical", self.root, extensions=unknown.format("critical,"))])
        self.case("unknown critical extension of a CA", False, [self.leaf("odd", odd), odd])
        self.case("unknown critical extension of another", True, [self.leaf("plain", plain), odd, plain])
        policies = self.ca("policies", self.root, "certificatePolicies=critical,1.2.3.4\ninhibitAnyPolicy=critical,0")
        self.case("critical policies", True, [self.leaf("policies", policies), policies])
        explicit = self.ca("explicit", self.root, "policyConstraints=critical,requireExplicitPolicy:0")
        self.case("policies asked for", False, [self.leaf("explicit", explicit), explicit], differs=True)

    def make_keys(self):
        odd_root = self.certificate("ed-root", None, CA, key="ed25519")
        self.case("another's key is not supported", True, [self.leaf("ec", self.root), odd_root])
        self.case("key is not supported", False, [self.leaf("ed", self.root, key="ed25519")], differs=True)
        self.case("signature is not supported", False, [self.leaf("ed-signed", odd_root, ca_key="ed25519"), odd_root], differs=True)


if __name__ == "__main__":
    Matrix(sys.argv[1])
