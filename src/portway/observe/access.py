r"""The access log: one line for each request, in a format made of Gunicorn's atoms.

`AccessLog(format, write).log(record)` writes the line of one request. The format is taken apart once; a line
then costs one call for each atom. What comes from a client or from the application is escaped, so that
nothing they send can end a line, close a quotation mark or make a field of its own:

- `"` and `\` get a `\` before them; whatever is not printable becomes `\xNN` or `\uNNNN`;
- outside of quotation marks a space within a value becomes `\x20`, and a value that is not there is `-`.

Atoms, each written `%(name)s`:

    h     address of the client                     b, B  bytes of the response's body, without its head
    l     always -                                  f     Referer field
    u     user name of Basic authentication         a     User-Agent field
    t     when the request began: [date:time zone]  T     seconds it took       M  milliseconds
    r     request line                              L     the same as 0.000000  D  microseconds
    s     status code                               p     process id as <123>
    m     method                                    {x}i  field x of the request
    U     path as it was sent, without the query    {x}o  field x of the response
    q     query                                     {x}e  variable x of environ
    H     protocol                                  {queue}x  seconds in the queue, as 0.000000

`log` may be called by several threads at once and never raises; `write` must not either
(portway.observe.log's does not). The format knows no clock: the record brings its times.
"""

import base64
import binascii
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

DEFAULT_FORMAT = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'

# A conversion, with the flags, width and precision of printf as Python's % knows them.
_CONVERSION = re.compile(
    r"%(?:%|\((?P<name>[^()]*)\)(?P<form>[-+ 0#]*[0-9]*(?:\.[0-9]+)?)(?P<type>[a-zA-Z]))"
)
_IN_BRACES = re.compile(r"\{([^{}]+)\}([ioex])")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class Record(Protocol):
    """What the access log reads of a request that was answered; AccessRecord is one."""

    method: str
    target: str
    path: str
    query: str
    http_minor: int
    status: int
    body_bytes: int
    remote_addr: str
    fields: Sequence[tuple[str, str]]
    response_fields: Sequence[tuple[str, str]]
    environ: Mapping[str, Any] | None
    started: float
    duration: float
    queued: float


class AccessRecord:
    """One request and its response, for the log.

    method, target, path, query: as in portway.http.request.Request; "" where no request line could be read.
    status: the code. body_bytes: bytes of the body that were sent. remote_addr: "" for a Unix socket.
    fields: the request's, names in lower case. response_fields: the application's, names in any case.
    environ: None where the application was not called. started: seconds since the epoch. duration: seconds, of which
    `queued` were spent in waiting for a thread.
    """

    __slots__ = (
        "body_bytes",
        "duration",
        "environ",
        "fields",
        "http_minor",
        "method",
        "path",
        "query",
        "queued",
        "remote_addr",
        "response_fields",
        "started",
        "status",
        "target",
    )

    def __init__(
        self,
        method: str,
        target: str,
        path: str,
        query: str,
        http_minor: int,
        status: int,
        body_bytes: int,
        remote_addr: str,
        fields: Sequence[tuple[str, str]],
        response_fields: Sequence[tuple[str, str]],
        environ: Mapping[str, Any] | None,
        started: float,
        duration: float,
        queued: float = 0.0,
    ) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query
        self.http_minor = http_minor
        self.status = status
        self.body_bytes = body_bytes
        self.remote_addr = remote_addr
        self.fields = fields
        self.response_fields = response_fields
        self.environ = environ
        self.started = started
        self.duration = duration
        self.queued = queued


Getter = Callable[[Any], object]


class AccessLog:
    """Writes a line for each request.

    format: see the module. write: takes one line that ends with a newline; it is called by the thread that
    logs. Raises ValueError with a sentence when the format is wrong.
    """

    def __init__(self, format: str, write: Callable[[str], object]) -> None:
        self._template, self._getters = _parse(format)
        self._write = write

    def line(self, record: Record) -> str:
        """Return the line of the record, without the newline."""
        return self._template % tuple([get(record) for get in self._getters])

    def log(self, record: Record) -> None:
        """Write the line of the record."""
        self._write(self._template % tuple([get(record) for get in self._getters]) + "\n")


def check_format(value: object) -> str:
    """Return the format when it is a good one; raise ValueError with a sentence when it is not."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError('it must be a format of the access log, as %(h)s "%(r)s" %(s)s')
    _parse(value)
    return value


def escape(value: str) -> str:
    r"""Return the text as it may stand between quotation marks in one line of a log."""
    if value.isprintable() and '"' not in value and "\\" not in value:
        return value
    return "".join([_escaped(character) for character in value])


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _bare(value: object) -> str:
    """Return escaped text as it may stand outside of quotation marks: one word."""
    return str(value).replace(" ", "\\x20") or "-"


def _parse(text: str) -> tuple[str, tuple[Getter, ...]]:
    """Return the template for Python's % and the getter of each of its values. Raises ValueError."""
    template: list[str] = []
    getters: list[Getter] = []
    quoted = False
    end = 0
    for match in _CONVERSION.finditer(text):
        literal = _literal(text[end : match.start()])
        template.append(literal)
        quoted ^= bool(literal.count('"') % 2)
        end = match.end()
        name = match["name"]
        if name is None:
            template.append("%%")
            continue
        get, number = _getter(name)
        if match["type"] not in ("s", "d") or (match["type"] == "d" and not number):
            raise ValueError(f"{match[0]} is not allowed: write %({name})s")
        if not number and not quoted and name not in ("t", "r", "l", "p", "H"):
            get = _then(get, _bare)
        template.append(f"%{match['form']}{match['type']}")
        getters.append(get)
    template.append(_literal(text[end:]))
    return "".join(template), tuple(getters)


