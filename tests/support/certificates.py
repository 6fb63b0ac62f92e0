"""Makes the certificates of a test session with the openssl command line.

One CA that the relay trusts, one it does not, and a leaf for every class of failure a relay must name. Everything lives in a folder
the caller owns; nothing is kept. Names follow RFC 6125: the identity is in the subjectAltName only.
"""
import base64
import hashlib
import subprocess
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

SERVER_NAME = "upstream.test"

AUTHORITY_CONFIG = """
[ca]
default_ca = authority
[authority]
database = {folder}/{name}.index
new_certs_dir = {folder}
certificate = {folder}/{name}.pem
private_key = {folder}/{name}.key
default_md = sha256
policy = anything
unique_subject = no
rand_serial = yes
[anything]
commonName = optional
[req]
distinguished_name = subject
[subject]
"""


@dataclass(frozen=True)
class Certificate:
    """One key pair: `chain_file` is what a server sends, `pin` belongs to the leaf, `issuer_pin` to the issuing certificate."""

    chain_file: Path
    key_file: Path
    pin: str
    issuer_pin: str = ""


def openssl(*arguments, data=None):
    """Runs openssl and gives its standard output; its standard error becomes the exception's text."""
    done = subprocess.run(["openssl", *map(str, arguments)], input=data, capture_output=True)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(map(str, arguments))}: {done.stderr.decode()}")
    return done.stdout


def spki_pin(certificate_file):
    """The pin of RFC 7858: SHA-256 over the DER of the first certificate's public key."""
    public_key = openssl("x509", "-in", certificate_file, "-noout", "-pubkey")
    der = openssl("pkey", "-pubin", "-outform", "DER", data=public_key)
    return "sha256/" + base64.b64encode(hashlib.sha256(der).digest()).decode()


def make_key(path, rsa=False):
    algorithm = ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"] if rsa else [
        "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    openssl("genpkey", *algorithm, "-out", path)
    return path


def utc(offset):
    return (datetime.now(timezone.utc) + offset).strftime("%Y%m%d%H%M%SZ")


