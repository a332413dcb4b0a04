"""The WSGI application of the stress test: does what the query says, and keeps books on who called it, and how.

It runs in the worker under test. The query of a request: id, its number, which names the response's content; k, how
the body is given; n, its size in bytes; d, how long the call takes; r, how the request's body is read. `LEDGER` has a
byte for each id, the number of calls with it, in a file that the test reads afterwards.
"""

import ctypes
import gc
import json
import mmap
import os
import sys
import threading
import time
import zlib

from contents import content

if "STRESS_SWITCH_INTERVAL" in os.environ:
    sys.setswitchinterval(float(os.environ["STRESS_SWITCH_INTERVAL"]))

FILE = os.environ["STRESS_FILE"]
with open(os.environ["STRESS_LEDGER"], "r+b") as _file:
    LEDGER = mmap.mmap(_file.fileno(), 0)

C_LIBRARY = ctypes.CDLL(None)


MALLINFO = (
    "arena",
    "ordblks",
    "smblks",
    "hblks",
    "hblkhd",
    "usmblks",
    "fsmblks",
    "uordblks",
    "fordblks",
    "keepcost",
)


class Mallinfo(ctypes.Structure):
    """What mallinfo2(3) returns: bytes of the C library's heap that are in use, among other figures."""

    _fields_ = [(name, ctypes.c_size_t) for name in MALLINFO]


def held():
    """Return how many bytes the process holds of the C library's heap; -1 where the library does not tell."""
    if not hasattr(C_LIBRARY, "mallinfo2"):
        return -1
    C_LIBRARY.mallinfo2.restype = Mallinfo
    figures = C_LIBRARY.mallinfo2()
    return figures.uordblks + figures.hblkhd


#: Called once in a while from within the application; the worker program has the leader look who else leads.
on_call = None
#: The worker's connections by descriptor; set by the worker program.
connections = {}


class Books:
    """Who is in the application, who has been, and what should not have happened."""

    def __init__(self):
        self.lock = threading.Lock()
        self.calls = 0
        self.running = 0
        self.most = 0
        self.threads = set()
        self.problems = []

    def enter(self, number):
        thread = threading.get_ident()
        with self.lock:
            self.calls += 1
            self.running += 1
            self.most = max(self.most, self.running)
            self.threads.add(thread)
            if LEDGER[number] < 255:
                LEDGER[number] += 1
            due = on_call is not None and self.calls % 8 == 0
        if due:
            on_call()
        return thread

    def leave(self, thread):
        with self.lock:
            self.running -= 1
        if threading.get_ident() != thread:
            self.problem("a body was closed in another thread than the one that made it")

    def problem(self, text):
        with self.lock:
            if len(self.problems) < 20:
                self.problems.append(text)


books = Books()


def pause(code):
    """Take time: 0 none, uN to sleep N microseconds, mN milliseconds, cN to compute for N microseconds."""
    kind, amount = code[0], float(code[1:] or 0)
    if kind == "u":
        time.sleep(amount / 1e6)
    elif kind == "m":
        time.sleep(amount / 1e3)
    elif kind == "c":
        end = time.perf_counter() + amount / 1e6
        while time.perf_counter() < end:
            sum(range(20))


class Pieces:
    """A body in pieces that takes time between them and knows when it is closed."""

    def __init__(self, body, delay, thread):
        self.body = body
        self.delay = delay
        self.thread = thread
        self.closed = False

    def __iter__(self):
        step = len(self.body) // 4 + 1
        for start in range(0, len(self.body), step):
            yield self.body[start : start + step]
            pause(self.delay)

    def close(self):
        if self.closed:
            books.problem("a body was closed twice")
        self.closed = True
        books.leave(self.thread)


class ClosingFile:
    """A file for wsgi.file_wrapper that knows when it is closed."""

    def __init__(self, thread):
        self.thread = thread
        self.file = open(FILE, "rb")  # noqa: SIM115
        self.fileno = self.file.fileno
        self.read = self.file.read
        self.tell = self.file.tell

    def close(self):
        self.file.close()
        books.leave(self.thread)


def read_body(stream, how):
    """Read wsgi.input in one of several ways; return its CRC-32 and its length."""
    crc = length = 0
    if how == "0":
        return 0, -1
    if how == "all":
        data = stream.read()
        return zlib.crc32(data), len(data)
    pieces = stream if how == "lines" else iter(lambda: stream.read(10_000), b"")
    for piece in pieces:
        crc = zlib.crc32(piece, crc)
        length += len(piece)
    return crc, length


def application(environ, start_response):
    """Answer one request of the load."""
    query = environ["QUERY_STRING"]
    if query == "stats":
        return stats(start_response)
    fields = dict(part.split("=") for part in query.split("&"))
    number, kind, size = int(fields["id"]), fields["k"], int(fields["n"])
    thread = books.enter(number)
    handed_over = False
    try:
        crc, length = read_body(environ["wsgi.input"], fields["r"])
        pause(fields["d"])
        if kind == "raise":
            raise RuntimeError("on purpose")
        headers = [("X-Token", str(number)), ("X-Body", f"{crc}-{length}"), ("X-Path", environ["PATH_INFO"])]
        body = content(number, size)
        if kind == "file":
            start_response("200 OK", headers)
            handed_over = True
            return environ["wsgi.file_wrapper"](ClosingFile(thread))
        if kind == "write":
            write = start_response("200 OK", headers)
            write(body[: size // 2])
            pause(fields["d"])
            write(body[size // 2 :])
            return []
        if kind == "pieces":
            start_response("200 OK", headers)
            handed_over = True
            return Pieces(body, fields["d"], thread)
        start_response("200 OK", [*headers, ("Content-Length", str(size))])
        return [body] if kind == "list" else iter([body[:7], body[7:]])
    finally:
        if not handed_over:
            books.leave(thread)


def stats(start_response):
    """Answer with the books, and with what the process holds."""
    gc.collect()
    C_LIBRARY.malloc_trim(0)
    with books.lock:
        answer = {
            "calls": books.calls,
            "running": books.running,
            "most": books.most,
            "threads": len(books.threads),
            "problems": books.problems,
            "connections": [repr(connection) for connection in list(connections.values())[:5]],
            "blocks": sys.getallocatedblocks(),
            "held": held(),
        }
    body = json.dumps(answer).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
