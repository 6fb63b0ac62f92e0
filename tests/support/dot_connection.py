"""One connection to the scriptable DoT upstream, and one query on it: the handles through which a script acts.

TLS runs over memory buffers (RFC 7858 framing above, a plain TCP transport below), so that every octet on the wire is ours to hold
back, split or cut.
"""
import asyncio
import socket
import ssl
import struct
import time

from . import client_hello, dns_answers

NO_APPLICATION_PROTOCOL = b"\x15\x03\x03\x00\x02\x02\x78"   # a fatal alert record


class SeenQuery:
    """One query as it arrived. `number` counts from 1 on its connection, `total` at the upstream."""

    __slots__ = ("message", "question", "connection", "number", "total", "time")

    def __init__(self, message, connection, number, total):
        self.message, self.connection, self.number, self.total = message, connection, number, total
        self.question = dns_answers.Question(message)
        self.time = time.monotonic()

    @property
    def name(self):
        return self.question.text

    @property
    def type(self):
        return self.question.type

    @property
    def flags(self):
        return self.message[2] << 8 | self.message[3]

    @property
    def options(self):
        return dns_answers.edns_options(self.message)

    def answer(self, **parts):
        """The right answer; `parts` go to dns_answers.default_answer."""
        upstream = self.connection.upstream
        return dns_answers.default_answer(self.message, self.question, ttl=upstream.ttl, pad_to=upstream.pad_to, **parts)

    def reply(self, message=None, delay=0.0):
        message = self.answer() if message is None else message
        self.connection.send_frame(message, delay)


