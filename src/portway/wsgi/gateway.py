"""The WSGI call (PEP 3333): one request in, one response out to a sink, in the thread that calls `respond`.

    application(environ, start_response)  ->  pieces of the body  ->  close()  ->  Response

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
from portway.http.response import (
    CHUNKED,
    LAST_CHUNK,
    LENGTH,
    NO_BODY,
    encode_chunk,
    error_page,
)
from portway.wsgi.error_log import log_exception, log_problem
from portway.wsgi.file_wrapper import FileWrapper, regular_file
from portway.wsgi.sink import ClientDisconnected

if cython.compiled:
    from cython.cimports.portway.http.request import Request
    from cython.cimports.portway.http.response import ResponseHead, compose_head
    from cython.cimports.portway.wsgi.sink import Sink
else:
    from portway.http.request import Request
    from portway.http.response import ResponseHead, compose_head
    from portway.wsgi.sink import Sink

# Up to how many bytes pieces are copied together, the head among them, to be sent by one call. Beyond, the
# copy costs more than the call.
_JOINED = cython.declare(cython.Py_ssize_t, 131072)

_NO_BODY = cython.declare(cython.int, NO_BODY)
_LENGTH = cython.declare(cython.int, LENGTH)
_CHUNKED = cython.declare(cython.int, CHUNKED)

# The iterators of list and tuple: what they will give is in memory already, so its length can be announced.
# Django's HttpResponse gives one.
_LIST_ITERATOR = cython.declare(object, type(iter([])))
_TUPLE_ITERATOR = cython.declare(object, type(iter(())))

# The headers of a response before the application gave some; nobody changes it.
_NO_HEADERS = cython.declare(list, [])


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


@cython.final
@cython.freelist(16)
@cython.cclass
class Response:
    """One response: start_response and write for the application, and for the worker how it ended.

    status_code: of the response that was sent or begun, or would have been.
    headers: the application's, as it gave them; [] for an error page.
    body_bytes: bytes of the body that were given to the sink, without the framing.
    keep_alive: whether the connection may serve another request.
    aborted: whether the response is incomplete, so that the connection has to be closed at once.
    error: the name of the exception that the application raised, LocalProtocolError for what was not accepted of
    it; "" where there was none, also when the client went away.
    """

    @cython.cfunc
    def _prepare(
        self, server: bytes, request: Request, sink: Sink, date: bytes, keep_alive: cython.bint
    ) -> object:
        self._server: bytes = server
        self._request = request
        self._sink: Sink = sink
        self._date: bytes = date
        self.keep_alive: bool = keep_alive
        # What the application told start_response; the status is None before.
        self._status: str | None = None
        self.headers: list[tuple[str, str]] = _NO_HEADERS
        # The head from when it is composed until it is sent.
        self._head: bytes | None = None
        self._composed: bool = False
        # From the first byte on nothing can be taken back.
        self._began: bool = False
        # After the end; an application that kept write() must not reach the next response.
        self._over: bool = False
        self._framing: int = _NO_BODY
        # Bytes that are still missing of the announced length.
        self._remaining: int = 0
        # The application has given all that can be sent, or more.
        self._full: bool = False
        # The body is a file, of which a Content-Length may announce a part.
        self._from_file: bool = False
        self.status_code: int = 500
        self.body_bytes: int = 0
        self.aborted: bool = False
        self.error: str = ""
        return None

    def __repr__(self) -> str:
        ending = "aborted" if self.aborted else "keep-alive" if self.keep_alive else "close"
        error = f", {self.error}" if self.error else ""
        return f"<Response {self.status_code}, {self.body_bytes} bytes, {ending}{error}>"

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
        self.headers = headers
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
        if len(pieces) == 1 and not self._composed and type(pieces[0]) is bytes and len(pieces[0]):
            piece = pieces[0]
            self._compose(len(piece))
            self._put(piece)
            self._finish()
            return None
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
            self.body_bytes += count
        self._finish()
        return True

    # The response, as the client gets it.

    @cython.cfunc
    def _has_no_body(self) -> cython.bint:
        """Tell whether the response has no body, so that none has to be asked of the application."""
        status: str | None = self._status
        return self._request.method == "HEAD" or (status is not None and status.startswith(("204", "304")))

    @cython.cfunc
    def _compose(self, length: cython.longlong) -> object:
        """Compose the head; it is sent with the first piece. length: of the body, -1 if it is not known."""
        if self._status is None:
            raise LocalProtocolError("the application did not call start_response before its body began")
        request = self._request
        head: ResponseHead = compose_head(
            self._status,
            self.headers,
            request.method,
            request.http_minor,
            self.keep_alive and not self._sink.is_last(),
            length,
            self._date,
            self._server,
        )
        self._composed = True
        self._head = head.data
        self._framing = head.framing
        self._remaining = head.content_length
        self.keep_alive = head.keep_alive
        self.status_code = head.status_code
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
            self.body_bytes += size
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
        self.body_bytes += size
        return None

    @cython.cfunc
    def _emit(self, data: bytes) -> object:
        """Give bytes to the sink, the head before the first."""
        if self.aborted:
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
            self.aborted = True
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
            self.aborted = True
        return None

    @cython.cfunc
    def _refuse(self, reason: str) -> object:
        log_problem(self._request, reason)
        self.error = "LocalProtocolError"
        return None

    # The end.

    @cython.cfunc
    def _fail(self, error: Any) -> object:
        """Log what was raised, and answer with the 500 page if there is still nothing on the way."""
        if isinstance(error, ClientDisconnected):
            self.aborted = True
            return None
        if isinstance(error, LocalProtocolError):
            log_problem(self._request, error.reason)
        else:
            log_exception(self._request, error)
        self.error = type(error).__name__
        if self._began:
            self.aborted = True
            return None
        request = self._request
        self.status_code = 500
        self.headers = _NO_HEADERS
        # An HTTP/1.0 client would have to be told that the connection stays open.
        self.keep_alive = bool(self.keep_alive and request.http_minor and not self._sink.is_last())
        self._began = True
        page = error_page(500, self.keep_alive, self._date, self._server, request.method == "HEAD")
        self._sink.send(page)
        self.body_bytes = len(page) - page.index(b"\r\n\r\n") - 4
        return None


@cython.final
@cython.cclass
class Gateway:
    """Calls one application. All threads of a worker share it; it keeps nothing of a request."""

    def __init__(self, application: Callable[..., Any], server: bytes = b"") -> None:
        """Take the application and the value of the Server field, b"" for none."""
        self._application = application
        self._server = server

    def respond(
        self, request: Request, environ: dict[str, Any], sink: Sink, date: bytes, keep_alive: cython.bint
    ) -> Response:
        """Call the application, send its response, close its iterable, and tell how it ended. Raises nothing.

        request: the same that environ was built from. date: the value of Date. keep_alive: whether the
        client wants the connection to stay open; `sink` knows what the server wants.
        """
        response: Response = Response.__new__(Response)
        response._prepare(self._server, request, sink, date, keep_alive)
        result: Any = None
        try:
            result = self._application(environ, response.start_response)
            response._send_body(result)
        except BaseException as error:  # noqa: BLE001 - SystemExit and its kind must not end the server
            try:
                response._fail(error)
            except BaseException:  # noqa: BLE001 - the client is gone, or there is no memory left
                response.aborted = True
        response._over = True
        response._sink = None  # type: ignore[assignment]
        kind = type(result)
        if kind is not list and kind is not tuple:
            try:
                close = getattr(result, "close", None)
                if close is not None:
                    close()
            except BaseException as error:  # noqa: BLE001 - as above; the response is not touched any more
                log_exception(request, error, " in close()")
                response.error = response.error or type(error).__name__
        if response.aborted:
            response.keep_alive = False
        return response


@cython.cfunc
def _exact(piece: Any) -> bytes:
    """Return a piece of a subclass of bytes as bytes; raise for everything else that an iterable may give."""
    if isinstance(piece, bytes):
        return b"".join((piece,))
    raise LocalProtocolError(f"the application's iterable gave {type(piece).__name__} where bytes are needed")
