"""The scriptable upstream without TLS: DNS over TCP (RFC 7766), as a router or a cluster's DNS speaks it. It counts UDP datagrams, too."""
import asyncio
import socket
import time

from .clients import socket_address
from .dot_connection import Connection
from .dot_upstream import DotUpstream


class PlainConnection(Connection):
    """What a script may do is the same as with a TLS connection; there is no handshake, so each one is established."""

    def __init__(self, upstream):   # pylint: disable=super-init-not-called
        self.upstream, self.transport, self.error = upstream, None, None
        self.established, self.closed, self.ended_by_us, self.flush_due = False, False, False, False
        self.plain, self.unparsed, self.queries = [], b"", 0
        self.opened_at, self.closed_at = time.monotonic(), None

    def connection_made(self, transport):
        self.transport, self.established = transport, True
        self.upstream.connections.append(self)
        if self.upstream.idle_close is not None:
            self._watch_idle(-1)

    def data_received(self, data):
        self._take_frames(data)

    def flush(self):
        self.flush_due = False
        plain, self.plain = b"".join(self.plain), []
        if plain and not self.closed:
            self.transport.write(plain)

    def close(self, notify=False):
        self.flush()
        self.ended_by_us = True
        self.transport.close()


class DatagramCounter(asyncio.DatagramProtocol):
    def __init__(self, upstream):
        self.upstream = upstream

    def datagram_received(self, data, address):
        self.upstream.datagrams += 1


class PlainUpstream(DotUpstream):
    connection_class = PlainConnection

    def __init__(self, **arguments):
        super().__init__(None, **arguments)
        self.datagrams, self.counter = 0, None

    @staticmethod
    def _make_context(*_):
        return None

    async def serve(self, listener):
        await super().serve(listener)
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.counter, _ = await self.loop.create_datagram_endpoint(lambda: DatagramCounter(self), family=family,
                                                                   local_addr=socket_address(self.host, self.port)[:2])

    def stop(self, reset=False):
        if self.counter is not None:
            self.call(self.counter.close)
            self.counter = None
        super().stop(reset)


def local_upstream_table(*servers, name="local"):
    """The [[local_upstream]] table for upstreams, or for addresses as text."""
    return {"name": name, "addresses": [getattr(server, "address", server) for server in servers]}
