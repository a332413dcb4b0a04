"""Response heads: what the application said, checked and framed, as bytes (RFC 9112, PEP 3333).

Pure functions, called by whatever thread has a response to send. Nothing that could break a message, or
smuggle a second one into it, leaves this module: it raises LocalProtocolError instead.
"""

# mypy: disallow-untyped-decorators=False, warn-return-any=False

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from typing import Any

from portway.http import grammar
from portway.http.errors import LocalProtocolError, quoted
from portway.http.status import REASONS

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
    from cython.cimports.cpython.unicode import PyUnicode_1BYTE_DATA, PyUnicode_GET_LENGTH, PyUnicode_KIND
    from cython.cimports.libc.string import memcpy


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


#: How the end of a response's body is marked: there is none, by Content-Length, by the last chunk, by
#: closing.
NO_BODY, LENGTH, CHUNKED, UNTIL_CLOSE = range(4)

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"

_NO_BODY = cython.declare(cython.int, NO_BODY)
_LENGTH = cython.declare(cython.int, LENGTH)
_CHUNKED = cython.declare(cython.int, CHUNKED)
_UNTIL_CLOSE = cython.declare(cython.int, UNTIL_CLOSE)

# What a field name of the application's means here.
ORDINARY = cython.declare(cython.int, 0)
CONTENT_LENGTH = cython.declare(cython.int, 1)
DATE = cython.declare(cython.int, 2)
SERVER = cython.declare(cython.int, 3)
HOP_BY_HOP = cython.declare(cython.int, 4)

_KINDS = {
    "content-length": CONTENT_LENGTH,
    "date": DATE,
    "server": SERVER,
    # PEP 3333 leaves these to the server; the list is wsgiref.util.is_hop_by_hop's, and Trailer.
    "connection": HOP_BY_HOP,
    "keep-alive": HOP_BY_HOP,
    "proxy-authenticate": HOP_BY_HOP,
    "proxy-authorization": HOP_BY_HOP,
    "te": HOP_BY_HOP,
    "trailer": HOP_BY_HOP,
    "trailers": HOP_BY_HOP,
    "transfer-encoding": HOP_BY_HOP,
    "upgrade": HOP_BY_HOP,
}

# Names and status lines that were checked once. Both are bounded; what they forget is only checked again.
_CACHED = cython.declare(cython.int, 1024)
_NAMES = cython.declare(dict, {})  # name: FieldName
_STATUS_LINES = cython.declare(dict, {})

# The compiled form puts a head together in a block of this many bytes on the stack; what does not fit into one
# becomes several pieces.
_BLOCK = cython.declare(cython.Py_ssize_t, 4096)

# Date and Server as they were written last: the values, and the lines with the end of the head.
_tail = cython.declare(tuple, (b"", b"", b""))

_VALUE_BYTES = cython.declare(bytes, grammar.members(grammar.VALUE))
_TOKEN_BYTES = cython.declare(bytes, grammar.members(grammar.TOKEN))


@cython.final
@cython.freelist(16)
@cython.cclass
class ResponseHead:
    """A response head that is ready to be sent.

    data            status line, fields and the empty line
    framing         NO_BODY, LENGTH, CHUNKED or UNTIL_CLOSE
    content_length  of the body to be sent, in bytes, when framing is LENGTH; otherwise -1
    keep_alive      whether the connection stays open after this response
    status_code     as a number
    """

    def __init__(self) -> None:
        self.data: bytes = b""
        self.framing: int = NO_BODY
        self.content_length: int = -1
        self.keep_alive: bool = False
        self.status_code: int = 0

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status_code} framing={self.framing} keep_alive={self.keep_alive}>"


@cython.final
@cython.cclass
class StatusLine:
    """A status as the application gave it, checked: the line, and the number."""

    data: bytes
    code: cython.int

    def __init__(self, data: bytes, code: cython.int) -> None:
        self.data = data
        self.code = code


@cython.final
@cython.cclass
class FieldName:
    """A field name as the application gave it, checked: the beginning of its line, and what it means here."""

    start: bytes
    kind: cython.int

    def __init__(self, start: bytes, kind: cython.int) -> None:
        self.start = start
        self.kind = kind


