"""The grammar of RFC 9110 and RFC 9112 as tables of bytes.

A table is 256 bytes long, 1 at each byte that is allowed: compiled loops index it, patterns are made from it.
Pure values and functions, usable from any thread.
"""

import re

_ALPHA = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_DIGIT = b"0123456789"
_VISIBLE = bytes(range(0x21, 0x7F))
_OBS_TEXT = bytes(range(0x80, 0x100))


def _table(allowed: bytes) -> bytes:
    return bytes(byte in allowed for byte in range(256))


def members(table: bytes) -> bytes:
    """Return the bytes a table allows."""
    return bytes(byte for byte in range(256) if table[byte])


def any_of(table: bytes) -> bytes:
    """Return a pattern for any number of bytes that a table allows."""
    return b"[" + re.escape(members(table)) + b"]*"


def some_of(table: bytes) -> bytes:
    """Return a pattern for at least one byte that a table allows."""
    return b"[" + re.escape(members(table)) + b"]+"


#: tchar, of methods and field names (RFC 9110 section 5.6.2).
TOKEN: bytes = _table(b"!#$%&'*+-.^_`|~" + _DIGIT + _ALPHA)

#: field-vchar, SP and HTAB, of field values; bytes from 0x80 are obs-text and opaque (RFC 9110 section 5.5).
VALUE: bytes = _table(b"\t " + _VISIBLE + _OBS_TEXT)

#: A request target. Stricter than browsers in one thing: "#" never comes in a target (RFC 9112 section 3.2),
#: and what follows it would be seen by some servers of a chain and not by others. As lenient as Nginx and
#: Gunicorn in two: visible ASCII outside RFC 3986 (quotes, angle brackets, backslash, braces and the like)
#: and raw bytes from 0x80, which clients send for unescaped non-ASCII paths, are passed on as they are.
TARGET: bytes = _table(_VISIBLE.replace(b"#", b"") + _OBS_TEXT)

#: reg-name without pct-encoded (RFC 3986 section 3.2.2), and without the comma, which would make two Host
#: fields that somebody joined look like one.
REG_NAME: bytes = _table(b"-._~!$&'()*+;=" + _DIGIT + _ALPHA)
