"""The chunked transfer coding of request bodies (RFC 9112 section 7.1): sizes, data, trailers. Sans-I/O.

It looks at the parser's buffer where the parser says, and tells how far it got; it keeps no bytes of its own.
"""

# mypy: disallow-untyped-decorators=False, warn-return-any=False

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

import re

from portway.http import grammar
from portway.http.errors import RemoteProtocolError, quoted
from portway.http.events import END_OF_MESSAGE, NEED_DATA, Event
from portway.http.limits import Limits
from portway.http.refusals import refuse_field_line, refuse_value


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


# Where in a body a decoder is.
SIZE = cython.declare(cython.int, 0)  # before or in a chunk-size line
DATA = cython.declare(cython.int, 1)  # in the data of a chunk
DATA_END = cython.declare(cython.int, 2)  # at the CRLF after it
TRAILERS = cython.declare(cython.int, 3)  # in the trailer section

# A size that would need more than 60 bits becomes _ENORMOUS, which is larger than any limit.
_LARGE = cython.declare(cython.Py_ssize_t, 2**56)
_ENORMOUS = cython.declare(cython.Py_ssize_t, 2**62 + 1)
_UNLIMITED = cython.declare(cython.Py_ssize_t, 2**62)

# Digits of a size, leading zeros among them: as many as 64 bits have.
_MAX_DIGITS = cython.declare(cython.Py_ssize_t, 16)

_TOKEN = grammar.some_of(grammar.TOKEN)
_name = re.compile(_TOKEN).match
_value = re.compile(grammar.any_of(grammar.VALUE)).match
_QUOTED = rb"\"(?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t -\x7e\x80-\xff])*\""
# With the bad white space that RFC 9112 section 7.1.1 wants parsed, but none at the end of the line.
_extensions = re.compile(
    rb"(?:[ \t]*;[ \t]*%(token)b(?:[ \t]*=[ \t]*(?:%(token)b|%(quoted)b))?)*"
    % {b"token": _TOKEN, b"quoted": _QUOTED}
).fullmatch

#: Names that mean something to framing, routing, authentication or the handling of the content: not allowed
#: in a trailer section (RFC 9110 section 6.5.1).
FORBIDDEN_TRAILERS = frozenset(
    {
        "authorization",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-range",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "keep-alive",
        "max-forwards",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "range",
        "set-cookie",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
        "www-authenticate",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
    }
)


