"""The RequestParser: the bytes of one connection in, events out (RFC 9112, the server's side). Sans-I/O.

It reads no socket, knows no clock and logs nothing. One object serves one connection and is used by one
thread at a time. It owns the buffer and the order of things; what the bytes mean is HeadReader's and
ChunkedDecoder's to say.
"""

# mypy: disallow-untyped-decorators=False, warn-return-any=False

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from typing import Any

from portway.http.chunked import ChunkedDecoder
from portway.http.errors import LocalProtocolError, RemoteProtocolError
from portway.http.events import CONNECTION_CLOSED, END_OF_MESSAGE, NEED_DATA, PAUSED, Event
from portway.http.limits import Limits

if cython.compiled:
    from cython.cimports.portway.http.head import HeadReader
    from cython.cimports.portway.http.request import Request
else:
    from portway.http.head import HeadReader
    from portway.http.request import Request

__all__ = [
    "CONNECTION_CLOSED",
    "END_OF_MESSAGE",
    "NEED_DATA",
    "PAUSED",
    "Request",
    "RequestParser",
    "is_compiled",
]


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


# States of a RequestParser.
HEAD = cython.declare(cython.int, 0)  # before or in a request head
LENGTH = cython.declare(cython.int, 1)  # in a body of known length
CHUNKED = cython.declare(cython.int, 2)  # in a chunked body
COMPLETE = cython.declare(cython.int, 3)  # the request is complete, waiting for start_next_cycle()
CLOSED = cython.declare(cython.int, 4)  # nothing more will be read
FAILED = cython.declare(cython.int, 5)  # the client broke the protocol


@cython.final
@cython.cclass
class RequestParser:
    """Turns what one client sends into requests, strictly, within Limits.

    Call receive_data() with what was read and next_event() until it returns NEED_DATA or PAUSED. A Request
    comes first; if it has a body, pieces of it (bytes, never empty) and END_OF_MESSAGE follow. Then, or at
    once after a Request without a body, the parser is PAUSED until start_next_cycle(): pipelined bytes wait
    in its buffer.
    """

    def __init__(self, limits: Limits) -> None:
        """Make a parser for a new connection, which keeps to `limits`."""
        self._limits = limits
        # What was received, and where in it the first byte is that was not consumed.
        self._data = b""
        self._at = 0
        self._eof: bool = False
        self._state: int = HEAD
        self._error: Any = None
        self._head = HeadReader(limits)
        # Made for the first chunked body.
        self._chunks: Any = None
        # Of the current request: its coding, the bytes of a body of known length still to come, what it allows.
        self._chunked: bool = False
        self._left = 0
        self._keep_alive: bool = True

    def receive_data(self, data: bytes) -> None:
        """Keep what was read from the client; b"" says that it will send no more. Looks at nothing."""
        if not data:
            self._eof = True
        elif self._at == len(self._data):
            self._data = data
            self._at = 0
        else:
            self._data = self._data[self._at :] + data
            self._at = 0

    def next_event(self) -> Request | bytes | Event:
        """Return the next event: a Request, a piece of a body, or one of the constants of
        portway.http.events.

        Raises RemoteProtocolError when the client broke the protocol or went beyond a limit, also when it
        closed in the middle of a message. Every later call raises the same.
        """
        if self._state == COMPLETE:
            return PAUSED
        if self._state == CLOSED:
            return CONNECTION_CLOSED
        if self._state == FAILED:
            raise RemoteProtocolError(self._error.status, self._error.reason)
        try:
            if self._state == HEAD:
                return self._read_head()
            if self._state == LENGTH:
                return self._read_body()
            return self._read_chunked_body()
        except RemoteProtocolError as error:
            self._state = FAILED
            self._error = error.with_traceback(None)
            raise

    def start_next_cycle(self) -> None:
        """Go on to the next request, with the bytes that are already buffered.

        After a request that did not allow the connection to stay open this ends in CONNECTION_CLOSED, and
        what the client sent after it is never read as a request (RFC 9112 section 9.6). Raises
        LocalProtocolError if the current request is not complete.
        """
        if self._state != COMPLETE:
            raise LocalProtocolError("start_next_cycle() was called before the request was complete")
        if self._keep_alive:
            self._state = HEAD
        else:
            self._state = CLOSED
            self._data = b""
            self._at = 0

    def request_so_far(self) -> Request | None:
        """What is known of a head that is not complete, or was refused; None before its request line was read."""
        return self._head.request_so_far()

    def has_buffered(self) -> bool:
        """Whether there are bytes that were received and not consumed."""
        return self._at < len(self._data)

    @property
    def buffered(self) -> int:
        """Bytes received and not consumed."""
        return len(self._data) - self._at

    @property
    def in_head(self) -> bool:
        """Whether a request head has begun, with at least one byte, and is not complete."""
        return self._state == HEAD and (self._at < len(self._data) or bool(self._head.begun))

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The trailers of the current request, [(lower-case name, value)]; never part of Request.fields."""
        return self._chunks.trailers if self._chunked else []

    def __repr__(self) -> str:
        return f"<RequestParser state={self._state} buffered={self.buffered}>"

    @cython.cfunc
    def _read_head(self) -> Any:
        """Return the next Request, if it is all there."""
        if self._at == len(self._data):
            # The usual case between two requests.
            if not self._eof:
                return NEED_DATA
            if not self._head.begun:
                self._state = CLOSED
                return CONNECTION_CLOSED
        read: Any = self._head.read(self._data, self._at)
        self._at = self._head.position
        if read is NEED_DATA:
            return (
                self._incomplete("head")
                if self._at < len(self._data) or self._head.begun
                else self._read_head()
            )
        request: Request = read
        self._keep_alive = request.keep_alive
        self._chunked = request.chunked
        if not request.has_body:
            self._state = COMPLETE
        elif not self._chunked:
            self._state = LENGTH
            self._left = request.content_length
        else:
            self._state = CHUNKED
            if self._chunks is None:
                self._chunks = ChunkedDecoder(self._limits)
            else:
                self._chunks.reset()
        return request

    @cython.cfunc
    def _read_body(self) -> Any:
        """Return the next piece of a body of known length, as much as there is, or its end."""
        if self._left == 0:
            self._state = COMPLETE
            return END_OF_MESSAGE
        piece: bytes = self._data
        size: cython.Py_ssize_t = len(piece) - self._at
        if size == 0:
            return self._incomplete("body")
        if size > self._left:
            size = self._left
        self._left -= size
        if size != len(piece):
            piece = piece[self._at : self._at + size]
        self._at += size
        self._release()
        return piece

    @cython.cfunc
    def _read_chunked_body(self) -> Any:
        """Return the next piece of a chunked body, or its end after the trailers."""
        event = self._chunks.decode(self._data, self._at)
        self._at = self._chunks.position
        self._release()
        if event is NEED_DATA:
            return self._incomplete("body")
        if event is END_OF_MESSAGE:
            self._state = COMPLETE
        return event

    @cython.cfunc
    def _release(self) -> object:
        """Let go of a buffer that is used up: the caller may keep its pieces, this object need not."""
        if self._at == len(self._data):
            self._data = b""
            self._at = 0
        return None

    @cython.cfunc
    def _incomplete(self, what: str) -> object:
        """Return NEED_DATA, or raise because there will be none."""
        if self._eof:
            raise RemoteProtocolError(400, f"connection closed in the middle of a {what}")
        return NEED_DATA
