"""The scoreboard: one anonymous shared mapping with a slot for each worker and for each of its threads.

The supervisor makes it before the first fork, so that it and every worker see the same memory; there is no
file and no lock. Every word is 64 bits wide, aligned, and has one writer at a time: the leader of a worker
writes the worker's words, a thread writes its own, the supervisor writes the header and clears the slot of a
worker that has ended. A reader may therefore see the words of one slot from slightly different moments, but
never half a word. The method and path of the current request are bytes, not words: a reader may see them
change.

Counters only grow. When a worker has ended, `retire` adds its counters to the totals in the header and clears
its slot, so the sums in a `Snapshot` do not fall when workers are replaced.

Writing costs a few nanoseconds in the compiled form. Times are nanoseconds of the monotonic clock, which all
processes of a machine share; the clock itself is the caller's.
"""

import mmap
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

# A slot is retired in microseconds; where the supervisor itself died while doing so, nobody ever ends it.
_SNAPSHOT_TRIES = 1000

#: Bytes kept of the current request's method and path; longer ones are cut.
METHOD_BYTES = 16
PATH_BYTES = 176

# Words of the header.
_HIGH = cython.declare(cython.Py_ssize_t, 0)
_FOLDING = cython.declare(cython.Py_ssize_t, 1)
_TOTALS = cython.declare(cython.Py_ssize_t, 8)
_HEADER_WORDS = cython.declare(cython.Py_ssize_t, 64)

# Nanoseconds without a beat after which a worker is not counted on; they beat at least once a second.
_SILENT = cython.declare(cython.longlong, 3_000_000_000)

# Words of a worker. From _ACCEPTED on they are counters, in the order of `Totals`.
_PID = cython.declare(cython.Py_ssize_t, 0)
_GENERATION = cython.declare(cython.Py_ssize_t, 1)
_STATE = cython.declare(cython.Py_ssize_t, 2)
_THREADS = cython.declare(cython.Py_ssize_t, 3)
_STARTED = cython.declare(cython.Py_ssize_t, 4)
_HEARTBEAT = cython.declare(cython.Py_ssize_t, 5)
_CONNECTIONS = cython.declare(cython.Py_ssize_t, 6)
_QUEUE = cython.declare(cython.Py_ssize_t, 7)
# On a cache line of its own with the counters that change as often.
_FREE_THREADS = cython.declare(cython.Py_ssize_t, 8)
_ACCEPTED = cython.declare(cython.Py_ssize_t, 16)
_FILES = cython.declare(cython.Py_ssize_t, 17)
_REFUSED = cython.declare(cython.Py_ssize_t, 18)
_LEADER_BYTES = cython.declare(cython.Py_ssize_t, 19)
_WORKER_COUNTERS = cython.declare(cython.Py_ssize_t, 4)
_WORKER_WORDS = cython.declare(cython.Py_ssize_t, 24)

# Words of a thread. From _REQUESTS on they are counters.
_THREAD_STATE = cython.declare(cython.Py_ssize_t, 0)
_REQUEST_ID = cython.declare(cython.Py_ssize_t, 1)
_REQUEST_START = cython.declare(cython.Py_ssize_t, 2)
_TEXT_LENGTHS = cython.declare(cython.Py_ssize_t, 3)
_REQUESTS = cython.declare(cython.Py_ssize_t, 4)
_ERRORS = cython.declare(cython.Py_ssize_t, 5)
_THREAD_BYTES = cython.declare(cython.Py_ssize_t, 6)
_BUSY = cython.declare(cython.Py_ssize_t, 7)
_THREAD_COUNTERS = cython.declare(cython.Py_ssize_t, 4)
_THREAD_WORDS = cython.declare(cython.Py_ssize_t, 32)
# The text area begins after eight words and has METHOD_BYTES and then PATH_BYTES.
_TEXT_WORDS = cython.declare(cython.Py_ssize_t, 8)


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return bool(cython.compiled)


class WorkerState(IntEnum):
    """What a worker is doing, as it says itself."""

    FREE = 0  #: nobody has the slot
    STARTING = 1  #: forked, not yet accepting
    READY = 2  #: accepting
    DRAINING = 3  #: no longer accepting, finishing what it has


