"""The RequestParser: bytes of one connection in, events out (RFC 9112, the server's side). Sans-I/O.

It reads no socket, knows no clock and logs nothing. One object serves one connection and is used by one thread at a
time; separate objects share only a cache of field names.

It works line by line. A line is looked at when it is complete or when it is longer than it may be, whichever comes
first, and never again, so how the bytes were cut into pieces changes neither the events nor the error.
"""

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

import re
from sys import intern

from portway.http import grammar
from portway.http.chunked import ChunkSizeReader
from portway.http.errors import LocalProtocolError, RemoteProtocolError, quoted
from portway.http.events import CONNECTION_CLOSED, END_OF_MESSAGE, NEED_DATA, PAUSED
from portway.http.limits import Limits
from portway.http.request import Request

if cython.compiled:
    from cython.cimports.libc.string import memchr, memcmp

__all__ = ["CONNECTION_CLOSED", "END_OF_MESSAGE", "NEED_DATA", "PAUSED", "Request", "RequestParser", "is_compiled"]


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


# States of a RequestParser.
REQUEST_LINE = cython.declare(cython.int, 0)  # before or in a request line
FIELDS = cython.declare(cython.int, 1)  # in the field lines of a head
LENGTH = cython.declare(cython.int, 2)  # in a body of known length
CHUNK_SIZE = cython.declare(cython.int, 3)  # before or in a chunk-size line
CHUNK_DATA = cython.declare(cython.int, 4)  # in the data of a chunk
CHUNK_END = cython.declare(cython.int, 5)  # at the CRLF after the data of a chunk
TRAILERS = cython.declare(cython.int, 6)  # in the trailer section
COMPLETE = cython.declare(cython.int, 7)  # the request is complete, waiting for start_next_cycle()
CLOSED = cython.declare(cython.int, 8)  # nothing more will be read
FAILED = cython.declare(cython.int, 9)  # the client broke the protocol

# Kinds of field names: those that mean something here.
ORDINARY = cython.declare(cython.int, 0)
DROPPED = cython.declare(cython.int, 1)
HOST = cython.declare(cython.int, 2)
CONTENT_LENGTH = cython.declare(cython.int, 3)
TRANSFER_ENCODING = cython.declare(cython.int, 4)
CONNECTION = cython.declare(cython.int, 5)
EXPECT = cython.declare(cython.int, 6)

_KINDS = {
    "host": HOST,
    "content-length": CONTENT_LENGTH,
    "transfer-encoding": TRANSFER_ENCODING,
    "connection": CONNECTION,
    "expect": EXPECT,
}

_TOKEN = cython.declare(bytes, grammar.TOKEN)
_VALUE = cython.declare(bytes, grammar.VALUE)
_TARGET = cython.declare(bytes, grammar.TARGET)
_REG_NAME = cython.declare(bytes, grammar.REG_NAME)

# The uncompiled form finds the end of a run of allowed bytes with these; the compiled one with a loop.
_RUNS = {
    table: re.compile(b"[" + re.escape(grammar.members(table)) + b"]*").match
    for table in (grammar.TOKEN, grammar.VALUE, grammar.TARGET, grammar.REG_NAME)
}

_METHODS = cython.declare(
    dict,
    {
        name.encode(): intern(name)
        for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
    },
)

# Beyond this a Content-Length is too large whatever the limit is; ten times as much still fits a Py_ssize_t.
_ENORMOUS = cython.declare(cython.Py_ssize_t, 10**17)
_UNLIMITED = cython.declare(cython.Py_ssize_t, 2**62)


@cython.cclass
class FieldName:
    """A field name as it was sent, and what it means."""

    raw: bytes
    name: str
    kind: cython.int

    def __init__(self, raw: bytes):
        self.raw = raw
        self.name = intern(raw.decode("latin-1").lower())
        self.kind = DROPPED if b"_" in raw else _KINDS.get(self.name, ORDINARY)


