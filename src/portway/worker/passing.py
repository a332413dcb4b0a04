"""Gives connections to other workers: those whose request waits here while another worker has a thread for it.

Runs on the leader; one Passing per worker, all of them on one Relay. What is passed is the socket and the request that
waits, as bytes which the other worker reads as if they had come from the client: it knows nothing of this one.

A connection is passed only between two responses: with one complete request that nobody has begun to run, and nothing
else that was received or is to be sent. All other requests wait where they are.
"""

import logging
import select
import socket
import struct
from collections import deque
from time import monotonic_ns
from typing import Any

from portway.net.relay import MESSAGE, Relay
from portway.worker.connection import Connection
from portway.worker.site import Site

log = logging.getLogger("portway.error")

#: Seconds that a request waits for a thread of its own worker before another worker is looked for.
PATIENCE = 0.005
#: Connections taken or given at once.
AT_ONCE = 16
#: How many times in a row a worker without a free thread leaves what was passed to one that has said it had one.
LEFT_AT_MOST = 10

# When the request became complete (seconds of the monotonic clock, which all processes share), the requests that the
# connection has had, and the length of the listener's URL; the URL and the request follow.
_HEADER = struct.Struct("=dIH")


class Passing:
    """The giving and the taking side of a worker.

    slot: the worker's, in the scoreboard. sites: the worker's listening sockets.
    """

    def __init__(self, relay: Relay, service: Any, slot: Any, sites: list[Site]) -> None:
        self.fd = relay.fileno()
        self._relay = relay
        self._service = service
        self._slot = slot
        self._left = 0
        self._sites = {site.url: site for site in sites}

    def free_threads_elsewhere(self) -> int:
        """Count the application threads of other workers that have nothing to do."""
        count: int = self._slot.free_threads_elsewhere(monotonic_ns())
        return count

    # Giving.

    def give_waiting(self, now: float) -> None:
        """Pass on what has waited for long enough, as far as other workers have threads for it."""
        leadership = self._service.leadership
        waiting = leadership.waiting_since(now - PATIENCE, AT_ONCE)
        if not waiting:
            return
        room = self.free_threads_elsewhere()
        for exchange in waiting:
            if room <= 0:
                return
            if _may_go(exchange) and leadership.withdraw(exchange):
                # Only now nobody else can have begun to run it.
                if not self._give(exchange):
                    leadership.put_back(exchange)
                    return
                room -= 1

    def _give(self, exchange: Any) -> bool:
        connection, request = exchange.connection, exchange.request
        url = connection.site.url.encode()
        parts = [_HEADER.pack(exchange.ready, connection.served, len(url)), url, compose(request)]
        if request.has_body:
            parts.append(exchange.body.open().read())
        if not self._relay.send(b"".join(parts), connection.fd):
            return False
        connection.close()
        return True

    def give_new(self, site: Site, sock: socket.socket) -> bool:
        """Pass on a connection that has just been accepted, and close it here; False if that cannot be done now."""
        url = site.url.encode()
        if not self._relay.send(_HEADER.pack(0.0, 0, len(url)) + url, sock.fileno()):
            return False
        sock.close()
        return True

    # Taking.

    def on_event(self, now: float, requests: deque[Any]) -> bool:
        """Take what others have given; append the requests, as Exchanges.

        Returns False where it was left to a worker with a free thread, or cannot be taken: `resume` is to be called
        after a moment.
        """
        busy = self._service.leadership.free_threads() == 0
        if busy and self._left < LEFT_AT_MOST and self.free_threads_elsewhere():
            self._left += 1
        else:
            self._left = 0
            if self.take(now, requests, AT_ONCE):
                return True
        self._service.epoll.modify(self.fd, 0)
        return False

    def resume(self) -> None:
        """Look again whether there is something to take."""
        self._service.epoll.modify(self.fd, select.EPOLLIN)

    def take(self, now: float, requests: deque[Any], at_most: int = 1 << 30) -> bool:
        """Take what others have given; append the requests, as Exchanges. False: no descriptors are left."""
        for _ in range(at_most):
            try:
                message = self._relay.receive()
            except OSError as error:
                log.debug("Cannot take a connection of another worker: %s.", error)
                return False
            if message is None:
                break
            exchange = self._admit(*message, now)
            if exchange is not None:
                requests.append(exchange)
        return True

    def take_back(self, now: float, requests: deque[Any]) -> None:
        """Take what was given, by a worker that drains, where the others may have begun to drain as well."""
        if not self.free_threads_elsewhere():
            self.take(now, requests)

    def _admit(self, message: bytes, fd: int, now: float) -> Any:
        """Make a Connection of a message; return its request, or None if there is none for the application."""
        sock = socket.socket(fileno=fd)
        connection = None
        try:
            sock.setblocking(False)
            ready, served, size = _HEADER.unpack_from(message)
            start = _HEADER.size
            url, data = message[start : start + size].decode(), message[start + size :]
            site = self._sites.get(url)
            if site is None:
                # It came in by an address of another generation. Its own end has the address that is asked for.
                site = self._sites[url] = Site(sock, url)
            peer = sock.getpeername()
            connection = Connection(self._service, site, sock, peer if isinstance(peer, tuple) else "", now)
            connection.served = served
            # Not `add`: it was counted where it was accepted.
            self._service.connections[connection.fd] = connection
            if not data:
                return None
            connection.parser.receive_data(data)
            exchange = connection.advance(now)
            if exchange is not None:
                exchange.ready = ready
            return exchange
        except OSError:
            pass  # The client has left.
        except Exception:
            log.exception("Portway failed to take a connection of another worker; please report this")
        if connection is None:
            sock.close()
        else:
            connection.close()
        return None


def _may_go(exchange: Any) -> bool:
    """Tell whether there is nothing about a request and its connection that has to stay here."""
    connection, request, body = exchange.connection, exchange.request, exchange.body
    if request.has_body and (request.chunked or body is None or body.size > MESSAGE // 2):
        return False
    unsent = connection.outbox is not None and connection.outbox.size
    return not (connection.gone or connection.half_closed or connection.parser.buffered or unsent)


def compose(request: Any) -> bytes:
    """Return a request's head as bytes that are read as the same request, and are no longer than the original."""
    lines = [f"{request.method} {request.target} HTTP/1.{request.http_minor}"]
    lines += [f"{name}:{value}" for name, value in request.fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
