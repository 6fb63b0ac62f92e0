"""Wire-level DNS for the scriptable upstream: reads a query's question and builds the answer that its name implies.

The answer derives from the name, so that a client can check it without asking the upstream: A is the first 4 octets of SHA-256 over
the lower-cased name in wire form, AAAA the first 16. Labels of the name choose anything else:
`nxdomain`, `nodata`, `servfail`, `refused`, `formerr`, `notimp`, `rcode-N`; `ede-N` adds an Extended DNS Error; `size-N` gives that
many octets of TXT; `delay-N` answers N milliseconds later. Raw octets throughout: this runs under load.
"""
import hashlib
import struct

A, NS, SOA, MX, TXT, AAAA, SRV, OPT, DNSKEY, HTTPS, ANY, CAA = 1, 2, 6, 15, 16, 28, 33, 41, 48, 65, 255, 257
NSID, ECS, COOKIE, KEEPALIVE, PADDING, EDE, ZONEVERSION = 3, 8, 10, 11, 12, 15, 19
FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 1, 2, 3, 4, 5

RCODE_LABELS = {b"nxdomain": NXDOMAIN, b"servfail": SERVFAIL, b"refused": REFUSED, b"formerr": FORMERR, b"notimp": NOTIMP,
                b"nodata": 0}
HEADER = struct.Struct("!HHHHHH")
TTL = 300


class FormatError(ValueError):
    """The message's question cannot be read."""


class Question:
    """The question of a query, and what its labels ask the upstream to do."""

    __slots__ = ("name", "type", "class_", "end", "labels")

    def __init__(self, message):
        position, self.labels = 12, []
        try:
            while message[position]:
                length = message[position]
                if length > 63:
                    raise FormatError("compressed or extended label in a question")
                self.labels.append(message[position + 1:position + 1 + length].lower())
                position += 1 + length
            self.name = message[12:position + 1]
            self.type, self.class_ = struct.unpack_from("!HH", message, position + 1)
        except (IndexError, struct.error) as error:
            raise FormatError("message ends inside its question") from error
        self.end = position + 5

    @property
    def text(self):
        """The name with its own spelling, dots between labels, without the root's."""
        parts, position = [], 0
        while self.name[position]:
            parts.append(self.name[position + 1:position + 1 + self.name[position]].decode("latin-1"))
            position += 1 + self.name[position]
        return ".".join(parts)

    def number(self, prefix):
        """N of a label PREFIX-N, or None."""
        for label in self.labels:
            if label.startswith(prefix) and label[len(prefix):].isdigit():
                return int(label[len(prefix):])
        return None


def wire_name(text):
    """The wire form of a dotted name without escapes."""
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in text.strip(".").split(".") if label) + b"\0"


def digest(name):
    """The octets that answers for this wire-form name are cut from. Length octets are at most 63, so lower() spares them."""
    return hashlib.sha256(name.lower()).digest()


def record(rdata, rrtype, owner=b"\xc0\x0c", ttl=TTL, rrclass=1):
    return owner + struct.pack("!HHIH", rrtype, rrclass, ttl, len(rdata)) + rdata


def option(code, data=b""):
    return struct.pack("!HH", code, len(data)) + data


def opt_record(options=b"", payload=1232, extended_rcode=0, version=0, dnssec_ok=False):
    return b"\0" + struct.pack("!HHBBHH", OPT, payload, extended_rcode, version, 0x8000 if dnssec_ok else 0, len(options)) + options


def text_rdata(octets):
    """A TXT rdata whose length is exactly `octets` (at least 1)."""
    strings = []
    while octets > 0:
        length = min(255, octets - 1)
        strings.append(bytes([length]) + b"x" * length)
        octets -= 1 + length
    return b"".join(strings)


def soa_record():
    return record(b"\x02ns\xc0\x0c\x04root\xc0\x0c" + struct.pack("!IIIII", 1, 3600, 600, 86400, 60), SOA)


