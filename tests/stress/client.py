"""One client of the stress test: a connection at a time, random requests on it, every answer checked.

What a client does follows from its seed alone. It raises `Wrong` for an answer that is not the one to its request, or
is missing, and it never waits longer than `PATIENCE` for a byte.
"""

import select
import socket
import struct
import zlib
from collections import Counter

from contents import content

#: Seconds without a byte after which an answer counts as lost.
PATIENCE = 20.0

#: What of a request may come back: the number, the body's size, a name for the statistics.
PLAIN = ("list", "list", "list", "list", "list", "iter", "pieces", "pieces", "write", "file")


class Wrong(Exception):
    """An answer that should not have been."""


class Gone(Exception):
    """The server closed the connection."""


class Expected:
    """A request that was sent, and what must come back for it."""

    __slots__ = ("body", "called", "fields", "last", "method", "number", "status", "text")

    def __init__(self, number, method, text, status=200, body=b"", fields=None, called=True, last=False):
        self.number = number
        self.method = method
        self.text = text
        self.status = status
        self.body = body
        self.fields = fields or {}
        self.called = called
        self.last = last


class Dice:
    """The choices of one client."""

    def __init__(self, random, files, file_body):
        self.random = random
        self.files = files
        self.file_body = file_body

    def delay(self, pace):
        """Return how long a call takes. pace: "fast" for no time at all, "slow" for mostly milliseconds."""
        random = self.random
        roll = random.random()
        if pace == "fast":
            return "0" if roll < 0.98 else f"u{random.randint(1, 300)}"
        if pace == "slow" and roll < 0.4:
            return f"m{random.uniform(0.5, 4):.2f}"
        if roll < 0.70:
            return "0"
        if roll < 0.85:
            return f"u{random.randint(1, 500)}"
        if roll < 0.95:
            return f"c{random.randint(50, 1000)}"
        return f"m{random.uniform(0.5, 4):.2f}"

    def size(self):
        """Return the size of a response: mostly small, at times more than sockets and memory hold."""
        roll = self.random.random()
        if roll < 0.90:
            return self.random.randint(1, 300)
        if roll < 0.98:
            return self.random.randint(300, 30_000)
        if roll < 0.998:
            return self.random.randint(30_000, 300_000)
        return self.random.randint(1_000_000, 3_000_000)

    def upload(self):
        """Return the body of a request."""
        roll = self.random.random()
        if roll < 0.85:
            size = self.random.randint(0, 2000)
        elif roll < 0.99:
            size = self.random.randint(2000, 60_000)
        else:
            size = self.random.randint(500_000, 900_000)
        return self.random.randbytes(min(size, 1000)) * (size // 1000 + 1)

    def request(self, number, pace, may_end):
        """Make a request with this number. may_end: it may be the last one of its connection."""
        random = self.random
        roll = random.random()
        ending = may_end and random.random() < 0.1
        if roll < 0.08:
            return self._static(number, ending)
        kind = "raise" if roll > 0.998 else random.choice(PLAIN)
        size = len(self.file_body) if kind == "file" else self.size()
        method = "HEAD" if 0.10 < roll < 0.13 else "POST" if roll > 0.80 else "GET"
        how = random.choice(("all", "some", "lines", "0")) if method == "POST" else "0"
        path = f"/{random.choice('abcdef')}/{number}"
        query = f"id={number}&k={kind}&n={size}&d={self.delay(pace)}&r={how}"
        head = [f"{method} {path}?{query} HTTP/1.1", "Host: stress"]
        data = b""
        crc, length = 0, -1
        if method == "POST":
            upload = self.upload()
            if how != "0":
                crc, length = zlib.crc32(upload), len(upload)
            if random.random() < 0.3:
                head.append("Transfer-Encoding: chunked")
                data = chunked(random, upload)
            else:
                head.append(f"Content-Length: {len(upload)}")
                data = upload
        if ending:
            head.append("Connection: close")
        if random.random() < 0.1:
            head.extend(f"X-Field-{n}: {n}" for n in range(random.randint(1, 20)))
        text = "\r\n".join([*head, "", ""]).encode() + data
        if kind == "raise":
            return Expected(number, method, text, 500, None, last=ending)
        body = self.file_body if kind == "file" else content(number, size)
        fields = {"x-token": str(number), "x-body": f"{crc}-{length}", "x-path": path}
        return Expected(number, method, text, 200, body, fields, last=ending)

    def _static(self, number, ending):
        name, body = self.random.choice(self.files)
        text = f"GET /static/{name} HTTP/1.1\r\nHost: stress\r\n"
        if self.random.random() < 0.2 and len(body) > 10:
            first = self.random.randrange(len(body) - 1)
            last = self.random.randrange(first, len(body))
            text += f"Range: bytes={first}-{last}\r\n"
            status, body = 206, body[first : last + 1]
        else:
            status = 200
        if ending:
            text += "Connection: close\r\n"
        return Expected(number, "GET", text.encode() + b"\r\n", status, body, called=False, last=ending)


def chunked(random, data):
    """Return data in the chunked coding, in chunks of random sizes."""
    parts = []
    start = 0
    while start < len(data):
        size = random.choice((1, 10, 1000, 30_000, 300_000))
        piece = data[start : start + size]
        parts.append(b"%x\r\n%s\r\n" % (len(piece), piece))
        start += size
    parts.append(b"0\r\n\r\n")
    return b"".join(parts)


class Wire:
    """A connection, from the client's side."""

    def __init__(self, port, receive_buffer=0):
        self.sock = socket.socket()
        if receive_buffer:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(("127.0.0.1", port))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.setblocking(False)
        self.buffer = bytearray()
        self.start = 0
        # A slow reader: how much it reads at once, and the pause after that.
        self.at_once = 262144
        self.pause = 0.0
        self.slow_reads = 0

    def send(self, data, upto=None):
        """Send, and read what comes meanwhile, as a client must that sends more than the sockets hold."""
        view = memoryview(data)[:upto]
        while view:
            try:
                view = view[self.sock.send(view) :]
                continue
            except BlockingIOError:
                pass
            except OSError:
                raise Gone from None
            readable, writable, _ = select.select([self.sock], [self.sock], [], PATIENCE)
            if readable:
                self._receive()
            elif not writable:
                raise Wrong("the server neither reads nor writes")

    def _receive(self):
        try:
            data = self.sock.recv(self.at_once)
        except BlockingIOError:
            return False
        except OSError:
            raise Gone from None
        if not data:
            raise Gone
        self.buffer += data
        if self.slow_reads > 0:
            self.slow_reads -= 1
            select.select([], [], [], self.pause)
        return True

    def more(self):
        """Wait for bytes."""
        if self._receive():
            return
        if not select.select([self.sock], [], [], PATIENCE)[0]:
            raise Wrong("no answer")
        self._receive()

    def line(self):
        while (end := self.buffer.find(b"\r\n", self.start)) < 0:
            self.more()
        line = bytes(self.buffer[self.start : end])
        self.start = end + 2
        return line

    def take(self, count):
        while len(self.buffer) - self.start < count:
            self.more()
        taken = bytes(self.buffer[self.start : self.start + count])
        self.start += count
        if self.start > 100_000 or self.start == len(self.buffer):
            del self.buffer[: self.start]
            self.start = 0
        return taken

    def head(self):
        """Read a head; return the status and the fields."""
        while (end := self.buffer.find(b"\r\n\r\n", self.start)) < 0:
            self.more()
        lines = self.buffer[self.start : end].decode("latin-1").split("\r\n")
        self.start = end + 4
        if not lines[0].startswith("HTTP/1.1 "):
            raise Wrong(f"no status line: {lines[0][:100]!r}")
        fields = {}
        for line in lines[1:]:
            name, _, value = line.partition(": ")
            fields[name.lower()] = value
        return int(lines[0][9:12]), fields

    def body(self, fields):
        """Read the body that belongs to a head."""
        if "content-length" in fields:
            return self.take(int(fields["content-length"]))
        if fields.get("transfer-encoding") != "chunked":
            raise Wrong(f"a body without an end: {fields}")
        pieces = []
        while size := int(self.line(), 16):
            pieces.append(self.take(size))
            if self.take(2) != b"\r\n":
                raise Wrong("a chunk without an end")
        if self.line() != b"":
            raise Wrong("a body with trailers")
        return b"".join(pieces)

    def check(self, expected):
        """Read one response and hold it to what its request asked for."""
        status, fields = self.head()
        if status != expected.status:
            raise Wrong(f"status {status}, not {expected.status}: {fields}")
        for name, value in expected.fields.items():
            if fields.get(name) != value:
                raise Wrong(f"{name} is {fields.get(name)!r}, not {value!r}")
        if expected.method == "HEAD":
            return
        body = self.body(fields)
        if expected.body is not None and body != expected.body:
            raise Wrong(
                f"a body of {len(body)} bytes, {body[:40]!r}, not {len(expected.body)}, {expected.body[:40]!r}"
            )
        if (fields.get("connection") == "close") != expected.last:
            raise Wrong(f"Connection: {fields.get('connection')} in the response to {expected.text[:200]!r}")

    def ends(self):
        """Hold the server to closing the connection without another word."""
        try:
            while self.start == len(self.buffer):
                self.more()
        except Gone:
            return
        raise Wrong(f"more than was asked for: {bytes(self.buffer[self.start :][:200])!r}")

    def leave(self, reset):
        """Go away, with or without a word."""
        if reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Client:
    """Sends the requests of a range of numbers, on as many connections as it takes.

    answered: the numbers of calls that were answered. abandoned: those that may have been called or not.
    """

    def __init__(self, port, numbers, random, dice):
        self.port = port
        self.numbers = numbers
        self.random = random
        self.dice = dice
        self.next = numbers.start
        self.answered = bytearray(len(numbers))
        self.kinds = Counter()

    def run(self, stop):
        """Send everything; `stop()` ends it early."""
        while self.next < self.numbers.stop and not stop():
            self._connection()

    def _pace(self):
        # In turns, so that the worker's idea of how long calls take changes now and then.
        share = (self.next - self.numbers.start) / len(self.numbers)
        return ("fast", "mixed", "slow", "mixed")[int(share * 12) % 4]

    def _connection(self):
        random = self.random
        wire = Wire(self.port, random.choice((0, 0, 0, 4096, 65536)) if random.random() < 0.3 else 0)
        if random.random() < 0.05:
            wire.at_once, wire.pause, wire.slow_reads = random.choice(((100, 0.001, 50), (5000, 0.003, 30)))
            self.kinds["slow reader"] += 1
        self.kinds["connection"] += 1
        try:
            for _ in range(random.randint(1, 12)):
                if self.next >= self.numbers.stop or not self._batch(wire):
                    return
        finally:
            wire.leave(random.random() < 0.2)

    def _batch(self, wire):
        """Send some requests and read their responses; return whether the connection can be used again."""
        random = self.random
        depth = 1 if random.random() < 0.4 else random.randint(2, 20)
        depth = min(depth, self.numbers.stop - self.next)
        pace = self._pace()
        batch = [self.dice.request(self.next + n, pace, n == depth - 1) for n in range(depth)]
        self.next += depth
        text = b"".join(expected.text for expected in batch)
        way = random.random()
        try:
            if way < 0.06:
                return self._leave_early(wire, batch, text, way)
            self._send(wire, text)
        except Gone:
            raise Wrong(f"closed while {len(text)} bytes were sent, from {batch[0].number} on") from None
        half = way < 0.07
        if half:
            wire.sock.shutdown(socket.SHUT_WR)
        for n, expected in enumerate(batch):
            try:
                wire.check(expected)
            except Gone:
                if half:
                    self.kinds["half-closed"] += 1
                    return False
                raise Wrong(f"closed, and no answer to {expected.text[:300]!r}, {n} of {depth}") from None
            except Wrong as error:
                raise Wrong(f"{error}; for {expected.text[:300]!r}, {n} of {depth}") from None
            self.answered[expected.number - self.numbers.start] = 1 if expected.called else 2
        self.kinds["request"] += depth
        if half or batch[-1].last:
            try:
                wire.ends()
            except Wrong as error:
                raise Wrong(
                    f"{error}; the connection should have ended after {batch[-1].text[:300]!r}"
                ) from None
            return False
        return True

    def _send(self, wire, text):
        """Send at once, or in pieces, byte by byte even."""
        random = self.random
        roll = random.random()
        if roll < 0.8 or len(text) > 100_000:
            wire.send(text)
            return
        size = 1 if roll > 0.98 and len(text) < 2000 else random.randint(10, 3000)
        for start in range(0, len(text), size):
            wire.send(text[start : start + size])

    def _leave_early(self, wire, batch, text, way):
        """Go away in the middle of a request, before its answer, or in the middle of that."""
        random = self.random
        self.kinds["left early"] += 1
        if way < 0.02:
            wire.send(text, random.randrange(len(text)))
            return False
        wire.send(text)
        if way < 0.03:
            return False
        try:
            for expected in batch[: random.randrange(len(batch))]:
                wire.check(expected)
                self.answered[expected.number - self.numbers.start] = 1 if expected.called else 2
            if wire.start == len(wire.buffer):
                # In the middle of the next one.
                wire.more()
        except Gone:
            raise Wrong(f"closed, with answers missing from {batch[0].number} on") from None
        return False
