"""The sending half of a connection: its socket, what is gathered for one send, and the outbox for the rest.

A Transport knows no HTTP and no phases; worker.connection adds these. `transmit` and `transmit_file` are for the owner
of the connection (see there). The leader may flush the outbox while an application thread adds to it; `acquire` and
`release` are the connection's lock, which is reentrant.
"""

import logging
import os
import socket
import threading
from select import EPOLLIN, EPOLLOUT, EPOLLRDHUP
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from portway.net.outbox import Outbox
from portway.net.reset import reset
from portway.wsgi.sink import ClientDisconnected

if cython.compiled:
    from cython.cimports.portway.net.system import clock, transmit
else:
    from portway.net.system import clock, transmit

log = logging.getLogger("portway.error")

READABLE = cython.declare(cython.int, EPOLLIN | EPOLLRDHUP)
WRITABLE = cython.declare(cython.int, EPOLLOUT)
# Bytes of answers to pipelined requests that are gathered into one send.
BATCH = cython.declare(cython.Py_ssize_t, 65536)


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return bool(cython.compiled)


@cython.cclass
class Transport:
    """A client's socket, as far as sending goes.

    service: what all connections of the worker share. outbox: what the socket did not take, None as long as it took
    everything. gone: nothing can be sent any more. deadline: when what is waited for must have happened, in seconds of
    the monotonic clock; 0.0 for never.
    """

    def __init__(self, service: Any, sock: socket.socket) -> None:
        self.service = service
        self.sock = sock
        self.fd: int = sock.fileno()
        self.outbox: Outbox | None = None
        self.deadline: float = 0.0
        self.gone: bool = False
        lock = threading.RLock()
        self.acquire = lock.acquire
        self.release = lock.release
        self.batch: list[bytes] | None = None
        self.batch_size: int = 0
        self.interest: int = READABLE
        self.registered: bool = True
        # The leader has sent the last answer: it is not to be lost by a reset.
        self.answered: bool = False
        service.epoll.register(self.fd, READABLE)

    def transmit(self, data: bytes) -> Any:
        """Send, or gather for one send, or put into the outbox. The owner. Raises ClientDisconnected."""
        if self.batch is None or not self._gather(data):
            return self._send(data)
        return None

    def transmit_at_once(self, data: Any) -> Any:
        """Send what the socket takes, and return the rest as a memoryview, or None. The owner; nothing may be waiting.

        Raises ClientDisconnected.
        """
        try:
            sent: cython.Py_ssize_t = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.gone = True
            raise ClientDisconnected from None
        return memoryview(data)[sent:] if sent < len(data) else None

    def put(self, data: Any) -> Any:
        """Put bytes into the outbox, for the leader to send. The owner. Raises ClientDisconnected."""
        if self.outbox is None:
            self.outbox = Outbox()
        try:
            self.outbox.put(data)
        except OSError as error:
            log.error("Could not keep a response for a slow client: %s. Its connection is closed.", error)
            self.gone = True
            raise ClientDisconnected from None
        self._await_writable()
        return None

    def transmit_file(self, fd: cython.int, offset: Any, count: Any) -> Any:
        """Send `count` bytes of a file from `offset`; the descriptor becomes the transport's own. The owner."""
        try:
            if self.batch is not None:
                self._send_batch()
            if self.outbox is None:
                self.outbox = Outbox()
            idle = self.outbox.size == 0
        except BaseException:
            os.close(fd)
            raise
        self.outbox.put_file(fd, offset, count)
        if idle:
            try:
                self.outbox.flush(self.sock)
            except (OSError, EOFError):
                self.gone = True
                raise ClientDisconnected from None
        if self.outbox.size:
            self._await_writable()
        return None

    def end_gathering(self) -> Any:
        """Send what was gathered, because what follows may take long, and gather no more for now.

        The owner, or the leader while the owner is in a call.
        """
        if self.batch is not None:
            self._flush_batch()

    @cython.cfunc
    def _gather(self, data: bytes) -> cython.bint:
        """Gather bytes for one send; return False if the leader has ended the gathering meanwhile."""
        self.acquire()
        try:
            if self.batch is None:
                return False
            self.batch.append(data)
            self.batch_size += len(data)
            if self.batch_size > BATCH:
                self._send_batch()
            return True
        finally:
            self.release()

    @cython.cfunc
    def _send(self, data: bytes) -> Any:
        rest: Any = data
        if self.outbox is None or self.outbox.size == 0:
            sent: cython.Py_ssize_t
            try:
                sent = transmit(self.sock, self.fd, data)
            except OSError:
                self.gone = True
                raise ClientDisconnected from None
            if sent == len(data):
                return None
            if sent > 0:
                rest = memoryview(data)[sent:]
        return self.put(rest)

    @cython.cfunc
    def _await_writable(self) -> Any:
        """Have the leader flush while the owner goes on."""
        self.acquire()
        if not self.interest & WRITABLE:
            self.deadline = clock() + self.service.deadlines.write
            self._listen_for(WRITABLE)
        self.release()

    @cython.cfunc
    def _send_batch(self) -> Any:
        self.acquire()
        try:
            batch = self.batch
            if batch:
                # Until these bytes are on their way the batch is not None: others come behind them.
                self.batch = []
                self.batch_size = 0
                self._send(b"".join(batch))
        finally:
            self.release()

    @cython.cfunc
    def _flush_batch(self) -> cython.bint:
        """End gathering; return False if the client is gone."""
        self.acquire()
        try:
            self._send_batch()
        except ClientDisconnected:
            return False
        finally:
            self.batch = None
            self.release()
        return True

    @cython.cfunc
    def _flush_outbox(self, now: cython.double) -> cython.bint:
        """Send from the outbox; return False if the connection is lost. The leader."""
        outbox: Any = self.outbox
        try:
            sent = outbox.flush(self.sock)
        except (OSError, EOFError):
            self._lost()
            return False
        if sent:
            deadlines = self.service.deadlines
            self.deadline = min(now + deadlines.write, self.deadline + sent / deadlines.minimum_rate)
        return True

    @cython.cfunc
    def _takes_more(self, now: cython.double) -> cython.bint:
        """Tell whether the client has taken something of its response, and has been given more time for that.

        The kernel says that a socket is writable when a third of its buffer is free. That may be more than a slow
        client takes within the deadline, although it reads all the time.
        """
        outbox: Any = self.outbox
        return outbox is not None and outbox.size != 0 and self._flush_outbox(now) and self.deadline > now

    @cython.cfunc
    def _listen_for(self, interest: cython.int) -> Any:
        if self.interest != interest and self.registered:
            self.interest = interest
            self.service.epoll.modify(self.fd, interest)

    @cython.cfunc
    def _lost(self) -> Any:
        """Note that nothing can be sent any more; the owner closes. The leader, with the lock where another owns."""
        self.gone = True
        if self.registered:
            self.registered = False
            self.service.epoll.unregister(self.fd)
        if self.outbox is not None:
            self.outbox.close()

    # For the leader, where an application does not return or a client does not read. The lock is held.

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
                self.sock.send(page)
        except OSError:
            pass
        self.answered = True
        self.cut(False)

    def cut(self, by_reset: bool) -> None:
        """End a response that will not become whole; the owner closes. The leader, with the lock held.

        by_reset: the client has something that it could take for the whole.
        """
        if by_reset:
            reset(self.sock)
        else:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self._lost()