def rdata_for(question):
    """(type, rdata) of each answer record; empty for NODATA."""
    seed = digest(question.name)
    qtype = question.type
    if qtype == A:
        return [(A, seed[:4])]
    if qtype == AAAA:
        return [(AAAA, seed[:16])]
    if qtype == TXT:
        size = question.number(b"size-")
        if size is None:
            return [(TXT, bytes([32]) + seed.hex().encode()[:32])]
        return [(TXT, text_rdata(size))]
    if qtype == MX:
        return [(MX, b"\0\x0a\x04mail\xc0\x0c"), (MX, b"\0\x14\x05mail2\xc0\x0c")]
    if qtype == NS:
        return [(NS, b"\x02ns\xc0\x0c")]
    if qtype == SRV:
        return [(SRV, struct.pack("!HHH", 1, 2, 853) + b"\x03srv" + question.name)]
    if qtype == DNSKEY:
        return [(DNSKEY, b"\x01\x01\x03\x0d" + seed + seed)]
    if qtype == HTTPS:
        return [(HTTPS, b"\0\x01\0" + b"\0\x01\0\x03\x02h2" + b"\0\x04\0\x04" + seed[:4])]
    if qtype == CAA:
        return [(CAA, b"\0\x05issueca.test")]
    if qtype == ANY:
        return [(A, seed[:4]), (AAAA, seed[:16]), (TXT, bytes([4]) + seed[:4])]
    return []


def build(message, question, *, rcode=0, answers=b"", answer_count=0, authority=b"", authority_count=0, options=b"",
          flags=0x8080, edns=None, extra=b"", extra_count=0):
    """One response: RD and CD come back, an OPT goes with it where the query had one (or as `edns` says)."""
    with_opt = (message[11] | message[10]) != 0 if edns is None else edns
    query_flags = message[2] << 8 | message[3]
    out_flags = flags | (query_flags & 0x0110) | (rcode & 15)
    header = message[:2] + struct.pack("!HHHHH", out_flags, 1, answer_count, authority_count, extra_count + with_opt)
    opt = opt_record(options, extended_rcode=rcode >> 4) if with_opt else b""
    return header + message[12:question.end] + answers + authority + extra + opt


def default_answer(message, question=None, ttl=TTL, options=b"", pad_to=0, edns=None):
    """The response that the question's name implies."""
    question = question or Question(message)
    rcode, nodata = 0, False
    for label in question.labels:
        if label in RCODE_LABELS:
            rcode, nodata = RCODE_LABELS[label], True
        elif b"-" in label:
            if label.startswith(b"rcode-"):
                rcode, nodata = int(label[6:]), True
            elif label.startswith(b"ede-"):
                options += option(EDE, struct.pack("!H", int(label[4:])) + b"told by the upstream")
    rdatas = [] if nodata else rdata_for(question)
    answers = b"".join(record(rdata, rrtype, ttl=ttl) for rrtype, rdata in rdatas)
    negative = not rdatas and rcode in (0, NXDOMAIN)
    parts = dict(rcode=rcode, answers=answers, answer_count=len(rdatas), authority=soa_record() if negative else b"",
                 authority_count=int(negative), edns=edns)
    if pad_to:
        bare = len(build(message, question, options=options + option(PADDING), **parts))
        options += option(PADDING, bytes(-bare % pad_to))
    return build(message, question, options=options, **parts)


def edns_options(message):
    """[(code, data)] of the message's OPT, or None without one. Reads messages without compression before the OPT's owner."""
    question = Question(message)
    counts = HEADER.unpack_from(message)
    position = question.end
    for _ in range(counts[3] + counts[4] + counts[5]):
        while message[position]:
            if message[position] >= 0xC0:
                position += 1
                break
            position += 1 + message[position]
        position += 1
        rrtype, _, _, length = struct.unpack_from("!HHIH", message, position)
        position += 10
        if rrtype == OPT:
            options, end = [], position + length
            while position < end:
                code, size = struct.unpack_from("!HH", message, position)
                options.append((code, message[position + 4:position + 4 + size]))
                position += 4 + size
            return options
        position += length
    return None
