"""Range: one byte range of a representation (RFC 9110 14.1 and 14.2).

Several ranges in one request are answered with the whole representation, which 14.2 always allows:
multipart/byteranges is used by hardly anything but attacks that ask for a file a thousand times over, and a
client that asks for two ranges must be able to take the whole. Pure functions, any thread.
"""

from typing import Final


class Unsatisfiable:
    """The type of `UNSATISFIABLE`."""


#: A well-formed range that lies outside the representation: 416.
UNSATISFIABLE: Final = Unsatisfiable()

# More digits than any file size needs; int() of a very long text would be slow, or refused.
_MAX_DIGITS = 18


def parse_range(value: str, size: int) -> tuple[int, int] | Unsatisfiable | None:
    """Return (first, count) for a Range value over `size` bytes, UNSATISFIABLE, or None to ignore the field.

    Ignored: other units than bytes, more than one range, malformed and inverted ranges (14.1.1: a recipient
    MUST ignore an invalid one), and a suffix of an empty representation, which is satisfiable but which
    Content-Range cannot express.
    """
    unit, equals, ranges = value.partition("=")
    if not equals or unit.lower() != "bytes":
        return None
    # A list may have empty members (5.6.1.2), so "bytes=,0-1," still names one range.
    members = [member for member in (text.strip(" \t") for text in ranges.split(",", 8)) if member]
    if len(members) != 1:
        return None
    first_text, dash, last_text = members[0].partition("-")
    if not dash or not _digits(first_text) or not _digits(last_text):
        return None
    if not first_text:
        if not last_text:
            return None
        suffix = _number(last_text)
        if suffix == 0:
            return UNSATISFIABLE
        if size == 0:
            return None
        count = min(suffix, size)
        return size - count, count
    first = _number(first_text)
    last = _number(last_text) if last_text else size - 1
    if last_text and last < first:
        return None
    if first >= size:
        return UNSATISFIABLE
    return first, min(last, size - 1) - first + 1


def _digits(text: str) -> bool:
    """True for nothing but ASCII digits, or nothing (`isdigit` alone takes superscripts too)."""
    return not text or (text.isascii() and text.isdigit())


def _number(text: str) -> int:
    significant = text.lstrip("0")
    return int(significant or "0") if len(significant) <= _MAX_DIGITS else 10**_MAX_DIGITS
