"""Reads the ClientHello a client sent, so that tests see what was offered rather than what OpenSSL made of it (RFC 8446 4.1.2)."""
import struct
from dataclasses import dataclass, field


@dataclass
class ClientHello:
    server_name: str | None = None
    alpn: list = field(default_factory=list)
    versions: list = field(default_factory=list)
    ticket: bytes = b""          # TLS 1.2 session ticket
    psk_identities: list = field(default_factory=list)
    psk_modes: list = field(default_factory=list)


class Incomplete(Exception):
    """More octets are needed."""


def handshake_octets(data):
    """The handshake layer of the first records of a stream."""
    position, body = 0, b""
    while True:
        if len(body) >= 4 and len(body) >= 4 + int.from_bytes(body[1:4], "big"):
            return body
        if len(data) < position + 5:
            raise Incomplete
        kind, _, length = struct.unpack_from("!BHH", data, position)
        if kind != 22:
            raise ValueError(f"record type {kind} before the ClientHello ended")
        if len(data) < position + 5 + length:
            raise Incomplete
        body += data[position + 5:position + 5 + length]
        position += 5 + length


def parse(data):
    """The ClientHello at the start of the TCP stream `data`; Incomplete while some of it is missing."""
    body = handshake_octets(data)
    if body[0] != 1:
        raise ValueError("first handshake message is no ClientHello")
    position = 4 + 2 + 32
    position += 1 + body[position]                                        # session id
    position += 2 + int.from_bytes(body[position:position + 2], "big")    # cipher suites
    position += 1 + body[position]                                        # compression
    hello = ClientHello()
    if position + 2 > 4 + int.from_bytes(body[1:4], "big"):
        return hello
    end = position + 2 + int.from_bytes(body[position:position + 2], "big")
    position += 2
    while position < end:
        kind, length = struct.unpack_from("!HH", body, position)
        read_extension(hello, kind, body[position + 4:position + 4 + length])
        position += 4 + length
    return hello


def read_extension(hello, kind, data):
    if kind == 0 and data:
        hello.server_name = data[5:5 + int.from_bytes(data[3:5], "big")].decode()
    elif kind == 16:
        position = 2
        while position < len(data):
            hello.alpn.append(data[position + 1:position + 1 + data[position]].decode())
            position += 1 + data[position]
    elif kind == 35:
        hello.ticket = data
    elif kind == 43:
        hello.versions = [int.from_bytes(data[i:i + 2], "big") for i in range(1, len(data), 2)]
    elif kind == 45:
        hello.psk_modes = list(data[1:])
    elif kind == 41:
        position, end = 2, 2 + int.from_bytes(data[:2], "big")
        while position < end:
            length = int.from_bytes(data[position:position + 2], "big")
            hello.psk_identities.append(data[position + 2:position + 2 + length])
            position += 2 + length + 4