def compose_head(
    status: Any,
    headers: Any,
    method: str,
    http_minor: cython.int,
    keep_alive: cython.bint,
    body_length: cython.Py_ssize_t,
    date: bytes,
    server: bytes,
) -> ResponseHead:
    """Return the head of an application's response to a request with this `method` and HTTP/1.`http_minor`.

    `status` and `headers` are what the application gave start_response, of whatever type. `keep_alive` is
    whether client and server both want the connection to stay open. `body_length` is the length of the body
    in bytes where the caller knows it, else -1: it decides the framing where the application sent no
    Content-Length. `date` is the value of Date, `server` that of Server or b"" for none; the application's
    own take their place.

    A 204 or 1xx loses the application's Content-Length (RFC 9110 section 8.6); a 304 and the answer to HEAD
    keep it. After a 1xx the connection is closed, because a final response will not come.

    Raises LocalProtocolError, and returns nothing, for whatever PEP 3333 or RFC 9110 does not allow.
    """
    line: StatusLine = _check_status(status)
    if not isinstance(headers, list):
        raise LocalProtocolError(f"response headers must be a list, not {type(headers).__name__}")
    block: cython.uchar[4096]
    if not cython.compiled:
        block = None
    pieces: list[bytes] = []
    used: cython.Py_ssize_t = _put(block, 0, pieces, line.data)
    known: FieldName
    given_length: cython.Py_ssize_t = -1
    dated: cython.bint = False
    served: cython.bint = False
    bodyless: cython.bint = line.code < 200 or line.code == 204
    header: object
    for header in headers:
        if not isinstance(header, tuple) or len(header) != 2:
            raise LocalProtocolError(
                f"a response header must be a tuple (name, value), not {quoted(repr(header))}"
            )
        name, value = header
        if type(name) is not str:
            name = _exact(name, "a response header's name")
        if type(value) is not str:
            value = _exact(value, f"the value of response header {name}")
        found = _NAMES.get(name)
        known = _check_name(name) if found is None else found
        if known.kind != ORDINARY:
            if known.kind == CONTENT_LENGTH:
                if given_length >= 0:
                    raise LocalProtocolError("more than one Content-Length in the response")
                given_length = _read_length(value)
                if bodyless:
                    continue
            elif known.kind == DATE:
                dated = True
            elif known.kind == SERVER:
                served = True
            else:
                raise LocalProtocolError(
                    f"response header {name} is hop-by-hop and the server's, not the application's"
                )
        used = _put(block, used, pieces, known.start)
        used = _put_value(block, used, pieces, value, name)

    head: ResponseHead = ResponseHead.__new__(ResponseHead)
    head.status_code = line.code
    head.content_length = -1
    if bodyless or line.code == 304 or method == "HEAD":
        head.framing = _NO_BODY
        if line.code < 200:
            keep_alive = False
    elif given_length >= 0:
        head.framing = _LENGTH
        head.content_length = given_length
    elif body_length >= 0:
        head.framing = _LENGTH
        head.content_length = body_length
        used = _put(block, used, pieces, b"Content-Length: %d\r\n" % body_length)
    elif http_minor:
        head.framing = _CHUNKED
        used = _put(block, used, pieces, b"Transfer-Encoding: chunked\r\n")
    else:
        head.framing = _UNTIL_CLOSE
        keep_alive = False
    head.keep_alive = keep_alive
    if not keep_alive:
        used = _put(block, used, pieces, b"Connection: close\r\n")
    elif not http_minor:
        used = _put(block, used, pieces, b"Connection: keep-alive\r\n")
    used = _put(block, used, pieces, _end_of_head(b"" if dated else date, b"" if served else server))
    if cython.compiled:
        data: bytes = PyBytes_FromStringAndSize(cython.cast(cython.p_char, block), used)
        if pieces:
            data = b"".join(pieces) + data
        head.data = data
    else:
        head.data = b"".join(pieces)
    return head


@cython.cfunc
@cython.inline
def _put(
    block: cython.p_uchar, used: cython.Py_ssize_t, pieces: list[bytes], data: bytes
) -> cython.Py_ssize_t:
    """Add bytes to the block, or to the pieces where it is full; return how much of the block is used."""
    if cython.compiled:
        return _copy(block, used, pieces, data, len(data))
    pieces.append(data)
    return used


