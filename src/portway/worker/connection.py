"""One accepted connection and the exchanges on it: bytes from the socket to complete requests, responses back.

A Connection is owned by one thread at a time. The leader owns it while it reads, answers files and flushes; from the
moment that a request is complete until its response is in the socket or in the outbox it is `busy`, and the thread that
runs the application, or the queue, owns it. Only `on_event`, `on_deadline`, `abort` and `begin_drain` may be called by
a leader that does not own it, and these take `lock` where an owner could be at work.

It does not know how threads take turns (worker.leadership) nor how readiness is learnt (worker.loop).
"""

import logging
import os
import socket
import struct
import threading
from time import monotonic, time
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from select import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP

from portway.http.errors import RemoteProtocolError
from portway.http.parser import CONNECTION_CLOSED, END_OF_MESSAGE, NEED_DATA, RequestParser
from portway.http.response import CONTINUE, error_page
from portway.net.outbox import Outbox
from portway.worker.exchange import Exchange
from portway.worker.replies import file_head, local_record
from portway.wsgi.input import RequestBody
from portway.wsgi.sink import ClientDisconnected

log = logging.getLogger("portway.error")

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
# Bytes of answers to pipelined requests that are gathered into one send.
BATCH = cython.declare(cython.Py_ssize_t, 65536)
# Bytes and seconds that are read and dropped after a final response, so that the client gets to read it.
LINGER_BYTES = cython.declare(cython.Py_ssize_t, 16 << 20)
LINGER_TIME = cython.declare(cython.double, 5.0)
RESET = struct.pack("ii", 1, 0)


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return cython.compiled