class ThreadState(IntEnum):
    """What a thread of a worker is doing."""

    IDLE = 0  #: leading or waiting
    APPLICATION = 1  #: in the application, with a request


@cython.final
@cython.cclass
class ThreadSlot:
    """The place of one application thread. Only that thread calls its methods."""

    def __init__(self, words: Any, text: Any) -> None:
        self.words = words
        self.text = text

    def begin(self, request_id: cython.longlong, now: cython.longlong, method: str, path: str) -> Any:
        """Enter the application with a request. now: monotonic nanoseconds; method, path: latin-1 text."""
        size: cython.Py_ssize_t = len(method)
        if size > 16:
            size = 16
        length: cython.Py_ssize_t = len(path)
        if length > 176:
            length = 176
        if cython.compiled:
            i: cython.Py_ssize_t
            for i in range(size):
                self.text[i] = cython.cast(cython.uchar, cython.cast(cython.uint, method[i]) & 255)
            for i in range(length):
                self.text[16 + i] = cython.cast(cython.uchar, cython.cast(cython.uint, path[i]) & 255)
        else:
            self.text[:size] = method[:size].encode("latin-1", "replace")
            self.text[METHOD_BYTES : METHOD_BYTES + length] = path[:length].encode("latin-1", "replace")
        self.words[_TEXT_LENGTHS] = size | length << 8
        self.words[_REQUEST_ID] = request_id
        self.words[_REQUEST_START] = now
        self.words[_THREAD_STATE] = 1

    def end(self, now: cython.longlong, bytes_sent: cython.longlong, error: cython.bint) -> Any:
        """Leave the application, and count the request.

        now: monotonic nanoseconds; bytes_sent: payload of the response; error: whether the request failed.
        """
        self.words[_BUSY] += now - self.words[_REQUEST_START]
        self.words[_THREAD_BYTES] += bytes_sent
        self.words[_REQUESTS] += 1
        if error:
            self.words[_ERRORS] += 1
        self.words[_THREAD_STATE] = 0


@cython.final
@cython.cclass
class WorkerSlot:
    """The place of one worker. Only its leader calls these methods, `free_threads_elsewhere` excepted."""

    def __init__(self, memory: mmap.mmap, nr: int, stride: int, threads: int) -> None:
        self.nr = nr
        self.board = memoryview(memory).cast("q")
        self.stride = stride
        self.base = _HEADER_WORDS + nr * stride
        self._bytes = memoryview(memory)
        self._thread_limit = threads

    def start(
        self,
        pid: cython.longlong,
        generation: cython.longlong,
        threads: cython.longlong,
        now: cython.longlong,
    ) -> None:
        """Take the slot, as the first act of a new worker. threads: how many application threads it has."""
        base: cython.Py_ssize_t = self.base
        self.board[base + _PID] = pid
        self.board[base + _GENERATION] = generation
        self.board[base + _THREADS] = threads
        self.board[base + _STARTED] = now
        self.board[base + _STATE] = 1

    def thread(self, index: int) -> ThreadSlot:
        """Return the slot of one of the worker's threads, counted from 0."""
        if not 0 <= index < self._thread_limit:
            raise IndexError(f"thread {index} of a scoreboard made for {self._thread_limit}")
        first = (self.base + _WORKER_WORDS + index * _THREAD_WORDS) * 8
        raw = self._bytes[first : first + _THREAD_WORDS * 8]
        return ThreadSlot(raw[: _TEXT_WORDS * 8].cast("q"), raw[_TEXT_WORDS * 8 :])

    def beat(self, now: cython.longlong) -> Any:
        """Say that the worker is alive. A worker that has been ready and stops beating is killed."""
        self.board[self.base + _HEARTBEAT] = now

    def set_state(self, state: cython.longlong) -> None:
        """Say what the worker does: a `WorkerState`."""
        self.board[self.base + _STATE] = state

    def set_threads(self, count: cython.longlong) -> None:
        """Say that the worker has more application threads than it began with."""
        self.board[self.base + _THREADS] = count

    def set_free_threads(self, count: cython.longlong) -> None:
        """Say how many application threads have nothing to do; 0 while starting and draining."""
        self.board[self.base + _FREE_THREADS] = count

    def set_load(self, connections: cython.longlong, queue: cython.longlong) -> Any:
        """Say how many connections are open and how many complete requests wait for a thread."""
        self.board[self.base + _CONNECTIONS] = connections
        self.board[self.base + _QUEUE] = queue

    def add_accepted(self, count: cython.longlong = 1) -> None:
        """Count accepted connections."""
        self.board[self.base + _ACCEPTED] += count

    def add_file(self, bytes_sent: cython.longlong) -> None:
        """Count a request that was answered from a file, and its payload."""
        self.board[self.base + _FILES] += 1
        self.board[self.base + _LEADER_BYTES] += bytes_sent

    def add_refused(self) -> None:
        """Count a request that the server itself refused: malformed, over a limit, out of time."""
        self.board[self.base + _REFUSED] += 1

    def free_threads_elsewhere(self, now: cython.longlong) -> int:
        """Count the application threads of other workers that have nothing to do. Any thread may ask.

        Workers that do not accept, or have not beaten for a while before `now`, do not count: what is left to them
        would wait.
        """
        end: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, self.board[_HIGH])
        nr: cython.Py_ssize_t
        at: cython.Py_ssize_t = _HEADER_WORDS
        count: cython.longlong = 0
        for nr in range(end):
            if (
                nr != self.nr
                and self.board[at + _FREE_THREADS] > 0
                and self.board[at + _STATE] == 2
                and now - self.board[at + _HEARTBEAT] < _SILENT
            ):
                count += self.board[at + _FREE_THREADS]
            at += self.stride
        return count


