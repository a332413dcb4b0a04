"""What values a setting may take: text from a flag or an object from a Python file becomes a checked value.

A `Kind` knows one sort of value. It reads what people write (a flag or an environment variable gives a str, a
configuration file any object), it says what is allowed, and it writes the value back for `--print-config`.
Pure functions except for `user` and `group`, which ask the system's databases.
"""

import grp
import math
import pwd
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from portway.net.addresses import Address, parse_address

_SIZES = {"": 1, "b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
_SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?([bkmgt]?)(?:i?b)?", re.IGNORECASE)
_OWN_REQUEST = re.compile(r"(https?://[\w.:\[\]-]+)?(/[!\"$-~]*)?", re.ASCII)
_OLD_OCTAL = re.compile(r"0[0-9]+")
_TRUE = ("true", "yes", "on", "1")
_FALSE = ("false", "no", "off", "0")


def _plain(value: Any) -> str:
    return "" if value is None else str(value)


@dataclass(frozen=True, slots=True)
class Kind:
    """One sort of value.

    parse: from what was given to the value; raises ValueError with a clause that says what is allowed.
    allowed: the same for the reference page. metavar: what stands for the value in a usage line.
    show: from the value to the text that would give it again.
    """

    parse: Callable[[Any], Any]
    allowed: str
    metavar: str
    show: Callable[[Any], str] = _plain


def _whole(value: Any, octal: bool = False) -> int:
    """Return the number, from text in decimal, 0x, 0o, 0b or (octal) as 022. Raises ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("no number")
    if isinstance(value, int):
        return value
    text = value.strip()
    return int(text, 8 if octal and _OLD_OCTAL.fullmatch(text) else 0)


def integer(minimum: int, maximum: int, metavar: str = "N") -> Kind:
    """Whole numbers from minimum to maximum."""
    allowed = f"a whole number from {minimum} to {maximum}"

    def parse(value: Any) -> int:
        try:
            number = _whole(value)
        except ValueError:
            raise ValueError(f"it must be {allowed}") from None
        if not minimum <= number <= maximum:
            raise ValueError(f"it must be {allowed}")
        return number

    return Kind(parse, allowed, metavar)


def umask() -> Kind:
    """A file mode creation mask; text may be octal as the shell's umask writes it."""
    return _bits("MASK", optional=True)


def mode() -> Kind:
    """The permissions of a file; text may be octal as chmod writes it."""
    return _bits("MODE", optional=False)


def _bits(metavar: str, optional: bool) -> Kind:
    allowed = "an octal number from 0 to 0777"

    def parse(value: Any) -> int | None:
        if value is None and optional:
            return None
        try:
            number = _whole(value, octal=True)
        except ValueError:
            raise ValueError(f"it must be {allowed}") from None
        if not 0 <= number <= 0o777:
            raise ValueError(f"it must be {allowed}")
        return number

    return Kind(
        parse, allowed, metavar, lambda value: "" if value is None else f"{value:#05o}".replace("0o", "0")
    )


def seconds(minimum: float, maximum: float) -> Kind:
    """Times in seconds, whole or not."""
    allowed = f"a number of seconds from {minimum:g} to {maximum:g}"

    def parse(value: Any) -> float:
        try:
            if isinstance(value, bool) or not isinstance(value, int | float | str):
                raise ValueError
            number = float(value)
        except ValueError:
            raise ValueError(f"it must be {allowed}") from None
        if math.isnan(number) or not minimum <= number <= maximum:
            raise ValueError(f"it must be {allowed}")
        return int(number) if number == int(number) else number

    return Kind(parse, allowed, "SECONDS")


def size(minimum: int, maximum: int, zero: bool = False) -> Kind:
    """Numbers of bytes, as 4094, 64k, 20m or 1g; `zero` also allows 0."""
    allowed = f"a number of bytes from {show_size(minimum)} to {show_size(maximum)}, as 512, 64k, 20m or 1g"
    if zero:
        allowed += ", or 0"

    def parse(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
            if match is None:
                raise ValueError(f"it must be {allowed}")
            number = int(float(match[1]) * _SIZES[match[2].lower()])
        if not (minimum <= number <= maximum or (zero and number == 0)):
            raise ValueError(f"it must be {allowed}")
        return number

    return Kind(parse, allowed, "SIZE", show_size)


def show_size(value: int) -> str:
    """Return the shortest exact form of a number of bytes: 4094, 64k, 100m."""
    for unit in ("t", "g", "m", "k"):
        if value and value % _SIZES[unit] == 0:
            return f"{value // _SIZES[unit]}{unit}"
    return str(value)


def boolean(undecided: str = "") -> Kind:
    """True or False; with `undecided`, also that word, which becomes None."""
    allowed = f"True, False or {undecided!r}" if undecided else "True or False"

    def parse(value: Any) -> bool | None:
        if isinstance(value, bool):
            return value
        word = str(value).strip().lower() if isinstance(value, int | str) else ""
        if undecided and (value is None or word == undecided):
            return None
        if word in _TRUE:
            return True
        if word in _FALSE:
            return False
        raise ValueError(f"it must be {allowed}")

    return Kind(parse, allowed, "", lambda value: undecided if value is None else str(value).lower())


def text(metavar: str, optional: bool = False, allowed: str = "text") -> Kind:
    """One line of text, not empty; `optional` also allows None, which empty text becomes."""

    def parse(value: Any) -> str | None:
        if optional and (value is None or (isinstance(value, str) and not value.strip())):
            return None
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"it must be {allowed}")
        if any(character in value for character in "\r\n\0"):
            raise ValueError("it must be one line")
        return value.strip()

    return Kind(parse, allowed, metavar)


def choice(words: tuple[str, ...], metavar: str) -> Kind:
    """One of a few words, in any case."""
    allowed = f"{', '.join(words[:-1])} or {words[-1]}"

    def parse(value: Any) -> str:
        word = value.strip().lower() if isinstance(value, str) else ""
        if word not in words:
            raise ValueError(f"it must be {allowed}")
        return word

    return Kind(parse, allowed, metavar)


def _items(value: Any) -> Iterable[Any]:
    """Return the items of a list in a configuration file; one string is a list of one."""
    if isinstance(value, str | bytes):
        return [value]
    if isinstance(value, list | tuple):
        return value
    raise ValueError("it must be text or a list of texts")


def addresses() -> Kind:
    """Bind addresses; see portway.net.addresses."""

    def parse(value: Any) -> tuple[Address, ...]:
        found: list[Address] = []
        for item in _items(value):
            if not isinstance(item, str):
                raise ValueError("it must be text or a list of texts")
            address = parse_address(item.strip())
            if address in found and not (address.kind == "tcp" and address.port == 0):
                raise ValueError(f"{address} is given twice")
            found.append(address)
        if not found:
            raise ValueError("it must be at least one address")
        return tuple(found)

    allowed = "HOST:PORT, :PORT, PORT, [IPV6]:PORT, unix:PATH or fd://N"
    return Kind(parse, allowed, "ADDRESS", lambda value: " ".join(str(address) for address in value))


def variables() -> Kind:
    """Environment variables for the application, KEY=VALUE each."""

    def parse(value: Any) -> tuple[str, ...]:
        found = []
        for item in _items(value):
            name, equals, _ = item.partition("=") if isinstance(item, str) else ("", "", "")
            if not equals or not name or "\0" in item:
                raise ValueError("it must be KEY=VALUE")
            found.append(item)
        return tuple(found)

    # Values are often secrets; --print-config ends up in tickets.
    return Kind(
        parse, "KEY=VALUE", "KEY=VALUE", lambda value: " ".join(f"{v.partition('=')[0]}=..." for v in value)
    )


def own_requests() -> Kind:
    """Targets of requests that the server makes itself: a path, or http://HOST/PATH, each with a query or not."""
    allowed = "a path as /posts/?page=2, or http://HOST/PATH"

    def parse(value: Any) -> tuple[str, ...]:
        found = []
        for item in _items(value):
            match = _OWN_REQUEST.fullmatch(item.strip()) if isinstance(item, str) else None
            if match is None or not match[0]:
                raise ValueError(f"it must be {allowed}, percent-encoded and without a fragment")
            found.append((match[1] or "") + (match[2] or "/"))
        return tuple(found)

    return Kind(parse, allowed, "PATH", " ".join)


def split_own_request(target: str) -> tuple[str, str, str]:
    """Return what a value of `own_requests` says: the scheme, path and query as they are sent, the host or ""."""
    scheme, separator, rest = target.partition("://")
    if target.startswith("/") or not separator:
        return "http", target, ""
    host, _, path = rest.partition("/")
    return scheme, f"/{path}", host


def mounts() -> Kind:
    """Folders served under a URL path, URL=FOLDER each; as pairs, the URL with a slash at both ends."""

    def parse(value: Any) -> tuple[tuple[str, str], ...]:
        pairs = list(value.items()) if isinstance(value, dict) else [_pair(item) for item in _items(value)]
        found: dict[str, str] = {}
        for url, folder in pairs:
            if not isinstance(url, str) or not isinstance(folder, str) or not folder:
                raise ValueError("it must be URL=FOLDER, as /static/=/srv/site/static")
            url = url_prefix(url)
            if found.setdefault(url, folder) != folder:
                raise ValueError(f"{url} is given twice")
        return tuple(found.items())

    return Kind(
        parse,
        "URL=FOLDER, as /static/=/srv/site/static",
        "URL=FOLDER",
        lambda value: " ".join(f"{url}={folder}" for url, folder in value),
    )


def _pair(item: Any) -> tuple[Any, Any]:
    if isinstance(item, tuple | list) and len(item) == 2:
        return item[0], item[1]
    if isinstance(item, str) and "=" in item:
        url, _, folder = item.partition("=")
        return url.strip(), folder.strip()
    raise ValueError("it must be URL=FOLDER, as /static/=/srv/site/static")


def url_prefix(value: str) -> str:
    """Return the URL path with a slash at both ends. Raises ValueError when it is no plain path."""
    if not value.startswith("/"):
        raise ValueError("the URL must begin with /, as /static/")
    path = value if value.endswith("/") else value + "/"
    segments = path[1:-1].split("/") if path != "/" else []
    if any(segment in ("", ".", "..") for segment in segments) or not re.fullmatch(
        r"[!$&-;=@A-Z_a-z~]*", path
    ):
        raise ValueError("the URL must be a plain path, as /static/")
    return path


def prefix(slash: bool) -> Kind:
    """A URL path under which something lives, "" for none; `slash` says whether the value ends with one."""

    def parse(value: Any) -> str:
        if value is None or value in ("", "/"):
            return ""
        if not isinstance(value, str):
            raise ValueError("it must be a URL path, as /app")
        path = url_prefix(value.strip())
        return path if slash else path.rstrip("/")

    return Kind(parse, "a URL path, or empty for none", "PATH")


def peers() -> Kind:
    """IP addresses and networks, or *; a comma list or a list."""

    def parse(value: Any) -> tuple[str, ...]:
        items = value.split(",") if isinstance(value, str) else list(_items(value))
        found = []
        for item in items:
            word = item.strip() if isinstance(item, str) else None
            if word == "":
                continue
            try:
                if word != "*":
                    ip_network(word or "", strict=False)
            except ValueError:
                raise ValueError(f"{item!r} is not allowed: it must be IP addresses, networks or *") from None
            found.append(word or "")
        return tuple(found)

    return Kind(parse, "IP addresses or networks in a comma list, or *", "PEERS", ",".join)


def paths() -> Kind:
    """Folders in a comma list, or a list."""

    def parse(value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        items = value.split(",") if isinstance(value, str) else list(_items(value))
        if not all(isinstance(item, str) for item in items):
            raise ValueError("it must be folders in a comma list")
        return tuple(item.strip() for item in items if item.strip())

    return Kind(parse, "folders in a comma list", "FOLDERS", ",".join)


def user() -> Kind:
    """A user, by name or number; the value is the number, None for the one that started the server."""
    return _account("user", "USER", lambda name: pwd.getpwnam(name).pw_uid)


def group() -> Kind:
    """A group, by name or number; the value is the number, None for the one that the server started in."""
    return _account("group", "GROUP", lambda name: grp.getgrnam(name).gr_gid)


def _account(what: str, metavar: str, number_of: Callable[[str], int]) -> Kind:
    allowed = f"the name or the number of a {what}"

    def parse(value: Any) -> int | None:
        if value is None or value == "":
            return None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return value
        if not isinstance(value, str):
            raise ValueError(f"it must be {allowed}")
        if value.isascii() and value.isdigit():
            return int(value)
        try:
            return number_of(value)
        except KeyError:
            raise ValueError(f"there is no such {what}; it must be {allowed}") from None

    return Kind(parse, allowed, metavar)
