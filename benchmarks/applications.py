"""The applications that every server runs: plain PEP 3333 callables, the same object code for all of them.

They are imported by the servers as benchmarks.applications:NAME and know nothing of the benchmark.
"""

import time
from collections.abc import Callable, Iterable
from typing import Any

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

HELLO = b"Hello, world!"
#: A page that does not fit into a socket's buffers at once, for those who ask and do not read. Bytes.
BIG = 4 * 1024 * 1024
DOWNLOAD = 10 * 1024 * 1024
PIECE = b"x" * 65536
_BIG_BODY = b"x" * BIG


def hello(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 13 bytes."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [HELLO]


def headers(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read two of the request's fields and answer 13 bytes with ten fields, as behind a framework."""
    language = environ.get("HTTP_ACCEPT_LANGUAGE", "")
    cookie = environ.get("HTTP_COOKIE", "")
    start_response(
        "200 OK" if language and cookie else "400 Bad Request",
        [
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", "13"),
            ("Cache-Control", "private, max-age=0, must-revalidate"),
            ("Vary", "Accept-Encoding, Cookie"),
            ("ETag", '"5f3c1b0a9e8d7c6b"'),
            ("X-Frame-Options", "DENY"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "same-origin"),
            ("Content-Security-Policy", "default-src 'self'; img-src 'self' data:"),
            ("Set-Cookie", "session=6b1f0e5c2d; Path=/; HttpOnly; SameSite=Lax"),
        ],
    )
    return [HELLO]


def sleep(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Wait 5 ms, as for a database, and answer 13 bytes."""
    time.sleep(0.005)
    return hello(environ, start_response)


def compute(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Hold the interpreter's lock for about a millisecond, and answer 13 bytes."""
    total = 0
    for number in range(50_000):
        total += number
    return hello(environ, start_response)


def upload(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Read the whole body in pieces and answer 13 bytes; 400 if it is shorter than announced."""
    left = int(environ.get("CONTENT_LENGTH") or 0)
    read = environ["wsgi.input"].read
    while left > 0:
        piece = read(min(left, 65536))
        if not piece:
            start_response("400 Bad Request", [("Content-Type", "text/plain"), ("Content-Length", "0")])
            return [b""]
        left -= len(piece)
    return hello(environ, start_response)


def download(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Stream 10 MiB in pieces of 64 KiB; the path /N asks for N bytes instead."""
    asked = environ.get("PATH_INFO", "/")[1:]
    size = int(asked) if asked.isdigit() else DOWNLOAD
    start_response("200 OK", [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))])
    return _pieces(size)


def _pieces(size: int) -> Iterable[bytes]:
    whole, rest = divmod(size, len(PIECE))
    for _ in range(whole):
        yield PIECE
    if rest:
        yield PIECE[:rest]


def mixed(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
    """Answer 13 bytes at /, and 4 MiB in one piece at /big."""
    if environ.get("PATH_INFO") == "/big":
        start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(BIG))])
        return [_BIG_BODY]
    return upload(environ, start_response)
