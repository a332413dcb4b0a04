"""The benchmark's own package, which stands beside the tests, and servers and results to try it on."""

import socket
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))


class Listener:
    """A server of the test's own: each connection is given to a function, in a thread of its own."""

    def __init__(self, serve):
        self._serve = serve
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._socket.getsockname()[1]
        self.accepted = 0
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.accepted += 1
            thread = threading.Thread(target=self._run, args=(connection, self.accepted))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection, number):
        with connection:
            try:
                self._serve(connection, number)
            except OSError:
                pass

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture
def listen():
    """Return listen(serve) -> Listener; serve(connection, number) is called for each connection."""
    opened = []

    def start(serve):
        listener = Listener(serve)
        opened.append(listener)
        return listener

    yield start
    for listener in opened:
        listener.close()


@pytest.fixture
def measured():
    """Return measured(rounds, **work): a results file with one kind of work, of known figures."""

    def make(rounds, name="hello-1", **work):
        return {
            "kind": "bench",
            "made": "2026-01-05T10:00:00+00:00",
            "machine": {
                "processor": "Abacus",
                "cores": 2,
                "kernel": "6.1",
                "python": "CPython 3.11.7",
                "wrk": "4.1.0",
            },
            "options": {"rounds": len(rounds), "seconds": 3, "quick": False, "load": "wrk"},
            "servers": {
                "portway": {"title": "Portway", "version": "0.1.0 (compiled)"},
                "fastpysgi": {"title": "FastPySGI", "version": "0.6"},
                "granian": {"title": "Granian", "version": "2.8.7"},
                "gunicorn-gthread": {"title": "Gunicorn gthread", "version": "27.0.1"},
                "bjoern": {"title": "bjoern", "missing": "ev.h: not found"},
            },
            "work": {
                name: {
                    "title": "hello, 13 bytes",
                    "headline": "rate",
                    "unit": "requests/s",
                    "better": "higher",
                    **work,
                    "rounds": rounds,
                }
            },
        }

    return make
