"""The body of a request: taken in as it comes, handed to the application as `wsgi.input` when it is whole.

The worker's leader writes a `RequestBody`; nobody reads it before it is finished, so that a body cut short by
the client never reaches an application as if it were whole. A body of up to `memory` bytes is kept in memory,
a longer one as well while there is `Room` for it, which all bodies of a worker share; else it moves into a
temporary file without a name, which is gone when it is closed or when the process ends in whatever way.
`wsgi.input` is then an ordinary binary file of the io module: finite, seekable, and at
its end an end.

One thread at a time uses a RequestBody; the application's thread has it after the leader. A Room is everybody's.
"""

import io
import tempfile
import threading
from typing import Any, BinaryIO

#: Bytes of a body that are kept in memory; what an ordinary form or API call needs.
MEMORY = 524288

#: Bytes that the bodies of a worker may have in memory together, beyond what each may have anyway. Twice as many are
#: in use while a body is put together.
ROOM = 32 << 20

# What is written to a file is gathered to blocks of this size, and read in such blocks.
_FILE_BUFFER = 65536

#: Bytes that one body may take of it.
SHARE = 4 << 20

# Pieces of fewer bytes are put together at once.
_SMALL = 4096

#: Makes the `wsgi.input` of a request without a body. Each request has one of its own: an application may
#: close it.
EMPTY_INPUT = io.BytesIO


class Room:
    """Memory that the bodies of a worker share. Any thread."""

    def __init__(self, size: int = ROOM) -> None:
        self.left = size
        self._lock = threading.Lock()

    def take(self, count: int) -> bool:
        """Take this many bytes if there are as many; return whether there were."""
        with self._lock:
            if self.left < count:
                return False
            self.left -= count
            return True

    def give_back(self, count: int) -> None:
        """Give back what was taken."""
        with self._lock:
            self.left += count


class RequestBody:
    """A request's body, dechunked. `size` is the number of bytes written so far."""

    __slots__ = ("_directory", "_file", "_in_file", "_memory", "_pieces", "_room", "_taken", "_whole", "size")

    def __init__(self, memory: int = MEMORY, directory: str | None = None, room: Room | None = None) -> None:
        """Make an empty body.

        memory: how many bytes are kept in memory in any case. directory: where the temporary file is made, None for
        the system's choice (TMPDIR, else /tmp). room: for what is longer.
        """
        self.size = 0
        self._memory = memory
        self._directory = directory
        self._room = room
        self._taken = 0
        # What is in memory, before it is whole.
        self._pieces: list[bytes | bytearray] = []
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
        if size > self._memory and not self._in_file and not self._take_room(size):
            self._move_to_file()
        if self._file is not None:
            self._file.write(data)
        elif not self._pieces or len(data) >= _SMALL:
            self._pieces.append(data)
        else:
            # A body that comes byte by byte must not become as many objects.
            last = self._pieces[-1]
            if type(last) is bytearray:
                last += data
            else:
                self._pieces.append(bytearray(data))
        self.size = size

    def finish(self) -> None:
        """Say that the body is whole. Raises OSError where its last bytes cannot be written to the file."""
        if self._file is None:
            # BytesIO shares the bytes object, so a body of one piece is not copied at all, and another one once.
            self._file = io.BytesIO(b"".join(self._pieces))
            self._pieces = []
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
        self._pieces = []
        if self._room is not None and self._taken:
            self._room.give_back(self._taken)
            self._taken = 0
        file, self._file = self._file, None
        if file is not None:
            try:
                file.close()
            except (OSError, BufferError):
                # A full disk (bytes not yet written), or a view of the memory that the application still
                # holds.
                pass

    def _take_room(self, size: int) -> bool:
        """Take room for a body of this size, as far as it needs some; return whether there is enough."""
        needed = size - self._memory - self._taken
        if self._room is None or self._taken + needed > SHARE or not self._room.take(needed):
            return False
        self._taken += needed
        return True

    def _move_to_file(self) -> None:
        file: Any = tempfile.TemporaryFile(  # noqa: SIM115 - close() closes it
            buffering=_FILE_BUFFER, dir=self._directory, prefix="portway-"
        )
        self._file = file
        self._in_file = True
        for piece in self._pieces:
            file.write(piece)
        self._pieces = []
        if self._room is not None and self._taken:
            self._room.give_back(self._taken)
            self._taken = 0
