"""DNS clients for tests: raw UDP and TCP with framing, queries and checks of answers through dnspython."""
import random
import socket
import struct

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.rdatatype

from . import dns_answers


def make_query(name, rrtype="A", *, edns=True, payload=1232, options=(), do=False, rd=True, cd=False, ad=False, rrclass="IN"):
    """A dnspython query; `options` are (code, data) pairs."""
    query = dns.message.make_query(name, rrtype, rrclass)
    query.flags = (dns.flags.RD if rd else 0) | (dns.flags.CD if cd else 0) | (dns.flags.AD if ad else 0)
    if edns:
        query.use_edns(0, dns.flags.DO if do else 0, payload, options=[dns.edns.GenericOption(*pair) for pair in options])
    return query


def raw_query(name, rrtype=1, *, message_id=None, flags=0x0100, rrclass=1, additional=b"", additional_count=0, counts=None):
    """A query octet by octet: `counts` replaces the four section counts, `additional` is appended as it is."""
    message_id = random.randrange(65536) if message_id is None else message_id
    counts = counts or (1, 0, 0, additional_count)
    return (struct.pack("!HH", message_id, flags) + struct.pack("!HHHH", *counts) + dns_answers.wire_name(name)
            + struct.pack("!HH", rrtype, rrclass) + additional)


def parse(octets):
    """Fails on a malformed message or trailing octets."""
    return dns.message.from_wire(octets, raise_on_truncation=False)


def socket_address(host, port):
    """What bind() and connect() want, also for an address with its interface ("fe80::1%br-lan")."""
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)[0][4] if "%" in host else (host, port)


class UdpClient:
    """A connected UDP socket: an answer from another address is never seen."""

    def __init__(self, port, host="127.0.0.1", source=None, timeout=5.0, source_port=0):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        if source:
            self.socket.bind((source, source_port))
        self.socket.connect(socket_address(host, port))
        self.socket.settimeout(timeout)

    def send(self, octets):
        self.socket.send(octets)

    def receive(self, timeout=None):
        """The next datagram, or None when none comes."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        try:
            return self.socket.recv(65535)
        except (TimeoutError, ConnectionRefusedError):
            return None

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class TcpClient:
    """A TCP client with DNS framing; any number of queries may be sent before answers are read."""

    def __init__(self, port, host="127.0.0.1", source=None, timeout=5.0, receive_buffer=None):
        self.socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.settimeout(timeout)
        if source:
            self.socket.bind((source, 0))
        self.socket.connect(socket_address(host, port))

    def send(self, *messages):
        self.socket.sendall(b"".join(struct.pack("!H", len(message)) + message for message in messages))

    def receive(self, timeout=None):
        """The next message; None at the end of the stream or after a reset; TimeoutError when nothing comes."""
        if timeout is not None:
            self.socket.settimeout(timeout)
        length = self._exactly(2)
        return None if length is None else self._exactly(struct.unpack("!H", length)[0])

    def _exactly(self, count):
        data = b""
        while len(data) < count:
            try:
                part = self.socket.recv(count - len(data))
            except ConnectionResetError:
                return None
            if not part:
                return None
            data += part
        return data

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def exchange(octets, port, transport="udp", host="127.0.0.1", timeout=5.0):
    """One message out, one back as octets; None for silence or a closed connection."""
    client = UdpClient if transport == "udp" else TcpClient
    with client(port, host, timeout=timeout) as session:
        session.send(octets)
        try:
            return session.receive()
        except TimeoutError:
            return None


def ask(port, name, rrtype="A", transport="udp", host="127.0.0.1", timeout=5.0, **query):
    """Asks and gives the parsed answer, which has the query's ID and question."""
    message = make_query(name, rrtype, **query)
    octets = exchange(message.to_wire(), port, transport, host, timeout)
    assert octets is not None, f"no answer to {name} {rrtype} over {transport}"
    response = parse(octets)
    assert response.id == message.id and response.question == message.question, response
    assert response.flags & dns.flags.QR
    return response


def rcode(response):
    return dns.rcode.to_text(response.rcode())


def options(response):
    """[(code, data)] of the answer's OPT."""
    return [(int(option.otype), option.to_wire()) for option in response.options]


def extended_errors(response):
    """[(info code, text)] of the answer."""
    return [(struct.unpack("!H", data[:2])[0], data[2:].rstrip(b"\0").decode()) for code, data in options(response)
            if code == dns_answers.EDE]


def addresses(response):
    return sorted(record.address for rrset in response.answer for record in rrset if hasattr(record, "address"))


def derived_address(name, rrtype="A"):
    """The address that the upstream gives to a name."""
    seed = dns_answers.digest(dns_answers.wire_name(name))
    return socket.inet_ntop(*((socket.AF_INET, seed[:4]) if rrtype == "A" else (socket.AF_INET6, seed[:16])))


def assert_right(response, name, rrtype="A"):
    assert rcode(response) == "NOERROR", response
    assert addresses(response) == [derived_address(name, rrtype)], response


def assert_failed(response, *causes):
    """SERVFAIL whose Extended DNS Error (22 or 23) names every given cause."""
    assert rcode(response) == "SERVFAIL", response
    assert not response.answer
    errors = extended_errors(response)
    assert errors and errors[0][0] in (22, 23), response
    for cause in causes:
        assert cause in errors[0][1], errors
