"""The WSGI call (PEP 3333): one request in, one response out to a sink, in the thread that calls `respond`.

    application(environ, start_response)  ->  pieces of the body  ->  close()  ->  Outcome

It knows no sockets and no threads. Whatever the application does, `respond` returns: an exception of any kind
becomes a 500 page where nothing was sent yet, else an aborted response, which the client can tell from a
complete one because the connection is closed short of the announced length or of the last chunk. The
application's iterable is closed once, in the same thread, however the response ended. What a response looks
like on the wire, and what of it is refused, is portway.http.response's; what went wrong goes to the error log
through portway.wsgi.error_log.
"""

# mypy: disallow-untyped-decorators=False, warn-return-any=False
# Cython's decorators carry no types.

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

import os
from collections.abc import Callable
from typing import Any

from portway.http.errors import LocalProtocolError
from portway.http.request import Request
from portway.http.response import (
    CHUNKED,
    LAST_CHUNK,
    LENGTH,
    NO_BODY,
    compose_head,
    encode_chunk,
    error_page,
)
from portway.wsgi.error_log import log_exception, log_problem
from portway.wsgi.file_wrapper import FileWrapper, regular_file
from portway.wsgi.sink import ClientDisconnected, Sink

# Up to how many bytes pieces are copied together, the head among them, to be sent by one call. Beyond, the
# copy costs more than the call.
_JOINED: cython.Py_ssize_t = 131072

_NO_BODY: cython.int = NO_BODY
_LENGTH: cython.int = LENGTH
_CHUNKED: cython.int = CHUNKED

# The iterators of list and tuple: what they will give is in memory already, so its length can be announced.
# Django's HttpResponse gives one.
_LIST_ITERATOR: Any = type(iter([]))
_TUPLE_ITERATOR: Any = type(iter(()))


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


@cython.final
@cython.freelist(16)
@cython.cclass
class Outcome:
    """How a response ended, for the access log and the connection. Made by the gateway, never changed.

    status_code  of the response that was sent or begun, or would have been
    headers      the application's, as it gave them; [] for an error page
    body_bytes   bytes of the body that were given to the sink, without the framing
    keep_alive   whether the connection may serve another request
    aborted      whether the response is incomplete, so that the connection has to be closed at once
    error        the name of the exception that the application raised, LocalProtocolError for what the
                 gateway did not accept; "" where there was none, also when the client went away
    """

    status_code: int = cython.declare(cython.int, visibility="readonly")
    headers: list[tuple[str, str]] = cython.declare(list, visibility="readonly")
    body_bytes: int = cython.declare(cython.longlong, visibility="readonly")
    keep_alive: bool = cython.declare(cython.bint, visibility="readonly")
    aborted: bool = cython.declare(cython.bint, visibility="readonly")
    error: str = cython.declare(str, visibility="readonly")

    def __repr__(self) -> str:
        ending = "aborted" if self.aborted else "keep-alive" if self.keep_alive else "close"
        error = f", {self.error}" if self.error else ""
        return f"<Outcome {self.status_code}, {self.body_bytes} bytes, {ending}{error}>"


