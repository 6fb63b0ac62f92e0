"""A DNS-over-TLS server (RFC 7858) that does what a test tells it to, and remembers everything it saw.

Without a script it answers by the name (see dns_answers). A script is a function `behaviour(query)` that replies, waits, lies or
breaks the connection through the SeenQuery it gets; behaviours.py holds the common ones, dot_connection.py what
a script can do. `python3 -m support.dot_upstream --help` runs it as a process.
"""
import argparse
import asyncio
import random
import socket
import ssl
import warnings

from . import dns_answers
from .clients import socket_address
from .dot_connection import Connection, SeenQuery
from .event_loop import shared_loop, wait_until
from .ports import free_port

TLS_VERSIONS = {"1.1": ssl.TLSVersion.TLSv1_1, "1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class DotUpstream:
    """The server. Start it with start() or as a context manager; change behaviour, handshake, octets at any time between queries."""

    connection_class = Connection

    def __init__(self, certificate, *, host="127.0.0.1", port=None, behaviour=None, version=None, tickets=True, alpn=("dot",),
                 handshake="normal", refuse_tickets=None, octets="", idle_close=None, ttl=dns_answers.TTL, pad_to=0, record=True,
                 max_connections=None, beyond="close"):
        self.host, self.port = host, port or free_port()
        self.behaviour, self.handshake, self.octets, self.idle_close = behaviour, handshake, octets, idle_close
        self.refuse_tickets = refuse_tickets   # "close", "reset" or "alert": what a handshake with a ticket gets
        self.ttl, self.pad_to, self.record = ttl, pad_to, record
        # What a connection beyond `max_connections` gets: "close", "reset", "never" (silence), or "late" (a close after the handshake).
        self.max_connections, self.beyond, self.turned_away = max_connections, beyond, 0
        self.handshake_delay = 0   # seconds between the ClientHello and the answer to it
        self.queries, self.connections, self.query_count, self.script_errors = [], [], 0, []
        self.end_idle = Connection.close
        self.loop, self.server = None, None
        self.context = self._make_context(certificate, version, tickets, alpn)

    @staticmethod
    def _make_context(certificate, version, tickets, alpn):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.chain_file, certificate.key_file)
        if version:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)   # offering TLS 1.1 is what such a test is about
                context.set_ciphers("ALL:@SECLEVEL=0" if version == "1.1" else "DEFAULT")
                context.minimum_version = context.maximum_version = TLS_VERSIONS[version]
        if not tickets:
            context.options |= ssl.OP_NO_TICKET
            context.num_tickets = 0
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context

    @property
    def address(self):
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def listening_socket(self, share=False):
        """Made on the caller's thread, hence in the caller's network namespace."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)   # else asyncio sets no TCP_NODELAY
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(socket_address(self.host, self.port))
        listener.listen(512)
        return listener

    async def serve(self, listener):
        self.loop = asyncio.get_running_loop()
        self.server = await self.loop.create_server(lambda: self.connection_class(self), sock=listener)

    def start(self):
        shared_loop().run(self.serve(self.listening_socket()))
        return self

    def stop(self, reset=False):
        """Closes the listener and every connection: orderly, or with RST as a crashed host would."""
        async def end():
            if self.server:
                self.server.close()
            self.server = None
            for connection in self.connections:
                if not connection.closed and connection.transport:
                    connection.reset() if reset else connection.close()
        shared_loop().run(end())
        wait_until(lambda: all(connection.closed for connection in self.connections), what="upstream connections closed")
        if self.script_errors:
            raise self.script_errors[0]   # the script itself is broken: the test proved nothing

    def call(self, function, *arguments):
        """Runs `function` on the server's thread, for instance to break a connection."""
        async def run():
            return function(*arguments)
        return shared_loop().run(run())

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop(reset=True)

    def on_query(self, message, connection):
        self.query_count += 1
        if not self.record and self.behaviour is None:
            return connection.send_frame(dns_answers.default_answer(message, ttl=self.ttl))
        query = SeenQuery(message, connection, connection.queries, self.query_count)
        if self.record:
            self.queries.append(query)
        try:
            if self.behaviour is not None:
                self.behaviour(query)
            else:
                query.reply(delay=(query.question.number(b"delay-") or 0) / 1000)
        except Exception as error:   # pylint: disable=broad-except
            self.script_errors.append(error)

    def wait_for_queries(self, count, timeout=5.0):
        wait_until(lambda: len(self.queries) >= count, timeout, lambda: f"{count} queries at the upstream, there are {len(self.queries)}")
        return self.queries

    def seen(self, name):
        """The queries for a name, whatever their letter case."""
        return [query for query in list(self.queries) if query.name.lower() == name.lower().rstrip(".")]

    def live_connections(self):
        return [connection for connection in list(self.connections) if connection.established and not connection.closed]


def main():
    parser = argparse.ArgumentParser(description="A DoT upstream that answers by the name.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--chain", required=True, help="PEM file: certificate chain")
    parser.add_argument("--key", required=True, help="PEM file: private key")
    parser.add_argument("--delay", type=float, default=0, help="answer after 0 to this many ms, drawn at random, hence out of order")
    arguments = parser.parse_args()

    class Files:
        chain_file, key_file = arguments.chain, arguments.key

    def delayed(query):
        query.reply(delay=random.uniform(0, arguments.delay / 1000))

    upstream = DotUpstream(Files, host=arguments.host, port=arguments.port, record=False,
                           behaviour=delayed if arguments.delay else None)

    async def run():
        await upstream.serve(upstream.listening_socket(share=True))
        print(f"ready on {upstream.address}", flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