@cython.cfunc
@cython.inline
def _copy(
    block: cython.p_uchar,
    used: cython.Py_ssize_t,
    pieces: list[bytes],
    data: cython.p_uchar,
    size: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """Do what _put does. Only the compiled form has memory to point to."""
    if cython.compiled:
        if used + size > _BLOCK:
            pieces.append(PyBytes_FromStringAndSize(cython.cast(cython.p_char, block), used))
            used = 0
            if size > _BLOCK:
                pieces.append(PyBytes_FromStringAndSize(cython.cast(cython.p_char, data), size))
                return 0
        memcpy(block + used, data, cython.cast(cython.size_t, size))
    return used + size


@cython.cfunc
@cython.inline
def _put_value(
    block: cython.p_uchar, used: cython.Py_ssize_t, pieces: list[bytes], value: str, name: str
) -> cython.Py_ssize_t:
    """Add a field value in latin-1 and the end of its line, if no character of it can do harm."""
    if cython.compiled:
        if PyUnicode_KIND(value) != 1:
            _refuse_value(value, name)
        text: cython.p_uchar = cython.cast(cython.p_uchar, PyUnicode_1BYTE_DATA(value))
        size: cython.Py_ssize_t = PyUnicode_GET_LENGTH(value)
        bad: cython.uchar = 0
        i: cython.Py_ssize_t
        for i in range(size):
            bad |= ((text[i] < 0x20) & (text[i] != 0x09)) | (text[i] == 0x7F)
        if bad:
            _refuse_value(value, name)
        used = _copy(block, used, pieces, text, size)
        return _copy(block, used, pieces, b"\r\n", 2)
    try:
        data = value.encode("latin-1")
    except UnicodeEncodeError:
        data = b"\0"
    if data.translate(None, _VALUE_BYTES):
        _refuse_value(value, name)
    pieces.append(data + b"\r\n")
    return used


@cython.cfunc
def _end_of_head(date: bytes, server: bytes) -> bytes:
    """Return the lines for Date and Server, each left out where the value is b"", and the empty line."""
    global _tail
    # Kept whole in one variable: another thread sees the old tuple or the new one.
    last: tuple[bytes, bytes, bytes] = _tail
    if last[0] is not date or last[1] is not server:
        lines = (b"Date: %b\r\n" % date if date else b"") + (b"Server: %b\r\n" % server if server else b"")
        last = _tail = (date, server, lines + b"\r\n")
    return last[2]


@cython.cfunc
def _check_status(status: Any) -> StatusLine:
    """Return the status line of `NNN reason`: three digits from 100 to 599, one space, a reason phrase."""
    line: StatusLine
    if type(status) is not str:
        status = _exact(status, "response status")
    known = _STATUS_LINES.get(status)
    if known is not None:
        line = known
        return line
    text = status.encode("latin-1", "replace")
    if not (
        len(text) > 4
        and text[:3].isdigit()
        and b"100" <= text[:3] <= b"599"
        and text[3:4] == b" "
        and status[4:] == status[4:].strip()
        and text.decode("latin-1") == status
        and not text.translate(None, _VALUE_BYTES)
    ):
        raise LocalProtocolError(f"response status must be like '200 OK', not {quoted(status)}")
    line = StatusLine(b"HTTP/1.1 " + text + b"\r\n", int(status[:3]))
    if len(text) <= 64:
        if len(_STATUS_LINES) >= _CACHED:
            _STATUS_LINES.clear()
        _STATUS_LINES[status] = line
    return line


@cython.cfunc
def _check_name(name: str) -> FieldName:
    """Return the application's field name after a look at its every character."""
    if not name or not name.isascii() or name.encode("ascii").translate(None, _TOKEN_BYTES):
        raise LocalProtocolError(f"response header name {quoted(name)} is not a token")
    known: FieldName = FieldName(name.encode("ascii") + b": ", _KINDS.get(name.lower(), ORDINARY))
    if len(name) <= 64:
        if len(_NAMES) >= _CACHED:
            _NAMES.clear()
        _NAMES[name] = known
    return known


@cython.cfunc
def _exact(text: Any, what: str) -> str:
    """Return the characters of an instance of a subclass of str, whatever it says about itself."""
    if not isinstance(text, str):
        raise LocalProtocolError(f"{what} must be a str, not {type(text).__name__}")
    return str.__str__(text)


@cython.cfunc
@cython.exceptval(-1)
def _read_length(value: str) -> cython.Py_ssize_t:
    """Return the application's Content-Length: at most 18 ASCII digits and nothing else."""
    length: cython.Py_ssize_t = 0
    digit: cython.Py_UCS4
    if not 0 < len(value) <= 18:
        raise LocalProtocolError(f"response Content-Length {quoted(value)} is not a number of bytes")
    for digit in value:
        if not "0" <= digit <= "9":
            raise LocalProtocolError(f"response Content-Length {quoted(value)} is not a number of bytes")
        length = length * 10 + ord(digit) - 48
    return length


@cython.cfunc
def _refuse_value(value: str, name: str) -> object:
    """Raise for the first character of a value that is not allowed."""
    try:
        bad: Any = value.encode("latin-1").translate(None, _VALUE_BYTES)
    except UnicodeEncodeError as error:
        bad = value[error.start]
    raise LocalProtocolError(f"{quoted(bad[:1])} in the value of response header {name}")


def encode_chunk(data: bytes) -> bytes:
    """Return data as one chunk (RFC 9112 section 7.1); b"" for b"", as an empty chunk is the last."""
    if not data:
        return b""
    return b"%x\r\n%b\r\n" % (len(data), data)


def error_page(
    status: int,
    keep_alive: bool,
    date: bytes,
    server: bytes,
    head_only: bool = False,
    extra: list[tuple[str, str]] | tuple[()] = (),
) -> bytes:
    """Return a whole response with a short plain page, for what is answered without the application.

    The page names the status and nothing else: reasons are for the log. `head_only` is for HEAD: the same
    head, no body. `extra` are further headers, [(name, value)], checked as an application's are.
    """
    body = f"{status} {REASONS[status]}\n".encode()
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *extra]
    text = f"{status} {REASONS[status]}"
    head = compose_head(text, headers, "HEAD" if head_only else "GET", 1, keep_alive, len(body), date, server)
    return head.data if head.framing == NO_BODY else head.data + body
