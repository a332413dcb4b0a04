"""The four system calls of the hot path: recv, send, epoll_wait and the monotonic clock.

The compiled form calls the C library; the other form calls the standard library's socket, select and time,
which do the same with an object or two more. Sockets are non-blocking. recv and send keep the GIL in the
compiled form: they take a few microseconds, and giving the GIL away costs more than that; epoll_wait gives it
away.
"""

import errno
import select
import socket
import time

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

if cython.compiled:
    from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
    from cython.cimports.libc.errno import errno as c_errno
    from cython.cimports.portway.net.linux import MSG_NOSIGNAL, epoll_wait, recv, sched_yield, send
    from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec

# The most that is received or sent with the GIL held, in bytes.
HELD = cython.declare(cython.Py_ssize_t, 65536)
# Events taken from the kernel at once; portway.net.system.pxd has the same number.
EVENTS = cython.declare(cython.int, 64)

EAGAIN = cython.declare(cython.int, errno.EAGAIN)
EINTR = cython.declare(cython.int, errno.EINTR)

if cython.compiled:
    _buffer = cython.declare(cython.char[65536])


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return bool(cython.compiled)


def clock() -> cython.double:
    """Return the monotonic clock in seconds, the same as time.monotonic()."""
    if cython.compiled:
        now = cython.declare(timespec)
        clock_gettime(CLOCK_MONOTONIC, cython.address(now))
        return now.tv_sec + now.tv_nsec * 1e-9
    return time.monotonic()


def give_way() -> object:
    """Let another thread have the GIL, if one waits for it."""
    if cython.compiled:
        with cython.nogil:
            sched_yield()
    else:
        time.sleep(0)
    return None


def receive(sock: socket.socket, fd: cython.int, size: cython.Py_ssize_t) -> bytes | None:
    """Return what there is to read, at most `size` bytes; b"" at the stream's end, None for nothing now.

    fd: the socket's descriptor. Raises OSError.
    """
    if cython.compiled and size <= HELD:
        # The buffer is everybody's: nothing happens between recv and the copy, because the GIL is held.
        count: cython.Py_ssize_t = recv(fd, _buffer, size, 0)
        if count >= 0:
            return PyBytes_FromStringAndSize(_buffer, count)
        if c_errno in (EAGAIN, EINTR):
            return None
    try:
        return sock.recv(size)
    except BlockingIOError:
        return None


def transmit(sock: socket.socket, fd: cython.int, data: bytes) -> cython.Py_ssize_t:
    """Send what the socket takes; return how many bytes that was, -1 for none now. Raises OSError."""
    if cython.compiled and len(data) <= HELD:
        start: cython.p_char = data
        count: cython.Py_ssize_t = send(fd, start, len(data), MSG_NOSIGNAL)
        if count >= 0:
            return count
        if c_errno in (EAGAIN, EINTR):
            return -1
    try:
        return sock.send(data)
    except BlockingIOError:
        return -1


def wait_writable(fd: int, milliseconds: int) -> bool:
    """Wait until a socket takes data or is broken; return False if it does not in that time. Any thread."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return bool(poll.poll(milliseconds))


@cython.final
@cython.cclass
class Poller:
    """An epoll instance, and the events of its last `wait`. The leader alone waits and reads the events.

    epoll: the select.epoll object, for registering; any thread may use it.
    """

    def __init__(self) -> None:
        self.epoll = select.epoll()
        self._fd = self.epoll.fileno()
        self._count = 0
        self._events: list[tuple[int, int]] = []

    def wait(self, seconds: cython.double, wanted: cython.int) -> cython.int:
        """Wait for events; return how many there are, at most `wanted` and 64. 0 seconds: do not wait."""
        if wanted > EVENTS:
            wanted = EVENTS
        if cython.compiled:
            # Rounded up, so that a wait for a deadline does not end just before it.
            milliseconds: cython.int = cython.cast(cython.int, seconds * 1000.0 + 0.999)
            count: cython.int
            with cython.nogil:
                count = epoll_wait(self._fd, self._ready, wanted, milliseconds)
            if count < 0:
                if c_errno != EINTR:
                    raise OSError(c_errno, "epoll_wait failed")
                count = 0
            self._count = count
            return count
        self._events = self.epoll.poll(seconds, wanted)
        self._count = len(self._events)
        return self._count

    def fd_at(self, index: cython.int) -> cython.int:
        """Return the descriptor of an event of the last wait."""
        if cython.compiled:
            return self._ready[index].data.fd
        return self._events[index][0]

    def events_at(self, index: cython.int) -> cython.int:
        """Return the readiness of an event of the last wait, as EPOLLIN and the like."""
        if cython.compiled:
            return cython.cast(cython.int, self._ready[index].events)
        return self._events[index][1]

    def close(self) -> None:
        """Close the epoll instance."""
        self.epoll.close()
