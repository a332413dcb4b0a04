"""The readiness loop of a worker: epoll, the connections, the clock, and whose turn it is.

One Loop per worker. Its `lead` is run by one thread at a time, the leader (worker.leadership); `serve` by application
threads; `wake` by any thread. It knows no HTTP: what bytes mean is the Connection's matter.

A leader that gets a complete request runs the application itself, without a queue, a wake-up or a second thread,
unless calls have been slow: then it hands the leadership over before the call. Where the leader is the standby, which
never runs the application, the request goes to a thread that is free, or into the queue.
"""

import logging
import os
import select
from collections import deque
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from portway.wsgi.timeout import RequestTimeout

if cython.compiled:
    from cython.cimports.portway.net.system import Poller, clock, give_way
    from cython.cimports.portway.worker.connection import Connection
    from cython.cimports.portway.worker.exchange import Exchange
    from cython.cimports.portway.worker.leadership import Seat
    from cython.cimports.portway.worker.service import Service
else:
    from portway.net.system import Poller, clock, give_way
    from portway.worker.connection import Connection
    from portway.worker.exchange import Exchange
    from portway.worker.leadership import Seat
    from portway.worker.service import Service

log = logging.getLogger("portway.error")

# Events taken from the kernel at once.
EVENTS = cython.declare(cython.int, 64)
# Seconds between two looks at the deadlines of all connections, where nothing needs more.
SWEEP = cython.declare(cython.double, 0.25)
# Seconds between two looks whether another worker has a thread for the requests that wait here.
LOOK = cython.declare(cython.double, 0.005)
# Seconds that the loop sleeps at most: a worker that is well beats at least this often.
BEAT = cython.declare(cython.double, 1.0)
# Requests that a thread answers in a row for one connection before others have their turn.
TURN = cython.declare(cython.int, 16)


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return bool(cython.compiled)


