"""One accepted connection and the exchanges on it: bytes from the socket to complete requests, responses back.

A Connection is owned by one thread at a time. The leader owns it while it reads, answers files and flushes; from the
moment that a request is complete until its response is in the socket or in the outbox it is BUSY, and the thread that
runs the application, or the queue, owns it. Only `on_event`, `on_deadline` and `begin_drain` may be called by a leader
that does not own it, and these take the lock where an owner could be at work. The phase is what says who owns: it is
written last, because the moment that it is no longer BUSY the leader may act.

It does not know how threads take turns (worker.leadership) nor how readiness is learnt (worker.loop).
"""

import logging
import os
import socket
import struct
from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from portway.http.errors import RemoteProtocolError
from portway.http.events import CONNECTION_CLOSED, END_OF_MESSAGE, NEED_DATA
from portway.http.response import CONTINUE
from portway.observe.seldom import Seldom
from portway.worker.replies import file_head, log_answer, log_loss, refusal
from portway.wsgi.input import RequestBody
from portway.wsgi.sink import ClientDisconnected

if cython.compiled:
    from cython.cimports.portway.http.parser import RequestParser
    from cython.cimports.portway.http.request import Request
    from cython.cimports.portway.net.system import receive
    from cython.cimports.portway.worker.exchange import Exchange
    from cython.cimports.portway.worker.transport import Transport
else:
    from portway.http.parser import RequestParser
    from portway.http.request import Request
    from portway.net.system import receive
    from portway.worker.exchange import Exchange
    from portway.worker.transport import Transport

log = logging.getLogger("portway.error")
seldom = Seldom()

# Phases; each names what the deadline of the moment is for. Like the other numbers here they are C integers in the
# compiled form, which nobody can import.
IDLE = cython.declare(cython.int, 0)  # between requests
HEAD = cython.declare(cython.int, 1)  # a request has begun, its head is not complete
BODY = cython.declare(cython.int, 2)  # the head is complete, the body is not
BUSY = cython.declare(cython.int, 3)  # a complete request is in the queue or in the application
WRITE = cython.declare(cython.int, 4)  # the response is in the outbox
LINGER = cython.declare(cython.int, 5)  # everything was sent; what the client still sends is read and dropped
CLOSED = cython.declare(cython.int, 6)

READABLE = cython.declare(cython.int, EPOLLIN | EPOLLRDHUP)
WRITABLE = cython.declare(cython.int, EPOLLOUT)
CLIENT_CLOSED = cython.declare(cython.int, EPOLLRDHUP)
BROKEN = cython.declare(cython.int, EPOLLHUP | EPOLLERR)

HEAD_READ = cython.declare(cython.Py_ssize_t, 16384)
BODY_READ = cython.declare(cython.Py_ssize_t, 262144)
# Bytes and seconds that are read and dropped after a final response, so that the client gets to read it.
LINGER_BYTES = cython.declare(cython.Py_ssize_t, 16 << 20)
LINGER_TIME = cython.declare(cython.double, 5.0)
RESET = struct.pack("ii", 1, 0)


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return bool(cython.compiled)


