"""A TCP proxy that keeps every octet of both directions, to prove that the relay sends TLS and nothing else."""
import asyncio
import struct

from .event_loop import shared_loop
from .ports import free_port

RECORD_TYPES = {20: "change_cipher_spec", 21: "alert", 22: "handshake", 23: "application_data"}


class Tap:
    """The octets of one connection."""

    def __init__(self):
        self.from_relay, self.from_upstream = bytearray(), bytearray()


class TapProxy:
    """Listens on `address` and forwards to a host and port."""

    def __init__(self, target_port, target_host="127.0.0.1"):
        self.target, self.port, self.taps, self.server = (target_host, target_port), free_port(), [], None
        self.address = f"127.0.0.1:{self.port}"

    async def _serve(self, reader, writer):
        tap = Tap()
        self.taps.append(tap)
        try:
            far_reader, far_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(self._copy(reader, far_writer, tap.from_relay), self._copy(far_reader, writer, tap.from_upstream))

    @staticmethod
    async def _copy(reader, writer, kept):
        try:
            while data := await reader.read(65536):
                kept += data
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def __enter__(self):
        async def begin():
            self.server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        shared_loop().run(begin())
        return self

    def __exit__(self, *_):
        async def end():
            self.server.close()
        shared_loop().run(end())


def record_types(stream):
    """The types of all TLS records of a stream; fails when any octet belongs to no record. A last, unfinished record is allowed."""
    types, position = [], 0
    while len(stream) - position >= 5:
        kind, version, length = struct.unpack_from("!BHH", stream, position)
        assert kind in RECORD_TYPES, f"octet {position}: {kind} is no TLS record type"
        assert 0x0301 <= version <= 0x0303, f"octet {position}: record version {version:#x}"
        assert length <= 16384 + 256, f"octet {position}: record of {length} octets"
        types.append(RECORD_TYPES[kind])
        position += 5 + length
    return types
