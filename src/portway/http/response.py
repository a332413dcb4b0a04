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
_NAMES = cython.declare(dict, {})
_STATUS_LINES = cython.declare(dict, {})

_VALUE = cython.declare(bytes, grammar.VALUE)
_VALUE_BYTES = cython.declare(bytes, grammar.members(grammar.VALUE))
_TOKEN_BYTES = cython.declare(bytes, grammar.members(grammar.TOKEN))


@cython.cclass
class ResponseHead:
    """A response head that is ready to be sent.

    data            status line, fields and the empty line
    framing         NO_BODY, LENGTH, CHUNKED or UNTIL_CLOSE
    content_length  of the body to be sent, in bytes, when framing is LENGTH; otherwise -1
    keep_alive      whether the connection stays open after this response
    status_code     as a number
    """

    data: bytes = cython.declare(bytes, visibility="readonly")
    framing: int = cython.declare(cython.int, visibility="readonly")
    content_length: int = cython.declare(cython.Py_ssize_t, visibility="readonly")
    keep_alive: bool = cython.declare(cython.bint, visibility="readonly")
    status_code: int = cython.declare(cython.int, visibility="readonly")

    def __repr__(self) -> str:
        return f"<ResponseHead {self.status_code} framing={self.framing} keep_alive={self.keep_alive}>"


@cython.cclass
class StatusLine:
    """A status as the application gave it, checked."""

    data: bytes
    code: cython.int

    def __init__(self, data: bytes, code: cython.int) -> None:
        self.data = data
        self.code = code


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
    lines: list[str] = []
    kind: cython.int
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
        known = _NAMES.get(name)
        kind = _check_name(name) if known is None else known
        if kind != ORDINARY:
            if kind == CONTENT_LENGTH:
                if given_length >= 0:
                    raise LocalProtocolError("more than one Content-Length in the response")
                given_length = _read_length(value)
                if bodyless:
                    continue
            elif kind == DATE:
                dated = True
            elif kind == SERVER:
                served = True
            else:
                raise LocalProtocolError(
                    f"response header {name} is hop-by-hop and the server's, not the application's"
                )
        lines.append(f"{name}: {value}\r\n")
    fields = _check_fields("".join(lines), headers, 2 * len(lines))

    head: ResponseHead = ResponseHead.__new__(ResponseHead)
    head.status_code = line.code
    head.content_length = -1
    framing: bytes = b""
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
        framing = f"Content-Length: {body_length}\r\n".encode("ascii")
    elif http_minor:
        head.framing = _CHUNKED
        framing = b"Transfer-Encoding: chunked\r\n"
    else:
        head.framing = _UNTIL_CLOSE
        keep_alive = False
    head.keep_alive = keep_alive
    tail: list[bytes] = [line.data, fields, framing]
    if not keep_alive:
        tail.append(b"Connection: close\r\n")
    elif not http_minor:
        tail.append(b"Connection: keep-alive\r\n")
    if not dated:
        tail += (b"Date: ", date, b"\r\n")
    if server and not served:
        tail += (b"Server: ", server, b"\r\n")
    tail.append(b"\r\n")
    head.data = b"".join(tail)
    return head


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
@cython.exceptval(-1)
def _check_name(name: str) -> cython.int:
    """Return what the application's field name means, after a look at its every character."""
    if not name or not name.isascii() or name.encode("ascii").translate(None, _TOKEN_BYTES):
        raise LocalProtocolError(f"response header name {quoted(name)} is not a token")
    kind: cython.int = _KINDS.get(name.lower(), ORDINARY)
    if len(name) <= 64:
        if len(_NAMES) >= _CACHED:
            _NAMES.clear()
        _NAMES[name] = kind
    return kind


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
    if len(value) > 18 or not value.isascii() or not value.isdigit():
        raise LocalProtocolError(f"response Content-Length {quoted(value)} is not a number of bytes")
    length: cython.Py_ssize_t = int(value)
    return length


@cython.cfunc
def _check_fields(block: str, headers: Any, line_ends: cython.Py_ssize_t) -> bytes:
    """Return the field lines as latin-1, after counting their control characters: only our own line ends may
    be there.

    One pass over all of them is cheaper than one for each value. `line_ends` is how many CR and LF they
    should have.
    """
    try:
        data: bytes = block.encode("latin-1")
    except UnicodeEncodeError:
        _refuse_value(headers)
        raise
    controls: cython.Py_ssize_t = 0
    if cython.compiled:
        p: cython.p_uchar = data
        i: cython.Py_ssize_t
        for i in range(len(data)):
            controls += ((p[i] < 0x20) & (p[i] != 0x09)) | (p[i] == 0x7F)
    else:
        controls = len(data.translate(None, _VALUE_BYTES))
    if controls != line_ends:
        _refuse_value(headers)
    return data


@cython.cfunc
def _refuse_value(headers: Any) -> object:
    """Raise for the first value that is not allowed: the rare second look, for the sake of the message."""
    for name, value in headers:
        try:
            bad = value.encode("latin-1").translate(None, _VALUE_BYTES)
        except UnicodeEncodeError as error:
            bad = value[error.start]
        if bad:
            raise LocalProtocolError(f"{quoted(bad[:1])} in the value of response header {name}")
    raise LocalProtocolError("response headers changed while they were read")


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
