#!/usr/bin/env python3
"""Writes the seed corpora of the fuzz targets to corpus/TARGET/.

The seeds are committed; run this again after a change here. Each is one message, option list, stream or file of a kind
that random octets would take long to hit: compression pointers, an OPT before other records, every EDNS option.
"""

import base64
import shutil
import struct
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def name(text):
    labels = [label.encode() for label in text.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


def pointer(offset):
    return struct.pack("!H", 0xC000 | offset)


def question(qname, qtype=1, qclass=1):
    return name(qname) + struct.pack("!HH", qtype, qclass)


def record(owner, rtype, data, ttl=300, rclass=1):
    return owner + struct.pack("!HHIH", rtype, rclass, ttl, len(data)) + data


def option(code, data=b""):
    return struct.pack("!HH", code, len(data)) + data


def opt(options=b"", size=1232, ttl=0):
    return record(b"\0", 41, options, ttl, size)


def message(flags, questions=(), answers=(), authorities=(), additionals=(), ident=0x1234):
    sections = (questions, answers, authorities, additionals)
    header = struct.pack("!6H", ident, flags, *(len(section) for section in sections))
    return header + b"".join(b"".join(section) for section in sections)


def message_views():
    www = question("www.Example.com")
    a_record = record(pointer(12), 1, b"\xc0\0\x02\x01")
    all_options = option(3) + option(8, b"\0\1\x18\0\xc0\0\2") + option(10, b"12345678") + option(11) + option(12, b"\0" * 9)
    yield "query", message(0x0100, [www])
    yield "query_edns", message(0x0130, [www], additionals=[opt(all_options, 4096, 0x8000)])
    yield "query_badvers", message(0x0100, [www], additionals=[opt(ttl=0x10000)])
    yield "query_axfr", message(0, [question("example.com", 252)])
    yield "query_tsig", message(0, [www], additionals=[record(name("k"), 250, name("hmac-sha256") + b"\0" * 16, 0, 255)])
    yield "query_localhost", message(0x0100, [question("a.LocalHost", 28)], additionals=[opt()])
    yield "query_onion", message(0x0100, [question("x.onion")])
    yield "query_notify", message(0x2000, [question("example.com", 6)])
    yield "query_two_opts", message(0x0100, [www], additionals=[opt(), opt()])
    yield "answer", message(0x8180, [www], [a_record])
    yield "answer_edns", message(0x8180, [www], [a_record], additionals=[opt(option(15, b"\0\3stale") + option(12, b"\0" * 40))])
    yield "answer_extended", message(0x8187, [www], additionals=[opt(ttl=0x1000000)])
    yield "answer_header_only", message(0x8001)
    cname = record(pointer(12), 5, b"\3web" + pointer(20))
    behind = 12 + len(www) + len(cname)
    yield "answer_cname", message(0x8180, [www], [cname, record(pointer(behind - 6), 1, b"\x0a\0\0\1")])
    plain = record(name("ns.example.net"), 1, b"\x0a\0\0\2")
    first_opt = opt(option(15, b"\0\3") + option(12, b"\0" * 12))
    after = 12 + len(www) + len(a_record) + len(first_opt)
    yield "answer_opt_first", message(0x8180, [www], [a_record], additionals=[first_opt, plain])
    yield "answer_pointer_behind_opt", message(
        0x8180, [www], [a_record], additionals=[first_opt, plain, record(pointer(after), 28, b"\x20" * 16)])
    yield "answer_pointer_to_opt", message(
        0x8180, [www], [a_record], additionals=[first_opt, record(b"\1b" + pointer(after - len(first_opt)), 1, b"\x0a\0\0\3")])
    yield "answer_large", message(0x8580, [question("t.test", 16)], [record(pointer(12), 16, b"\xc8" + b"x" * 200)] * 4,
                                  additionals=[opt()])


def lifetimes():
    """An octet for how many records there is room for, four for the seconds that pass, the message."""
    def seed(message, room=64, seconds=100):
        return struct.pack("!BI", room, seconds) + message
    www = question("www.Example.com")
    a_record = record(pointer(12), 1, b"\xc0\0\x02\x01")
    numbers = struct.pack("!5I", 1, 7200, 900, 1209600, 60)
    soa = record(pointer(16), 6, b"\2ns" + pointer(16) + b"\1h" + pointer(16) + numbers, 900)
    to_web = record(pointer(12), 5, b"\3web" + pointer(16))
    web = record(pointer(45), 1, b"\x0a\0\0\1", 20)
    yield "answer", seed(message(0x8180, [www], [a_record, a_record], additionals=[opt()]))
    yield "no_room", seed(message(0x8180, [www], [a_record, a_record]), room=1)
    yield "top_bit", seed(message(0x8180, [www], [record(pointer(12), 1, b"\0" * 4, 0x80000000)]))
    yield "opt_first", seed(message(0x8180, [www], [a_record], additionals=[opt(option(15, b"\0\3")), a_record]))
    yield "chain", seed(message(0x8180, [www], [to_web, web], [record(pointer(16), 2, b"\2ns" + pointer(16))]))
    yield "chain_backwards", seed(message(0x8180, [www], [record(b"\3web" + pointer(16), 1, b"\x0a\0\0\1"), to_web]))
    yield "chain_nodata", seed(message(0x8180, [www], [to_web], [soa], [opt()]))
    yield "chain_circle", seed(message(0x8180, [www], [record(pointer(12), 5, pointer(12))], [soa]))
    nsec = record(pointer(16), 47, name("a.example.com") + b"\0\1\x40", 30)
    yield "nxdomain", seed(message(0x8183, [www], [], [soa, nsec], [opt(ttl=0x8000)]))
    yield "failure", seed(message(0x8182, [www], [], [soa]))
    yield "truncated", seed(message(0x8380, [www], [a_record]))


def edns():
    yield "all", b"".join(option(code, bytes(range(code % 9))) for code in (3, 5, 6, 7, 8, 10, 11, 12, 13, 15, 19, 65001))
    yield "error", option(15, b"\0\x16one.one.one.one (1.1.1.1:853): certificate expired")
    yield "cut", option(3) + b"\0\x0f\0\x09\0"
    yield "repeated", option(3) * 40


def framing():
    stream = b"\0\3abc\0\0\0\1d" + b"\1\2" + b"y" * 258
    yield "octets", b"".join(bytes([1, octet]) for octet in stream[:12])
    yield "pieces", b"".join(bytes([len(piece)]) + piece for piece in (stream[:5], stream[5:6], stream[6:110], stream[110:]))


def sibling_records():
    for title, kind, message in (("query", 1, b"\0\1\1\0\0\1" + bytes(6) + question("a.test")), ("answer", 2, bytes(12)),
                                 ("refused", 3, b""), ("closed", 4, b""), ("left", 5, b""), ("died", 6, b"")):
        yield title, struct.pack("!BHIH", kind, 2, 77, 1) + message


def config():
    pin = base64.b64encode(bytes(32)).decode()
    upstream = '[[upstream]]\nname = "a"\naddresses = ["192.0.2.1", "[::1]:8853"]\ntls_name = "dns.example"\n'
    yield "small", upstream.encode()
    yield "full", (
        '[listen]\naddresses = ["127.0.0.1:53", "[::1]:53"]\nallow = ["private", "192.0.2.0/24"]\nworkers = 2\n'
        f'share_port = true\n{upstream}ca_file = "/ca.pem"\npins = ["sha256/{pin}"]\n'
        '[relay]\ndeadline = "2500ms"\n[limits]\ntcp_clients = 10\ntcp_idle = "1m"\n[log]\nlevel = "debug"\n').encode()
    yield "zones", (upstream + 'zone_only = false\n[[zone]]\nnames = ["corp.example", "10.in-addr.arpa."]\nupstreams = ["a"]\n'
                    '[[zone]]\nnames = ["local"]\nanswer = "nxdomain"\n').encode()
    yield "unknown", ("listen.worker = 1\n" + upstream).encode()
    yield "strings", b"a = '''\nx'''''\nb = \"\"\"\\\"y\"\"\"\"\nc = {d.e = [1, 2.0, 1979-05-27]} # z\n"
    yield "hours", b'[limits]\ntcp_idle = "4294967295h"\n'
    yield "letters", "[log]\nlével = “info”\n".encode()


def der(tag, *parts):
    content = b"".join(parts)
    size = bytes([len(content)]) if len(content) < 128 else struct.pack("!BH", 0x82, len(content))
    return bytes([tag]) + size + content


def name_constraints():
    """Two octets for where the constraints end, one that is not used, the constraints, a name."""
    def seed(subject, *lists):
        value = der(0x30, *(der(0xA0 + number, *(der(0x30, base) for base in bases)) for number, bases in enumerate(lists) if bases))
        return struct.pack("!HB", len(value), 0) + value + subject
    organisation = der(0x30, der(0x31, der(0x30, der(6, b"\x55\4\x0a"), der(0x0C, b"Some Org"))))
    yield "hosts", seed(b"a.test", [der(0x82, b"test"), der(0x82, b".b.test")], [der(0x82, b"bad.test")])
    yield "addresses", seed(b"\x7f\0\0\1", [der(0x87, b"\x7f\0\0\0\xff\0\0\0")], [der(0x87, bytes(32))])
    yield "directory", seed(organisation, [], [der(0xA4, organisation)])
    yield "others", seed(b"a@x.test", [der(0x81, b"x.test"), der(0x86, b"x.test")])


def answer_cache():
    """The question, how many octets each change has less one, then for each change the word of the memory and its octets."""
    log, index, segments = 416, 32, 16   # where they begin in the smallest cache

    def seed(question_number, *changes):
        size = len(changes[0][1]) if changes else 4
        return bytes([question_number, size - 1]) + b"".join(struct.pack("!H", word) + octets for word, octets in changes)

    yield "untouched", seed(3)
    yield "sizes", seed(0, (log + 5, b"\xff\xff\xff\xff"))
    yield "largest", seed(0, (log + 5, struct.pack("<HH", 4096, 64)))
    yield "times", seed(0, (log + 3, struct.pack("<II", 0xffffffff, 0xffffffff)))
    yield "offsets", seed(0, (log + 7, b"\xff\xff"))
    yield "question", seed(0, (log + 8, bytes(24)))
    yield "generation", seed(1, (segments + 1, b"\3\0\0\0"))
    yield "owners", seed(1, (segments, b"\2\0\0\0"), (segments + 4, b"\2\0\0\0"), (segments + 8, b"\2\0\0\0"))
    yield "slots", seed(2, *((index + slot, b"\xff\xff\xff\xff") for slot in range(0, 384, 3)))
    yield "header", seed(2, (0, bytes(64)))


def main():
    shutil.rmtree(CORPUS, ignore_errors=True)
    for target, seeds in (("message_view", message_views()), ("edns", edns()), ("framing", framing()), ("config", config()),
                          ("lifetime", lifetimes()), ("answer_cache", answer_cache()),
                          ("name_constraints", name_constraints()), ("sibling_record", sibling_records())):
        folder = CORPUS / target
        folder.mkdir(parents=True)
        for title, octets in seeds:
            (folder / title).write_bytes(octets)


if __name__ == "__main__":
    main()
