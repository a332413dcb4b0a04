"""Measures what workers are recycled by: the requests they have answered, the memory that they take.

Runs in the supervisor, about once a second, and only where a limit is set; workers take no part in it.
Requests are read from the scoreboard, in memory. Memory is PSS (/proc/PID/smaps_rollup, see proc(5)): pages
that several processes share are divided between them, so that what the mold has imported does not count in
full for each worker. The kernel walks through all pages of a process for it (milliseconds), so each worker is
measured every ten seconds, and not all in the same turn.
"""

import logging
from math import ceil
from pathlib import Path

from portway.observe.scoreboard import Scoreboard
from portway.supervisor.children import Child, Children, Phase
from portway.supervisor.recycling import RecycleLimits

log = logging.getLogger("portway.error")

#: Seconds between two looks.
INTERVAL = 1.0

#: Seconds between two measurements of the memory of one worker.
MEMORY_INTERVAL = 10.0


class Gauge:
    """What looks at the workers. memory_interval: seconds between two measurements of one worker's memory."""

    def __init__(self, board: Scoreboard, memory_interval: float = MEMORY_INTERVAL) -> None:
        self._board = board
        self._memory_interval = memory_interval
        self._next = 0.0
        # When the memory of a worker was measured last, by its process id.
        self._weighed: dict[int, float] = {}
        self._has_warned = False

    def next_look(self, limits: RecycleLimits | None) -> float | None:
        """Return when `look` is to be called again; None where nothing has to be measured."""
        return self._next if limits is not None and (limits.requests or limits.memory) else None

    def look(self, children: Children, limits: RecycleLimits, now: float) -> None:
        """Measure what the limits are about and tell `children`, if it is time to."""
        if now < self._next or not (limits.requests or limits.memory):
            return
        self._next = now + INTERVAL
        workers = [child for child in children.workers.values() if child.phase is Phase.READY]
        if limits.requests:
            for child in workers:
                child.requests = self._board.requests(child.nr)
        if limits.memory:
            self._weigh(workers, now)

    def _weigh(self, workers: list[Child], now: float) -> None:
        """Measure the memory of those whose turn it is."""
        self._weighed = {child.pid: self._weighed.get(child.pid, child.since) for child in workers}
        due = [child for child in workers if now - self._weighed[child.pid] >= self._memory_interval]
        due.sort(key=lambda child: self._weighed[child.pid])
        a_turn = ceil(len(workers) * INTERVAL / self._memory_interval) if self._memory_interval else len(due)
        for child in due[:a_turn]:
            self._weighed[child.pid] = now
            try:
                child.memory = read_pss(child.pid)
            except ProcessLookupError:
                # It has ended; we shall hear of it.
                continue
            except OSError as error:
                self._warn(error)

    def _warn(self, error: OSError) -> None:
        if not self._has_warned:
            self._has_warned = True
            log.warning(
                "max_rss has no effect: the memory of a worker cannot be read from %s: %s. Where workers run "
                "as another user the supervisor needs CAP_SYS_PTRACE for it.",
                error.filename,
                error.strerror,
            )


def read_pss(pid: int) -> int:
    """Return the proportional set size of a process in bytes.

    Raises ProcessLookupError where it has ended, and OSError where the system does not tell.
    """
    path = Path(f"/proc/{pid}/smaps_rollup")
    try:
        text = path.read_text("ascii")
    except FileNotFoundError:
        if path.parent.exists():
            # Linux before 4.14.
            raise
        raise ProcessLookupError(pid) from None
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    # What is left of a process that has ended and was not reaped has no memory.
    raise ProcessLookupError(pid)
