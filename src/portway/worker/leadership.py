"""Who leads: one leader among a worker's threads, followers that wait, and the queue of complete requests.

A worker has N application threads and one standby. Exactly one of them is the leader: it alone runs the readiness
loop. This module decides who that is, and nothing else: it reads no socket and calls no application.

Rules, each kept under one lock:

1.  Leadership changes in one step, and only from the leader of the moment to one other thread.
2.  An application thread is at each moment in one place only: leading, running an exchange, or in `idle`.
3.  The queue holds exchanges only while no application thread is idle, and threads take from its head: first come,
    first served.
4.  The idle application thread that ran last is woken first, because its caches and its database connection are warm.
5.  Of calls that are not marked as waiting, there are never more than N in the application. As long as a call is marked
    (`mark`), one more thread than N may be present, which means not parked. It is started when a request needs it, and
    its seat is extra. When the call ends, a thread is parked, an extra one if possible: it sleeps until it is needed
    again. An extra one ends when it has slept for long.

The standby is awake in two cases: it leads because every application thread is in the application, or it watches.
Watching means that it looks once a millisecond, without the GIL in the compiled form, whether the leader is still in
the application call that it was in a millisecond ago; if so, it takes the leadership. When nobody has called the
application for a while it stops looking, and the next call wakes it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

if cython.compiled:
    from cython.cimports.posix.unistd import usleep  # type: ignore[import-not-found]


# A call that takes longer than this has the leadership taken from it, and an application whose calls take longer on
#: the average hands it over before the call. Seconds.
SLOW_CALL = cython.declare(cython.double, 0.001)

# One very slow call says little about the next: its weight in the moving average is bounded. Seconds.
AVERAGE_CAP = cython.declare(cython.double, 0.010)

# The watch ends after so many looks at which no call was under way.
IDLE_LOOKS = cython.declare(cython.int, 50)


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return cython.compiled


@cython.final
@cython.cclass
class Seat:
    """The place of one thread in a worker: how it is woken, and what it is to do when it wakes.

    index: 0 to N-1 for application threads, N for the standby, above it for extra ones. marked: its call mostly waits.
    ident: the thread's, as threading.get_ident() gives it, once it runs. running: the exchange that it has in the
    application, or None.
    """

    def __init__(self, index: int, is_standby: bool, is_extra: bool = False) -> None:
        self.index = index
        self.is_standby = is_standby
        self.is_extra = is_extra
        self.marked = False
        self.ident: Any = None
        self.running: Any = None
        self._exchange: Any = None
        self._wake = threading.Lock()
        self._wake.acquire()

    def wake(self) -> None:
        """Let the thread of this seat go on; any thread may call it, once for each `wait`."""
        self._wake.release()

    def wait(self) -> None:
        """Block the thread of this seat until `wake`."""
        self._wake.acquire()

    def wait_for(self, seconds: float) -> bool:
        """Wait until `wake`, but not longer than so many seconds; return False when they are over."""
        return self._wake.acquire(timeout=seconds)

    def take(self) -> Any:
        """Return the exchange that was given to this seat, at most once; None if there is none."""
        exchange = self._exchange
        self._exchange = None
        return exchange

    def give(self, exchange: Any) -> None:
        """Leave an exchange for the thread of this seat, before waking it."""
        self._exchange = exchange


@cython.final
@cython.cclass
class Leadership:
    """The leader, the idle followers and the queue of one worker.

    leader: the Seat that leads. standby: the standby's. stopping: every thread is to end. max_queue: requests that may
    wait. average: moving average of the time that the application takes for a call, in seconds.
    publish: is told, with every change, how many application threads have nothing to do.
    max_extra: threads that there may be beyond N, for calls that are marked. start: starts the thread of an extra seat,
    and returns False if it cannot.
    """

    def __init__(
        self,
        standby: Seat,
        max_queue: int,
        publish: Callable[[int], None],
        max_extra: int = 0,
        start: Callable[[Seat], bool] | None = None,
    ) -> None:
        self.leader: Any = None
        self.standby = standby
        self.stopping = False
        self.max_queue = max_queue
        self._tell = publish
        self.average = 0.0
        lock = threading.Lock()
        self._acquire = lock.acquire
        self._release = lock.release
        self._idle: list[Seat] = []
        self._queue: deque[Any] = deque()
        # Odd while the leader is in the application; changed by the leader, or by who takes the leadership from it.
        self._call = 0
        self._watch_parked = False
        self._threads: int = standby.index
        # Threads that are not parked, calls that are marked.
        self._present: int = standby.index
        self._marked: int = 0
        self._max_extra = max_extra
        self._start = start
        # Those from the start before the extra ones.
        self._parked: list[Seat] = []
        # Extra seats whose threads have ended, and how many extra seats there are.
        self._spare: list[Seat] = []
        self._extra: int = 0

    # What is so at the moment.

    def leads(self, seat: Seat) -> cython.bint:
        """Tell whether this seat leads. A leader may rely on True until it enters a call; others get a hint."""
        return self.leader is seat

    def free_threads(self) -> cython.int:
        """Count the application threads that would run a request at once: the idle ones, and one that leads."""
        return len(self._idle) + (self.leader is not self.standby)

    def queue_length(self) -> int:
        """Count the complete requests that wait for an application thread."""
        return len(self._queue)

    def expects_slow_call(self) -> cython.bint:
        """Tell whether the next call of the application is likely to be slow."""
        return self.average > SLOW_CALL

    def note_call_time(self, seconds: cython.double) -> cython.void:
        """Add one call's duration to the moving average."""
        if seconds > AVERAGE_CAP:
            seconds = AVERAGE_CAP
        self.average += 0.1 * (seconds - self.average)

    # For the leader.

    def enter_call(self) -> cython.void:
        """Say that the leader goes into the application and keeps the leadership until it is taken."""
        self._call += 1
        if self._watch_parked:
            self._unpark()

    def leave_call(self, seat: Seat) -> cython.bint:
        """Say that the thread is back from the application; return whether it still leads.

        The look at the leader and the change of the count are one step: in the compiled form because nothing between
        them runs Python code or gives the GIL away, in the other form by the lock.
        """
        if not cython.compiled:
            self._acquire()
        leads: cython.bint = self.leader is seat
        if leads:
            self._call += 1
        if not cython.compiled:
            self._release()
        return leads

    def hand_over(self, seat: Seat) -> None:
        """Pass the leadership from this seat to an idle application thread, or else to the standby.

        The caller goes on as an application thread that is busy. Does nothing if the seat does not lead.
        """
        self._acquire()
        if self.leader is seat:
            if self._call & 1:
                self._call += 1
            self._succeed()
        self._release()

    def offer(self, exchange: Any) -> bool:
        """Standby only: find an application thread for a complete request.

        Returns True if the standby must stop leading: the thread that got the exchange got the leadership with it,
        which is the cheaper way where the application answers fast. Otherwise the exchange was given to an idle thread
        or put at the end of the queue, and the standby leads on.
        """
        handed = False
        hired: Any = None
        self._acquire()
        if self._idle:
            seat = self._idle.pop()
            seat.give(exchange)
            if self.average <= SLOW_CALL:
                self.leader = seat
                handed = True
            self._publish()
            seat.wake()
        else:
            self._queue.append(exchange)
            if self._marked:
                hired = self._admit()
        self._release()
        if hired is not None:
            self._hire(hired)
        return handed

    def queue_is_full(self) -> cython.bint:
        """Tell whether a further request would have to be refused: nobody is free and the queue has its length."""
        return not self._idle and len(self._queue) >= self.max_queue

    def requeue(self, exchange: Any) -> None:
        """Put a request at the end of the queue: its connection had its turn and others wait."""
        self._acquire()
        self._queue.append(exchange)
        self._release()

    def take_overdue(self, before: float) -> list[Any]:
        """Take those from the queue that became ready before a time; whoever calls answers them."""
        overdue = []
        self._acquire()
        while self._queue and self._queue[0].ready < before:
            overdue.append(self._queue.popleft())
        self._release()
        return overdue

    def withdraw(self, exchange: Any) -> bool:
        """Take one request from the queue; False if it is not there (any more)."""
        self._acquire()
        try:
            self._queue.remove(exchange)
        except ValueError:
            return False
        finally:
            self._release()
        return True

    def waiting_since(self, before: float, at_most: int) -> list[Any]:
        """Return those in the queue, longest first, that became ready before a time; they stay in the queue."""
        self._acquire()
        found = [exchange for exchange in islice(self._queue, at_most) if exchange.ready < before]
        self._release()
        return found

    def put_back(self, exchange: Any) -> None:
        """Put a request that was withdrawn at the head of the queue, or give it to a thread that is idle by now."""
        self._acquire()
        if self._idle:
            seat = self._idle.pop()
            seat.give(exchange)
            self._publish()
            seat.wake()
        else:
            self._queue.appendleft(exchange)
        self._release()

    # For threads.

    def next_exchange(self, seat: Seat) -> Any:
        """Application threads, when done with an exchange and not leading: return the next to run.

        None means that there is none: the seat has become idle or is parked, and its thread must `wait` on it.
        """
        self._acquire()
        if self.stopping or (
            (seat.marked or seat.is_extra or self._present > self._threads) and self._step_back(seat)
        ):
            exchange = None
        elif self._queue:
            exchange = self._queue.popleft()
        else:
            exchange = None
            self._idle.append(seat)
            self._publish()
        self._release()
        return exchange

    def take_first(self, seat: Seat) -> bool:
        """Become the first leader if there is none yet; return whether this seat is it."""
        self._acquire()
        first: cython.bint = self.leader is None
        if first:
            self.leader = seat
            self._publish()
        self._release()
        return first

    def stop(self, wake: Callable[[], None]) -> None:
        """Tell every thread to end once it is out of the application; `wake` interrupts the readiness loop."""
        self._acquire()
        self.stopping = True
        for seat in (*self._idle, *self._parked):
            seat.wake()
        self._idle.clear()
        self._parked.clear()
        if self.leader is not self.standby:
            self._wake_watch()
        self._release()
        wake()

    def _succeed(self) -> None:
        """Choose the next leader and wake it; the lock is held."""
        if self._idle:
            seat = self._idle.pop()
            self.leader = seat
            seat.wake()
        else:
            self.leader = self.standby
            self._wake_watch()
        self._publish()

    def _publish(self) -> None:
        self._tell(len(self._idle) + (self.leader is not self.standby))

    def _wake_watch(self) -> None:
        """Wake the standby where it waits; where it watches it sees for itself. The lock is held."""
        if self._watch_parked:
            self._watch_parked = False
            self.standby.wake()

    def _unpark(self) -> None:
        self._acquire()
        self._wake_watch()
        self._release()

    # For calls that wait.

    def mark(self, seat: Seat) -> bool:
        """Say that the call that the seat's thread is in mostly waits, so that another one may run beside it.

        Returns False if there are as many extra threads as there may be. The thread itself calls it.
        """
        hired: Any = None
        self._acquire()
        if not seat.marked and self._max_extra and not self.stopping:
            seat.marked = True
            self._marked += 1
            if self.leader is seat:
                # Nobody need wait until the watch sees that the call is slow.
                if self._call & 1:
                    self._call += 1
                self._succeed()
            if self._queue:
                hired = self._admit()
        granted: bool = seat.marked and self._marked <= self._max_extra
        self._release()
        if hired is not None:
            self._hire(hired)
        return granted

    def retire(self, seat: Seat) -> bool:
        """Extra threads, when they have slept for long: return whether the thread is to end. If not, it sleeps on."""
        self._acquire()
        parked: cython.bint = seat in self._parked
        if parked:
            self._parked.remove(seat)
            self._spare.append(seat)
        self._release()
        return parked

    def _allowed(self) -> int:
        """Return how many threads may be present."""
        return self._threads + min(self._marked, self._max_extra)

    def _admit(self) -> Any:
        """Let one more thread in, if marked calls allow it; the lock is held.

        Returns a seat whose thread is to be started when the lock is released, or None.
        """
        if self._present >= self._allowed():
            return None
        self._present += 1
        if self._parked:
            self._parked.pop(0).wake()
            return None
        if self._spare:
            return self._spare.pop()
        self._extra += 1
        return Seat(self._threads + self._extra, False, True)

    def _hire(self, seat: Seat) -> None:
        if self._start is None or not self._start(seat):
            self._acquire()
            self._present -= 1
            self._spare.append(seat)
            self._release()

    def _step_back(self, seat: Seat) -> bool:
        """End the mark of a seat whose call is over, and see that not too many threads are present; the lock is held.

        Returns True if the seat is parked now.
        """
        if seat.marked:
            seat.marked = False
            self._marked -= 1
        if self._present <= self._allowed():
            if not seat.is_extra or not self._parked or self._parked[0].is_extra:
                return False
            # A thread that was there from the start takes the place of this one.
            self._parked.pop(0).wake()
            self._parked.append(seat)
        else:
            self._present -= 1
            if not seat.is_extra:
                for other in self._idle:
                    if other.is_extra:
                        # It sleeps, and sleeps on.
                        self._idle.remove(other)
                        self._parked.append(other)
                        self._publish()
                        return False
                self._parked.insert(0, seat)
            else:
                self._parked.append(seat)
        if self._queue and self._idle:
            # What this thread had put there, in the belief that it would take it out again.
            other = self._idle.pop()
            other.give(self._queue.popleft())
            self._publish()
            other.wake()
        return True

    # For the standby.

    def watch(self) -> None:
        """Standby only: return when it leads or the worker stops. Takes the leadership from a slow call."""
        seat = self.standby
        seen: cython.ulong = 0
        idle: cython.int = 0
        while True:
            if self.leader is seat or self.stopping:
                return
            seen = self._call
            self._pause()
            if not seen & 1:
                idle += 1
                if idle > IDLE_LOOKS:
                    idle = 0
                    self._park(seen)
                continue
            idle = 0
            if seen != self._call:
                continue
            self._acquire()
            if seen == self._call and self.leader is not seat and not self.stopping:
                self._call += 1
                self.leader = seat
                self._publish()
            self._release()

    def _pause(self) -> None:
        if cython.compiled:
            with cython.nogil:
                usleep(1000)
        else:
            time.sleep(SLOW_CALL)

    def _park(self, seen: cython.ulong) -> None:
        """Wait until a leader enters a call, unless one has done so since `seen`.

        First the flag, then the look: `enter_call` counts first and then looks at the flag, so one of the two sees the
        other, and no call goes unwatched.
        """
        self._acquire()
        self._watch_parked = True
        if seen == self._call and self.leader is not self.standby and not self.stopping:
            self._release()
            self.standby.wait()
        else:
            self._watch_parked = False
            self._release()