@cython.final
@cython.cclass
class Connection(Transport):
    """A client's connection.

    site: the listener it came in by. peer: the client's address as the socket gives it, (host, port, ...), or "" for a
    Unix socket. half_closed: the client will send no more. served: requests answered. exchange: the one that is under
    way, complete or not.
    """

    def __init__(self, service: Any, site: Any, sock: socket.socket, peer: Any, now: cython.double) -> None:
        Transport.__init__(self, service, sock)
        self.site = site
        # The port as text, as every environ has it.
        self.peer = (peer[0], str(peer[1])) if isinstance(peer, tuple) else peer
        self.parser = RequestParser(service.limits)
        self.phase: int = IDLE
        self.deadline = now + service.deadlines.head
        self.half_closed: bool = False
        self.served: int = 0
        self.exchange: Exchange | None = None
        self.body: RequestBody | None = None
        self.close_after: bool = False
        # Something that the client sent was left unread on purpose.
        self.unread: bool = False
        self.lingered: int = 0

    def __repr__(self) -> str:
        return f"<Connection {self.fd} from {self.peer!r}, phase {self.phase}, {self.served} served>"

    def is_kept_alive(self) -> bool:
        """Tell whether the connection has had a response and waits for the next request."""
        return self.phase == IDLE and self.served > 0

    @property
    def peer_name(self) -> str:
        """The client's address for a log line."""
        return self.peer[0] if isinstance(self.peer, tuple) else "a Unix socket"

    # The leader's side.

    def on_event(self, events: cython.int, now: cython.double) -> Any:
        """Act on readiness; return an Exchange when a request has become complete, else None. The leader only."""
        if self.phase == BUSY:
            self.acquire()
            try:
                if self.phase == BUSY:
                    self._on_event_while_busy(events, now)
                    if self.gone or self.half_closed:
                        self.service.overload.on_client_left(self.exchange, now)
                    return None
            finally:
                self.release()
        if self.phase <= BODY:
            return self._on_readable(now)
        if self.phase == WRITE:
            return self._on_writable(now)
        if self.phase == LINGER:
            self._on_linger()
        return None

    @cython.cfunc
    def _on_readable(self, now: cython.double) -> Any:
        try:
            data = receive(self.sock, self.fd, BODY_READ if self.phase == BODY else HEAD_READ)
        except OSError:
            if self.phase != IDLE:
                log_loss(self, self._head_began(now))
            self.close()
            return None
        if data is None:
            return None
        if not data:
            self.half_closed = True
        self.parser.receive_data(data)
        return self.advance(now)

    @cython.cfunc
    def _on_event_while_busy(self, events: cython.int, now: cython.double) -> Any:
        """Flush for a streaming application; note that the client is gone; else stop listening until it is our turn."""
        if events & BROKEN:
            self._lost()
            return
        if events & CLIENT_CLOSED:
            self.half_closed = True
        interest: cython.int = 0
        if self.outbox is not None and self.outbox.size:
            if events & WRITABLE and not self._flush_outbox(now):
                return
            if self.outbox.size:
                interest = WRITABLE
            elif self.exchange is not None:
                self.deadline = self.exchange.application_deadline()
        self._listen_for(interest)

    @cython.cfunc
    def _on_writable(self, now: cython.double) -> Any:
        if not self._flush_outbox(now):
            self.close()
            return None
        if self.outbox.size:  # type: ignore[union-attr]
            return None
        if self.close_after:
            self._settle(now)
            return None
        # The next response has to ask for writability itself, which begins its deadline.
        self._listen_for(READABLE)
        return self.advance(now)

    @cython.cfunc
    def _on_linger(self) -> Any:
        try:
            data = receive(self.sock, self.fd, HEAD_READ)
        except OSError:
            data = b""
        if data is not None:
            self.lingered += len(data)
            if not data or self.lingered > LINGER_BYTES:
                self.close()

    def on_deadline(self, now: cython.double) -> Any:
        """The phase took too long; return an Exchange if a request turns out to have come already. The leader only."""
        phase: cython.int = self.phase
        if not 0.0 < self.deadline < now:
            return None  # Its owner has come further since the leader looked.
        if phase == BUSY:
            self.acquire()
            try:
                if self.phase == BUSY and self.exchange is not None and 0.0 < self.deadline < now:
                    if self._takes_more(now):
                        if not self.outbox.size:  # type: ignore[union-attr]
                            self.deadline = self.exchange.application_deadline()
                        return None
                    self.deadline = 0.0
                    self.exchange.on_deadline(now)
            finally:
                self.release()
        elif phase == IDLE:
            # Its readiness may not have been looked at yet: a request that has come in time must not be lost.
            exchange = self._on_readable(now)
            if self.phase == IDLE:
                self.close()
            return exchange
        elif phase in (HEAD, BODY):
            what = "head" if phase == HEAD else "body"
            self._refuse(RemoteProtocolError(408, f"the {what} did not arrive in time"), now)
        elif phase != WRITE or not self._takes_more(now):
            if phase == WRITE:
                log.info("Closed the connection of %s: it did not read its response in time.", self.peer_name)
            self.close(phase == WRITE)
        return None

    def begin_drain(self, now: cython.double) -> Any:
        """Give a connection that waits for a request a moment for it, whose response will say close. The leader.

        To close a kept-alive connection at once would lose the request that its client may just be sending, because the
        last response promised that it could. Returns an Exchange if a request turns out to have come already.
        """
        if self.phase != IDLE:
            return None
        self.deadline = min(self.deadline, now + self.service.deadlines.drain)
        return self._on_readable(now)

    # The owner's side: the leader, or the thread that ran the exchange.

    def advance(self, now: cython.double) -> Any:
        """Go through what was received; return the next complete request as an Exchange, or None to wait for more."""
        parser = self.parser
        exchange: Exchange
        while True:
            try:
                event: Any = parser.next_event()
                if event is NEED_DATA:
                    self._settle(now)
                    return None
                if event is CONNECTION_CLOSED:
                    self.close_after = True
                    self._settle(now)
                    return None
                if self.body is not None:
                    if event is not END_OF_MESSAGE:
                        self.body.write(event)
                        continue
                    self.body.finish()
                    exchange = self.exchange  # type: ignore[assignment]
                    exchange.body = self.body
                    self.body = None
                else:
                    exchange = self._begin(event, now)
                    if exchange is None:
                        if self.close_after or (self.outbox is not None and self.outbox.size):
                            self._settle(now)
                            return None
                        continue
                    if self.body is not None:
                        continue
            except RemoteProtocolError as error:
                self._refuse(error, now)
                return None
            except ClientDisconnected:
                self.close()
                return None
            except OSError as error:
                if seldom.is_due("body"):
                    log.error(
                        "Could not keep a request's body on disk: %s. Such requests are answered 503.", error
                    )
                self._answer_error(503, now)
                return None
            exchange.ready = now
            self.deadline = 0.0
            self.phase = BUSY
            return exchange

    @cython.cfunc
    def _begin(self, request: Request, now: cython.double) -> Any:
        """Start an exchange; None if it was answered here, without the application."""
        service = self.service
        has_body: cython.bint = request.has_body
        if self.batch is None and not has_body and self.parser.has_buffered():
            self.batch = []
        if service.local is not None:
            response = service.local.find(request)
            if response is not None:
                self._send_file(request, response, now)
                return None
        exchange: Exchange = Exchange.__new__(Exchange)
        exchange.prepare(self, request, now)
        self.exchange = exchange
        if has_body:
            self.body = RequestBody(service.body_memory, service.body_directory, service.body_room)
            if request.expect_continue and not self.parser.has_buffered():
                self.transmit(CONTINUE)
        return exchange

    def finish(
        self, keep_alive: cython.bint, aborted: cython.bint, now: cython.double, is_leader: cython.bint
    ) -> Any:
        """The exchange is over and its response on its way; return the next complete request that is here, or None.

        The caller owns the connection and loses it where None is returned. is_leader: the caller leads, so nobody else
        can act on this connection meanwhile.
        """
        self.served += 1
        self.exchange = None
        if aborted or self.gone:
            if self.batch is not None and not self.gone:
                self._flush_batch()
            self.close(not self.answered)
            return None
        if is_leader:
            return self._finish(keep_alive, now)
        self.acquire()
        try:
            if self.gone:
                # The leader found that out while we waited for the lock, and listens to this connection no more.
                self.close(not self.answered)
                return None
            return self._finish(keep_alive, now)
        finally:
            self.release()

    @cython.cfunc
    def _finish(self, keep_alive: cython.bint, now: cython.double) -> Any:
        if not keep_alive:
            self.close_after = True
        else:
            self.parser.start_next_cycle()
            if self.outbox is None or self.outbox.size == 0:
                if self.parser.has_buffered():
                    return self.advance(now)
                if self.batch is None and not self.service.draining:
                    # The common end of an exchange, and the only one on the hot path.
                    self.deadline = now + self.service.keep_alive
                    if self.interest != READABLE:
                        self._listen_for(READABLE)
                    self.phase = IDLE
                    return None
        self._settle(now)
        return None

    @cython.cfunc
    def _settle(self, now: cython.double) -> Any:
        """Nothing more can be done at once: flush, and choose what to wait for."""
        if self.batch is not None and not self._flush_batch():
            self.close()
            return
        deadlines = self.service.deadlines
        if self.outbox is not None and self.outbox.size:
            self._listen_for(WRITABLE)
            self.phase = WRITE
        elif self.close_after:
            self._end(now)
        elif self.body is not None:
            # Time for the next piece, but no more than the minimum rate allows for what has come.
            arrived: cython.double = self.exchange.arrived  # type: ignore[union-attr]
            allowed = arrived + deadlines.body + self.body.size / deadlines.minimum_rate
            self.deadline = min(now + deadlines.body, allowed)
            self._listen_for(READABLE)
            self.phase = BODY
        elif self.parser.in_head:
            if self.phase != HEAD and (self.phase != IDLE or self.served):
                self.deadline = now + deadlines.head
            self._listen_for(READABLE)
            self.phase = HEAD
        else:
            if self.served:
                self.deadline = now + self.service.keep_alive
                if self.service.draining:
                    self.deadline = min(self.deadline, now + deadlines.drain)
            self._listen_for(READABLE)
            self.phase = IDLE

    # Answers made here.

    @cython.cfunc
    def _send_file(self, request: Any, response: Any, now: cython.double) -> Any:
        service = self.service
        # The body of a request that is answered without it is not read: the connection ends.
        keep_alive: cython.bint = request.keep_alive and not request.has_body and service.keeps_alive()
        fd: cython.int = response.fd
        try:
            head = file_head(response, request.http_minor, keep_alive, service.date, service.server)
            self.transmit(head + response.body)
            if fd >= 0:
                mine: cython.int = fd
                fd = -1
                self.transmit_file(mine, response.offset, response.count)
        finally:
            if fd >= 0:
                os.close(fd)
        self.served += 1
        size = len(response.body) + response.count
        service.count_answer(response.status_code, size)
        log_answer(self, request, response.status_code, size, now, 0.0, response.fields)
        if keep_alive:
            self.parser.start_next_cycle()
        else:
            self.close_after = True
            self.unread = request.has_body

    @cython.cfunc
    def _refuse(self, error: Any, now: cython.double) -> Any:
        log.warning("Refused a request of %s: %d, %s.", self.peer_name, error.status, error.reason)
        self._answer_error(error.status, now)

    @cython.cfunc
    def _answer_error(self, status: cython.int, now: cython.double) -> Any:
        """Answer with the short page and end the connection."""
        page = refusal(self, status, self._head_began(now))
        self._drop()
        self.close_after = True
        try:
            self.transmit(page)
        except ClientDisconnected:
            self.close()
            return
        self.unread = True
        self._settle(now)

    @cython.cfunc
    def _head_began(self, now: cython.double) -> cython.double:
        """Return when the head began that is arriving."""
        return self.deadline - self.service.deadlines.head if self.phase == HEAD else now

    # The end.

    @cython.cfunc
    def _end(self, now: cython.double) -> Any:
        """Everything was sent: close, in such a way that a client that still sends can read the response."""
        if self.half_closed or not (self.unread or self.parser.has_buffered()):
            self.close()
            return
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self.deadline = now + LINGER_TIME
        self._listen_for(READABLE)
        self.phase = LINGER

    def close(self, reset: cython.bint = False) -> Any:
        """Close the connection; with `reset`, a client cannot take a cut response for a whole one. The owner."""
        self.acquire()
        try:
            if self.phase == CLOSED:
                return
            self.phase = CLOSED
            self.deadline = 0.0
            if self.registered:
                self.registered = False
                self.service.epoll.unregister(self.fd)
            if reset:
                try:
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                except OSError:
                    pass
            self.service.forget(self)
            self.sock.close()
            if self.outbox is not None:
                self.outbox.close()
            self._drop()
        finally:
            self.release()

    @cython.cfunc
    def _drop(self) -> Any:
        """Let go of a request that will not be answered by the application."""
        if self.body is not None:
            self.body.close()
            self.body = None
        if self.exchange is not None:
            self.exchange.drop()
            self.exchange = None
