"""Request targets and hosts, where they are not as simple as most: pure functions, usable from any thread."""

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv6Address

from portway.http import grammar
from portway.http.errors import RemoteProtocolError, quoted

_IP_LITERAL = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::([0-9]{0,5}))?")
_NAMED = re.compile(
    r"(?:[" + re.escape(grammar.members(grammar.REG_NAME).decode()) + r"]|%[0-9A-Fa-f]{2})+(?::([0-9]{0,5}))?"
)


@lru_cache(maxsize=256)
def is_host(text: str) -> bool:
    """Say whether this is `uri-host [":" port]` (RFC 9110 section 7.2), as Host and an authority are.

    The whole may be empty, which is what a client sends for a target without authority, but not the host
    before a port. An IPv6 address is in brackets and has no zone; a port has at most five digits and is at
    most 65535.
    """
    if not text:
        return True
    match = _IP_LITERAL.fullmatch(text)
    if match is not None:
        try:
            IPv6Address(match[1])
        except AddressValueError:
            return False
        port = match[2]
    else:
        match = _NAMED.fullmatch(text)
        if match is None:
            return False
        port = match[1]
    return not port or int(port) <= 65535


def read_target(method: str, target: str) -> tuple[str, str, str, str]:
    """Return (scheme, authority, path, query) of a target that is not in origin-form, "" for what it has not.

    absolute-form: http or https with a host and without user information (RFC 9110 sections 4.2.1 to 4.2.4);
    an empty path is "/", for OPTIONS without a query "*" (RFC 9112 section 3.2.4). asterisk-form: OPTIONS
    only. The characters of the target were checked before. Raises RemoteProtocolError: 501 for CONNECT, whose
    authority-form only a proxy can serve, 400 for everything else.
    """
    if method == "CONNECT":
        raise RemoteProtocolError(501, "CONNECT is for proxies")
    if target == "*" and method == "OPTIONS":
        return "", "", "*", ""
    scheme, separator, rest = target.partition("://")
    scheme = scheme.lower()
    if separator and scheme in ("http", "https"):
        end = min((found for found in (rest.find("/"), rest.find("?")) if found >= 0), default=len(rest))
        authority = rest[:end]
        if authority and is_host(authority):
            path, mark, query = rest[end:].partition("?")
            if not path:
                path = "*" if method == "OPTIONS" and not mark else "/"
            return scheme, authority, path, query
    raise RemoteProtocolError(400, f"malformed request target {quoted(target)} of {quoted(method)}")
