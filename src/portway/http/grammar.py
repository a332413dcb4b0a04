"""The grammar of RFC 9110 and RFC 9112 as tables, and the checks that are too rare to be worth compiling.

A table is 256 bytes long, 1 at each byte that is allowed: compiled loops index it, everything else derives from it.
Pure values and functions, usable from any thread.
"""

import re
from ipaddress import AddressValueError, IPv6Address

_ALPHA = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGIT = b"0123456789"
_VISIBLE = bytes(range(0x21, 0x7F))
_OBS_TEXT = bytes(range(0x80, 0x100))


def _table(allowed: bytes) -> bytes:
    return bytes(byte in allowed for byte in range(256))


def members(table: bytes) -> bytes:
    """Return the bytes a table allows."""
    return bytes(byte for byte in range(256) if table[byte])


#: tchar, of methods and field names (RFC 9110 section 5.6.2).
TOKEN: bytes = _table(b"!#$%&'*+-.^_`|~" + _DIGIT + _ALPHA)

#: field-vchar, SP and HTAB, of field values; bytes from 0x80 are obs-text and opaque (RFC 9110 section 5.5).
VALUE: bytes = _table(b"\t " + _VISIBLE + _OBS_TEXT)

#: A request target. Stricter than browsers in one thing: `#` never comes in a target (RFC 9112 section 3.2) and what
#: follows it would be seen by some of the servers in a chain and not by others. As lenient as Nginx and Gunicorn in
#: two: visible ASCII outside RFC 3986 (`"<>\\^{|}` and the back quote) and raw bytes from 0x80, which clients send for
#: unescaped non-ASCII paths, are passed on as they are.
TARGET: bytes = _table(_VISIBLE.replace(b"#", b"") + _OBS_TEXT)

#: reg-name without pct-encoded (RFC 3986 section 3.2.2), and without the comma, which would make two Host fields that
#: somebody joined look like one.
REG_NAME: bytes = _table(b"-._~!$&'()*+;=" + _DIGIT + _ALPHA)

_TOKEN_CLASS = b"[" + re.escape(members(TOKEN)) + b"]"

#: What may follow the digits of a chunk size, with the bad white space that RFC 9112 section 7.1.1 wants accepted.
CHUNK_EXTENSIONS = re.compile(
    rb"(?:[ \t]*;[ \t]*%(t)b+(?:[ \t]*=[ \t]*(?:%(t)b+|\"(?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t -\x7e\x80-\xff])*\"))?)*"
    % {b"t": _TOKEN_CLASS}
)

#: Names that mean something to message framing, routing, authentication or the handling of the content: not allowed
#: in a trailer section (RFC 9110 section 6.5.1).
FORBIDDEN_TRAILERS = frozenset(
    """
    age authorization cache-control connection content-encoding content-length content-range content-type cookie date
    expect forwarded host if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive max-forwards
    origin pragma proxy-authenticate proxy-authorization proxy-connection range referer set-cookie te trailer
    transfer-encoding upgrade via www-authenticate x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto
    x-real-ip
    """.split()
)

_IP_LITERAL = re.compile(r"\[([0-9A-Fa-f:.]{2,45})\](?::([0-9]{0,5}))?")
_NAMED = re.compile(r"((?:[%s]|%%[0-9A-Fa-f]{2})+)(?::([0-9]{0,5}))?" % re.escape(members(REG_NAME).decode()))


def is_host(text: str) -> bool:
    """Say whether this is `uri-host [":" port]` (RFC 9110 section 7.2), as Host and the authority of a target are.

    The whole may be empty, as a client sends it for a target without authority, but not the host before a port. An
    IPv6 address comes in brackets and without a zone; a port has at most five digits and is at most 65535.
    """
    if not text:
        return True
    match = _IP_LITERAL.fullmatch(text)
    if match is not None:
        try:
            IPv6Address(match[1])
        except AddressValueError:
            return False
    else:
        match = _NAMED.fullmatch(text)
        if match is None:
            return False
    return not match[2] or int(match[2]) <= 65535


def split_absolute(target: str) -> tuple[str, str, str, str] | None:
    """Return (scheme, authority, path, query) of a target in absolute-form, None if it is not a good one.

    Only http and https, a host and no user information, as RFC 9110 sections 4.2.1 to 4.2.4 want. An empty path
    becomes "/" (RFC 9110 section 4.2.3). The target's characters were checked before.
    """
    scheme, separator, rest = target.partition("://")
    scheme = scheme.lower()
    if not separator or scheme not in ("http", "https"):
        return None
    end = len(rest)
    for mark in "/?":
        found = rest.find(mark)
        if 0 <= found < end:
            end = found
    authority = rest[:end]
    if not authority or not is_host(authority):
        return None
    path, _, query = rest[end:].partition("?")
    return scheme, authority, path or "/", query