class Connection(asyncio.Protocol):
    """One TCP connection. Attributes are for tests to read: hello, version, alpn, resumed, queries, error, closed, close_notify."""

    def __init__(self, upstream):
        self.upstream = upstream
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = upstream.context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.hello = self.version = self.alpn = self.error = self.transport = None
        self.resumed = self.established = self.closed = self.close_notify = self.ended_by_us = self.flush_due = False
        self.admitted = True
        self.first_octets, self.plain, self.unparsed, self.queries, self.segments = b"", [], b"", 0, []
        self.opened_at, self.closed_at = time.monotonic(), None

    def connection_made(self, transport):
        self.transport = transport
        limit = self.upstream.max_connections
        self.admitted = limit is None or sum(other.admitted and not other.closed for other in self.upstream.connections) < limit
        self.upstream.connections.append(self)
        if not self.admitted:
            self.upstream.turned_away += 1
            if self.upstream.beyond in ("close", "reset"):
                self._refuse_handshake(self.upstream.beyond)
        elif self.upstream.handshake == "close":
            self.close(notify=False)
        elif self.upstream.handshake == "reset":
            self.reset()

    def connection_lost(self, exception):
        self.closed, self.closed_at = True, time.monotonic()

    def eof_received(self):
        return False

    def data_received(self, data):
        if self.hello is None:
            self._read_hello(data)
            if not self.admitted and self.upstream.beyond != "late":
                return self._refuse_handshake(self.upstream.beyond)
            if self.upstream.handshake != "normal":
                return self._refuse_handshake(self.upstream.handshake)
            if self.upstream.refuse_tickets and self.hello and (self.hello.psk_identities or self.hello.ticket):
                return self._refuse_handshake(self.upstream.refuse_tickets)
            if self.upstream.handshake_delay:
                return self.upstream.loop.call_later(self.upstream.handshake_delay, self._take, data)
        self._take(data)

    def _take(self, data):
        if self.closed:
            return
        self.incoming.write(data)
        try:
            if not self.established:
                self._shake_hands()
            if self.admitted:   # a query may come in one segment with the end of the handshake
                self._read_frames()
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLZeroReturnError:
            self._end_after_notify()
        except ssl.SSLError as error:
            self.error = error.reason or str(error)
            self._flush_tls()
            self.transport.close()
        self._flush_tls()

    def _read_hello(self, data):
        self.first_octets += data
        try:
            self.hello = client_hello.parse(self.first_octets)
        except client_hello.Incomplete:
            pass
        except ValueError as error:
            self.error = str(error)

    def _refuse_handshake(self, how):
        if how == "garbage":
            self.transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        elif how == "alert":
            self.transport.write(NO_APPLICATION_PROTOCOL)
            self.close(notify=False)
        elif how == "close":
            self.close(notify=False)
        elif how == "reset":
            self.reset()
        # "never": stay silent

    def _shake_hands(self):
        self.tls.do_handshake()
        self.established = True
        self.version, self.alpn = self.tls.version(), self.tls.selected_alpn_protocol()
        self.resumed = self.tls.session_reused
        if not self.admitted:
            self.upstream.loop.call_soon(self.close)
        if self.upstream.idle_close is not None:
            self._watch_idle(-1)

    def _watch_idle(self, seen):
        if self.queries == seen or self.closed:
            self.upstream.end_idle(self)
        else:
            self.upstream.loop.call_later(self.upstream.idle_close, self._watch_idle, self.queries)

    def _read_frames(self):
        while True:
            part = self.tls.read(65536)
            if not part:
                return self._end_after_notify()
            self._take_frames(part)

    def _take_frames(self, part):
        buffer, position = self.unparsed + part, 0
        while len(buffer) - position >= 2:
            end = position + 2 + (buffer[position] << 8 | buffer[position + 1])
            if end > len(buffer):
                break
            message = buffer[position + 2:end]
            position = end
            self.queries += 1
            self.upstream.on_query(message, self)
        self.unparsed = buffer[position:]

    def _end_after_notify(self):
        self.close_notify = True
        self._flush_tls()
        self.transport.close()

    # What a script may do with the connection; all of it runs on the loop's thread.

    def send_frame(self, message, delay=0.0):
        self.send_plain(struct.pack("!H", len(message)) + message, delay)

    def send_plain(self, octets, delay=0.0):
        """Octets of the DNS stream as they are, framing included; those of one loop iteration share records."""
        if delay > 0:
            self.upstream.loop.call_later(delay, self.send_plain, octets)
        elif not self.ended_by_us and not self.closed:
            self.plain.append(octets)
            if not self.flush_due:
                self.flush_due = True
                self.upstream.loop.call_soon(self.flush)

    def flush(self):
        self.flush_due = False
        plain, self.plain = b"".join(self.plain), []
        if plain and not self.closed and self.established:
            step = 1 if self.upstream.octets == "records" else 16384
            for start in range(0, len(plain), step):
                self.tls.write(plain[start:start + step])
            self._flush_tls()

    def _flush_tls(self):
        octets = self.outgoing.read()
        if not octets or self.transport.is_closing():
            return
        if self.upstream.octets == "segments":
            self.segments.append(octets)
            if len(self.segments) == 1:
                self._send_segment(0)
        else:
            self.transport.write(octets)

    def _send_segment(self, position):
        """One octet of the TCP stream a loop iteration, each its own segment."""
        octets = self.segments[0]
        self.transport.write(octets[position:position + 1])
        if position + 1 == len(octets):
            self.segments.pop(0)
            position = -1
        if self.segments and not self.closed:
            self.upstream.loop.call_soon(self._send_segment, position + 1)

    def close(self, notify=True):
        """Sends what is due, close_notify unless told otherwise, then FIN."""
        self.flush()
        self.ended_by_us = True
        if notify and self.established:
            try:
                self.tls.unwrap()
            except ssl.SSLError:
                pass
            self._flush_tls()
        self.transport.close()

    def reset(self):
        self.flush()
        self.ended_by_us = True
        self.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()

    def half_close(self):
        """FIN without close_notify, then reads on."""
        self.flush()
        self.ended_by_us = True
        self.transport.write_eof()

    def stop_reading(self):
        self.transport.pause_reading()
