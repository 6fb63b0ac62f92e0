"""A DoT upstream for load: answers by the name like the scriptable one, records nothing, and releases answers shuffled on request.

With --delay every answer waits a random time; answers that become due in the same millisecond leave in random order in one write.
Several processes may share the port (SO_REUSEPORT).
"""
import argparse
import asyncio
import random
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from support import dns_answers  # noqa: E402
from support.dot_upstream import DotUpstream  # noqa: E402

TICK = 0.002


class Shuffler:
    """A wheel of slots two milliseconds apart: a timer for each answer would cost more than the answer."""

    def __init__(self, delay_ms):
        self.slots = [[] for _ in range(max(2, int(delay_ms / 1000 / TICK) + 1))]
        self.now = 0

    def put(self, connection, message):
        slot = (self.now + random.randrange(1, len(self.slots))) % len(self.slots)
        self.slots[slot].append((connection, message))

    async def run(self):
        while True:
            await asyncio.sleep(TICK)
            self.now = (self.now + 1) % len(self.slots)
            due, self.slots[self.now] = self.slots[self.now], []
            random.shuffle(due)
            for connection, message in due:
                connection.send_frame(message)


class FastUpstream(DotUpstream):
    """DotUpstream without scripts and records."""

    shuffler = None

    def on_query(self, message, connection):
        answer = dns_answers.default_answer(message)
        if self.shuffler:
            self.shuffler.put(connection, answer)
        else:
            connection.send_frame(answer)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--chain", required=True, help="PEM file: certificate chain")
    parser.add_argument("--key", required=True, help="PEM file: private key")
    parser.add_argument("--delay", type=float, default=0, help="answer after 0 to this many ms, drawn at random")
    arguments = parser.parse_args()

    class Files:
        chain_file, key_file = arguments.chain, arguments.key

    async def run():
        upstream = FastUpstream(Files, host=arguments.host, port=arguments.port)
        await upstream.serve(upstream.listening_socket(share=True))
        print(f"ready on {upstream.address}", flush=True)
        if arguments.delay:
            upstream.shuffler = Shuffler(arguments.delay)
            await upstream.shuffler.run()
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    main()