@cython.cclass
class Connection:
    """A client's connection.

    loop: the worker's loop, for what all connections share. site: the listener's side of it (portway.worker.site).
    peer: the client's address as the socket gives it: (host, port, ...), or "" for a Unix socket.
    deadline: when the phase must have ended, in seconds of the monotonic clock; 0.0 for never.
    """

    fd = cython.declare(cython.int, visibility="readonly")
    sock = cython.declare(object, visibility="readonly")
    loop = cython.declare(object, visibility="readonly")
    site = cython.declare(object, visibility="readonly")
    peer = cython.declare(object, visibility="readonly")
    parser = cython.declare(object, visibility="readonly")
    phase = cython.declare(cython.int, visibility="readonly")
    deadline = cython.declare(cython.double, visibility="public")
    outbox = cython.declare(object, visibility="readonly")
    #: The client closed its side, or the connection is broken.
    half_closed = cython.declare(cython.bint, visibility="readonly")
    gone = cython.declare(cython.bint, visibility="public")
    #: Requests answered.
    served = cython.declare(cython.Py_ssize_t, visibility="readonly")
    #: The exchange that is under way, complete or not.
    exchange = cython.declare(object, visibility="readonly")
    acquire = cython.declare(object, visibility="readonly")
    release = cython.declare(object, visibility="readonly")
    interest: cython.int
    registered: cython.bint
    close_after: cython.bint
    # Something the client sent was left unread on purpose.
    unread: cython.bint
    body: Any
    batch: list
    batch_size: cython.Py_ssize_t
    lingered: cython.Py_ssize_t
    send_now: Any
    receive_now: Any

    def __init__(self, loop: Any, site: Any, sock: socket.socket, peer: Any, now: cython.double) -> None:
        self.loop = loop
        self.site = site
        self.sock = sock
        self.fd = sock.fileno()
        self.peer = peer
        self.parser = RequestParser(loop.limits)
        self.phase = IDLE
        self.deadline = now + loop.deadlines.head
        self.outbox = None
        self.half_closed = False
        self.gone = False
        self.served = 0
        self.exchange = None
        lock = threading.RLock()
        self.acquire = lock.acquire
        self.release = lock.release
        self.interest = READABLE
        self.registered = True
        self.close_after = False
        self.unread = False
        self.body = None
        self.batch = None
        self.batch_size = 0
        self.lingered = 0
        self.send_now = sock.send
        self.receive_now = sock.recv
        loop.epoll.register(self.fd, READABLE)

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

    def _on_readable(self, now: cython.double) -> Any:
        try:
            data = self.receive_now(BODY_READ if self.phase == BODY else HEAD_READ)
        except BlockingIOError:
            return None
        except OSError:
            self.close()
            return None
        self.parser.receive_data(data)
        if not data:
            self.half_closed = True
        return self.advance(now)

    def _on_event_while_busy(self, events: cython.int, now: cython.double) -> None:
        """Flush for a streaming application; note that the client is gone; else stop listening until it is our turn."""
        if events & BROKEN:
            self.lost()
            return
        if events & CLIENT_CLOSED:
            self.half_closed = True
        interest: cython.int = 0
        if self.outbox is not None and self.outbox.size:
            if events & WRITABLE and not self._flush(now):
                return
            if self.outbox.size:
                interest = WRITABLE
            else:
                self.deadline = self.exchange.application_deadline()
        self._listen_for(interest)

    def cut(self) -> None:
        """End a response that has begun and will not become whole; the owner closes. The leader, with the lock held."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.lost()

    def lost(self) -> None:
        """Note that nothing can be sent any more; the owner closes. The lock is held."""
        self.gone = True
        if self.registered:
            self.registered = False
            self.loop.epoll.unregister(self.fd)
        if self.outbox is not None:
            self.outbox.close()

    def _flush(self, now: cython.double) -> bool:
        """Send from the outbox; return False if the connection is lost."""
        try:
            sent: cython.Py_ssize_t = self.outbox.flush(self.sock)
        except (OSError, EOFError):
            self.lost()
            return False
        if sent:
            limit = now + self.loop.deadlines.write
            self.deadline = min(limit, self.deadline + sent / self.loop.deadlines.minimum_rate)
        return True

    def _on_writable(self, now: cython.double) -> Any:
        if not self._flush(now):
            self.close()
            return None
        if self.outbox.size:
            return None
        if self.close_after:
            self._settle(now)
            return None
        return self.advance(now)

    def _on_linger(self) -> None:
        try:
            data = self.receive_now(HEAD_READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        self.lingered += len(data)
        if not data or self.lingered > LINGER_BYTES:
            self.close()

    def _listen_for(self, interest: cython.int) -> None:
        if self.interest != interest and self.registered:
            self.interest = interest
            self.loop.epoll.modify(self.fd, interest)

    def on_deadline(self, now: cython.double) -> None:
        """The phase took too long. The leader only."""
        phase: cython.int = self.phase
        if phase == BUSY:
            self.acquire()
            try:
                if self.phase == BUSY and self.exchange is not None:
                    self.deadline = 0.0
                    self.exchange.on_deadline(now)
            finally:
                self.release()
        elif phase == HEAD or phase == BODY:
            what = "head" if phase == HEAD else "body"
            self._refuse(RemoteProtocolError(408, f"the {what} did not arrive in time"), now)
        else:
            if phase == WRITE:
                log.info("Closed the connection of %s: it did not read its response in time.", self.peer_name)
            self.close(phase == WRITE)

    def answer_late(self, page: bytes) -> None:
        """Send a last answer in the place of an application that does not return, and give the client up.

        The leader, with the lock held; the owner is in the application and has sent nothing.
        """
        batch = self.batch
        self.batch = None
        try:
            if batch:
                page = b"".join(batch) + page
            if self.outbox is None or self.outbox.size == 0:
                self.send_now(page)
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.lost()

    def begin_drain(self, now: cython.double) -> None:
        """Close if nothing is under way; a connection that never sent a request gets a moment for it. The leader."""
        if self.phase != IDLE:
            return
        if self.served:
            exchange = self._on_readable(now)
            if exchange is not None:
                self.loop.resume(exchange)
            elif self.phase == IDLE:
                self.close()
        else:
            self.deadline = min(self.deadline, now + self.loop.deadlines.drain)

    # The owner's side: the leader, or the thread that ran the exchange. The phase is written last: the moment that it is
    # no longer BUSY, the leader owns the connection.

    def advance(self, now: cython.double) -> Any:
        """Go through what was received; return the next complete request as an Exchange, or None to wait for more."""
        parser = self.parser
        while True:
            try:
                event = parser.next_event()
                if event is NEED_DATA:
                    self._settle(now)
                    return None
                if event is CONNECTION_CLOSED:
                    self.close_after = True
                    self._settle(now)
                    return None
                exchange = self.exchange
                if self.body is not None:
                    if event is not END_OF_MESSAGE:
                        self.body.write(event)
                        continue
                    self.body.finish()
                    exchange.body = self.body
                    self.body = None
                else:
                    exchange = self._begin(event, now)
                    if exchange is None:
                        if self.close_after or (self.outbox is not None and self.outbox.size):
                            self._settle(now)
                            return None
                        continue
                    if event.has_body:
                        continue
            except RemoteProtocolError as error:
                self._refuse(error, now)
                return None
            except ClientDisconnected:
                self.close()
                return None
            except OSError as error:
                log.error("Could not keep a request's body on disk: %s. Answered 503.", error)  # noqa: TRY400
                self._answer_error(503, now)
                return None
            exchange.ready = now
            self.deadline = 0.0
            self.phase = BUSY
            return exchange

    def _begin(self, request: Any, now: cython.double) -> Any:
        """Start an exchange; None if it was answered here, without the application."""
        loop = self.loop
        if self.batch is None and self.parser.buffered and not request.has_body:
            self.batch = []
        if loop.local is not None:
            response = loop.local.find(request)
            if response is not None:
                self._send_file(request, response)
                return None
        exchange = Exchange(self, request, now)
        self.exchange = exchange
        if request.has_body:
            self.body = RequestBody(loop.body_memory, loop.body_directory)
            if request.expect_continue and not self.parser.buffered:
                self.transmit(CONTINUE)
        return exchange

    def finish(self, keep_alive: cython.bint, aborted: cython.bint, now: cython.double) -> Any:
        """The exchange is over and its response on its way; return the next complete request that is here, or None.

        The caller owns the connection and loses it where None is returned.
        """
        self.served += 1
        self.exchange = None
        if aborted or self.gone:
            if self.batch is not None and not self.gone:
                self._flush_batch()
            self.close(True)
            return None
        self.acquire()
        try:
            if not keep_alive:
                self.close_after = True
            else:
                self.parser.start_next_cycle()
                if self.outbox is None or self.outbox.size == 0:
                    if self.parser.buffered:
                        return self.advance(now)
                    if self.batch is None and not self.loop.draining:
                        # The common end of an exchange, and the only one on the hot path.
                        self.deadline = now + self.loop.deadlines.keep_alive
                        if self.interest != READABLE:
                            self._listen_for(READABLE)
                        self.phase = IDLE
                        return None
            self._settle(now)
            return None
        finally:
            self.release()

    def _settle(self, now: cython.double) -> None:
        """Nothing more can be done at once: flush, and choose what to wait for."""
        if self.batch is not None and not self._flush_batch():
            return
        deadlines = self.loop.deadlines
        if self.outbox is not None and self.outbox.size:
            self._listen_for(WRITABLE)
            self.phase = WRITE
        elif self.close_after:
            self._end(now)
        elif self.body is not None:
            # Time for the next piece, but no more than the minimum rate allows for what has come.
            allowed = self.exchange.arrived + deadlines.body + self.body.size / deadlines.minimum_rate
            self.deadline = min(now + deadlines.body, allowed)
            self._listen_for(READABLE)
            self.phase = BODY
        elif self.parser.in_head:
            if self.phase != HEAD and (self.phase != IDLE or self.served):
                self.deadline = now + deadlines.head
            self._listen_for(READABLE)
            self.phase = HEAD
        elif self.served and self.loop.draining:
            self._end(now)
        else:
            if self.served:
                self.deadline = now + deadlines.keep_alive
            self._listen_for(READABLE)
            self.phase = IDLE

    # Sending.

    def transmit(self, data: bytes) -> None:
        """Send, or gather for one send, or put into the outbox. The owner. Raises ClientDisconnected."""
        if self.batch is not None:
            self.batch.append(data)
            self.batch_size += len(data)
            if self.batch_size > BATCH:
                self._send_batch()
            return
        self._send(data)

    def _send(self, data: bytes) -> None:
        rest: Any = data
        if self.outbox is None or self.outbox.size == 0:
            try:
                sent: cython.Py_ssize_t = self.send_now(data)
            except BlockingIOError:
                sent = 0
            except OSError:
                self.gone = True
                raise ClientDisconnected from None
            if sent == len(data):
                return
            rest = memoryview(data)[sent:]
        if self.outbox is None:
            self.outbox = Outbox()
        try:
            self.outbox.put(rest)
        except OSError as error:
            log.error("Could not keep a response for a slow client: %s. Its connection is closed.", error)  # noqa: TRY400
            self.gone = True
            raise ClientDisconnected from None
        self._await_writable()

    def transmit_file(self, fd: cython.int, offset: Any, count: Any) -> None:
        """Send `count` bytes of a file from `offset`; the descriptor becomes the connection's own. The owner."""
        try:
            if self.batch is not None:
                self._send_batch()
            if self.outbox is None:
                self.outbox = Outbox()
            idle = self.outbox.size == 0
            self.outbox.put_file(fd, offset, count)
        except BaseException:
            os.close(fd)
            raise
        if idle:
            try:
                self.outbox.flush(self.sock)
            except (OSError, EOFError):
                self.gone = True
                raise ClientDisconnected from None
        if self.outbox.size:
            self._await_writable()

    def _await_writable(self) -> None:
        """Have the leader flush while the owner goes on."""
        self.acquire()
        if not self.interest & WRITABLE:
            self.deadline = monotonic() + self.loop.deadlines.write
            self._listen_for(WRITABLE)
        self.release()

    def _send_batch(self) -> None:
        batch = self.batch
        self.batch = []
        self.batch_size = 0
        if batch:
            self._send(b"".join(batch))

    def _flush_batch(self) -> bool:
        """End gathering; return False if the connection was lost and is closed."""
        try:
            self._send_batch()
        except ClientDisconnected:
            self.close()
            return False
        finally:
            self.batch = None
        return True

    # Answers made here.

    def _send_file(self, request: Any, response: Any) -> None:
        loop = self.loop
        # The body of a request that is answered without it is not read: the connection ends.
        keep_alive: cython.bint = request.keep_alive and not request.has_body and not loop.draining
        fd: cython.int = response.fd
        try:
            head = file_head(response, request.http_minor, keep_alive, loop.date, loop.server)
            self.transmit(head + response.body)
            if fd >= 0:
                offset, count, mine, fd = response.offset, response.count, fd, -1
                self.transmit_file(mine, offset, count)
        finally:
            if fd >= 0:
                os.close(fd)
        self.served += 1
        loop.count_answer(response.status_code, len(response.body) + response.count)
        if loop.access_log is not None:
            loop.access_log.log(
                local_record(
                    self.peer, request, response.status_code, response.fields, len(response.body) + response.count, time()
                )
            )
        if keep_alive:
            self.parser.start_next_cycle()
        else:
            self.close_after = True
            self.unread = request.has_body

    def _refuse(self, error: RemoteProtocolError, now: cython.double) -> None:
        log.warning("Refused a request of %s: %d, %s.", self.peer_name, error.status, error.reason)
        self._answer_error(error.status, now)

    def _answer_error(self, status: cython.int, now: cython.double) -> None:
        """Answer with the short page and end the connection."""
        loop = self.loop
        exchange = self.exchange
        self._drop()
        self.close_after = True
        loop.count_answer(status, 0)
        if loop.access_log is not None:
            request = None if exchange is None else exchange.request
            loop.access_log.log(local_record(self.peer, request, status, b"", 0, time()))
        try:
            self.transmit(error_page(status, False, loop.date, loop.server))
        except ClientDisconnected:
            self.close()
            return
        self.unread = True
        self._settle(now)

    # The end.

    def _end(self, now: cython.double) -> None:
        """Everything was sent: close, in such a way that a client that still sends can read the response."""
        if self.half_closed or not (self.unread or self.parser.buffered):
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

    def close(self, reset: bool = False) -> None:
        """Close the connection; with `reset` so that the client cannot take a cut response for a whole one. The owner."""
        self.acquire()
        try:
            if self.phase == CLOSED:
                return
            self.phase = CLOSED
            self.deadline = 0.0
            if self.registered:
                self.registered = False
                self.loop.epoll.unregister(self.fd)
            if reset:
                try:
                    self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                except OSError:
                    pass
            self.loop.forget(self)
            self.sock.close()
            if self.outbox is not None:
                self.outbox.close()
            self._drop()
        finally:
            self.release()

    def _drop(self) -> None:
        """Let go of a request that will not be answered by the application."""
        if self.body is not None:
            self.body.close()
            self.body = None
        if self.exchange is not None:
            self.exchange.drop()
            self.exchange = None
