"""Clients that ask without a pause, while a test does something to the relay: each question must be answered, and each TCP
connection must last."""
import threading

from .clients import TcpClient, UdpClient, assert_right, parse, raw_query
from .event_loop import wait_until

PIPELINED = 8


class Load:
    """Persistent clients on threads of their own. `lost` says what went wrong; leaving the block checks that nothing did."""

    def __init__(self, port, udp=3, tcp=3, pause=0.002):
        self.port, self.pause = port, pause
        self.stopping = threading.Event()
        self.lock, self.answered, self.lost = threading.Lock(), 0, []
        self.threads = [threading.Thread(target=self._run, args=(UdpClient, f"udp-{i}", 1)) for i in range(udp)]
        self.threads += [threading.Thread(target=self._run, args=(TcpClient, f"tcp-{i}", PIPELINED)) for i in range(tcp)]

    def _run(self, kind, name, batch):
        number = 0
        try:
            with kind(self.port, timeout=5) as client:
                while not self.stopping.is_set():
                    names = {}
                    for _ in range(batch):
                        number = (number + 1) % 60000
                        names[number] = f"{name}-{number}.example"
                    client_messages = [raw_query(question, message_id=message_id) for message_id, question in names.items()]
                    client.send(*client_messages)
                    for _ in range(batch):
                        octets = client.receive()
                        if octets is None:
                            raise AssertionError("the connection ended" if kind is TcpClient else "no answer")
                        response = parse(octets)
                        assert_right(response, names.pop(response.id))
                    with self.lock:
                        self.answered += batch
                    self.stopping.wait(self.pause)
        except Exception as error:   # pylint: disable=broad-except
            with self.lock:
                self.lost.append(f"{name}, after {number} questions: {error!r}")

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            wait_until(lambda: self.answered or self.lost)
        self.stopping.set()
        for thread in self.threads:
            thread.join()
        if kind is None:
            assert not self.lost, self.lost
