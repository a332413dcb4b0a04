"""Clients that hang on: connected, and not doing what a client should. A program, run on the load core.

    python -m benchmarks.hangers PORT IDLE ONE_BYTE STALLED DEAF

idle: half of them have had one response, half have sent nothing. one-byte: sent one byte of a request.
stalled: sent the head and a little of the body of an upload. deaf: asked for /big and never read. It prints
"ready" when all are connected and have said what they say, keeps their number by connecting again where the
server closes (a bounded number of times), and ends when its standard input does, after one line of JSON: how
many of each kind are open, and how many times the server closed them.
"""

import errno
import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass

IDLE, ONE_BYTE, STALLED, DEAF = "idle", "one-byte", "stalled", "deaf"
KINDS = (IDLE, ONE_BYTE, STALLED, DEAF)
#: Seconds to wait for the connections to be made; a server that accepts none leaves them in its backlog.
READY = 10.0
#: The most connections that are made again in one second.
AGAIN = 200


@dataclass(slots=True)
class Hanger:
    """One client: what kind, what it says when it is connected, whether its response may be read."""

    kind: str
    says: bytes
    reads: bool = True
    connection: socket.socket | None = None
    told: bool = False


def what_it_says(kind: str, number: int, port: int) -> bytes:
    """Return the bytes that the client of this kind sends, and no more."""
    host = f"Host: 127.0.0.1:{port}\r\n"
    if kind == IDLE:
        return f"GET / HTTP/1.1\r\n{host}\r\n".encode() if number % 2 else b""
    if kind == ONE_BYTE:
        return b"G"
    if kind == STALLED:
        return f"POST / HTTP/1.1\r\n{host}Content-Length: 1048576\r\n\r\n".encode() + b"x" * 8192
    return f"GET /big HTTP/1.1\r\n{host}\r\n".encode()


class Crowd:
    """All the hanging clients, in one thread."""

    def __init__(self, port: int, counts: dict[str, int]) -> None:
        self._port = port
        self._selector = selectors.EpollSelector()
        self._all = [
            Hanger(kind, what_it_says(kind, number, port), reads=kind != DEAF)
            for kind, count in counts.items()
            for number in range(count)
        ]
        self.closed = dict.fromkeys(counts, 0)
        self._waiting: list[Hanger] = []

    def connect_all(self) -> None:
        """Connect all of them and let each say its part; return after READY seconds at the latest."""
        for hanger in self._all:
            self._connect(hanger)
        until = time.monotonic() + READY
        while not all(hanger.told for hanger in self._all) and (left := until - time.monotonic()) > 0:
            self.turn(left)

    def _connect(self, hanger: Hanger) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        if hanger.kind == DEAF:
            # As small as a window may be, before the handshake offers it.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        code = connection.connect_ex(("127.0.0.1", self._port))
        if code not in (0, errno.EINPROGRESS):
            connection.close()
            self._waiting.append(hanger)
            return
        hanger.connection, hanger.told = connection, False
        self._selector.register(connection, selectors.EVENT_WRITE, hanger)

    def turn(self, seconds: float | None) -> bool:
        """Wait so long for something to happen and handle it; return True if standard input has ended."""
        for key, events in self._selector.select(seconds):
            if key.data is None:
                return True
            try:
                self._handle(key.data, events)
            except BlockingIOError:
                continue
            except OSError:
                self._lost(key.data)
        return False

    def _handle(self, hanger: Hanger, events: int) -> None:
        connection = hanger.connection
        assert connection is not None
        if not hanger.told and events & selectors.EVENT_WRITE:
            if hanger.says:
                connection.send(hanger.says)
            hanger.told = True
            if hanger.reads:
                self._selector.modify(connection, selectors.EVENT_READ, hanger)
            else:
                # A deaf client is never told that there is something to read, only that all is over.
                self._selector.modify(connection, 0, hanger)
        elif not hanger.reads or (events & selectors.EVENT_READ and not connection.recv(65536)):
            raise ConnectionResetError

    def _lost(self, hanger: Hanger) -> None:
        if hanger.connection is not None:
            self._selector.unregister(hanger.connection)
            hanger.connection.close()
            hanger.connection = None
        if hanger.told:
            self.closed[hanger.kind] += 1
        self._waiting.append(hanger)

    def connect_again(self, count: int) -> None:
        """Connect so many of those that were closed."""
        again, self._waiting = self._waiting[:count], self._waiting[count:]
        for hanger in again:
            self._connect(hanger)

    def run_until_told(self) -> None:
        """Hang on until standard input ends."""
        self._selector.register(sys.stdin, selectors.EVENT_READ, None)
        last = time.monotonic()
        while not self.turn(0.1 if self._waiting else None):
            now = time.monotonic()
            if self._waiting and now - last > 0.1:
                last = now
                self.connect_again(AGAIN // 10)

    def open(self) -> dict[str, int]:
        """Return how many of each kind are connected and have said their part."""
        counts = dict.fromkeys(self.closed, 0)
        for hanger in self._all:
            counts[hanger.kind] += hanger.connection is not None and hanger.told
        return counts


def main() -> None:
    """Run the program."""
    port, *numbers = (int(word) for word in sys.argv[1:])
    crowd = Crowd(port, dict(zip(KINDS, numbers, strict=True)))
    crowd.connect_all()
    print("ready", flush=True)
    crowd.run_until_told()
    print(json.dumps({"open": crowd.open(), "closed": crowd.closed}), flush=True)


if __name__ == "__main__":
    main()
