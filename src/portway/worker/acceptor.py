"""Takes connections from the listening sockets, and stops taking them when there is a reason. Runs on the leader.

The reasons, each of which ends by itself:

1.  No descriptors or memory are left (EMFILE, ENFILE, ENOBUFS, ENOMEM): a pause, so that the loop does not spin on a
    socket that stays readable.
2.  The worker has as many connections as it may have: until one is closed. Kept-alive connections that wait for
    nothing are closed to make room.
3.  Every application thread is busy while another worker has a free one: a short pause, which leaves connections to
    that worker. The kernel has woken this worker and no other for the one that is there, so that one is passed on.
"""

import errno
import heapq
import logging
import select
import socket
import struct
from collections.abc import Callable
from typing import Any

from portway.worker.connection import Connection
from portway.worker.site import Site

log = logging.getLogger("portway.error")

#: Connections taken at one readiness event; other workers and the open connections have their turn between.
AT_ONCE = 16
#: Seconds without accepting after the system had no descriptors or memory.
EXHAUSTED_PAUSE = 0.1
#: Seconds in which a worker leaves new connections to the others because it has no free thread and they have.
GATE_PAUSE = 0.005
#: Seconds until a worker at its limit looks again whether a connection has become idle and can make room.
FULL_PAUSE = 0.25
#: How many of the connections that have waited longest are looked at to close one of them.
CANDIDATES = 8
#: Seconds between two log lines about the same limit.
LOG_EVERY = 60.0

#: How an attempt to accept ended.
TAKEN, EMPTY, EXHAUSTED = "taken", "empty", "exhausted"

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
# What accept reports of a connection that has already failed, or of a signal: try the next one.
_PASSING = frozenset(
    {errno.ECONNABORTED, errno.EINTR, errno.EPROTO, errno.EPERM, errno.ENETDOWN, errno.EHOSTUNREACH}
)


