"""The width and height of an image that was uploaded to this site, read from the beginning of its file."""

import re
import struct
from urllib.parse import unquote

from django.conf import settings
from django.core.exceptions import SuspiciousOperation
from django.core.files.storage import default_storage

# Enough for the head of a PNG or GIF and the first tag of an SVG, and for most JPEGs' metadata.
HEAD = 65536
SVG_SIZE = re.compile(rb'<svg\b[^>]*?\bwidth="(\d+)(?:px)?"[^>]*?\bheight="(\d+)(?:px)?"', re.DOTALL)
# Start-of-frame markers of JPEG; 0xC4, 0xC8 and 0xCC in their midst mean something else.
JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def size_of(src: str) -> tuple[int, int] | None:
    """Return (width, height) in pixels of the upload at `src`; None if it is elsewhere or unknown."""
    if not src.startswith(settings.MEDIA_URL):
        return None
    try:
        with default_storage.open(unquote(src.removeprefix(settings.MEDIA_URL)), "rb") as file:
            head = file.read(HEAD)
    except (OSError, ValueError, SuspiciousOperation):
        return None
    return _size(head)


def _size(head: bytes) -> tuple[int, int] | None:
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        return struct.unpack(">II", head[16:24])
    if head.startswith((b"GIF87a", b"GIF89a")) and len(head) >= 10:
        return struct.unpack("<HH", head[6:10])
    if head.startswith(b"\xff\xd8"):
        return _jpeg_size(head)
    if match := SVG_SIZE.search(head):
        return int(match[1]), int(match[2])
    return None


def _jpeg_size(head: bytes) -> tuple[int, int] | None:
    """Walk from segment to segment to the frame's, which holds height and width."""
    position = 2
    while position + 9 <= len(head) and head[position] == 0xFF:
        marker, (length,) = head[position + 1], struct.unpack(">H", head[position + 2 : position + 4])
        if marker in JPEG_FRAMES:
            height, width = struct.unpack(">HH", head[position + 5 : position + 9])
            return width, height
        position += 2 + length
    return None