@cython.final
@cython.cclass
class Loop:
    """The loop that serves a worker's connections.

    service: what the connections share. acceptor: portway.worker.acceptor.Acceptor, set before the loop runs.
    slow: portway.worker.slow.SlowRequests, or None. sweep: seconds between two looks at the deadlines of all
    connections; a deadline is kept to within this.
    """

    def __init__(self, service: Service, poller: Poller, thread_slots: list[Any], wake_fd: int) -> None:
        self.service = service
        self.leadership = service.leadership
        self.acceptor: Any = None
        self.slow: Any = None
        self.sweep: float = SWEEP
        self._poller = poller
        self._thread_slots = thread_slots
        # Descriptors that are neither connections nor listeners: fd -> function of the time.
        self._watched: dict[int, Any] = {}
        self._wake_fd = wake_fd
        # Complete requests that run in the next round.
        self._resumed: deque[Any] = deque()
        # The request in whose call the leader is.
        self._called: Exchange | None = None
        self._next_sweep: float = 0.0
        self._passing: Any = None
        # Another worker is to take what was passed: this one does not look for a moment.
        self._passing_paused: bool = False
        # When the requests that wait are looked at next, whether another worker has a thread for them.
        self._next_look: float = 0.0
        # Asked once in each round of a draining worker; True ends the loop.
        self._is_over: Any = None
        service.tell_time(clock())

    # For the worker.

    def watch(self, fd: int, on_ready: Any) -> None:
        """Call `on_ready(now)` on the leader whenever the descriptor is readable or hung up."""
        self._watched[fd] = on_ready
        self._poller.epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """End `watch`."""
        del self._watched[fd]
        self._poller.epoll.unregister(fd)

    def wake(self) -> None:
        """Interrupt the leader's sleep. Any thread."""
        try:
            os.write(self._wake_fd, b"\0")
        except BlockingIOError:
            pass  # It is full of wake-ups already.

    def share(self, passing: Any) -> None:
        """Give connections to other workers, and take theirs: portway.worker.passing.Passing."""
        self._passing = passing
        self.watch(passing.fd, self._on_passed)

    def _on_passed(self, now: float) -> None:
        self._passing_paused = not self._passing.on_event(now, self._resumed)

    def drain(self, is_over: Any) -> None:
        """Stop accepting and end kept-alive connections; `is_over(now)` is asked in each round. The leader."""
        now: cython.double = clock()
        if self._passing is not None:
            # From here on it only gives: what waits for threads that do not come back need not wait for the end.
            self.unwatch(self._passing.fd)
            self._passing.take(now, self._resumed)
            self._passing_paused = False
        self.service.leaving = self.service.draining = True
        self._is_over = is_over
        self.acceptor.drain(now)
        for connection in list(self.service.connections.values()):
            exchange = connection.begin_drain(now)
            if exchange is not None:
                self._resumed.append(exchange)
        self._next_sweep = 0.0

    # Leading.

    def lead(self, seat: Seat) -> Any:
        """Run the loop on the calling thread until it no longer leads or the worker stops."""
        leadership = self.leadership
        poller = self._poller
        connections = self.service.connections
        index: cython.int
        if self._called is not None:
            # The leader before was in a call that turned out slow, and answers may be waiting to be sent with this one.
            called: Exchange = self._called
            self._called = None
            called.release_gathered()
        while leadership.leader is seat:
            if leadership.stopping:
                return
            # A leader that is likely to lose the leadership over the first request takes no more than that from the
            # kernel; the rest is there for the next leader.
            wanted: cython.int = 1 if leadership.expects_slow_call() and not seat.is_standby else EVENTS
            count: cython.int = poller.wait(self._sleep_at_most(), wanted)
            now: cython.double = clock()
            self._tick(now)
            for index in range(count):
                fd = poller.fd_at(index)
                found = connections.get(fd)
                if found is not None:
                    connection: Connection = found
                    try:
                        exchange = connection.on_event(poller.events_at(index), now)
                    except Exception:  # noqa: BLE001 - one connection's trouble must not be everybody's
                        self._give_up(connection)
                        continue
                    if exchange is not None:
                        self.dispatch(seat, exchange)
                        if leadership.leader is not seat:
                            return
                elif fd in self._watched:
                    self._watched[fd](now)
                    if leadership.stopping:
                        return
                elif fd in self.acceptor.sites:
                    self.acceptor.on_event(fd, now)
            while self._resumed:
                self.dispatch(seat, self._resumed.popleft())
                if leadership.leader is not seat:
                    return
            if self.service.draining and self._is_over(now):
                return

    @cython.cfunc
    def _sleep_at_most(self) -> cython.double:
        if self._resumed:
            return 0.0
        limit: cython.double = self.sweep if self.service.connections else BEAT
        if (
            self._passing is not None
            and self.leadership.leader is self.leadership.standby
            and self.leadership.queue_length()
        ) or self._passing_paused:
            limit = LOOK
        if self.service.accept_paused:
            pause: cython.double = self.acceptor.wait_at_most(clock())
            if pause < limit:
                limit = pause
        return limit

    @cython.cfunc
    def _tick(self, now: cython.double) -> Any:
        """Do what is due at this time of the clock."""
        self.service.tell_time(now)
        if now >= self._next_sweep:
            self._next_sweep = now + self.sweep
            self.service.slot.beat(cython.cast(cython.longlong, now * 1e9))
            self.service.slot.set_load(len(self.service.connections), self.leadership.queue_length())
            connection: Connection
            for connection in list(self.service.connections.values()):
                if 0.0 < connection.deadline < now:
                    exchange = connection.on_deadline(now)
                    if exchange is not None:
                        self._resumed.append(exchange)
            self.service.overload.sweep(now)
            if self.slow is not None:
                self.slow.look(now)
        if now >= self._next_look and self._passing is not None:
            self._next_look = now + LOOK
            if self._passing_paused:
                self._passing_paused = False
                self._passing.resume()
            if self.leadership.leader is self.leadership.standby:
                self._passing.give_waiting(now)
            if self.service.draining:
                self._passing.take_back(now, self._resumed)
        if self.service.accept_paused:
            self.acceptor.tick(now)

    # Running the application.

    def dispatch(self, seat: Seat, exchange: Any) -> Any:
        """Have a complete request run: here, on another thread, or later. The leader."""
        leadership = self.leadership
        if seat.is_standby:
            if leadership.queue_is_full():
                exchange = self.service.overload.refuse(exchange, clock())
            if exchange is not None:
                exchange.connection.end_gathering()
                leadership.offer(exchange)
            return
        if leadership.expects_slow_call():
            leadership.hand_over(seat)
            self.serve(seat, exchange)
            return
        turn: cython.int = 0
        while exchange is not None:
            turn += 1
            if turn > TURN:
                exchange.connection.end_gathering()
                self._resumed.append(exchange)
                return
            self._called = exchange
            leadership.enter_call()
            good: cython.bint = self._run(exchange, seat)
            leads: cython.bint = leadership.leave_call(seat)
            if leads:
                self._called = None
            exchange = self._finish(exchange, leads) if good else None
            if not leads:
                if exchange is not None:
                    self.serve(seat, exchange)
                return

    def serve(self, seat: Seat, exchange: Any) -> Any:
        """Run a complete request, and those behind it on its connection. An application thread that does not lead."""
        turn: cython.int = 0
        while exchange is not None:
            turn += 1
            # A leader takes answers together that come at once; here others have become slow.
            exchange.connection.end_gathering()
            if seat.marked or (turn > TURN and self.leadership.queue_length()):
                self.leadership.requeue(exchange)
                return
            exchange = self._finish(exchange, False) if self._run(exchange, seat) else None
            # Between two requests is a better moment than in the middle of one, where the interpreter would take the
            # GIL away, and the compiled form has not given it away in any of this.
            give_way()

    @cython.cfunc
    def _run(self, exchange: Any, seat: Seat) -> cython.bint:
        """Run a request; return False if the server itself failed in it, and the connection was closed."""
        request: Exchange = exchange
        try:
            request.run(seat, self._thread_slots[seat.index])
        except RequestTimeout:
            # It came where the application was just being called, or had just returned.
            request.break_off(self._thread_slots[seat.index])
        except Exception:  # noqa: BLE001 - one connection's trouble must not be everybody's
            request.break_off(self._thread_slots[seat.index])
            self._give_up(request.connection)
            return False
        return True

    @cython.cfunc
    def _finish(self, exchange: Any, is_leader: cython.bint) -> Any:
        request: Exchange = exchange
        try:
            return request.finish(is_leader)
        except Exception:  # noqa: BLE001 - one connection's trouble must not be everybody's
            self._give_up(request.connection)
            return None

    def _give_up(self, connection: Any) -> None:
        """Close a connection in whose handling the server itself failed; the others are not to notice."""
        log.exception(
            "Portway failed in the handling of %r and closes the connection; please report this", connection
        )
        connection.close(True)
