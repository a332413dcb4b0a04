"""What the import of an application leaves open that a fork does not carry over: threads and connections.

Runs in the mold. A `Watch` is on while the application is imported and notes where threads are started and
sockets are made; `find` then says what of that is still there. Two methods of the standard library are replaced
meanwhile and put back after it, so nothing of this is in a worker.
"""

import os
import socket
import stat
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from time import monotonic
from types import FrameType
from typing import Any

from portway.supervisor.native_threads import native_threads, tasks
from portway.supervisor.report import library_of

#: How long threads that are about to end may take, in seconds; a pool that was closed, a short piece of work.
GRACE = 1.0


@dataclass(frozen=True, slots=True)
class Remnant:
    """Something that the import left open. text: what, from where, what a fork does to it, and what to do.

    again: each worker can have one of its own, by importing the application for itself.
    """

    text: str
    again: bool = True


class Watch:
    """Notes where threads are started and sockets are made, between `__enter__` and `__exit__`."""

    def __init__(self) -> None:
        self._threads: dict[int, str] = {}
        self._sockets: dict[int, str] = {}
        self._sockets_before: frozenset[int] = frozenset()
        self._tasks_before: frozenset[int] = frozenset()

    def __enter__(self) -> "Watch":
        self._sockets_before = frozenset(_sockets())
        self._tasks_before = tasks()
        self._start = threading.Thread.start
        self._init = socket.socket.__init__
        threads, sockets, start, init = self._threads, self._sockets, self._start, self._init

        def noting_start(thread: threading.Thread) -> None:
            threads[id(thread)] = _place(sys._getframe(1))
            start(thread)

        def noting_init(sock: socket.socket, *args: Any, **kwargs: Any) -> None:
            init(sock, *args, **kwargs)
            try:
                sockets[os.fstat(sock.fileno()).st_ino] = _place(sys._getframe(1))
            except OSError:
                pass

        threading.Thread.start = noting_start  # type: ignore[method-assign, assignment]
        socket.socket.__init__ = noting_init  # type: ignore[method-assign, assignment]
        return self

    def __exit__(self, *_exception: object) -> None:
        threading.Thread.start = self._start  # type: ignore[method-assign]
        socket.socket.__init__ = self._init  # type: ignore[method-assign]

    def find(self) -> list[Remnant]:
        """Return what is left; waits a moment for threads that are about to end."""
        return [*self._find_threads(), *self._find_native_threads(), *self._find_sockets()]

    def _find_threads(self) -> list[Remnant]:
        until = monotonic() + GRACE
        found = []
        for thread in threading.enumerate():
            if thread is threading.main_thread() or thread.native_id in self._tasks_before:
                continue
            thread.join(max(0.0, until - monotonic()))
            if thread.is_alive():
                place = self._threads.get(id(thread), "")
                found.append(
                    Remnant(
                        f"The import has started a thread, {thread.name!r}{_at('started', place)}, which still runs. "
                        "Forked workers do not have it, and a lock that it holds stays locked in them. "
                        "Start it when the first request comes."
                    )
                )
        return found

    def _find_native_threads(self) -> list[Remnant]:
        return [
            Remnant(
                f"The import has started {_count(count, 'thread')} that Python does not know, of {owner!r}, and "
                f"{'they still run' if count > 1 else 'it still runs'}. Forked workers lack what the library relies "
                "on. Begin to use it when the first request comes."
            )
            for owner, count in Counter(native_threads(self._tasks_before, GRACE)).items()
        ]

    def _find_sockets(self) -> list[Remnant]:
        found = []
        for inode, descriptor in _sockets().items():
            if inode not in self._sockets_before:
                place = _at("made", self._sockets.get(inode, ""), "made by a library in C")
                remnant = _describe_socket(descriptor, place)
                if remnant is not None:
                    found.append(remnant)
        return found


def _sockets() -> dict[int, int]:
    """Return the sockets that are open, as inode -> descriptor."""
    found: dict[int, int] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(name))
        except OSError:
            continue
        if stat.S_ISSOCK(status.st_mode):
            found[status.st_ino] = int(name)
    return found


def _describe_socket(descriptor: int, place: str) -> Remnant | None:
    """Return what a socket is; None for one that several processes may use.

    Those are datagrams (to syslog, statsd), pairs of which this process has both ends, and unused ones.
    """
    try:
        with socket.socket(fileno=os.dup(descriptor)) as sock:
            if sock.type not in (socket.SOCK_STREAM, socket.SOCK_SEQPACKET):
                return None
            if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return Remnant(
                    f"The import listens on {_name(sock.getsockname())}{place}. Forked workers share the socket, and "
                    "none of them accepts from it. Serve it from a process of its own.",
                    again=False,
                )
            peer = _name(sock.getpeername())
    except (OSError, ValueError):
        return None
    if not peer:
        return None
    return Remnant(
        f"The import has left a connection to {peer} open{place}. Forked workers share it and read each other's "
        "answers. Close it at the end of the import, or open it when the first request comes."
    )


def _name(address: Any) -> str:
    """Return an address as people write it, "" for an end of a pair."""
    if isinstance(address, bytes):
        return os.fsdecode(address).replace("\0", "@", 1)
    if isinstance(address, str):
        return address.replace("\0", "@", 1)
    if isinstance(address, tuple) and len(address) >= 2:
        host = f"[{address[0]}]" if ":" in str(address[0]) else address[0]
        return f"{host}:{address[1]}"
    return str(address)


def _count(number: int, what: str) -> str:
    return f"{number} {what}s" if number > 1 else f"a {what}"


def _at(verb: str, place: str, unknown: str = "") -> str:
    if place:
        return f" ({verb} at {place})"
    return f" ({unknown})" if unknown else ""


def _place(frame: FrameType | None) -> str:
    """Return where the application did it: the innermost line of its own, and the library that it called there."""
    innermost, library = "", ""
    while frame is not None:
        filename = frame.f_code.co_filename
        if not filename.startswith("<frozen "):
            owner = library_of(filename)
            where = f"{filename}:{frame.f_lineno} in {frame.f_code.co_name}"
            if not owner:
                if filename.startswith(_OWN):
                    break
                return f"{where}, by {library}" if library else where
            if owner != "the standard library":
                # The outermost library is the one that the application knows.
                library = owner
            innermost = innermost or where
        frame = frame.f_back
    return innermost


_OWN = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
