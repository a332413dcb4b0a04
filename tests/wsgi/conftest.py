"""Real bytes made into Requests, a sink that keeps what it gets, and an independent reader of that."""

import http.client
import io
import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from portway.http.events import END_OF_MESSAGE, PAUSED
from portway.http.limits import Limits
from portway.http.parser import RequestParser
from portway.http.request import Request
from portway.wsgi.environ import EnvironBuilder
from portway.wsgi.gateway import Gateway, Response
from portway.wsgi.input import RequestBody
from portway.wsgi.sink import ClientDisconnected, Sink

PEER = ("192.0.2.7", 4711)
LOCAL = ("192.0.2.1", 8000)
DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"


def parse(raw: bytes, memory: int = 64) -> tuple[Request, RequestBody | None]:
    """Return the request and its body as a worker would have them."""
    parser = RequestParser(Limits())
    parser.receive_data(raw)
    request = parser.next_event()
    assert isinstance(request, Request)
    if not request.has_body:
        return request, None
    body = RequestBody(memory=memory)
    while (event := parser.next_event()) not in (END_OF_MESSAGE, PAUSED):
        assert isinstance(event, bytes)
        body.write(event)
    body.finish()
    return request, body


class MemorySink(Sink):
    """Keeps each call: bytes, or (bytes of the file,) for a file. It may fail from a given call on."""

    def __init__(self, fail_at: int | None = None, failure: BaseException | None = None) -> None:
        self.calls: list[Any] = []
        self.fail_at = fail_at
        self.failure = failure if failure is not None else ClientDisconnected()
        self.threads: set[int] = set()

    def _count(self) -> None:
        self.threads.add(threading.get_ident())
        if self.fail_at is not None and len(self.calls) >= self.fail_at:
            raise self.failure

    def send(self, data: bytes) -> None:
        assert type(data) is bytes
        assert data
        self._count()
        self.calls.append(data)

    def send_file(self, fd: int, offset: int, count: int) -> None:
        try:
            self._count()
            self.calls.append((os.pread(fd, count, offset),))
        finally:
            os.close(fd)

    @property
    def data(self) -> bytes:
        return b"".join(call if isinstance(call, bytes) else call[0] for call in self.calls)


class _Socket:
    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def makefile(self, _mode: str) -> io.BytesIO:
        return self.file


@dataclass
class Answer:
    """What one call of the gateway gave, read by http.client from the sink's bytes."""

    outcome: Response
    sink: MemorySink
    status: int = 0
    reason: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    rest: bytes = b""
    complete: bool = False


def read(outcome: Response, sink: MemorySink, method: str) -> Answer:
    answer = Answer(outcome, sink)
    if not sink.data:
        return answer
    stream = _Socket(sink.data)
    response = http.client.HTTPResponse(stream, method=method)  # type: ignore[arg-type]
    # read() of a body without an end closes the file; what is left over has to stay readable.
    stream.file.close = lambda: None  # type: ignore[method-assign]
    response.begin()
    answer.status = response.status
    answer.reason = response.reason
    answer.headers = {}
    for name, value in response.getheaders():
        assert name not in answer.headers, f"{name} twice"
        answer.headers[name] = value
    try:
        answer.body = response.read()
        answer.complete = True
    except http.client.IncompleteRead as error:
        answer.body = error.partial
    answer.rest = stream.file.read()
    return answer


class Closing:
    """An iterable that counts its closings and remembers the thread of each; a piece may be a function."""

    def __init__(self, pieces: Iterable[Any] = (b"x",), close_raises: BaseException | None = None) -> None:
        self.pieces = pieces
        self.close_raises = close_raises
        self.closed_in: list[int] = []

    def __iter__(self) -> Iterator[Any]:
        return (piece() if callable(piece) else piece for piece in self.pieces)

    def close(self) -> None:
        self.closed_in.append(threading.get_ident())
        if self.close_raises is not None:
            raise self.close_raises