def _literal(text: str) -> str:
    if "%" in text:
        near = text[text.index("%") :][:12]
        raise ValueError(f"{near!r} is no atom: an atom is written %(h)s, a percent sign %%")
    if not text.replace("\t", "").isprintable():
        raise ValueError("it must be one line without control characters")
    return text


def _getter(name: str) -> tuple[Getter, bool]:
    """Return what reads the atom from a record, and whether it gives a number. Raises ValueError."""
    if name in _ATOMS:
        return _ATOMS[name], name in _NUMBERS
    match = _IN_BRACES.fullmatch(name)
    if match is None or (match[2] == "x" and match[1] not in _MEASURED):
        raise ValueError(
            f"%({name})s is no atom: the atoms are {' '.join(_ATOMS)}, and {{name}}i, {{name}}o, {{name}}e "
            "for a request field, a response field and an environ variable, and {queue}x"
        )
    if match[2] == "x":
        return _MEASURED[match[1]], False
    return {"i": _request_field, "o": _response_field, "e": _variable}[match[2]](match[1]), False


def _then(get: Getter, change: Callable[[object], str]) -> Getter:
    """Return the getter followed by a change."""

    def changed(record: Any) -> object:
        return change(get(record))

    return changed


def _request_field(name: str) -> Getter:
    wanted = name.lower()

    def get(record: Any) -> str:
        for key, value in record.fields:
            if key == wanted:
                return escape(value)
        return "-"

    return get


def _response_field(name: str) -> Getter:
    wanted = name.lower()

    def get(record: Any) -> str:
        for key, value in record.response_fields:
            if key.lower() == wanted:
                return escape(value)
        return "-"

    return get


def _variable(name: str) -> Getter:
    upper = name.upper()

    def get(record: Any) -> str:
        environ = record.environ
        if environ is None:
            return "-"
        value = environ.get(name)
        if value is None:
            value = environ.get(upper)
        if value is None:
            return "-"
        try:
            return escape(str(value))
        except Exception:  # noqa: BLE001 - an object of the application's must not break the log
            return "-"

    return get


def _address(record: Any) -> str:
    return escape(record.remote_addr) or "-"


def _nothing(_record: Any) -> str:
    return "-"


def _user(record: Any) -> str:
    for key, value in record.fields:
        if key == "authorization":
            scheme, _, credentials = value.partition(" ")
            if scheme.lower() != "basic":
                return "-"
            try:
                decoded = base64.b64decode(credentials.strip()).decode()
            except (binascii.Error, ValueError):
                return "-"
            return escape(decoded.partition(":")[0]) or "-"
    return "-"


def _when() -> Getter:
    """Return the getter of the time, which makes the text once for each second."""
    latest: tuple[int, str] = (-1, "")

    def get(record: Any) -> str:
        nonlocal latest
        second, text = latest
        if second != int(record.started):
            second = int(record.started)
            t = time.localtime(second)
            # strftime's %b follows the locale; the log's months do not.
            text = time.strftime(f"[%d/{_MONTHS[t.tm_mon - 1]}/%Y:%H:%M:%S %z]", t)
            latest = (second, text)
        return text

    return get


def _request_line(record: Any) -> str:
    if not record.method:
        return "-"
    return f"{escape(record.method)} {escape(record.target)} HTTP/1.{record.http_minor}"


def _protocol(record: Any) -> str:
    return f"HTTP/1.{record.http_minor}"


def _status(record: Any) -> int:
    status: int = record.status
    return status


def _body_bytes(record: Any) -> int:
    count: int = record.body_bytes
    return count


def _seconds(record: Any) -> int:
    return int(record.duration)


def _milliseconds(record: Any) -> int:
    return int(record.duration * 1000)


def _microseconds(record: Any) -> int:
    return int(record.duration * 1_000_000)


def _decimal_seconds(record: Any) -> str:
    return f"{record.duration:.6f}"


def _seconds_queued(record: Any) -> str:
    return f"{record.queued:.6f}"


def _process(_record: Any) -> str:
    return f"<{os.getpid()}>"


def _method(record: Any) -> str:
    return escape(record.method) or "-"


def _path(record: Any) -> str:
    return escape(record.path)


def _query(record: Any) -> str:
    return escape(record.query)


_ATOMS: dict[str, Getter] = {
    "h": _address,
    "l": _nothing,
    "u": _user,
    "t": _when(),
    "r": _request_line,
    "s": _status,
    "m": _method,
    "U": _path,
    "q": _query,
    "H": _protocol,
    "b": _body_bytes,
    "B": _body_bytes,
    "f": _request_field("referer"),
    "a": _request_field("user-agent"),
    "T": _seconds,
    "D": _microseconds,
    "M": _milliseconds,
    "L": _decimal_seconds,
    "p": _process,
}
#: What Portway has measured, written {name}x.
_MEASURED: dict[str, Getter] = {"queue": _seconds_queued}
_NUMBERS = frozenset("sbBTDM")