@dataclass(frozen=True, slots=True)
class Totals:
    """Counters since the server started, workers that have ended included.

    bytes_sent: payload, without heads. busy: nanoseconds that threads spent in the application.
    """

    accepted: int = 0
    files: int = 0
    refused: int = 0
    requests: int = 0
    errors: int = 0
    bytes_sent: int = 0
    busy: int = 0


@dataclass(frozen=True, slots=True)
class ThreadFigures:
    """One thread at one moment. start: monotonic nanoseconds; method, path: of the current request, cut."""

    state: ThreadState
    request_id: int
    start: int
    method: str
    path: str
    requests: int


@dataclass(frozen=True, slots=True)
class WorkerFigures:
    """One worker at one moment. started, heartbeat: monotonic nanoseconds, 0 for never."""

    nr: int
    pid: int
    generation: int
    state: WorkerState
    started: int
    heartbeat: int
    connections: int
    queue: int
    free_threads: int
    threads: tuple[ThreadFigures, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All that the scoreboard says at one moment."""

    workers: tuple[WorkerFigures, ...]
    totals: Totals


class Scoreboard:
    """The shared memory as a whole: made by the supervisor, inherited by everybody it forks.

    workers: how many slots; threads: how many application threads a worker may have at most. Memory that
    nobody writes to is not taken from the system, so both may be generous.
    """

    def __init__(self, workers: int, threads: int) -> None:
        if workers < 1 or threads < 1:
            raise ValueError("a scoreboard needs at least one worker and one thread")
        self.workers = workers
        self.threads = threads
        # Slots begin on a cache line (8 words), so that two workers never write to the same one.
        self._stride = _WORKER_WORDS + threads * _THREAD_WORDS
        self._memory = mmap.mmap(-1, (_HEADER_WORDS + workers * self._stride) * 8)
        self._words = memoryview(self._memory).cast("q")

    def worker(self, nr: int) -> WorkerSlot:
        """Return the slot of worker nr, counted from 0."""
        if not 0 <= nr < self.workers:
            raise IndexError(f"worker {nr} of a scoreboard made for {self.workers}")
        return WorkerSlot(self._memory, nr, self._stride, self.threads)

    def heartbeat(self, nr: int) -> int:
        """Return when worker nr beat last, in monotonic nanoseconds; 0 for never."""
        beat: int = self._words[self._base(nr) + _HEARTBEAT]
        return beat

    # For the supervisor.

    def open(self, nr: int) -> None:
        """Make slot nr known to readers, before a worker is forked for it."""
        self._words[_HIGH] = max(self._words[_HIGH], nr + 1)

    def retire(self, nr: int) -> None:
        """Add the counters of a worker that has ended to the totals, and clear its slot."""
        words = self._words
        self._words[_FOLDING] += 1
        for index, value in enumerate(self._counters(nr)):
            words[_TOTALS + index] += value
        base = self._base(nr)
        # Threads beyond those the worker said it has were never written to, and stay untouched.
        used = base + _WORKER_WORDS + self._thread_count(nr) * _THREAD_WORDS
        words[base:used] = memoryview(bytes((used - base) * 8)).cast("q")
        self._words[_FOLDING] += 1

    # For readers.

    def requests(self, nr: int) -> int:
        """Return how many requests the application has answered in worker nr."""
        first = self._base(nr) + _WORKER_WORDS + _REQUESTS
        answered: int = sum(
            self._words[first + thread * _THREAD_WORDS] for thread in range(self._thread_count(nr))
        )
        return answered

    def snapshot(self) -> Snapshot:
        """Return the figures of all workers and the totals; the totals never fall."""
        for _ in range(_SNAPSHOT_TRIES):
            before = self._words[_FOLDING]
            sums = [self._words[_TOTALS + index] for index in range(_WORKER_COUNTERS + _THREAD_COUNTERS)]
            workers = []
            for nr in range(self._words[_HIGH]):
                if self._words[self._base(nr) + _PID]:
                    workers.append(self._figures(nr))
                    sums = [a + b for a, b in zip(sums, self._counters(nr), strict=True)]
            # A slot that is being retired would count twice or not at all.
            if before == self._words[_FOLDING] and before % 2 == 0:
                break
        accepted, files, refused, leader_bytes, requests, errors, thread_bytes, busy = sums
        totals = Totals(accepted, files, refused, requests, errors, leader_bytes + thread_bytes, busy)
        return Snapshot(tuple(workers), totals)

    def _base(self, nr: int) -> int:
        base: int = _HEADER_WORDS + nr * self._stride
        return base

    def _thread_count(self, nr: int) -> int:
        said: int = self._words[self._base(nr) + _THREADS]
        return min(max(said, 0), self.threads)

    def _counters(self, nr: int) -> list[int]:
        """Sum up the counters of one worker: its own, then those of its threads."""
        words = self._words
        base = self._base(nr)
        threads = range(self._thread_count(nr))
        counters = [words[base + _ACCEPTED + index] for index in range(_WORKER_COUNTERS)]
        for index in range(_THREAD_COUNTERS):
            first = base + _WORKER_WORDS + _REQUESTS + index
            counters.append(sum(words[first + thread * _THREAD_WORDS] for thread in threads))
        return counters

    def _figures(self, nr: int) -> WorkerFigures:
        words = self._words
        base = self._base(nr)
        return WorkerFigures(
            nr=nr,
            pid=words[base + _PID],
            generation=words[base + _GENERATION],
            state=WorkerState(words[base + _STATE]),
            started=words[base + _STARTED],
            heartbeat=words[base + _HEARTBEAT],
            connections=words[base + _CONNECTIONS],
            queue=words[base + _QUEUE],
            free_threads=words[base + _FREE_THREADS],
            threads=tuple(self._thread_figures(base, index) for index in range(self._thread_count(nr))),
        )

    def _thread_figures(self, base: int, index: int) -> ThreadFigures:
        words = self._words
        first = base + _WORKER_WORDS + index * _THREAD_WORDS
        lengths = words[first + _TEXT_LENGTHS]
        text = (first + _TEXT_WORDS) * 8
        path = text + METHOD_BYTES
        return ThreadFigures(
            state=ThreadState(words[first + _THREAD_STATE]),
            request_id=words[first + _REQUEST_ID],
            start=words[first + _REQUEST_START],
            method=self._memory[text : text + (lengths & 255)].decode("latin-1"),
            path=self._memory[path : path + (lengths >> 8)].decode("latin-1"),
            requests=words[first + _REQUESTS],
        )