class Acceptor:
    """The accepting side of a worker.

    limit: connections that the worker may have. leave_to_others: whether a connection had better be taken by another
    worker (reason 3). wake: interrupts the leader's sleep.
    """

    def __init__(
        self,
        service: Any,
        sites: list[Site],
        limit: int,
        leave_to_others: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        self.sites = {site.fd: site for site in sites}
        self._service = service
        self._limit = limit
        self._leave_to_others = leave_to_others
        self._wake = wake
        #: Passes a new connection to another worker; False if it cannot. None where there is no other worker.
        self.give: Callable[[Site, socket.socket], bool] | None = None
        self._listening = False
        self._resume_at = 0.0
        self._full = False
        self._draining = False
        # While draining: how many connections of each listening socket are still to be taken.
        self._left: dict[int, int] = {}
        self._closed = False
        self._logged: dict[str, float] = {}

    def open(self) -> None:
        """Begin to accept."""
        self._listen()

    def _listen(self) -> None:
        if not self._listening and not self._closed:
            self._listening = True
            self._service.accept_paused = False
            self._resume_at = 0.0
            self._full = False
            for fd in self.sites:
                # With EPOLLEXCLUSIVE the kernel wakes one waiting worker for a connection, not all of them.
                self._service.epoll.register(fd, select.EPOLLIN | select.EPOLLEXCLUSIVE)

    def _pause(self, until: float) -> None:
        self._resume_at = until
        self._service.accept_paused = not self._closed
        if self._listening:
            self._listening = False
            for fd in self.sites:
                self._service.epoll.unregister(fd)

    @property
    def paused(self) -> bool:
        """Whether it does not accept at the moment, for one of the reasons above."""
        return not self._listening and not self._closed

    def wait_at_most(self, now: float) -> float:
        """Return how long the loop may sleep before `tick` has something to do, in seconds."""
        if self._full or self._draining:
            # Said before the look, so that a thread that closes a connection after it wakes the leader.
            self._service.on_room = self._wake
            if len(self._service.connections) < self._limit and self._full:
                return 0.0
        if self._resume_at:
            return max(self._resume_at - now, 0.0)
        return 0.0 if len(self._service.connections) < self._limit else 1.0

    def tick(self, now: float) -> None:
        """Go on accepting if a pause is over or a place has become free."""
        if not self.paused:
            return
        if self._draining:
            self._drain_backlog(now)
        elif now >= self._resume_at or (self._full and len(self._service.connections) < self._limit):
            self._listen()

    def on_event(self, fd: int, now: float) -> None:
        """Accept what waits on one listening socket."""
        site = self.sites[fd]
        for taken in range(AT_ONCE):
            if self._leave_to_others():
                self._pass_on(site, now)
                self._pause(max(now + GATE_PAUSE, self._resume_at))
                return
            if len(self._service.connections) >= self._limit:
                if taken:
                    # Whether another one waits is not known; if so, its readiness is told again.
                    return
                if not self._evict(now):
                    self._full = True
                    self._pause(now + FULL_PAUSE)
                    text = (
                        "This worker has its %d connections (worker_connections); more wait in the backlog."
                    )
                    self._say("limit", now, text)
                    return
            if self._accept(site, now) is not TAKEN:
                return

    def _pass_on(self, site: Site, now: float) -> None:
        """Give the connections that wait to a worker that has a free thread; keep those that it cannot be given."""
        if self.give is not None:
            for _ in range(AT_ONCE):
                if self._accept(site, now, self.give) is not TAKEN:
                    return

    def _accept(
        self, site: Site, now: float, give: Callable[[Site, socket.socket], bool] | None = None
    ) -> str:
        """Take one connection, and keep it unless `give` does: TAKEN, or EMPTY where none waits, or EXHAUSTED."""
        while True:
            try:
                sock, peer = site.sock.accept()
            except BlockingIOError:
                return EMPTY
            except OSError as error:
                if error.errno in _PASSING:
                    continue
                if error.errno not in _EXHAUSTED:
                    raise
                self._pause(now + EXHAUSTED_PAUSE)
                text = f"Cannot accept connections: {error.strerror}; %d are open. Raise LimitNOFILE or ulimit -n."
                self._say("exhausted", now, text)
                return EXHAUSTED
            if give is not None and give(site, sock):
                self._service.slot.add_accepted(1)
                return TAKEN
            sock.setblocking(False)
            self._service.add(
                Connection(self._service, site, sock, peer if isinstance(peer, tuple) else "", now)
            )
            return TAKEN

    def _evict(self, now: float) -> bool:
        """Close the kept-alive connection that has waited longest for its next request; False if there is none."""
        # A copy: other threads close connections meanwhile.
        kept = [each for each in list(self._service.connections.values()) if each.is_kept_alive()]
        for connection in heapq.nsmallest(CANDIDATES, kept, key=lambda each: each.deadline):
            if not _has_input(connection.fd):
                text = "All %d connections (worker_connections) are taken: closing idle ones for new ones."
                self._say("evict", now, text)
                connection.close()
                return True
        return False

    def _say(self, what: str, now: float, text: str) -> None:
        if now - self._logged.get(what, -LOG_EVERY) >= LOG_EVERY:
            self._logged[what] = now
            log.warning(text, len(self._service.connections))

    def drain(self, now: float) -> None:
        """Begin to end: take all that is in the backlog, as far as there is room, then close the listening sockets."""
        if not self._closed:
            self._draining = True
            self._pause(0.0)
            # Not more than wait now: whoever goes on connecting must not keep the worker from ending.
            self._left = {fd: _backlog_length(site.sock) for fd, site in self.sites.items()}
            self._drain_backlog(now)

    @property
    def is_closed(self) -> bool:
        """Whether everything that had connected was taken, and nobody can connect any more."""
        return self._closed

    def _drain_backlog(self, now: float) -> None:
        for fd, site in self.sites.items():
            while self._left[fd] > 0:
                if len(self._service.connections) >= self._limit:
                    return
                result = self._accept(site, now)
                self._left[fd] -= 1
                if result is EXHAUSTED:
                    self._left[fd] += 1
                    return
                if result is EMPTY:
                    break
        self._closed = True
        self._service.accept_paused = False
        for site in self.sites.values():
            site.sock.close()
        self.sites.clear()


def _backlog_length(sock: socket.socket) -> int:
    """Return how many connections wait to be accepted; for a Unix socket, which cannot tell, how many may."""
    if sock.family not in (socket.AF_INET, socket.AF_INET6):
        return socket.SOMAXCONN
    # For a listening socket the kernel puts the length into tcpi_unacked, the fifth of the 32-bit words that follow
    # eight bytes (linux/tcp.h).
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    length: int = struct.unpack_from("=I", info, 24)[0]
    return length


def _has_input(fd: int) -> bool:
    """Tell whether there is something to read: a request that has come and was not looked at yet must not be lost."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


def prepare_listening_socket(sock: socket.socket) -> None:
    """Make a listening socket fit for a worker that shares it with others."""
    sock.setblocking(False)
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        # Accepted sockets inherit it: a response that takes two sends is not to wait for an acknowledgement.
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
