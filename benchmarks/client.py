"""Our own HTTP/1.1 client: an exact number of requests over one connection, or a closed loop over many.

For what wrk cannot do (count exactly, check a response) and for machines without wrk. It reads only what the
measured servers send: a status line, fields, Content-Length, chunks, or a body until close. One thread.
"""

import selectors
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

_RECEIVE = 1 << 18
#: Seconds that any response may take.
PATIENCE = 60.0


class ResponseError(Exception):
    """A response is missing, cut short or malformed."""


@dataclass(slots=True)
class Reply:
    """A response, without its body's bytes.

    size: of the body, -1 if it came in chunks. keep_alive: the connection may go on.
    """

    status: int
    size: int
    keep_alive: bool


@dataclass(slots=True)
class Loop:
    """What a closed loop counted. times: seconds of each response."""

    times: list[float] = field(default_factory=list)
    seconds: float = 0.0
    received: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def count(self, kind: str) -> None:
        """Count an error."""
        self.errors[kind] = self.errors.get(kind, 0) + 1


def request_bytes(
    port: int, path: str = "/", method: str = "GET", fields: Mapping[str, str] | None = None, body: int = 0
) -> bytes:
    """Return a whole request to send."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in (fields or {}).items()]
    if body:
        lines.append(f"Content-Length: {body}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + b"x" * body


class Reader:
    """Finds the end of one response in the bytes of a connection, without keeping its body.

    feed returns the Reply when it is complete. rest: what came after it.
    """

    def __init__(self) -> None:
        self._head = bytearray()
        self._reply: Reply | None = None
        self._left = 0
        self._framing = ""
        self._tail = b""

    def feed(self, data: bytes) -> Reply | None:
        """Take bytes, b"" for the end of the connection; return the response if it is complete."""
        if self._reply is None:
            if not data:
                raise ResponseError("the server closed before it answered")
            self._head += data
            end = self._head.find(b"\r\n\r\n")
            if end < 0:
                return None
            data = bytes(self._head[end + 4 :])
            self._begin(bytes(self._head[:end]))
            if not data:
                # The body is still to come, unless there is none.
                return self._reply if self._framing == "length" and not self._left else None
        return self._body(data)

    def _begin(self, head: bytes) -> None:
        status_line, *lines = head.split(b"\r\n")
        version, _, rest = status_line.partition(b" ")
        fields = {}
        for line in lines:
            name, _, value = line.partition(b":")
            fields[name.strip().lower()] = value.strip().lower()
        connection = fields.get(b"connection", b"")
        keep_alive = connection != b"close" and (version == b"HTTP/1.1" or connection == b"keep-alive")
        self._reply = Reply(int(rest[:3]), 0, keep_alive)
        if fields.get(b"transfer-encoding") == b"chunked":
            self._framing = "chunked"
            self._reply.size = -1
        elif b"content-length" in fields:
            self._framing = "length"
            self._left = int(fields[b"content-length"])
        else:
            self._framing = "close"
            self._reply.keep_alive = False

    def _body(self, data: bytes) -> Reply | None:
        reply = self._reply
        assert reply is not None
        if self._framing != "chunked":
            reply.size += len(data)
        if self._framing == "length":
            self._left -= len(data)
            if self._left <= 0:
                return reply
        elif self._framing == "close":
            if not data:
                return reply
        else:
            # Enough for the end of the last chunk; a body of ours does not hold these bytes.
            self._tail = (self._tail + data)[-7:]
            if self._tail.endswith(b"\r\n0\r\n\r\n") or self._tail == b"0\r\n\r\n":
                return reply
        if not data:
            raise ResponseError(f"the server closed within the body, {self._left} bytes early")
        return None


def ask(
    port: int,
    raw: bytes,
    count: int = 1,
    connection: socket.socket | None = None,
    patience: float = PATIENCE,
) -> Reply:
    """Send a request so many times, one after the other, and return the last response.

    patience: seconds for each step on connections that are made here. Over one connection where the server
    keeps it open, else over as many as needed. Raises OSError, ResponseError.
    """
    own = connection is None
    used = False
    reply = Reply(0, 0, False)
    try:
        for _ in range(count):
            while True:
                if connection is None:
                    connection, used = socket.create_connection(("127.0.0.1", port), timeout=patience), False
                try:
                    connection.sendall(raw)
                    reply = read_reply(connection)
                    break
                except (ConnectionError, ResponseError):
                    # Servers may close after a response without having announced it.
                    if not (own and used):
                        raise
                    connection.close()
                    connection = None
            used = True
            if not reply.keep_alive:
                connection.close()
                connection = None
    finally:
        if own and connection is not None:
            connection.close()
    return reply


def read_reply(connection: socket.socket) -> Reply:
    """Read one response. Raises OSError, ResponseError."""
    reader = Reader()
    while True:
        reply = reader.feed(connection.recv(_RECEIVE))
        if reply is not None:
            return reply


class _Asker:
    """One connection of a closed loop."""

    def __init__(self, port: int, raw: bytes, loop: Loop, selector: selectors.BaseSelector) -> None:
        self._port, self._raw, self._loop, self._selector = port, raw, loop, selector
        self._socket: socket.socket | None = None
        self._reader = Reader()
        self._unsent = memoryview(b"")
        self._began = 0.0

    def begin(self) -> None:
        """Send the next request, over a new connection if there is none."""
        if self._socket is None:
            self._socket = socket.socket()
            self._socket.settimeout(PATIENCE)
            self._socket.connect(("127.0.0.1", self._port))
            self._socket.setblocking(False)
            self._selector.register(self._socket, selectors.EVENT_READ, self)
        self._reader = Reader()
        self._unsent = memoryview(self._raw)
        self._began = time.perf_counter()
        self._send()

    def _send(self) -> None:
        assert self._socket is not None
        try:
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        except BlockingIOError:
            pass
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._unsent else 0)
        self._selector.modify(self._socket, events, self)

    def ready(self, events: int) -> None:
        """Go on where the socket is ready."""
        try:
            if events & selectors.EVENT_WRITE:
                self._send()
            if events & selectors.EVENT_READ:
                self._receive()
        except (OSError, ResponseError):
            self._loop.count("read")
            self.close()
            self.begin()

    def _receive(self) -> None:
        assert self._socket is not None
        data = self._socket.recv(_RECEIVE)
        self._loop.received += len(data)
        reply = self._reader.feed(data)
        if reply is None:
            return
        if reply.status == 200:
            self._loop.times.append(time.perf_counter() - self._began)
        else:
            self._loop.count("status")
        if not reply.keep_alive:
            self.close()
        self.begin()

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._selector.unregister(self._socket)
            self._socket.close()
            self._socket = None


def closed_loop(port: int, raw: bytes, connections: int, seconds: float, requests: int | None = None) -> Loop:
    """Ask over and over, each connection one request at a time. Raises OSError.

    Ends after so many seconds, or when so many requests were answered.
    """
    loop = Loop()
    with selectors.DefaultSelector() as selector:
        askers = [_Asker(port, raw, loop, selector) for _ in range(connections)]
        began = time.perf_counter()
        try:
            for asker in askers:
                asker.begin()
            while (now := time.perf_counter()) - began < seconds:
                if requests is not None and len(loop.times) >= requests:
                    break
                for key, events in selector.select(seconds - (now - began)):
                    key.data.ready(events)
            loop.seconds = time.perf_counter() - began
        finally:
            for asker in askers:
                asker.close()
    return loop
