"""One asyncio loop on a background thread, shared by every scripted server of a test process, and waiting for conditions."""
import asyncio
import threading
import time


class LoopThread:
    """Runs coroutines and callbacks for callers on other threads."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, name="scripted-servers", daemon=True).start()

    def run(self, coroutine, timeout=10):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)


_shared = None


def shared_loop():
    global _shared
    if _shared is None:
        _shared = LoopThread()
    return _shared


def wait_until(condition, timeout=5.0, what=None):
    """Waits until `condition()` is true and gives its value; fails with `what`, a text or what gives one, when the time is over."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what() if callable(what) else what or condition}")
        time.sleep(0.002)
