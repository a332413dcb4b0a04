"""The readiness loop of a worker: epoll, the connections, the clock, and whose turn it is.

One Loop per worker. Its `lead` is run by one thread at a time, the leader (worker.leadership); `serve` by application
threads; `wake`, `next_request_id` and `forget` by any thread. It knows no HTTP: what bytes mean is the Connection's matter.

A leader that gets a complete request runs the application itself, without a queue, a wake-up or a second thread,
unless calls have been slow: then it hands the leadership over before the call. Where the leader is the standby, which
never runs the application, the request goes to a thread that is free, or into the queue.
"""

import logging
import os
import select
from collections import deque
from time import monotonic, time
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from portway.http.date import format_date

log = logging.getLogger("portway.error")

# Events taken from the kernel at once.
EVENTS = cython.declare(cython.int, 64)
# Seconds between two looks at the deadlines of all connections; a deadline is kept to within this.
SWEEP = cython.declare(cython.double, 0.25)
# Seconds that the loop sleeps at most: a worker that is well beats at least this often.
BEAT = cython.declare(cython.double, 1.0)
# Requests that a thread answers in a row for one connection before others have their turn.
TURN = cython.declare(cython.int, 16)


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return cython.compiled


@cython.cclass
class Loop:
    """What the connections of a worker share, and the loop that serves them."""

    epoll = cython.declare(object, visibility="readonly")
    connections = cython.declare(dict, visibility="readonly")
    leadership = cython.declare(object, visibility="readonly")
    limits = cython.declare(object, visibility="readonly")
    deadlines = cython.declare(object, visibility="readonly")
    #: portway.wsgi.environ.EnvironBuilder and portway.wsgi.gateway.Gateway.
    environ = cython.declare(object, visibility="readonly")
    gateway = cython.declare(object, visibility="readonly")
    #: portway.worker.local.LocalAnswers, or None where nothing is answered here.
    local = cython.declare(object, visibility="public")
    access_log = cython.declare(object, visibility="public")
    #: The value of the Server field, and of the Date field of this second.
    server = cython.declare(bytes, visibility="readonly")
    date = cython.declare(bytes, visibility="readonly")
    body_memory = cython.declare(object, visibility="readonly")
    body_directory = cython.declare(object, visibility="readonly")
    #: The worker has been told to stop: no response keeps its connection alive any more.
    draining = cython.declare(cython.bint, visibility="readonly")
    acceptor = cython.declare(object, visibility="public")
    slot: Any
    thread_slots: list
    # Descriptors that are neither connections nor listeners: fd -> function of the time.
    watched: dict
    wake_fd: cython.int
    resumed: Any
    request_id: cython.longlong
    second: cython.longlong
    next_sweep: cython.double
    next_overload_line: cython.double
    # Called once in each round of a draining worker; True ends the loop.
    is_over: Any

    def __init__(
        self,
        leadership: Any,
        environ: Any,
        gateway: Any,
        limits: Any,
        deadlines: Any,
        slot: Any,
        thread_slots: list,
        server: bytes,
        body_memory: Any,
        body_directory: Any,
        wake_fd: int,
    ) -> None:
        self.epoll = select.epoll()
        self.connections = {}
        self.leadership = leadership
        self.environ = environ
        self.gateway = gateway
        self.limits = limits
        self.deadlines = deadlines
        self.local = None
        self.access_log = None
        self.server = server
        self.body_memory = body_memory
        self.body_directory = body_directory
        self.draining = False
        self.acceptor = None
        self.slot = slot
        self.thread_slots = thread_slots
        self.watched = {}
        self.wake_fd = wake_fd
        self.resumed = deque()
        self.request_id = 0
        self.second = 0
        self.next_sweep = 0.0
        self.next_overload_line = 0.0
        self.is_over = None
        self._tell_time()

    # For the connections.

    def add(self, connection: Any) -> None:
        """Take a new connection. The leader."""
        self.connections[connection.fd] = connection

    def forget(self, connection: Any) -> None:
        """Drop a connection that is about to be closed. Its owner, on any thread."""
        if self.connections.get(connection.fd) is connection:
            del self.connections[connection.fd]

    def resume(self, exchange: Any) -> None:
        """Run a complete request in the next round. The leader."""
        self.resumed.append(exchange)

    def next_request_id(self) -> int:
        """Number a request; numbers may be skipped, never used twice by one thread."""
        self.request_id += 1
        return self.request_id

    def count_accepted(self) -> None:
        """Count an accepted connection. The leader."""
        self.slot.add_accepted(1)

    def count_answer(self, status: cython.int, bytes_sent: cython.longlong) -> None:
        """Count an answer that was given without the application. The owner of the connection."""
        if status >= 400:
            self.slot.add_refused()
        else:
            self.slot.add_file(bytes_sent)

    # For the worker.

    def watch(self, fd: int, on_ready: Any) -> None:
        """Call `on_ready(now)` on the leader whenever the descriptor is readable or hung up."""
        self.watched[fd] = on_ready
        self.epoll.register(fd, select.EPOLLIN)

    def unwatch(self, fd: int) -> None:
        """End `watch`."""
        del self.watched[fd]
        self.epoll.unregister(fd)

    def wake(self) -> None:
        """Interrupt the leader's sleep. Any thread."""
        try:
            os.write(self.wake_fd, b"\0")
        except BlockingIOError:
            pass  # It is full of wake-ups already.

    def drain(self, is_over: Any) -> None:
        """Stop accepting and end kept-alive connections; `is_over(now)` is asked in each round. The leader."""
        self.draining = True
        self.is_over = is_over
        now: cython.double = monotonic()
        self.acceptor.drain(now)
        for connection in list(self.connections.values()):
            connection.begin_drain(now)
        self.next_sweep = 0.0

    # Leading.

    def lead(self, seat: Any) -> None:
        """Run the loop on the calling thread until it no longer leads or the worker stops."""
        leadership = self.leadership
        poll = self.epoll.poll
        connections = self.connections
        while leadership.leader is seat:
            if leadership.stopping:
                return
            # A leader that is likely to lose the leadership over the first request takes no more than that from the
            # kernel; the rest is there for the next leader.
            wanted = 1 if leadership.expects_slow_call() and not seat.is_standby else EVENTS
            events = poll(self._sleep_at_most(), wanted)
            now: cython.double = monotonic()
            self._tick(now)
            for fd, event in events:
                connection = connections.get(fd)
                if connection is not None:
                    try:
                        exchange = connection.on_event(event, now)
                    except Exception:
                        self._give_up(connection)
                        continue
                    if exchange is not None:
                        self.dispatch(seat, exchange)
                        if leadership.leader is not seat:
                            return
                elif fd in self.watched:
                    self.watched[fd](now)
                    if leadership.stopping:
                        return
                elif fd in self.acceptor.sites:
                    self.acceptor.on_event(fd, now)
            while self.resumed:
                self.dispatch(seat, self.resumed.popleft())
                if leadership.leader is not seat:
                    return
            if self.draining and self.is_over(now):
                return

    def _sleep_at_most(self) -> float:
        if self.resumed:
            return 0.0
        limit: cython.double = SWEEP if self.connections else BEAT
        if self.acceptor.paused:
            pause: cython.double = self.acceptor.wait_at_most(monotonic())
            if pause < limit:
                limit = pause
        return limit

    def _tick(self, now: cython.double) -> None:
        """Do what is due at this time of the clock."""
        if now >= self.next_sweep:
            self.next_sweep = now + SWEEP
            self.slot.beat(cython.cast(cython.longlong, now * 1e9))
            self.slot.set_load(len(self.connections), self.leadership.queue_length())
            for connection in list(self.connections.values()):
                deadline: cython.double = connection.deadline
                if 0.0 < deadline < now:
                    connection.on_deadline(now)
        if self.acceptor.paused:
            self.acceptor.tick(now)
        self._tell_time()

    def _tell_time(self) -> None:
        second: cython.longlong = cython.cast(cython.longlong, time())
        if second != self.second:
            self.second = second
            self.date = format_date(second)

    # Running the application.

    def dispatch(self, seat: Any, exchange: Any) -> None:
        """Have a complete request run: here, on another thread, or later. The leader."""
        leadership = self.leadership
        if seat.is_standby:
            while exchange is not None and leadership.queue_is_full():
                now: cython.double = monotonic()
                self._say_overloaded(now)
                exchange = exchange.refuse(503, now)
            if exchange is not None:
                leadership.offer(exchange)
            return
        if leadership.expects_slow_call():
            leadership.hand_over(seat)
            self.serve(seat, exchange)
            return
        slot = self.thread_slots[seat.index]
        turn: cython.int = 0
        while exchange is not None:
            turn += 1
            if turn > TURN:
                self.resumed.append(exchange)
                return
            leadership.enter_call()
            exchange = self._run(exchange, seat, slot)
            if not leadership.leave_call(seat):
                if exchange is not None:
                    self.serve(seat, exchange)
                return

    def _say_overloaded(self, now: cython.double) -> None:
        """Log that requests are refused because the queue is full, at most once a minute."""
        if now >= self.next_overload_line:
            self.next_overload_line = now + 60.0
            log.warning(
                "Every thread is busy and %d requests wait (max_queue): further ones are answered 503.",
                self.leadership.queue_length(),
            )

    def serve(self, seat: Any, exchange: Any) -> None:
        """Run a complete request, and those behind it on its connection. An application thread that does not lead."""
        slot = self.thread_slots[seat.index]
        turn: cython.int = 0
        while exchange is not None:
            turn += 1
            if turn > TURN and self.leadership.queue_length():
                self.leadership.requeue(exchange)
                return
            exchange = self._run(exchange, seat, slot)

    def _run(self, exchange: Any, seat: Any, slot: Any) -> Any:
        try:
            return exchange.run(seat, slot)
        except Exception:
            self._give_up(exchange.connection)
            return None

    def _give_up(self, connection: Any) -> None:
        """Close a connection in whose handling the server itself failed; the others are not to notice."""
        log.exception("Portway failed in the handling of %r and closes the connection; please report this", connection)
        connection.close(True)
