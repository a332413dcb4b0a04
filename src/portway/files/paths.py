"""From the path of a URL to a name on disk, for files that are looked up when asked for.

Decides by the text alone, before anything is opened; `reading.open_beneath` then sees to links. Pure, any
thread.
"""

from urllib.parse import unquote_to_bytes


def is_hidden(segment: bytes) -> bool:
    """True for a name with a dot in front, as tools have (.git, .env); RFC 8615's name is for everybody."""
    return segment.startswith(b".") and segment != b".well-known"


def decode(raw: str) -> str | None:
    """Percent-decode a path once, to one character for each byte (latin-1); None if it can name no file.

    An encoded slash is data and not a separator (RFC 3986 2.2), and data a file name cannot hold, as is NUL.
    What looks encoded after that is the name: a second decoding is how "%252e%252e" once got past the checks.
    """
    if "%" in raw:
        if "%2f" in raw or "%2F" in raw:
            return None
        raw = unquote_to_bytes(raw.encode("latin-1")).decode("latin-1")
    return None if "\0" in raw else raw


def relative_path(raw: str) -> bytes | None:
    """Return the path below the root that a URL below the prefix names, or None if it names no file.

    raw: what follows the prefix, as it came. Refused are empty segments (a folder, "//", an absolute path),
    "." and "..", hidden names, and backslashes, which no upload has in its name and which some client or
    proxy may take for a separator.
    """
    decoded = decode(raw)
    if not decoded or "\\" in decoded:
        return None
    path = decoded.encode("latin-1")
    for segment in path.split(b"/"):
        if not segment or is_hidden(segment):
            return None
    return path