@pytest.fixture(name="Closing", scope="session")
def closing_fixture() -> type[Closing]:
    return Closing


@pytest.fixture(scope="session")
def raising() -> Callable[[BaseException], Callable[[], None]]:
    """Return raising(error): a piece for Closing that raises it when it is asked for."""

    def raising(error: BaseException) -> Callable[[], None]:
        def piece() -> None:
            raise error

        return piece

    return raising


@pytest.fixture(scope="session")
def make_body() -> Callable[[str, list[Any]], Iterable[Any]]:
    """Return make_body(kind, pieces): the pieces as a list, tuple, iterator, generator or other object."""

    def make_body(kind: str, pieces: list[Any]) -> Iterable[Any]:
        if kind == "list":
            return pieces
        if kind == "tuple":
            return tuple(pieces)
        if kind == "iterator":
            return iter(pieces)
        if kind == "generator":
            return (piece for piece in pieces)
        assert kind == "object"
        return Closing(pieces)

    return make_body


@pytest.fixture(scope="session")
def returning() -> Callable[..., Callable[..., Any]]:
    """Return returning(body, headers, status): an application that answers with them."""

    def returning(
        body: Any, headers: Any = (("Content-Type", "text/plain"),), status: str = "200 OK"
    ) -> Callable[..., Any]:
        def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
            start_response(status, list(headers))
            return body

        return application

    return returning


@pytest.fixture(name="parse", scope="session")
def parse_fixture() -> Callable[..., tuple[Request, RequestBody | None]]:
    return parse


@pytest.fixture(name="MemorySink", scope="session")
def sink_fixture() -> type[MemorySink]:
    return MemorySink


@pytest.fixture(scope="session")
def get() -> Callable[..., bytes]:
    """Return get(target, *fields): the bytes of a request without a body, GET unless told."""

    def get(target: str = "/", *fields: str, version: str = "1.1", method: str = "GET") -> bytes:
        lines = [
            f"{method} {target} HTTP/{version}",
            *(["Host: example.com"] if version == "1.1" else []),
            *fields,
        ]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    return get


@pytest.fixture(scope="session")
def build() -> Callable[..., dict[str, Any]]:
    """Return build(raw, **options): the environ of the request, from 192.0.2.7 to port 8000 unless told."""

    def build(
        raw: bytes,
        *,
        peer: Any = PEER,
        local: Any = LOCAL,
        builder: EnvironBuilder | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        request, body = parse(raw, memory=10_000)
        return (builder or EnvironBuilder(**options)).build(request, body, peer, local)

    return build


@pytest.fixture(scope="session")
def call() -> Callable[..., Answer]:
    """Return call(application, raw request or method, ...): the application called through the Gateway."""

    def call(
        application: Any,
        raw: bytes = b"GET /some/path?q=1 HTTP/1.1\r\nHost: example.com\r\n\r\n",
        *,
        method: str = "",
        sink: MemorySink | None = None,
        server: bytes = b"portway",
        keep_alive: bool = True,
        builder: EnvironBuilder | None = None,
    ) -> Answer:
        if method:
            raw = raw.replace(b"GET", method.encode(), 1)
        request, body = parse(raw)
        builder = builder or EnvironBuilder()
        environ = builder.build(request, body, PEER, ("127.0.0.1", 8000))
        sink = sink if sink is not None else MemorySink()
        gateway = Gateway(application, server)
        outcome = gateway.respond(request, environ, sink, DATE, keep_alive and request.keep_alive)
        if body is not None:
            body.close()
        return read(outcome, sink, request.method)

    return call


@pytest.fixture
def error_log(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Return the records of the error log; a test that does not ask for them must not cause any."""
    caplog.set_level(logging.DEBUG, logger="portway.error")
    return caplog


@pytest.fixture(autouse=True)
def nothing_unexpected_in_the_log(request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture) -> Any:
    yield
    if "error_log" not in request.fixturenames:
        assert [record.getMessage() for record in caplog.records] == []
