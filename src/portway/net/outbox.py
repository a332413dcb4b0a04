"""What is still to be sent on a connection: bytes and parts of files, in order.

An Outbox holds what the socket did not take at once. Beyond `memory` bytes it keeps data in an unlinked
temporary file, so a slow client costs disk and not memory. It is shared by two threads: the one that runs the
application puts, the leader flushes; every method takes the lock. It knows no HTTP and no deadlines, and it
never blocks, except in `wait_below`, which is for the application's thread alone.
"""

import os
import socket
import tempfile
import threading
from collections import deque

#: Bytes that an outbox keeps in memory before it writes to a temporary file.
MEMORY = 1 << 20
#: Bytes at which the application's thread has to wait for the client.
HIGH_WATER = 16 << 20
#: Bytes at which it may go on.
LOW_WATER = 4 << 20
#: The most that one call of sendfile or send is asked to move, so that one fast client does not hold the
#: leader. Bytes.
SEND_AT_MOST = 1 << 20


class FilePart:
    """A part of a file to send: `count` bytes from `offset`, and whether the descriptor ends with it."""

    __slots__ = ("count", "fd", "offset", "owned")

    def __init__(self, fd: int, offset: int, count: int, owned: bool) -> None:
        self.fd = fd
        self.offset = offset
        self.count = count
        self.owned = owned

    def close(self) -> None:
        """Close the descriptor if this part owns it."""
        if self.owned:
            self.owned = False
            os.close(self.fd)


class Outbox:
    """A queue of memory and file parts with a high-water mark.

    size: bytes that are not sent yet. closed: nothing more is accepted or sent.
    """

    def __init__(
        self, memory: int = MEMORY, high_water: int = HIGH_WATER, low_water: int = LOW_WATER
    ) -> None:
        self.size = 0
        self.closed = False
        self._memory = memory
        self._high_water = high_water
        self._low_water = low_water
        self._in_memory = 0
        self._parts: deque[memoryview | FilePart] = deque()
        # The temporary file that is written to, -1 for none, and how far.
        self._spool = -1
        self._spool_end = 0
        self._changed = threading.Condition(threading.Lock())

    def is_high(self) -> bool:
        """Tell whether the outbox is above its high-water mark."""
        return self.size > self._high_water

    def put(self, data: bytes | memoryview) -> None:
        """Append bytes. Any thread.

        Raises OSError if the temporary file cannot be written; nothing was appended then.
        """
        with self._changed:
            if self.closed:
                return
            count = len(data)
            if self._in_memory + count <= self._memory:
                self._parts.append(memoryview(data))
                self._in_memory += count
            else:
                self._put_on_disk(data, count)
            self.size += count

    def put_file(self, fd: int, offset: int, count: int) -> None:
        """Append a part of a file; the descriptor becomes the outbox's own. Any thread."""
        with self._changed:
            part = FilePart(fd, offset, count, True)
            if self.closed:
                part.close()
                return
            self._parts.append(part)
            self.size += count

    def _put_on_disk(self, data: bytes | memoryview, count: int) -> None:
        if self._spool_end >= self._high_water:
            self._leave_spool()
        if self._spool < 0:
            with tempfile.TemporaryFile(prefix="portway-", buffering=0) as file:
                self._spool = os.dup(file.fileno())
        fd = self._spool
        view = memoryview(data)
        written = 0
        while written < count:
            written += os.pwrite(fd, view[written:], self._spool_end + written)
        last = self._parts[-1] if self._parts else None
        if isinstance(last, FilePart) and last.fd == fd and last.offset + last.count == self._spool_end:
            last.count += count
        else:
            self._parts.append(FilePart(fd, self._spool_end, count, False))
        self._spool_end += count

    def _leave_spool(self) -> None:
        """Write to another file from here on: one that is never read to its end would grow for ever."""
        for part in reversed(self._parts):
            if isinstance(part, FilePart) and part.fd == self._spool:
                # The last that reads from it closes it.
                part.owned = True
                self._spool = -1
                self._spool_end = 0
                return
        self._empty_spool()

    def _empty_spool(self) -> None:
        os.ftruncate(self._spool, 0)
        self._spool_end = 0

    def flush(self, sock: socket.socket) -> int:
        """Send what the socket takes; return how many bytes that was. The leader, or the connection's owner.

        Raises OSError if the connection is broken, and EOFError if a file became shorter than was announced.
        """
        with self._changed:
            sent = self._send(sock)
            self.size -= sent
            if self._spool_end and not self._parts:
                self._empty_spool()
            if self.size <= self._low_water:
                self._changed.notify_all()
            return sent

    def _send(self, sock: socket.socket) -> int:
        total = 0
        while self._parts and total < SEND_AT_MOST:
            part = self._parts[0]
            try:
                if isinstance(part, FilePart):
                    sent = os.sendfile(sock.fileno(), part.fd, part.offset, min(part.count, SEND_AT_MOST))
                    if sent == 0 and part.count:
                        raise EOFError("the file became shorter while it was sent")
                    part.offset += sent
                    part.count -= sent
                    if part.count == 0:
                        self._parts.popleft()
                        part.close()
                else:
                    sent = sock.send(part[:SEND_AT_MOST])
                    self._in_memory -= sent
                    if sent == len(part):
                        self._parts.popleft()
                    else:
                        self._parts[0] = part[sent:]
            except BlockingIOError:
                break
            total += sent
        return total

    def room(self) -> int:
        """Return how many bytes more would be kept in memory."""
        return self._memory - self._in_memory

    def wait_empty(self, seconds: float) -> bool:
        """Block the application's thread until everything was sent; False if it was not in that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self.closed or self.size == 0, seconds)

    def wait_below(self) -> bool:
        """Block the application's thread until the outbox is at its low-water mark; False if it is closed."""
        with self._changed:
            while not self.closed and self.size > self._low_water:
                self._changed.wait()
            return not self.closed

    def close(self) -> None:
        """Drop everything and let a waiting thread go. Any thread; more than once is no error."""
        with self._changed:
            self.closed = True
            for part in self._parts:
                if isinstance(part, FilePart):
                    part.close()
            self._parts.clear()
            self.size = self._in_memory = 0
            if self._spool >= 0:
                os.close(self._spool)
                self._spool = -1
                self._spool_end = 0
            self._changed.notify_all()