class Authority:
    """A certificate authority in a folder; without `issuer` its certificate is self-signed, with the given digest."""

    def __init__(self, folder, name, issuer=None, digest="sha256", extensions=""):
        self.folder, self.name, self.issuer = folder, name, issuer
        self.certificate_file = folder / f"{name}.pem"
        self.config_file = folder / f"{name}.cnf"
        self.config_file.write_text(AUTHORITY_CONFIG.format(folder=folder, name=name))
        (folder / f"{name}.index").touch()
        key = make_key(folder / f"{name}.key")
        if issuer is None:
            openssl("req", "-x509", "-new", f"-{digest}", "-key", key, "-subj", f"/CN={name}", "-days", "30", "-out", self.certificate_file,
                    "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        else:
            issuer._sign(key, f"/CN={name}", f"basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n{extensions}",
                         timedelta(days=-1), timedelta(days=30), self.certificate_file)
        self.pin = spki_pin(self.certificate_file)

    def issue(self, label, names=f"DNS:{SERVER_NAME}", start=timedelta(days=-1), end=timedelta(days=30), rsa=False, digest="sha256",
              usages="extendedKeyUsage=serverAuth\nkeyUsage=critical,digitalSignature"):
        """A leaf for the given subjectAltName list, valid from now + start to now + end."""
        leaf = self.folder / f"{label}.leaf"
        key = make_key(self.folder / f"{label}.key", rsa)
        self._sign(key, f"/CN={label}", f"subjectAltName={names}\n{usages}",
                   start, end, leaf, digest)
        chain = self.folder / f"{label}.chain"
        chain.write_bytes(leaf.read_bytes() + (self.certificate_file.read_bytes() if self.issuer else b""))
        return Certificate(chain, key, spki_pin(leaf), self.pin)

    def _sign(self, key, subject, extensions, start, end, out, digest="sha256"):
        request = openssl("req", "-new", "-key", key, "-subj", subject)
        extension_file = out.with_suffix(".ext")
        extension_file.write_text(extensions + "\n")
        request_file = out.with_suffix(".csr")
        request_file.write_bytes(request)
        openssl("ca", "-batch", "-notext", "-config", self.config_file, "-md", digest, "-extfile", extension_file,
                "-startdate", utc(start), "-enddate", utc(end), "-in", request_file, "-out", out)


def make_self_signed(folder, label, names, *extensions):
    key = make_key(folder / f"{label}.key")
    chain = folder / f"{label}.chain"
    openssl("req", "-x509", "-new", "-key", key, "-subj", f"/CN={label}", "-days", "30", "-out", chain,
            *(argument for extension in [f"subjectAltName={names}", *extensions] for argument in ("-addext", extension)))
    return Certificate(chain, key, spki_pin(chain))


class CertificateStore:
    """Every certificate class, made once a session."""

    def __init__(self, folder):
        self.folder = Path(folder)
        self.authority = Authority(self.folder, "test-ca")
        self.unknown_authority = Authority(self.folder, "unknown-ca")
        self.intermediate_authority = Authority(self.folder, "intermediate-ca", issuer=self.authority)
        self.ca_file = self.authority.certificate_file
        issue = self.authority.issue
        self.good = issue("good")
        self.rsa = issue("rsa", rsa=True)
        self.expired = issue("expired", start=timedelta(days=-10), end=timedelta(days=-1))
        self.long_lived = issue("long-lived", end=timedelta(days=25 * 365))
        self.not_yet_valid = issue("not-yet-valid", start=timedelta(days=5))
        self.wrong_name = issue("wrong-name", names="DNS:other.test")
        self.ip_san = issue("ip-san", names="IP:127.0.0.1,IP:::1")
        self.wildcard = issue("wildcard", names="DNS:*.wild.test")
        self.unknown_ca = self.unknown_authority.issue("unknown-ca-leaf")
        self.intermediate = self.intermediate_authority.issue("intermediate-leaf")
        self.old_root = Authority(self.folder, "old-root-ca", digest="sha1")
        self.below_old_root = self.old_root.issue("below-old-root")
        self.weakly_signed = issue("weakly-signed", digest="sha1")
        self.self_signed = make_self_signed(self.folder, "self-signed", f"DNS:{SERVER_NAME}")
        self.self_signed_client = make_self_signed(self.folder, "self-signed-client", f"DNS:{SERVER_NAME}", "extendedKeyUsage=clientAuth")
        self.self_signed_wrong_name = make_self_signed(self.folder, "self-signed-wrong-name", "DNS:other.test")
        self.borrowed_chain = self._borrow_chain()
        self.forged_chain = self._forge_chain()

    def _borrow_chain(self):
        """A self-made leaf followed by the genuine intermediate it was not signed by: an attacker can send that, for
        certificates are public."""
        rogue = make_self_signed(self.folder, "rogue", f"DNS:{SERVER_NAME}")
        chain = self.folder / "borrowed.chain"
        chain.write_bytes(rogue.chain_file.read_bytes() + self.intermediate_authority.certificate_file.read_bytes())
        return Certificate(chain, rogue.key_file, rogue.pin, self.intermediate_authority.pin)

    def _forge_chain(self):
        """Like the borrowed chain, but the leaf names the genuine intermediate as its issuer: made by an authority of the
        attacker's with the same name and another key."""
        folder = self.folder / "forged"
        folder.mkdir()
        leaf = Authority(folder, self.intermediate_authority.name).issue("forged-leaf")
        chain = folder / "forged.chain"
        chain.write_bytes(leaf.chain_file.read_bytes() + self.intermediate_authority.certificate_file.read_bytes())
        return Certificate(chain, leaf.key_file, leaf.pin, self.intermediate_authority.pin)

    def issue_for_seconds(self, label, seconds):
        """A good certificate that ends soon."""
        return self.authority.issue(label, end=timedelta(seconds=seconds))
