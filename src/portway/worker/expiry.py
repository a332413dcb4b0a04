"""What becomes of a request whose time in the application is over: the answer, the log, and RequestTimeout.

Two threads meet here. The leader expires the request, from its look at the deadlines, with the connection's lock held;
the request's thread is in the application, or just leaving it. RequestTimeout is raised by the interpreter in the
request's thread, at the next step of Python code there, after the leader has asked for it
(PyThreadState_SetAsyncExc). It must reach the application in this request and nothing else: not the next request of
the thread, and not the server's code. That is kept by three things.

1.  `seat.running` names the request that a thread has in the application. The thread clears it first thing when the
    call has returned, and only then looks for an Expiry. The leader does it the other way round: it sets the
    exchange's `expiry`, which is DECIDING, and then looks at `seat.running`. So either the leader sees that the call is
    over and raises nothing; or the thread sees DECIDING and waits for what the leader decides (`settle`).
    If it was raised and has not reached the thread yet, the thread takes it back. Afterwards nothing can come any more,
    because it is raised once. Nobody takes a lock, since an exception that comes right after a lock was taken leaves it
    taken for ever.
2.  `exchange.guarded` is set while the application's thread is in code of the server that must not be interrupted: it
    sends, and may hold locks that the leader needs. It is set before the thread looks for an Expiry, and the leader
    looks at it after DECIDING: the same order, the same reason. The leader then raises nothing, and tries again at its
    next look. So it does while the thread is in the logging module, whose locks everybody shares.
3.  Whatever is left of the server's code on the way out of the application (in the uncompiled form, parts of the
    gateway) holds no lock and ends in handlers of RequestTimeout: Exchange.run's and Loop's.

The GIL makes each load and store here one step, and their order the same for both threads.
"""

import ctypes
import logging
import time
from typing import Any

from portway.http.response import error_page
from portway.worker.replies import body_size
from portway.worker.stacks import is_in, stack_of
from portway.wsgi.sink import ClientDisconnected
from portway.wsgi.timeout import RequestTimeout

log = logging.getLogger("portway.error")

#: About RequestTimeout: the leader is at it; not raised, because that could not be; raised, arrived or not.
DECIDING, POSTPONED, RAISED = range(3)

#: Seconds between two looks of a thread that waits for the leader's decision, which takes microseconds.
_PAUSE = 0.0005

_set_async_exc = ctypes.pythonapi.PyThreadState_SetAsyncExc
_set_async_exc.argtypes = (ctypes.c_ulong, ctypes.py_object)
_set_async_exc.restype = ctypes.c_int


class Expiry:
    """The end of one request's time. Made by the leader; the request's thread calls `settle` and `stop_sending`.

    answered: the client gets 504; else its response had begun, and the connection is reset. The leader sets it.
    """

    def __init__(self, exchange: Any) -> None:
        self.answered = False
        self._exchange = exchange
        self._state = DECIDING

    # The leader, with the connection's lock held.

    def expire(self, now: float) -> bool:
        """Answer or cut off, log, ask for the worker's replacement, and `interrupt`."""
        try:
            self._give_up(now)
        finally:
            # Whatever happened: a thread may wait for it.
            done = self.interrupt()
        return done

    def _give_up(self, now: float) -> None:
        exchange = self._exchange
        connection = exchange.connection
        request = exchange.request
        service = connection.service
        stack = stack_of(exchange.seat.ident)
        if self.answered:
            page = error_page(504, False, service.date, service.server, request.method == "HEAD")
            connection.answer_late(page)
            exchange.log_unserved(504, body_size(page), exchange.started)
        else:
            connection.cut(True)
        took = now - exchange.started
        log.error(
            "%s %s of %s has had its time: %.3f s in the application, after %.3f s in the queue. %s. "
            "Its thread is here:\n%s",
            request.method,
            request.path,
            service.client_of(connection, request),
            took,
            exchange.started - exchange.ready,
            "The client was answered 504" if self.answered else "Its response had begun and was cut off",
            stack,
            extra={"lines": True},
        )
        if service.retire is not None:
            service.retire(f"{request.method} {request.path} took longer than its time ({took:.1f} s)")

    def interrupt(self) -> bool:
        """Raise RequestTimeout in the request's thread if that can be done now; return whether it was, at any time."""
        exchange = self._exchange
        seat = exchange.seat
        if self._state == RAISED:
            return True
        self._state = DECIDING
        try:
            # A new turn: the interpreter does not take the GIL away in the few microseconds of the next lines.
            time.sleep(0)
            if seat.running is exchange and not exchange.guarded and not is_in(seat.ident, "logging"):
                _set_async_exc(seat.ident, RequestTimeout)
                self._state = RAISED
        finally:
            if self._state == DECIDING:
                self._state = POSTPONED
        return self._state == RAISED

    # The request's thread.

    def settle(self) -> None:
        """Have no RequestTimeout come any more, once `seat.running` is cleared.

        Raises RequestTimeout if it arrives at this very moment, which settles it as well.
        """
        while self._state == DECIDING:
            time.sleep(_PAUSE)
        if self._state == RAISED:
            _set_async_exc(self._exchange.seat.ident, ctypes.py_object())

    def stop_sending(self) -> None:
        """Raise what tells the application that it talks to nobody: RequestTimeout if it is due, or else
        ClientDisconnected."""
        while self._state == DECIDING:
            time.sleep(_PAUSE)
        raise ClientDisconnected