@cython.final
@cython.freelist(16)
@cython.cclass
class _Response:
    """One response while the application makes it: start_response, write, and what of it was sent."""

    _server: bytes
    _request: Any
    _sink: Any
    _date: bytes
    _keep_alive: cython.bint
    # What the application told start_response; the status is None before.
    _status: Any
    _headers: list[tuple[str, str]]
    # The head from when it is composed until it is sent.
    _head: Any
    _composed: cython.bint
    # From the first byte on nothing can be taken back.
    _began: cython.bint
    # After the end; an application that kept write() must not reach the next response.
    _over: cython.bint
    _framing: cython.int
    # Bytes that are still missing of the announced length.
    _remaining: cython.longlong
    # The application has given all that can be sent, or more.
    _full: cython.bint
    # The body is a file, of which a Content-Length may announce a part.
    _from_file: cython.bint
    _status_code: cython.int
    _body_bytes: cython.longlong
    _aborted: cython.bint
    _error: str

    @cython.cfunc
    def _prepare(
        self, server: bytes, request: Any, sink: Any, date: bytes, keep_alive: cython.bint
    ) -> object:
        self._server = server
        self._request = request
        self._sink = sink
        self._date = date
        self._keep_alive = keep_alive
        self._status = None
        self._headers = []
        self._head = None
        self._composed = False
        self._began = False
        self._over = False
        self._framing = _NO_BODY
        self._remaining = 0
        self._full = False
        self._from_file = False
        self._status_code = 500
        self._body_bytes = 0
        self._aborted = False
        self._error = ""
        return None

    # Called by the application.

    def start_response(self, status: Any, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        """Take status and headers; see PEP 3333, "The start_response() Callable"."""
        if self._over:
            raise AssertionError("start_response was called after the response had ended")
        if exc_info:
            try:
                if self._began:
                    if exc_info[1] is None:
                        raise AssertionError(
                            "start_response was called with an exc_info of no exception, too late"
                        )
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # PEP 3333: no cycle through the traceback.
                exc_info = None
        elif self._status is not None:
            raise AssertionError("start_response was called a second time, without exc_info")
        if type(status) is not str:
            if not isinstance(status, str):
                raise TypeError(
                    f"the status given to start_response must be str, not {type(status).__name__}"
                )
            status = str.__str__(status)
        if type(headers) is not list:
            if not isinstance(headers, list):
                raise TypeError(
                    f"the headers given to start_response must be a list, not {type(headers).__name__}"
                )
            headers = list(headers)
        self._status = status
        self._headers = headers
        return self.write

    def write(self, data: bytes | Any) -> None:
        """Send a piece of the body at once. Raises ClientDisconnected."""
        if self._over:
            raise AssertionError("write() was called after the response had ended")
        if type(data) is not bytes:
            if not isinstance(data, bytes):
                raise TypeError(f"write() needs bytes, not {type(data).__name__}")
            data = _exact(data)
        if len(data):
            self._put(data)

    # The body, as the application returns it.

    @cython.cfunc
    def _send_body(self, result: Any) -> object:
        """Send what the application returned, and the end of the response."""
        kind = type(result)
        if kind is list:
            self._send_pieces(result)
        elif kind is tuple:
            self._send_pieces(list(result))
        elif kind is FileWrapper:
            self._from_file = True
            if not self._send_file(result.filelike):
                self._send_iterable(result)
        elif result is None or isinstance(result, (str, bytes, bytearray)):
            raise LocalProtocolError(
                f"the application returned {'None' if result is None else kind.__name__} where an iterable "
                "of bytes, such as a list, is needed"
            )
        else:
            self._send_iterable(result)
        return None

    @cython.cfunc
    def _send_pieces(self, pieces: list[Any]) -> object:
        """Send a body that is in memory as a whole."""
        total: cython.Py_ssize_t = 0
        piece: Any
        for piece in pieces:
            if type(piece) is not bytes:
                self._send_pieces([_exact(piece) for piece in pieces])
                return None
            total += len(piece)
        if not self._composed:
            self._compose(total)
        batch: list[bytes] = []
        size: cython.Py_ssize_t = 0
        for piece in pieces:
            if self._framing == _NO_BODY or self._full:
                break
            if size + len(piece) > _JOINED and size:
                self._put(b"".join(batch))
                batch = []
                size = 0
            if len(piece):
                batch.append(piece)
                size += len(piece)
        if size:
            # A single piece is not copied by this.
            self._put(b"".join(batch))
        self._finish()
        return None

    @cython.cfunc
    def _send_iterable(self, result: Any) -> object:
        piece: Any
        iterator = iter(result)
        kind = type(iterator)
        if kind is _LIST_ITERATOR or kind is _TUPLE_ITERATOR:
            self._send_pieces(list(iterator))
            return None
        if self._status is not None and not self._composed and self._has_no_body():
            self._compose(-1)
        if not (self._composed and self._framing == _NO_BODY):
            for piece in iterator:
                if type(piece) is not bytes:
                    piece = _exact(piece)
                if len(piece):
                    self._put(piece)
                    if self._full:
                        break
        self._finish()
        return None

    @cython.cfunc
    def _send_file(self, filelike: Any) -> cython.bint:
        """Have the sink send the file by its descriptor; return False if it has to be read instead."""
        if self._composed:
            return False
        found = regular_file(filelike)
        if found is None:
            return False
        fd, offset, available = found
        count: cython.longlong = available
        self._compose(count)
        if self._framing == _LENGTH:
            # A Content-Length may announce a part of the file only.
            count = min(count, self._remaining)
        if count and self._framing != _NO_BODY:
            try:
                copy = os.dup(fd)
            except OSError:
                return False
            try:
                self._emit(b"")
            except BaseException:
                os.close(copy)
                raise
            self._sink.send_file(copy, offset, count)
            self._remaining -= count
            self._body_bytes += count
        self._finish()
        return True

    # The response, as the client gets it.

    @cython.cfunc
    def _has_no_body(self) -> cython.bint:
        """Tell whether the response has no body, so that none has to be asked of the application."""
        return self._request.method == "HEAD" or self._status.startswith(("204", "304"))

    @cython.cfunc
    def _compose(self, length: cython.longlong) -> object:
        """Compose the head; it is sent with the first piece. length: of the body, -1 if it is not known."""
        if self._status is None:
            raise LocalProtocolError("the application did not call start_response before its body began")
        request = self._request
        head = compose_head(
            self._status,
            self._headers,
            request.method,
            request.http_minor,
            self._keep_alive,
            length,
            self._date,
            self._server,
        )
        self._composed = True
        self._head = head.data
        self._framing = head.framing
        self._remaining = head.content_length
        self._keep_alive = head.keep_alive
        self._status_code = head.status_code
        return None

    @cython.cfunc
    def _put(self, piece: bytes) -> object:
        """Send a piece that is not empty, in the framing of the response and after its head."""
        if not self._composed:
            self._compose(-1)
        size: cython.longlong = len(piece)
        if self._framing == _NO_BODY:
            self._full = True
            size = 0
            piece = b""
        elif self._framing == _CHUNKED:
            self._emit(encode_chunk(piece))
            self._body_bytes += size
            return None
        elif self._framing == _LENGTH:
            if size > self._remaining:
                if not self._full and not self._from_file:
                    self._refuse("its body is longer than its Content-Length; the rest was left out")
                self._full = True
                size = self._remaining
                piece = piece[:size]
            self._remaining -= size
        self._emit(piece)
        self._body_bytes += size
        return None

    @cython.cfunc
    def _emit(self, data: bytes) -> object:
        """Give bytes to the sink, the head before the first."""
        if self._aborted:
            # The application went on after an exception of write(): what follows a gap must not be sent.
            raise ClientDisconnected
        try:
            if self._head is not None:
                head: bytes = self._head
                self._head = None
                self._began = True
                if len(head) + len(data) <= _JOINED:
                    data = head + data
                else:
                    self._sink.send(head)
            if len(data):
                self._sink.send(data)
        except BaseException:
            self._aborted = True
            raise
        return None

    @cython.cfunc
    def _finish(self) -> object:
        """Send what marks the end of the response."""
        if not self._composed:
            self._compose(0)
        if self._framing == _CHUNKED:
            self._emit(LAST_CHUNK)
        elif self._head is not None:
            self._emit(b"")
        if self._framing == _LENGTH and self._remaining > 0:
            self._refuse(
                f"its body is {self._remaining} bytes shorter than its Content-Length; closing the connection"
            )
            self._aborted = True
        return None

    @cython.cfunc
    def _refuse(self, reason: str) -> object:
        log_problem(self._request, reason)
        self._error = "LocalProtocolError"
        return None

    # The end.

    @cython.cfunc
    def _fail(self, error: BaseException) -> object:
        """Log what was raised, and answer with the 500 page if there is still nothing on the way."""
        if isinstance(error, ClientDisconnected):
            self._aborted = True
            return None
        if isinstance(error, LocalProtocolError):
            log_problem(self._request, error.reason)
        else:
            log_exception(self._request, error)
        self._error = type(error).__name__
        if self._began:
            self._aborted = True
            return None
        request = self._request
        self._status_code = 500
        self._headers = []
        # An HTTP/1.0 client would have to be told that the connection stays open.
        self._keep_alive = bool(self._keep_alive and request.http_minor)
        self._began = True
        page = error_page(500, self._keep_alive, self._date, self._server, request.method == "HEAD")
        self._sink.send(page)
        self._body_bytes = len(page) - page.index(b"\r\n\r\n") - 4
        return None

    @cython.cfunc
    def _outcome(self) -> Outcome:
        outcome: Outcome = Outcome.__new__(Outcome)
        outcome.status_code = self._status_code
        outcome.headers = self._headers
        outcome.body_bytes = self._body_bytes
        outcome.keep_alive = bool(self._keep_alive and not self._aborted)
        outcome.aborted = self._aborted
        outcome.error = self._error
        return outcome


@cython.final
@cython.cclass
class Gateway:
    """Calls one application. All threads of a worker share it; it keeps nothing of a request."""

    _application: Any
    _server: bytes

    def __init__(self, application: Callable[..., Any], server: bytes = b"") -> None:
        """Take the application and the value of the Server field, b"" for none."""
        self._application = application
        self._server = server

    def respond(
        self, request: Request, environ: dict[str, Any], sink: Sink, date: bytes, keep_alive: cython.bint
    ) -> Outcome:
        """Call the application, send its response, close its iterable, and tell how it ended. Raises nothing.

        request: the same that environ was built from. date: the value of Date. keep_alive: whether both
        client and server want the connection to stay open.
        """
        response: _Response = _Response.__new__(_Response)
        response._prepare(self._server, request, sink, date, keep_alive)
        result: Any = None
        try:
            result = self._application(environ, response.start_response)
            response._send_body(result)
        except BaseException as error:  # noqa: BLE001 - SystemExit and its kind must not end the server
            try:
                response._fail(error)
            except BaseException:  # noqa: BLE001 - the client is gone, or there is no memory left
                response._aborted = True
        response._over = True
        response._sink = None
        kind = type(result)
        if kind is not list and kind is not tuple:
            try:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
            except BaseException as error:  # noqa: BLE001 - as above; the response is not touched any more
                log_exception(request, error, " in close()")
                response._error = response._error or type(error).__name__
        outcome: Outcome = response._outcome()
        return outcome


@cython.cfunc
def _exact(piece: Any) -> bytes:
    """Return a piece of a subclass of bytes as bytes; raise for everything else that an iterable may give."""
    if isinstance(piece, bytes):
        return b"".join((piece,))
    raise LocalProtocolError(f"the application's iterable gave {type(piece).__name__} where bytes are needed")