# Names that were checked once. The compiled form keeps one name in each slot of a table, found by a hash that the loop
# which checks the name computes on the way; a new name takes the place of the old one. The uncompiled form has a dict.
# Both are bounded, and what they forget is only checked again.
_SLOTS = cython.declare(cython.int, 1024)
_NAMES = cython.declare(list, [None] * 1024)
_NAMES_BY_BYTES = cython.declare(dict, {})


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _run(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, table: bytes) -> cython.Py_ssize_t:
    """Return where the run of bytes that the table allows ends: at most at `end`."""
    if cython.compiled:
        p: cython.p_uchar = data
        allowed: cython.p_uchar = table
        while start < end and allowed[p[start]]:
            start += 1
        return start
    else:  # noqa: RET505 - a compile-time choice
        return _RUNS[table](data, start, end).end()  # type: ignore[union-attr]


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _value_run(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Return where the run of bytes allowed in a field value ends; written so that C compilers vectorise it."""
    if cython.compiled:
        p: cython.p_uchar = data
        i: cython.Py_ssize_t
        bad: cython.uchar = 0
        for i in range(start, end):
            bad |= ((p[i] < 0x20) & (p[i] != 0x09)) | (p[i] == 0x7F)
        if not bad:
            return end
    return _run(data, start, end, _VALUE)


@cython.cclass
class RequestParser:
    """Turns what one client sends into requests, strictly, within Limits.

    Call receive_data() with what was read and next_event() until it returns NEED_DATA or PAUSED. A Request comes
    first; if it has a body, pieces of it (bytes, never empty) and END_OF_MESSAGE follow. Then, or at once after a
    Request without a body, the parser is PAUSED until start_next_cycle(): pipelined bytes wait in its buffer.
    """

    _data: bytes  # what was received
    _pos: cython.Py_ssize_t  # where in it the first byte is that was not consumed
    _seen: cython.Py_ssize_t  # where the search for the end of the current line goes on
    _eof: cython.bint
    _state: cython.int
    _status: cython.int  # of the error, when FAILED
    _reason: object
    # Limits; those of lines are never 0 here.
    _max_request_line: cython.Py_ssize_t
    _max_fields: cython.Py_ssize_t
    _max_field_size: cython.Py_ssize_t
    _max_head: cython.Py_ssize_t
    _max_empty_lines: cython.Py_ssize_t
    _max_body: cython.Py_ssize_t
    _max_trailers: cython.Py_ssize_t
    _max_chunk_line: cython.Py_ssize_t
    _chunk_sizes: object
    _limits: object
    # The current head or trailer section.
    _room: cython.Py_ssize_t  # bytes it may still take
    _lines: cython.Py_ssize_t  # empty lines before it, then field lines in it
    _method: str
    _target: str
    _path: str
    _query: str
    _scheme: str
    _authority: str
    _minor: cython.int
    _fields: list
    _dropped: object
    _host: object  # None until Host was seen
    _content_length: cython.Py_ssize_t
    _codings: object  # value of Transfer-Encoding, None if there is none
    _expect: object  # value of Expect, None if there is none
    _close: cython.bint  # Connection has "close"
    _persist: cython.bint  # Connection has "keep-alive"
    _keep_alive: cython.bint  # what the current request allows
    # The current body.
    _left: cython.Py_ssize_t  # bytes left in it, or in the current chunk
    _body_room: cython.Py_ssize_t  # bytes that a chunked body may still have

    trailers: list[tuple[str, str]] = cython.declare(list, visibility="readonly")

    def __init__(self, limits: Limits) -> None:
        """Make a parser for a new connection, which keeps to `limits`."""
        self._data = b""
        self._pos = 0
        self._seen = 0
        self._eof = False
        self._reason = None
        self._limits = limits
        self._max_request_line = limits.request_line or _UNLIMITED
        self._max_fields = limits.fields or _UNLIMITED
        self._max_field_size = limits.field_size or _UNLIMITED
        self._max_head = limits.head
        self._max_empty_lines = limits.empty_lines
        self._max_body = limits.body or _UNLIMITED
        self._max_trailers = limits.trailers
        self._max_chunk_line = limits.chunk_line
        self._chunk_sizes = None
        self._reset()

    def receive_data(self, data: bytes) -> None:
        """Keep what was read from the client; b"" says that the client will send no more. Raises nothing."""
        if not data:
            self._eof = True
        elif self._pos == len(self._data):
            self._data = data
            self._seen = 0
            self._pos = 0
        else:
            self._data = self._data[self._pos :] + data
            self._seen -= self._pos
            self._pos = 0

    def next_event(self) -> object:
        """Return the next event: a Request, a piece of body, or one of the four constants of portway.http.events.

        Raises RemoteProtocolError when the client broke the protocol or went beyond a limit, also when it closed in
        the middle of a message. Every later call raises the same.
        """
        try:
            if self._state <= FIELDS:
                return self._read_head()
            if self._state == COMPLETE:
                return PAUSED
            if self._state <= TRAILERS:
                return self._read_body()
            if self._state == CLOSED:
                return CONNECTION_CLOSED
            raise RemoteProtocolError(self._status, self._reason)
        except RemoteProtocolError as error:
            self._state = FAILED
            self._status = error.status
            self._reason = error.reason
            raise

    def start_next_cycle(self) -> None:
        """Go on to the next request, with the bytes that are already buffered.

        After a request that did not allow the connection to stay open this ends in CONNECTION_CLOSED, and what the
        client sent after it is never read as a request (RFC 9112 section 9.6). Raises LocalProtocolError if the
        current request is not complete.
        """
        if self._state != COMPLETE:
            raise LocalProtocolError("start_next_cycle() was called before the request was complete")
        keep_alive: cython.bint = self._keep_alive
        self._reset()
        if not keep_alive:
            self._state = CLOSED
            self._data = b""
            self._pos = 0

    @property
    def buffered(self) -> int:
        """Bytes received and not consumed."""
        return len(self._data) - self._pos

    @property
    def in_head(self) -> bool:
        """Whether a request head, or at least a byte of it, has been received but not all of it."""
        return self._state == FIELDS or (self._state == REQUEST_LINE and self._pos < len(self._data))

    def __repr__(self) -> str:
        return f"<RequestParser state={self._state} buffered={self.buffered}>"

    @cython.cfunc
    def _reset(self) -> object:
        self._state = REQUEST_LINE
        self._seen = self._pos
        self._room = self._max_head
        self._lines = 0
        self._scheme = ""
        self._authority = ""
        self._fields = []
        self._dropped = ()
        self._host = None
        self._content_length = -1
        self._codings = None
        self._expect = None
        self._close = False
        self._persist = False
        self._keep_alive = False
        self._left = 0
        self.trailers = []
        return None

    # Lines

    @cython.cfunc
    def _line(self, limit: cython.Py_ssize_t, status: cython.int, name: str) -> cython.Py_ssize_t:
        """Return where the line at _pos ends, at its CRLF, or -1 when it is not complete.

        Raises for a line that is or will be longer than `limit`, with `status`, before anything in it is looked at.
        """
        data: bytes = self._data
        start: cython.Py_ssize_t = self._pos
        size: cython.Py_ssize_t = len(data)
        end: cython.Py_ssize_t
        if cython.compiled:
            p: cython.p_uchar = data
            found: cython.p_uchar = cython.cast(
                cython.p_uchar, memchr(p + self._seen, 0x0A, cython.cast(cython.size_t, size - self._seen))
            )
            end = -1 if found == cython.NULL else found - p
        else:
            end = data.find(b"\n", self._seen)
        complete: cython.bint = end >= 0
        if not complete:
            self._seen = end = size
        bare: cython.bint = True
        if end > start and data[end - 1] == 0x0D:
            bare = False
            end -= 1
        if end - start > limit:
            raise RemoteProtocolError(status, f"{name} longer than {limit} bytes")
        if not complete:
            return -1
        if bare:
            raise RemoteProtocolError(400, f"{name} ends with a bare LF")
        return end

    @cython.cfunc
    def _head_line(self, limit: cython.Py_ssize_t, status: cython.int, name: str) -> cython.Py_ssize_t:
        """Return the same for a line of a head or trailer section, which has its own limit as a whole."""
        if self._room - 2 < limit:
            return self._line(self._room - 2, status, "head, in a " + name + ",")
        return self._line(limit, status, name)

    @cython.cfunc
    def _consume_line(self, end: cython.Py_ssize_t) -> object:
        self._room -= end + 2 - self._pos
        self._pos = self._seen = end + 2
        return None

    @cython.cfunc
    def _incomplete(self, where: str) -> object:
        """Return NEED_DATA, or raise because there will be none."""
        if self._eof:
            raise RemoteProtocolError(400, f"connection closed in the middle of {where}")
        return NEED_DATA

    # Head

    @cython.cfunc
    def _read_head(self) -> object:
        end: cython.Py_ssize_t
        while self._state == REQUEST_LINE:
            if self._pos == len(self._data):
                if self._eof:
                    self._state = CLOSED
                    return CONNECTION_CLOSED
                return NEED_DATA
            self._check_first_byte(self._data)
            end = self._head_line(self._max_request_line, 414, "request line")
            if end < 0:
                return self._incomplete("a request line")
            if end == self._pos:
                self._lines += 1
                if self._lines > self._max_empty_lines:
                    raise RemoteProtocolError(400, "too many empty lines before the request line")
                self._pos = self._seen = end + 2
            else:
                self._read_request_line(self._data, self._pos, end)
                self._consume_line(end)
                self._lines = 0
                self._state = FIELDS
        while True:
            end = self._head_line(self._max_field_size, 431, "field line")
            if end < 0:
                return self._incomplete("a head")
            if end == self._pos:
                self._consume_line(end)
                return self._complete_head()
            self._lines += 1
            if self._lines > self._max_fields:
                raise RemoteProtocolError(431, f"more than {self._max_fields} field lines")
            self._read_field(self._data, self._pos, end, False)
            self._consume_line(end)

    @cython.cfunc
    def _check_first_byte(self, data: bytes) -> object:
        """Raise if a request cannot begin like this. What is no HTTP at all often has no line end to wait for."""
        first: cython.int = data[self._pos]
        if first != 0x0D and not _TOKEN[first]:
            if first == 0x16:
                raise RemoteProtocolError(400, "a TLS handshake where a request line was expected")
            raise RemoteProtocolError(400, f"request line begins with {quoted(data[self._pos : self._pos + 1])}")
        return None

    @cython.cfunc
    def _read_request_line(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> object:
        """Read `method SP request-target SP HTTP-version` (RFC 9112 section 3)."""
        at: cython.Py_ssize_t = _run(data, start, end, _TOKEN)
        if at == end or data[at] != 0x20:
            raise RemoteProtocolError(400, f"malformed request line {quoted(data[start:end])}")
        raw: bytes = data[start:at]
        method = _METHODS.get(raw)
        if method is None:
            method = raw.decode("latin-1")
        self._method = method
        start = at + 1
        at = _run(data, start, end, _TARGET)
        if at == start or at == end or data[at] != 0x20:
            raise RemoteProtocolError(400, f"malformed request target in {quoted(data[start:end])}")
        if data.startswith(b"HTTP/1.1", at + 1) and end - at == 9:
            self._minor = 1
        elif data.startswith(b"HTTP/1.0", at + 1) and end - at == 9:
            self._minor = 0
        else:
            self._refuse_version(data[at + 1 : end])
        self._target = data[start:at].decode("latin-1")
        if data[start] == 0x2F and method != "CONNECT":
            mark: cython.Py_ssize_t = data.find(b"?", start, at)
            if mark < 0:
                self._path = self._target
                self._query = ""
            else:
                self._path = data[start:mark].decode("latin-1")
                self._query = data[mark + 1 : at].decode("latin-1")
        else:
            self._read_other_target(method, self._target)
        return None

    @cython.cfunc
    def _refuse_version(self, version: bytes) -> object:
        if len(version) == 8 and version.startswith(b"HTTP/") and version[5:6].isdigit() and version[6:7] == b".":
            if version[7:8].isdigit():
                raise RemoteProtocolError(505, f"version {quoted(version)} is not supported")
        raise RemoteProtocolError(400, f"malformed version {quoted(version)}")

    @cython.cfunc
    def _read_other_target(self, method: str, target: str) -> object:
        """Read a target that is not in origin-form (RFC 9112 sections 3.2.2 to 3.2.4)."""
        if method == "CONNECT":
            raise RemoteProtocolError(501, "CONNECT is for proxies")
        self._query = ""
        if target == "*":
            if method != "OPTIONS":
                raise RemoteProtocolError(400, f"target * with method {quoted(method)}")
            self._path = target
            return None
        parts = grammar.split_absolute(target)
        if parts is None:
            raise RemoteProtocolError(400, f"malformed request target {quoted(target)}")
        self._scheme, self._authority, self._path, self._query = parts
        return None

    @cython.cfunc
    def _read_field(
        self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, trailer: cython.bint
    ) -> object:
        """Read `field-name ":" OWS field-value OWS` (RFC 9112 section 5)."""
        at: cython.Py_ssize_t = start
        known: FieldName
        if cython.compiled:
            p: cython.p_uchar = data
            token: cython.p_uchar = _TOKEN
            mix: cython.uint = 0
            while at < end and token[p[at]]:
                mix = mix * 31 + p[at]
                at += 1
            if at == start or at == end or p[at] != 0x3A:
                self._refuse_name(data, start, end, at)
            mix = (mix ^ (mix >> 10)) & 1023
            known = cython.cast(FieldName, _NAMES[mix])
            if (
                known is None
                or len(known.raw) != at - start
                or memcmp(cython.cast(cython.p_uchar, known.raw), p + start, cython.cast(cython.size_t, at - start)) != 0
            ):
                known = FieldName(data[start:at])
                if at - start <= 64:
                    _NAMES[mix] = known
        else:
            at = data.find(b":", start, end)
            known = _NAMES_BY_BYTES.get(data[start:at])
            if known is None:
                at = _run(data, start, end, _TOKEN)
                if at == start or at == end or data[at] != 0x3A:
                    self._refuse_name(data, start, end, at)
                known = FieldName(data[start:at])
                if at - start <= 64:
                    if len(_NAMES_BY_BYTES) >= 1024:
                        _NAMES_BY_BYTES.clear()
                    _NAMES_BY_BYTES[known.raw] = known
        at += 1
        while at < end and (data[at] == 0x20 or data[at] == 0x09):
            at += 1
        while end > at and (data[end - 1] == 0x20 or data[end - 1] == 0x09):
            end -= 1
        bad: cython.Py_ssize_t = _value_run(data, at, end)
        if bad != end:
            raise RemoteProtocolError(400, f"{quoted(data[bad : bad + 1])} in the value of field {known.name}")
        value: str = data[at:end].decode("latin-1")
        name: str = known.name
        if trailer:
            if name in grammar.FORBIDDEN_TRAILERS:
                raise RemoteProtocolError(400, f"field {name} in a trailer section")
            if known.kind != DROPPED:
                self.trailers.append((name, value))
            return None
        if known.kind != ORDINARY:
            if known.kind == DROPPED:
                self._dropped = (*self._dropped, name)
                return None
            self._note_field(known.kind, value, data, at, end)
        self._fields.append((name, value))
        return None

    @cython.cfunc
    def _refuse_name(
        self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, at: cython.Py_ssize_t
    ) -> object:
        """Raise for a line whose name ends at `at` without being one."""
        line = quoted(data[start:end])
        if data[start] == 0x20 or data[start] == 0x09:
            raise RemoteProtocolError(400, f"folded field line {line}")
        if at == end:
            raise RemoteProtocolError(400, f"field line without a colon {line}")
        if data[at] == 0x3A:
            raise RemoteProtocolError(400, f"field line without a name {line}")
        raise RemoteProtocolError(400, f"{quoted(data[at : at + 1])} in or after the name of field line {line}")

    @cython.cfunc
    def _note_field(
        self, kind: cython.int, value: str, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t
    ) -> object:
        """Take from a field what the protocol needs of it."""
        if kind == HOST:
            if self._host is not None:
                raise RemoteProtocolError(400, "more than one Host")
            if (start == end or _run(data, start, end, _REG_NAME) != end) and not grammar.is_host(value):
                raise RemoteProtocolError(400, f"malformed Host {quoted(value)}")
            self._host = value
        elif kind == CONTENT_LENGTH:
            if self._content_length >= 0:
                raise RemoteProtocolError(400, "more than one Content-Length")
            self._content_length = self._read_length(data, start, end)
        elif kind == TRANSFER_ENCODING:
            self._codings = value if self._codings is None else self._codings + "," + value
        elif kind == CONNECTION:
            for option in value.lower().split(","):
                option = option.strip(" \t")
                if option == "close":
                    self._close = True
                elif option == "keep-alive":
                    self._persist = True
        else:
            self._expect = value if self._expect is None else self._expect + "," + value
        return None

    @cython.cfunc
    @cython.exceptval(-1)
    def _read_length(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """Return the value of a Content-Length: ASCII digits and nothing else (RFC 9110 section 8.6).

        A list, even of equal numbers, is refused as RFC 9112 section 6.3 allows. A number too large to hold becomes one
        that is larger than any limit.
        """
        length: cython.Py_ssize_t = 0
        at: cython.Py_ssize_t = start
        digit: cython.int
        while at < end:
            digit = data[at] - 0x30
            if digit < 0 or digit > 9:
                break
            if length < _ENORMOUS:
                length = length * 10 + digit
            at += 1
        if at == start or at != end:
            raise RemoteProtocolError(400, f"malformed Content-Length {quoted(data[start:end])}")
        return length

    @cython.cfunc
    def _complete_head(self) -> object:
        """Decide on host, framing, expectation and persistence, and return the Request."""
        host = self._host
        if host is None:
            if self._minor:
                raise RemoteProtocolError(400, "no Host in an HTTP/1.1 request")
            host = ""
        if self._scheme:
            host = self._replace_host()
        length: cython.Py_ssize_t = self._content_length
        chunked: cython.bint = self._codings is not None
        if chunked:
            self._check_codings(self._codings)
        elif length > self._max_body or length >= _ENORMOUS:
            raise RemoteProtocolError(413, f"announced body larger than {self._max_body} bytes")
        expect_continue: cython.bint = False
        if self._expect is not None and self._minor:
            if self._expect.lower() != "100-continue":
                raise RemoteProtocolError(417, f"unknown expectation {quoted(self._expect)}")
            expect_continue = chunked or length > 0
        self._keep_alive = not self._close and (self._minor == 1 or self._persist)
        if chunked:
            self._state = CHUNK_SIZE
            self._body_room = self._max_body
            if self._chunk_sizes is None:
                self._chunk_sizes = ChunkSizeReader(self._limits.chunk_extensions)
            self._chunk_sizes.reset()
        elif length > 0:
            self._state = LENGTH
            self._left = length
        else:
            self._state = COMPLETE
        return Request(
            self._method,
            self._target,
            self._path,
            self._query,
            self._minor,
            self._fields,
            self._dropped,
            host,
            self._keep_alive,
            length,
            chunked,
            expect_continue,
            self._scheme,
            self._authority,
        )

    @cython.cfunc
    def _replace_host(self) -> str:
        """Put the authority of a target in absolute-form in the place of Host (RFC 9112 section 3.2.2)."""
        fields: list = [(name, value) for name, value in self._fields if name != "host"]
        fields.insert(0, (intern("host"), self._authority))
        self._fields = fields
        if self._method == "OPTIONS" and not self._target[len(self._scheme) + 3 + len(self._authority) :]:
            self._path = "*"  # RFC 9112 section 3.2.4
        return self._authority

    @cython.cfunc
    def _check_codings(self, value: str) -> object:
        """Raise unless the codings are `chunked` alone and the request can have them (RFC 9112 sections 6.1, 6.3)."""
        if self._content_length >= 0:
            raise RemoteProtocolError(400, "both Content-Length and Transfer-Encoding")
        if not self._minor:
            raise RemoteProtocolError(400, "Transfer-Encoding in an HTTP/1.0 request")
        if value.lower() == "chunked":
            return None
        codings: list = [coding.strip(" \t").lower() for coding in value.split(",")]
        for coding in codings:
            name = coding.partition(";")[0].rstrip(" \t").encode("latin-1")
            if not name or _run(name, 0, len(name), _TOKEN) != len(name) or (name == b"chunked" and name != coding.encode("latin-1")):
                raise RemoteProtocolError(400, f"malformed Transfer-Encoding {quoted(value)}")
        for coding in codings:
            if coding != "chunked":
                raise RemoteProtocolError(501, f"transfer coding {quoted(coding)} is not supported")
        raise RemoteProtocolError(400, "transfer coding chunked more than once")

    # Body

    @cython.cfunc
    def _read_body(self) -> object:
        end: cython.Py_ssize_t
        while True:
            if self._state == LENGTH or self._state == CHUNK_DATA:
                if self._left:
                    return self._take()
                if self._state == LENGTH:
                    self._state = COMPLETE
                    return END_OF_MESSAGE
                self._state = CHUNK_END
            if self._state == CHUNK_END:
                if not self._read_chunk_end(self._data):
                    return self._incomplete("a body")
                self._state = CHUNK_SIZE
            if self._state == CHUNK_SIZE:
                end = self._line(self._max_chunk_line, 400, "chunk-size line")
                if end < 0:
                    return self._incomplete("a body")
                self._left = self._chunk_sizes.read(self._data[self._pos : end])
                self._pos = self._seen = end + 2
                if self._left > self._body_room:
                    raise RemoteProtocolError(413, f"chunked body larger than {self._max_body} bytes")
                self._body_room -= self._left
                if self._left:
                    self._state = CHUNK_DATA
                    continue
                self._state = TRAILERS
                self._lines = 0
                self._room = self._max_head
            end = self._head_line(self._max_field_size, 431, "trailer field line")
            if end < 0:
                return self._incomplete("a trailer section")
            if end == self._pos:
                self._consume_line(end)
                self._state = COMPLETE
                return END_OF_MESSAGE
            self._lines += 1
            if self._lines > self._max_trailers:
                raise RemoteProtocolError(431, f"more than {self._max_trailers} trailer field lines")
            self._read_field(self._data, self._pos, end, True)
            self._consume_line(end)

    @cython.cfunc
    def _take(self) -> object:
        """Return the next piece of the body or of the chunk, as much as there is."""
        piece: bytes = self._data
        size: cython.Py_ssize_t = len(piece) - self._pos
        if size == 0:
            return self._incomplete("a body")
        if size > self._left:
            size = self._left
        if size != len(piece):
            piece = piece[self._pos : self._pos + size]
        self._pos += size
        self._seen = self._pos
        self._left -= size
        if self._pos == len(self._data):
            self._data = b""
            self._pos = self._seen = 0
        return piece

    @cython.cfunc
    @cython.exceptval(-1)
    def _read_chunk_end(self, data: bytes) -> cython.int:
        """Consume the CRLF after the data of a chunk; return 0 as long as it is not all there."""
        size: cython.Py_ssize_t = len(data) - self._pos
        if size > 0 and data[self._pos] != 0x0D or size > 1 and data[self._pos + 1] != 0x0A:
            raise RemoteProtocolError(400, "no CRLF after the data of a chunk")
        if size < 2:
            return 0
        self._pos += 2
        self._seen = self._pos
        return 1
