"""Request heads: request line and field lines to a Request (RFC 9112 sections 2, 3 and 5). Sans-I/O.

The HeadReader looks at the parser's buffer where the parser says, and tells how far it got; it keeps no bytes
of its own. One object serves one connection and is used by one thread at a time; separate objects share only
a cache of field names.

It works line by line. A line is looked at when it is complete or when it is longer than it may be, whichever
comes first, and never again, so how the bytes were cut into pieces changes neither the Request nor the error.
"""

# mypy: disallow-untyped-decorators=False, warn-return-any=False

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

import re
from typing import Any

from portway.http import grammar
from portway.http.errors import RemoteProtocolError, quoted
from portway.http.events import NEED_DATA, Event
from portway.http.framing import check_codings, read_content_length, read_options
from portway.http.limits import Limits
from portway.http.refusals import refuse_field_line, refuse_first_byte, refuse_value, refuse_version
from portway.http.target import is_host, read_target

if cython.compiled:
    from cython.cimports.libc.string import memchr, memcmp
    from cython.cimports.portway.http.request import Request
else:
    from portway.http.request import Request


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


# What field names mean here.
ORDINARY = cython.declare(cython.int, 0)
DROPPED = cython.declare(cython.int, 1)
HOST = cython.declare(cython.int, 2)
CONTENT_LENGTH = cython.declare(cython.int, 3)
TRANSFER_ENCODING = cython.declare(cython.int, 4)
CONNECTION = cython.declare(cython.int, 5)
EXPECT = cython.declare(cython.int, 6)

_MEANINGS = {
    "host": HOST,
    "content-length": CONTENT_LENGTH,
    "transfer-encoding": TRANSFER_ENCODING,
    "connection": CONNECTION,
    "expect": EXPECT,
}

