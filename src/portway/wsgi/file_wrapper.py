"""`wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling"): a file as a response's body.

`FileWrapper` is what the application makes; it is an ordinary iterable, so that middleware may do with it
what it does with any other body. When the gateway gets it back unwrapped, `regular_file` tells whether its
bytes may be sent by sendfile(2) instead of being read. It runs in the thread that runs the application.
"""

import io
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import Any

_BUFFERED = (io.BufferedReader, io.BufferedRandom)
# NamedTemporaryFile returns one: an object whose methods are wrapped ones of the file in it.
_TEMPORARY: Any = getattr(tempfile, "_TemporaryFileWrapper", ())


class FileWrapper:
    """Iterates over a file-like object in blocks of `blksize` bytes, from where it stands to its end.

    It has a `close` method exactly if the file-like object has one, as PEP 3333 asks. Whatever `read` raises
    is raised by the iteration.
    """

    def __init__(self, filelike: Any, blksize: int = 8192) -> None:
        self.filelike = filelike
        self.blksize = blksize
        close = getattr(filelike, "close", None)
        if close is not None:
            self.close = close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        data: bytes = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration


def regular_file(filelike: Any) -> tuple[int, int, int] | None:
    """Return (fd, offset, count) if reading the object to its end would give `count` bytes of the file `fd`.

    None for everything else, which is to be read instead. That an object has a fileno() does not suffice:
    that of a GzipFile is the compressed file's. So the `read` that would be called has to be the one of an
    unbuffered or buffered binary file of the io module, which is also how Django's File is seen through.
    Never raises an Exception.
    """
    try:
        if isinstance(filelike, _TEMPORARY):
            filelike = filelike.file
        reader: Any = getattr(filelike.read, "__self__", None)
        if type(reader) in _BUFFERED:
            if type(reader.raw) is not io.FileIO:
                return None
        elif type(reader) is not io.FileIO:
            return None
        fd: int = reader.fileno()
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode) or not reader.readable():
            return None
        if type(reader) is io.BufferedRandom:
            reader.flush()
            status = os.fstat(fd)
        if not status.st_size:
            # Files of /proc and /sys are regular, and empty only by what stat(2) says.
            return None
        offset: int = reader.tell()
        return fd, offset, max(status.st_size - offset, 0)
    except Exception:  # noqa: BLE001 - any doubt means that the file is read, where the error shows itself
        return None
