"""The body of a request: taken in as it comes, handed to the application as `wsgi.input` when it is whole.

The worker's leader writes a `RequestBody`; nobody reads it before it is finished, so that a body cut short by
the client never reaches an application as if it were whole. A body of up to `memory` bytes is kept in memory,
a longer one moves into a temporary file without a name, which is gone when it is closed or when the process
ends in whatever way. `wsgi.input` is then an ordinary binary file of the io module: finite, seekable, and at
its end an end.

One thread at a time uses a RequestBody; the application's thread has it after the leader.
"""

import io
import tempfile
from typing import Any, BinaryIO

#: Bytes of a body that are kept in memory; what an ordinary form or API call needs.
MEMORY = 524288

# What is written to a file is gathered to blocks of this size, and read in such blocks.
_FILE_BUFFER = 65536

#: Makes the `wsgi.input` of a request without a body. Each request has one of its own: an application may
#: close it.
EMPTY_INPUT = io.BytesIO


class RequestBody:
    """A request's body, dechunked. `size` is the number of bytes written so far."""

    __slots__ = ("_directory", "_file", "_in_file", "_memory", "_whole", "size")

    def __init__(self, memory: int = MEMORY, directory: str | None = None) -> None:
        """Make an empty body.

        memory: how many bytes are kept in memory. directory: where the temporary file is made, None for the
        system's choice (TMPDIR, else /tmp).
        """
        self.size = 0
        self._memory = memory
        self._directory = directory
        self._file: BinaryIO | None = None
        self._in_file = False
        self._whole = False

    def __repr__(self) -> str:
        state = "whole" if self._whole else "not whole"
        return f"<RequestBody {self.size} bytes, {state}, {'in a file' if self._in_file else 'in memory'}>"

    @property
    def in_file(self) -> bool:
        """True when the body was too long for memory."""
        return self._in_file

    def write(self, data: bytes) -> None:
        """Append a piece.

        Raises OSError where the temporary file cannot be made or written (a full disk); the body is of no use
        then.
        """
        if self._whole:
            raise ValueError("the body is whole: nothing can be added to it")
        size = self.size + len(data)
        if size > self._memory and not self._in_file:
            self._move_to_file()
        if self._file is None:
            # BytesIO shares a first piece with the bytes object: a body of one piece is not copied.
            self._file = io.BytesIO(data)
            self._file.seek(0, io.SEEK_END)
        else:
            self._file.write(data)
        self.size = size

    def finish(self) -> None:
        """Say that the body is whole. Raises OSError where its last bytes cannot be written to the file."""
        if self._file is None:
            self._file = EMPTY_INPUT()
        self._file.flush()
        self._whole = True

    def open(self) -> BinaryIO:
        """Return `wsgi.input`, standing at the body's first byte; a second call gives the same file, rewound.

        Raises ValueError before finish() and after close().
        """
        if self._file is None or not self._whole:
            raise ValueError("the body is not whole, or closed: it cannot be read")
        self._file.seek(0)
        return self._file

    def close(self) -> None:
        """Give memory and disk space back, also if the application kept `wsgi.input`.

        Nothing can be read or written any more. May be repeated; never raises an Exception.
        """
        self._whole = True
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except (OSError, BufferError):
                # A full disk (bytes not yet written), or a view of the memory that the application still
                # holds.
                pass

    def _move_to_file(self) -> None:
        file: Any = tempfile.TemporaryFile(  # noqa: SIM115 - close() closes it
            buffering=_FILE_BUFFER, dir=self._directory, prefix="portway-"
        )
        if isinstance(self._file, io.BytesIO):
            file.write(self._file.getbuffer())
        self._file = file
        self._in_file = True