_METHODS = cython.declare(
    dict,
    {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH")},
)

_TOKEN = cython.declare(bytes, grammar.TOKEN)
_VALUE = cython.declare(bytes, grammar.VALUE)
_TARGET = cython.declare(bytes, grammar.TARGET)
_REG_NAME = cython.declare(bytes, grammar.REG_NAME)

# The uncompiled form finds the end of a run of allowed bytes with these, the compiled one with a loop.
_RUNS = {table: re.compile(grammar.any_of(table)).match for table in (_TOKEN, _VALUE, _TARGET, _REG_NAME)}

_UNLIMITED = cython.declare(cython.Py_ssize_t, 2**62)


@cython.final
@cython.cclass
class FieldName:
    """A field name as it was sent, what it is in lower case, and what it means."""

    raw: bytes
    name: str
    meaning: cython.int

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.name = raw.decode("latin-1").lower()
        self.meaning = DROPPED if b"_" in raw else _MEANINGS.get(self.name, ORDINARY)


# Names that were checked before. The compiled form keeps one in each slot of a table, found by a hash that
# the loop which checks a name computes on the way; a new name takes the place of another. The uncompiled form
# has a dict. Both are bounded, and a name they have lost is only checked again. Names are not interned:
# clients choose them, and some versions of Python never free an interned string.
_MAX_NAME = cython.declare(cython.Py_ssize_t, 64)
_SLOTS = cython.declare(cython.uint, 1024)  # a power of two
# With this, the hundred best known names have a slot each, as browsers spell them and in lower case.
_FACTOR = cython.declare(cython.uint, 10407)
_names = cython.declare(list, [None] * _SLOTS)
_names_by_bytes = cython.declare(dict, {})


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
    else:
        start = _RUNS[table](data, start, end).end()  # type: ignore[union-attr]
    return start


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _find(
    data: bytes, byte: cython.int, start: cython.Py_ssize_t, end: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Return where the byte is first in data[start:end], -1 if it is not there."""
    if cython.compiled:
        p: cython.p_uchar = data
        found: cython.p_uchar = cython.cast(
            cython.p_uchar, memchr(p + start, byte, cython.cast(cython.size_t, end - start))
        )
        return -1 if found == cython.NULL else found - p
    return data.find(byte, start, end)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _starts(data: bytes, start: cython.Py_ssize_t, what: bytes) -> cython.bint:
    """Tell whether these bytes are at data[start:]; the caller has seen that there are as many."""
    if cython.compiled:
        p: cython.p_uchar = data
        return (
            memcmp(p + start, cython.cast(cython.p_uchar, what), cython.cast(cython.size_t, len(what))) == 0
        )
    return data.startswith(what, start)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _value_run(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """Return where the run of bytes allowed in a field value ends. C compilers vectorise the first look."""
    if cython.compiled:
        p: cython.p_uchar = data
        i: cython.Py_ssize_t
        bad: cython.uchar = 0
        for i in range(start, end):
            bad |= ((p[i] < 0x20) & (p[i] != 0x09)) | (p[i] == 0x7F)
        if not bad:
            return end
    return _run(data, start, end, _VALUE)


@cython.final
@cython.cclass
class HeadReader:
    """Reads one request head after the other, strictly, within Limits.

    position: where in the buffer the first byte is that was not consumed, after read().
    begun: whether the request line has been read and the rest of its head has not.
    """

    def __init__(self, limits: Limits) -> None:
        """Make a reader at the beginning of a connection."""
        self._max_request_line = limits.request_line or _UNLIMITED
        self._max_fields = limits.fields or _UNLIMITED
        self._max_field_size = limits.field_size or _UNLIMITED
        self._max_head = limits.head
        self._max_empty_lines = limits.empty_lines
        self._max_body = limits.body or _UNLIMITED
        # Bytes of the current line that are known to have no LF, and what the head may still have.
        self._scanned = 0
        self._room = limits.head
        # Empty lines before a request line, then field lines.
        self._lines = 0
        self.position: int = 0
        self.begun: bool = False

    def read(self, data: bytes, position: cython.Py_ssize_t) -> Request | Event:
        """Go on at data[position:]: return the Request when its head is complete, NEED_DATA before.

        The caller keeps data[self.position:] and comes back with it, and more. Raises RemoteProtocolError
        with the status to answer: 400, 413, 414, 417, 431, 501 or 505.
        """
        end: cython.Py_ssize_t
        self.position = position
        while not self.begun:
            if self.position == len(data):
                return NEED_DATA
            if not _TOKEN[data[self.position]] and data[self.position] != 0x0D:
                refuse_first_byte(data[self.position : self.position + 1])
            end = self._line(data, self._max_request_line, 414, "request line")
            if end < 0:
                return NEED_DATA
            if end != self.position:
                self._begin(data, self.position, end)
                self._room = self._max_head - (end + 2 - self.position)
            else:
                self._lines += 1
                if self._lines > self._max_empty_lines:
                    raise RemoteProtocolError(400, "too many empty lines before a request line")
            self.position = end + 2
        while True:
            end = self._line(data, self._max_field_size, 431, "field line")
            if end < 0:
                return NEED_DATA
            if end == self.position:
                self.position = end + 2
                return self._complete()
            self._lines += 1
            if self._lines > self._max_fields:
                raise RemoteProtocolError(431, f"more than {self._max_fields} field lines")
            self._read_field(data, self.position, end)
            self._room -= end + 2 - self.position
            self.position = end + 2

    def request_so_far(self) -> Any:
        """Return a Request of the line and the fields of a head that is not complete; None before its line was read.

        For the log, when the head was refused: it may lack what was wrong with it, and says nothing of a body.
        """
        if not self.begun:
            return None
        return Request(self._method, self._target, self._path, self._query, self._minor, self._fields)

    @cython.cfunc
    @cython.inline
    def _line(
        self, data: bytes, limit: cython.Py_ssize_t, status: cython.int, what: str
    ) -> cython.Py_ssize_t:
        """Return where the line at self.position ends, at its CRLF, or -1 when it is not complete.

        Raises for a line that is or will be longer than `limit` or than the head has room for, before
        anything in it is looked at.
        """
        start: cython.Py_ssize_t = self.position
        size: cython.Py_ssize_t = len(data)
        end: cython.Py_ssize_t = _find(data, 0x0A, start + self._scanned, size)
        complete: cython.bint = end >= 0
        if complete:
            self._scanned = 0
        else:
            self._scanned = size - start
            end = size
        returned: cython.bint = end > start and data[end - 1] == 0x0D
        if returned:
            end -= 1
        if end - start > limit or end - start + 2 > self._room:
            if limit + 2 > self._room:
                what, limit = "head", self._max_head
            raise RemoteProtocolError(status, f"{what} longer than {limit} bytes")
        if not complete:
            return -1
        if not returned:
            raise RemoteProtocolError(400, f"{what} ends with a bare LF")
        return end

    @cython.cfunc
    def _begin(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> object:
        """Begin a head with its line `method SP request-target SP HTTP-version` (RFC 9112 section 3)."""
        at: cython.Py_ssize_t = _run(data, start, end, _TOKEN)
        target_end: cython.Py_ssize_t = _run(data, at + 1, end, _TARGET) if at < end else end
        if (
            at == end
            or data[at] != 0x20
            or target_end == at + 1
            or target_end == end
            or data[target_end] != 0x20
        ):
            raise RemoteProtocolError(400, f"malformed request line {quoted(data[start:end])}")
        method: str
        if at - start == 3 and data[start] == 0x47 and data[start + 1] == 0x45 and data[start + 2] == 0x54:
            method = "GET"
        else:
            method = _METHODS.get(data[start:at])
            if method is None:
                method = data[start:at].decode("latin-1")
        self._minor = data[end - 1] - 0x30
        if (
            end - target_end != 9
            or not _starts(data, target_end + 1, b"HTTP/1.")
            or (self._minor != 1 and self._minor != 0)
        ):
            refuse_version(data[target_end + 1 : end])
        start = at + 1
        self._method = method
        self._target = data[start:target_end].decode("latin-1")
        self._scheme = ""
        self._authority = ""
        if data[start] != 0x2F or method == "CONNECT":
            self._scheme, self._authority, self._path, self._query = read_target(method, self._target)
        else:
            at = _find(data, 0x3F, start, target_end)
            if at < 0:
                self._path = self._target
                self._query = ""
            else:
                self._path = data[start:at].decode("latin-1")
                self._query = data[at + 1 : target_end].decode("latin-1")
        self._lines = 0
        self._fields: list[tuple[str, str]] = []
        self._dropped: tuple[str, ...] = ()
        # The values of Host, Content-Length, Transfer-Encoding and Expect, as far as they were seen.
        self._host: str | None = None
        self._content_length = -1
        self._codings: str | None = None
        self._expect: str | None = None
        # Whether Connection has "close" or "keep-alive".
        self._close: bool = False
        self._persist: bool = False
        self.begun = True
        return None

    @cython.cfunc
    def _read_field(self, data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> object:
        """Read `field-name ":" OWS field-value OWS` (RFC 9112 section 5)."""
        at: cython.Py_ssize_t = start
        known: FieldName
        if cython.compiled:
            p: cython.p_uchar = data
            token: cython.p_uchar = _TOKEN
            slot: cython.uint = 0
            while at < end and token[p[at]]:
                slot = slot * _FACTOR + p[at]
                at += 1
            if at in (start, end) or p[at] != 0x3A:
                refuse_field_line(data[start:end], at - start)
            slot = (slot ^ (slot >> 10)) & (_SLOTS - 1)
            known = cython.cast(FieldName, _names[slot])
            if (
                known is None
                or len(known.raw) != at - start
                or memcmp(
                    cython.cast(cython.p_uchar, known.raw), p + start, cython.cast(cython.size_t, at - start)
                )
            ):
                known = FieldName(data[start:at])
                if at - start <= _MAX_NAME:
                    _names[slot] = known
        else:
            at = data.find(b":", start, end)
            known = _names_by_bytes.get(data[start:at])
            if known is None or at < 0:
                at = _run(data, start, end, _TOKEN)
                if at in (start, end) or data[at] != 0x3A:
                    refuse_field_line(data[start:end], at - start)
                known = FieldName(data[start:at])
                if at - start <= _MAX_NAME:
                    if len(_names_by_bytes) >= _SLOTS:
                        _names_by_bytes.clear()
                    _names_by_bytes[known.raw] = known
        at += 1
        while at < end and (data[at] == 0x20 or data[at] == 0x09):
            at += 1
        while end > at and (data[end - 1] == 0x20 or data[end - 1] == 0x09):
            end -= 1
        bad: cython.Py_ssize_t = _value_run(data, at, end)
        if bad != end:
            refuse_value(known.name, data[bad : bad + 1])
        value: str = data[at:end].decode("latin-1")
        if known.meaning != ORDINARY:
            if known.meaning == DROPPED:
                self._dropped = (*self._dropped, known.name)
                return None
            if (
                known.meaning == HOST
                and at < end
                and _run(data, at, end, _REG_NAME) == end
                and self._host is None
            ):
                self._host = value
            else:
                self._note_field(known.meaning, value)
        self._fields.append((known.name, value))
        return None

    @cython.cfunc
    def _note_field(self, meaning: cython.int, value: str) -> object:
        """Take from a field what the protocol needs of it."""
        if meaning == HOST:
            if self._host is not None:
                raise RemoteProtocolError(400, "more than one Host")
            if not is_host(value):
                raise RemoteProtocolError(400, f"malformed Host {quoted(value)}")
            self._host = value
        elif meaning == CONTENT_LENGTH:
            if self._content_length >= 0:
                raise RemoteProtocolError(400, "more than one Content-Length")
            self._content_length = read_content_length(value)
        elif meaning == TRANSFER_ENCODING:
            self._codings = value if self._codings is None else f"{self._codings},{value}"
        elif meaning == EXPECT:
            self._expect = value if self._expect is None else f"{self._expect},{value}"
        elif value == "keep-alive":
            self._persist = True
        else:
            options = read_options(value)
            self._close = self._close or "close" in options
            self._persist = self._persist or "keep-alive" in options
        return None

    @cython.cfunc
    def _complete(self) -> Any:
        """Decide on host, framing, expectation and persistence, and return the Request."""
        host: Any = self._host
        if host is None:
            if self._minor:
                raise RemoteProtocolError(400, "no Host in an HTTP/1.1 request")
            host = ""
        if self._scheme:
            # The authority of the target takes the place of Host (RFC 9112 section 3.2.2).
            host = self._authority
            self._fields = [field for field in self._fields if field[0] != "host"]
            self._fields.insert(0, ("host", host))
        length: cython.Py_ssize_t = self._content_length
        chunked: cython.bint = self._codings is not None
        if self._codings is not None:
            if length >= 0:
                raise RemoteProtocolError(400, "both Content-Length and Transfer-Encoding")
            if not self._minor:
                raise RemoteProtocolError(400, "Transfer-Encoding in an HTTP/1.0 request")
            check_codings(self._codings)
        elif length > self._max_body:
            raise RemoteProtocolError(413, f"announced body larger than {self._max_body} bytes")
        expect_continue: cython.bint = False
        if self._expect is not None and self._minor:
            if self._expect.lower() != "100-continue":
                raise RemoteProtocolError(417, f"unknown expectation {quoted(self._expect)}")
            expect_continue = chunked or length > 0
        self._lines = 0
        self._room = self._max_head
        self.begun = False
        # Field by field: a call with fourteen arguments costs more than all of this.
        request: Request = Request.__new__(Request)
        request.method = self._method
        request.target = self._target
        request.path = self._path
        request.query = self._query
        request.http_minor = self._minor
        request.fields = self._fields
        request.dropped = self._dropped
        request.host = host
        request.keep_alive = not self._close and (self._minor == 1 or self._persist)
        request.content_length = length
        request.chunked = chunked
        request.has_body = chunked or length > 0
        request.expect_continue = expect_continue
        request.scheme = self._scheme
        request.authority = self._authority
        return request
