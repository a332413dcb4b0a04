"""Conditional and range requests for one representation: what to answer (RFC 9110 13 and 14).

A pure decision: the request's fields, the validators of the selected representation and the clock go in, a
status and a byte range come out. No I/O, any thread.
"""

from collections.abc import Iterable

from portway.files.dates import parse_date
from portway.files.ranges import Unsatisfiable, parse_range

# The fields a file's answer depends on; all others are passed over.
_WANTED = frozenset(
    {
        "accept-encoding",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-range",
        "if-unmodified-since",
        "range",
    }
)

Decision = tuple[int, int, int]


def wanted_fields(fields: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Pick the fields that matter here. One given several times is a comma-separated list (RFC 9110 5.3)."""
    wanted: dict[str, str] = {}
    for name, value in fields:
        if name in _WANTED:
            wanted[name] = value if name not in wanted else f"{wanted[name]}, {value}"
    return wanted


def decide(method: str, wanted: dict[str, str], etag: str, modified: int, size: int, now: float) -> Decision:
    """Return (status, first, count) in the order of RFC 9110 13.2.2; status is 200, 206, 304, 412 or 416.

    method: "GET" or "HEAD".
    etag: the current entity tag with its quotes, `W/` in front if weak; "" if there is none.
    modified: Last-Modified, seconds since the epoch.
    size: bytes of the representation. now: seconds since the epoch.
    first, count: the bytes to send; (0, size) unless the status is 206.
    """
    # Steps 1 and 2: has it changed since the client made up its mind?
    value = wanted.get("if-match")
    if value is not None:
        if not lists_tag(value, etag, weak=False):
            return 412, 0, 0
    else:
        value = wanted.get("if-unmodified-since")
        if value is not None:
            date = parse_date(value, now)
            if date is not None and modified > date:
                return 412, 0, 0
    # Steps 3 and 4: has the client got it already?
    value = wanted.get("if-none-match")
    if value is not None:
        if lists_tag(value, etag, weak=True):
            return 304, 0, 0
    else:
        value = wanted.get("if-modified-since")
        if value is not None:
            date = parse_date(value, now)
            if date is not None and modified <= date:
                return 304, 0, 0
    # Step 5. Ranges are defined for GET alone (14.2): HEAD is answered as if the field were not there.
    value = wanted.get("range")
    if value is not None and method == "GET":
        span = parse_range(value, size)
        if span is not None and _range_applies(wanted.get("if-range"), etag, modified, now):
            if isinstance(span, Unsatisfiable):
                return 416, 0, 0
            return 206, *span
    return 200, 0, size


def _range_applies(value: str | None, etag: str, modified: int, now: float) -> bool:
    """Evaluate If-Range (RFC 9110 13.1.5); False: the client's part is of something else, send the whole.

    An entity tag must be the same and strong. A date must be the same to the second, and is a strong
    validator only when the file cannot have changed twice in that second (8.8.2.2): not before the second is
    over.
    """
    if value is None:
        return True
    if value.startswith(('"', "W/")):
        return value == etag and not etag.startswith("W/")
    return parse_date(value, now) == modified and now >= modified + 1


def lists_tag(value: str, etag: str, *, weak: bool) -> bool:
    """True if the If-Match or If-None-Match value is `*` or lists the entity tag (RFC 9110 8.8.3.2).

    weak: compare weakly: `W/"a"` and `"a"` are the same. Strongly, two tags match only when neither is weak.
    A malformed value lists what came before the mistake, and nothing after it.
    """
    if value == "*":
        return True
    if not etag or (not weak and etag.startswith("W/")):
        return False
    opaque = etag.removeprefix("W/")
    if opaque not in value:  # the usual miss, however long the list
        return False
    position = 0
    length = len(value)
    while position < length:
        if value[position] in ", \t":
            position += 1
            continue
        is_weak = value.startswith("W/", position)
        if is_weak:
            position += 2
        if value[position : position + 1] != '"':
            return False
        end = value.find('"', position + 1)
        if end < 0:
            return False
        if value[position : end + 1] == opaque and (weak or not is_weak):
            return True
        position = end + 1
        # A comma, and nothing else, stands between two tags.
        while position < length and value[position] in " \t":
            position += 1
        if position < length and value[position] != ",":
            return False
    return False