@cython.cclass
class ChunkedDecoder:
    """Decodes one chunked body after the other, within Limits."""

    #: Where in the buffer the first byte is that was not consumed, after decode().
    position: int = cython.declare(cython.Py_ssize_t, visibility="readonly")
    #: The trailer fields of the current body, [(lower-case name, value)], without those that have an
    #: underscore.
    trailers: list[tuple[str, str]] = cython.declare(list, visibility="readonly")

    _state: cython.int
    _scanned: cython.Py_ssize_t  # bytes of the current line that are known to have no LF
    _left: cython.Py_ssize_t  # bytes of the current chunk that are still to come
    _room: cython.Py_ssize_t  # bytes that the body may still have
    _extension_room: cython.Py_ssize_t
    _line_room: cython.Py_ssize_t  # bytes that lines may still have; bounds the trailer section
    _lines: cython.Py_ssize_t  # trailer field lines so far
    _max_body: cython.Py_ssize_t
    _max_line: cython.Py_ssize_t
    _max_extensions: cython.Py_ssize_t
    _max_trailers: cython.Py_ssize_t
    _max_field_size: cython.Py_ssize_t
    _max_section: cython.Py_ssize_t

    def __init__(self, limits: Limits) -> None:
        """Make a decoder at the beginning of a body."""
        self._max_body = limits.body or _UNLIMITED
        self._max_line = limits.chunk_line
        self._max_extensions = limits.chunk_extensions
        self._max_trailers = limits.trailers
        self._max_field_size = limits.field_size or _UNLIMITED
        self._max_section = limits.head
        self.reset()

    def reset(self) -> None:
        """Begin with another body."""
        self.position = 0
        self.trailers = []
        self._state = SIZE
        self._scanned = 0
        self._left = 0
        self._room = self._max_body
        self._extension_room = self._max_extensions
        self._line_room = _UNLIMITED
        self._lines = 0

    def decode(self, data: bytes, position: cython.Py_ssize_t) -> bytes | Event:
        """Go on at data[position:]: return a piece of the body, END_OF_MESSAGE, or NEED_DATA when there is no
        more.

        The caller keeps data[self.position:] and comes back with it, and more. Raises RemoteProtocolError:
        400, 413 as soon as a chunk size goes beyond the limit, 431 for trailers beyond theirs.
        """
        self.position = position
        line: object
        while self._state != TRAILERS:
            if self._state == SIZE:
                line = self._line(data, self._max_line, 400, "chunk-size line")
                if line is None:
                    return NEED_DATA
                self._left = self._read_size(line)
                if self._left > self._room:
                    raise RemoteProtocolError(413, f"chunked body larger than {self._max_body} bytes")
                self._room -= self._left
                if self._left:
                    self._state = DATA
                else:
                    self._state = TRAILERS
                    self._line_room = self._max_section
            elif self._state == DATA:
                if self._left:
                    return self._take(data)
                self._state = DATA_END
            elif self._data_end(data):
                self._state = SIZE
            else:
                return NEED_DATA
        while True:
            line = self._line(data, self._max_field_size, 431, "trailer field line")
            if line is None:
                return NEED_DATA
            if not line:
                return END_OF_MESSAGE
            self._lines += 1
            if self._lines > self._max_trailers:
                raise RemoteProtocolError(431, f"more than {self._max_trailers} trailer field lines")
            self._read_trailer(line)

    @cython.cfunc
    def _line(self, data: bytes, limit: cython.Py_ssize_t, status: cython.int, what: str) -> object:
        """Consume and return a line without its CRLF, None when it is not complete.

        Raises for a line that is or will be longer than `limit`, or than the trailer section has room for,
        before anything in it is looked at.
        """
        start: cython.Py_ssize_t = self.position
        end: cython.Py_ssize_t = data.find(b"\n", start + self._scanned)
        complete: cython.bint = end >= 0
        if not complete:
            end = len(data)
            self._scanned = end - start
        returned: cython.bint = end > start and data[end - 1] == 0x0D
        if returned:
            end -= 1
        if end - start > limit or end - start + 2 > self._line_room:
            if limit + 2 > self._line_room:
                what, limit = "trailer section", self._max_section
            raise RemoteProtocolError(status, f"{what} longer than {limit} bytes")
        if not complete:
            return None
        if not returned:
            raise RemoteProtocolError(400, f"{what} ends with a bare LF")
        self._scanned = 0
        self.position = end + 2
        self._line_room -= end + 2 - start
        return data[start:end]

    @cython.cfunc
    @cython.exceptval(-1)
    def _read_size(self, line: bytes) -> cython.Py_ssize_t:
        """Return the size in `1*HEXDIG [chunk-ext]`: no sign, no prefix, no white space."""
        size: cython.Py_ssize_t = 0
        at: cython.Py_ssize_t = 0
        end: cython.Py_ssize_t = len(line)
        digit: cython.int
        while at < end:
            digit = line[at]
            if 0x30 <= digit <= 0x39:
                digit -= 0x30
            elif 0x41 <= digit <= 0x46:
                digit -= 0x37
            elif 0x61 <= digit <= 0x66:
                digit -= 0x57
            else:
                break
            size = size * 16 + digit if size < _LARGE else _ENORMOUS
            at += 1
        if at == 0 or at > _MAX_DIGITS:
            raise RemoteProtocolError(400, f"malformed chunk size {quoted(line)}")
        if at != end:
            if _extensions(line, at) is None:
                raise RemoteProtocolError(400, f"malformed chunk-size line {quoted(line)}")
            self._extension_room -= end - at
            if self._extension_room < 0:
                raise RemoteProtocolError(400, f"more than {self._max_extensions} bytes of chunk extensions")
        return size

    @cython.cfunc
    def _take(self, data: bytes) -> object:
        """Consume and return as much of the chunk's data as there is."""
        start: cython.Py_ssize_t = self.position
        size: cython.Py_ssize_t = len(data) - start
        if size == 0:
            return NEED_DATA
        if size > self._left:
            size = self._left
        self._left -= size
        self.position = start + size
        return data if size == len(data) else data[start : start + size]

    @cython.cfunc
    @cython.exceptval(-1)
    def _data_end(self, data: bytes) -> cython.int:
        """Consume the CRLF after a chunk's data; return 0 when it is not all there."""
        start: cython.Py_ssize_t = self.position
        size: cython.Py_ssize_t = len(data) - start
        if (size > 0 and data[start] != 0x0D) or (size > 1 and data[start + 1] != 0x0A):
            raise RemoteProtocolError(400, "no CRLF after the data of a chunk")
        if size < 2:
            return 0
        self.position = start + 2
        return 1

    @cython.cfunc
    def _read_trailer(self, line: bytes) -> object:
        """Check a trailer field as strictly as a field of the head, and keep it."""
        match = _name(line)
        at = match.end() if match is not None else 0
        if not at or line[at : at + 1] != b":":
            refuse_field_line(line, at)
        name = line[:at].decode("latin-1").lower()
        bad = _value(line, at).end()  # type: ignore[union-attr]
        if bad != len(line):
            refuse_value(name, line[bad : bad + 1])
        if name in FORBIDDEN_TRAILERS:
            raise RemoteProtocolError(400, f"field {name} in a trailer section")
        if "_" not in name:
            self.trailers.append((name, line[at + 1 :].strip(b" \t").decode("latin-1")))
        return None
