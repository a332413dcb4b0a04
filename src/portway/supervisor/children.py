"""Who exists: the molds and workers of all generations as the supervisor knows them. Plain data.

Nothing here forks, signals, waits or reads a clock; `now` is always an argument, in seconds of the monotonic
clock. The supervisor tells what happened through the methods of `Children`, portway.supervisor.plan reads the
fields and decides, and whoever wants to know how the server is may read them too.

A generation is one load of code and configuration, and has one mold. At most one generation is on trial, the
`candidate`: at first boot and after a reload. When all its workers are ready it is promoted and becomes the
`current` one; when anything of it fails it is dropped. A mold that dies is replaced by one of a new
generation, because the code on disk may have changed since; the workers that live stay as they are, so
several generations may be `accepted` at a time.
"""

from dataclasses import dataclass, field
from enum import Enum

#: A worker that dies within this time after its fork may die of the same cause again. Seconds.
YOUNG = 10.0

#: The longest time between two attempts. Seconds.
LONGEST_PAUSE = 60.0

#: How many characters are kept of what a worker says when it asks to be replaced.
LONGEST_WISH = 200


class Phase(Enum):
    """How far a child is."""

    ASKED = "asked"  #: its mold was asked to fork it; no process is known yet
    STARTING = "starting"  #: there is a process, which imports or prepares
    READY = "ready"  #: a worker that serves, a mold that can fork
    DRAINING = "draining"  #: told to finish its requests and end
    QUITTING = "quitting"  #: told to end at once
    KILLED = "killed"  #: SIGKILL was sent


#: The phases of a child that nobody has told to end.
LIVE = frozenset({Phase.ASKED, Phase.STARTING, Phase.READY})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a mold or a worker could not begin its work, ready to be logged.

    stage: "load" where the application could not be loaded, "settings" where a reload could not begin, "boot"
    for everything else. summary: one sentence. details: lines of a trimmed traceback, none where there is
    none. hint: what to do about it, or "".
    """

    stage: str
    summary: str
    details: tuple[str, ...] = ()
    hint: str = ""

    @property
    def exit_code(self) -> int:
        """What the server exits with when this happens at first boot; the numbers are Gunicorn's."""
        return 4 if self.stage == "load" else 3


@dataclass(slots=True)
class Backoff:
    """How long to wait before trying again: not at all at first, then 1, 2, 4 ... 60 seconds.

    failures: in a row. failed_at: when the last one was. retry_at: when the next attempt may begin.
    """

    failures: int = 0
    failed_at: float = 0.0
    retry_at: float = 0.0

    def note(self, since: float, now: float) -> None:
        """Count the failure of an attempt that began at `since`.

        Those that had begun before the last failure do not count again: several workers that die together
        are one failure. A quiet time before the attempt ends the row.
        """
        if self.failures and since < self.failed_at:
            return
        if since > self.retry_at + YOUNG:
            self.failures = 0
        self.failures += 1
        self.failed_at = now
        pause = min(2.0 ** (self.failures - 2), LONGEST_PAUSE) if self.failures > 1 else 0.0
        self.retry_at = now + pause


@dataclass(slots=True)
class Child:
    """A worker as the supervisor sees it.

    nr: its slot. pid: 0 while asked. since: when it was asked for or forked. kill_at: when it is killed
    unless it has ended. beat: its last sign of life, 0.0 for none yet. failure: what it said about its end.
    expired: it was not ready in time and was told so.

    For its recycling (portway.supervisor.recycling). spread: a number of its own from 0.0 to less than 1.0,
    by chance. requests, memory: what it has answered and the bytes of PSS that it takes, as last measured.
    wish: why it asks to be replaced, "" while it does not. retiring: why it is being replaced, "" while it is
    not; since when: retiring_since. replaces: the process id of the worker whose place it took.
    """

    nr: int
    generation: int
    since: float
    phase: Phase = Phase.ASKED
    pid: int = 0
    kill_at: float | None = None
    beat: float = 0.0
    failure: Failure | None = None
    expired: bool = False
    spread: float = 0.0
    requests: int = 0
    memory: int = 0
    wish: str = ""
    retiring: str = ""
    retiring_since: float = 0.0
    replaces: int = 0


@dataclass(slots=True)
class Mold:
    """A mold as the supervisor sees it; the fields are those of `Child`. backoff: of the workers it forks."""

    generation: int
    pid: int
    since: float
    phase: Phase = Phase.STARTING
    kill_at: float | None = None
    failure: Failure | None = None
    expired: bool = False
    backoff: Backoff = field(default_factory=Backoff)


@dataclass(frozen=True, slots=True)
class Death:
    """A child that has ended: what it was, and whether somebody had told it to."""

    child: Child | Mold
    expected: bool

    @property
    def was_ready(self) -> bool:
        """True if the child served before it ended by itself."""
        return self.child.phase is Phase.READY


class Children:
    """All children, and which generation has which part.

    The attributes are read freely, changed here only.
    """

    def __init__(self) -> None:
        self.workers: dict[int, Child] = {}
        self.molds: dict[int, Mold] = {}
        #: The generation that new workers are forked from, 0 before the first promotion.
        self.current = 0
        #: The generations whose workers count as up to date.
        self.accepted: frozenset[int] = frozenset()
        #: The generation on trial, 0 for none, and why it is to be dropped.
        self.candidate = 0
        self.failure: Failure | None = None
        #: The generation whose mold is to take the place of one that died, 0 for none.
        self.replacement = 0
        #: The highest number a generation ever had.
        self.newest = 0
        #: A new generation is wanted.
        self.reload_asked = True
        #: For the replacement of dead molds.
        self.mold_backoff = Backoff()

    def __repr__(self) -> str:
        return (
            f"<Children generation {self.current}, {len(self.workers)} workers, {len(self.molds)} molds"
            f"{f', trying {self.candidate}' if self.candidate else ''}>"
        )

    # Questions.

    def is_current(self, child: Child) -> bool:
        """Tell whether a worker is of a generation that counts as up to date, and not being replaced."""
        return child.generation in self.accepted and not child.retiring

    def live(self, generation: int) -> list[Child]:
        """Return the workers of a generation that nobody told to end."""
        return [c for c in self.workers.values() if c.generation == generation and c.phase in LIVE]

    def is_forking(self) -> bool:
        """Tell whether a worker was asked for whose process is not known yet."""
        return any(child.phase is Phase.ASKED for child in self.workers.values())

    def find_worker(self, pid: int) -> Child | None:
        """Return the worker with this process id."""
        return next((child for child in self.workers.values() if child.pid == pid), None)

    # What happened to generations.

    def trial_started(self, generation: int, pid: int, now: float) -> None:
        """A mold was forked for a new generation."""
        self._add_mold(generation, pid, now)
        self.candidate = generation
        self.failure = None
        self.reload_asked = False

    def replacement_started(self, generation: int, pid: int, now: float) -> None:
        """A mold was forked in the place of one that died."""
        self._add_mold(generation, pid, now)
        self.replacement = generation

    def mold_ready(self, generation: int) -> None:
        """A mold said that it has loaded what it serves and can fork."""
        mold = self.molds.get(generation)
        if mold is None or mold.phase is not Phase.STARTING:
            return
        mold.phase = Phase.READY
        # In time after all, if it was told meanwhile that it is not.
        mold.kill_at = None
        mold.expired = False
        if generation == self.replacement:
            self.current = generation
            self.accepted |= {generation}
            self.replacement = 0

    def mold_moved(self, generation: int, pid: int, now: float) -> Phase | None:
        """A mold has left its work to another process and ends; return its phase, None where it is unknown."""
        mold = self.molds.get(generation)
        if mold is None:
            return None
        mold.pid = pid
        if mold.phase is Phase.STARTING:
            # It begins anew, with all the time that there is for it.
            mold.since = now
            mold.kill_at = None
            mold.expired = False
        return mold.phase

    def mold_failed(self, generation: int, failure: Failure) -> None:
        """A mold said that it cannot do its work; it ends by itself."""
        mold = self.molds.get(generation)
        if mold is not None:
            mold.failure = failure

    def mold_expired(self, generation: int, failure: Failure, kill_at: float) -> None:
        """A mold was not ready in time and was told so. failure: what is known of it if it says nothing."""
        _expire(self.molds[generation], failure, kill_at)

    def promoted(self) -> None:
        """The candidate has become the current generation."""
        self.current = self.candidate
        self.accepted = frozenset({self.candidate})
        self.candidate = 0
        self.replacement = 0
        self.mold_backoff = Backoff()

    def dropped(self) -> None:
        """The candidate is given up; its children are to end."""
        self.candidate = 0
        self.failure = None

    def mold_told(self, generation: int, phase: Phase, kill_at: float | None) -> None:
        """A mold was told to end, or was killed."""
        mold = self.molds[generation]
        mold.phase = phase
        mold.kill_at = kill_at

    def _add_mold(self, generation: int, pid: int, now: float) -> None:
        self.molds[generation] = Mold(generation, pid, now)
        self.newest = max(self.newest, generation)

    # What happened to workers.

    def worker_asked(self, nr: int, generation: int, now: float, spread: float = 0.0) -> None:
        """A mold was asked to fork a worker for a free slot. spread: see `Child`."""
        self.workers[nr] = Child(nr, generation, now, spread=spread)

    def worker_spawned(self, nr: int, generation: int, pid: int, now: float) -> Child | None:
        """A worker was forked.

        Returns the child, or None where the slot is another's and the process must go.
        """
        child = self.workers.get(nr)
        if child is None:
            # Its mold died right after the fork; the worker is as good as any.
            child = self.workers[nr] = Child(nr, generation, now)
        elif child.pid or child.generation != generation:
            return None
        child.pid = pid
        child.since = now
        child.phase = Phase.STARTING
        return child

    def spawn_failed(self, nr: int, generation: int, failure: Failure, now: float) -> None:
        """A mold could not fork a worker."""
        child = self.workers.get(nr)
        if child is not None and not child.pid and child.generation == generation:
            del self.workers[nr]
            self._boot_failed(child, failure, now)

    def worker_ready(self, pid: int, now: float) -> Child | None:
        """A worker said that it serves. Returns it, None where it is unknown or was told to end meanwhile."""
        child = self.find_worker(pid)
        if child is None or child.phase is not Phase.STARTING:
            return None
        child.phase = Phase.READY
        child.kill_at = None
        child.expired = False
        return child

    def worker_expired(self, nr: int, failure: Failure, kill_at: float) -> None:
        """A worker was not ready in time and was told so. failure: what is known of it if it says nothing."""
        _expire(self.workers[nr], failure, kill_at)

    def worker_failed(self, pid: int, failure: Failure) -> None:
        """A worker said why it cannot do its work; it ends by itself."""
        child = self.find_worker(pid)
        if child is not None:
            child.failure = failure

    def worker_beat(self, nr: int, beat: float) -> None:
        """A worker's last sign of life; one from before the last known is none."""
        child = self.workers[nr]
        child.beat = max(child.beat, beat)

    def worker_told(self, nr: int, phase: Phase, kill_at: float | None) -> None:
        """A worker was told to end, or was killed."""
        child = self.workers[nr]
        child.phase = phase
        child.kill_at = kill_at

    # Recycling.

    def worker_wishes(self, pid: int, reason: str) -> None:
        """A worker said that it should be replaced, and why."""
        child = self.find_worker(pid)
        if child is not None:
            child.wish = " ".join(reason.split())[:LONGEST_WISH] or "without a reason"

    def worker_retires(self, nr: int, reason: str, now: float) -> None:
        """Another worker is to take the place of this one, which serves until then."""
        child = self.workers[nr]
        child.retiring = reason
        child.retiring_since = now

    def successor(self, child: Child) -> Child | None:
        """Return the worker that has taken the place of one that retires, and remember that it has."""
        for other in sorted(self.workers.values(), key=lambda other: other.since):
            if other.replaces == child.pid:
                return other
            if other.phase is Phase.READY and not other.replaces and other.since >= child.retiring_since:
                other.replaces = child.pid
                return other
        return None

    # The end of processes.

    def reaped(self, pid: int, how: str, now: float) -> Death | None:
        """A process has ended; `how` says how, as "exited with 1". Returns None if it was not one of ours."""
        child = self.find_worker(pid)
        if child is not None:
            return self._worker_reaped(child, how, now)
        mold = next((mold for mold in self.molds.values() if mold.pid == pid), None)
        if mold is not None:
            return self._mold_reaped(mold, how, now)
        return None

    def _worker_reaped(self, child: Child, how: str, now: float) -> Death:
        del self.workers[child.nr]
        by_itself = child.phase in LIVE or child.expired
        if by_itself:
            if child.phase is not Phase.READY:
                failure = child.failure or Failure("boot", f"Worker {child.nr} {how} before it was ready.")
                self._boot_failed(child, failure, now)
            elif now - child.since < YOUNG:
                self._note_crash(child, now)
        return Death(child, expected=not by_itself)

    def _mold_reaped(self, mold: Mold, how: str, now: float) -> Death:
        generation = mold.generation
        del self.molds[generation]
        # What it was asked for and had not begun is not going to happen.
        for child in self.live(generation):
            if child.phase is Phase.ASKED:
                del self.workers[child.nr]
        if generation == self.candidate:
            self._fail_trial(mold.failure or Failure("boot", f"The mold {how}."))
        elif mold.phase in LIVE or mold.expired:
            self.mold_backoff.note(mold.since, now)
        if generation == self.replacement:
            self.replacement = 0
        return Death(mold, expected=mold.phase not in LIVE and not mold.expired)

    def _boot_failed(self, child: Child, failure: Failure, now: float) -> None:
        if child.generation == self.candidate:
            self._fail_trial(failure)
        else:
            self._note_crash(child, now)

    def _fail_trial(self, failure: Failure) -> None:
        # The first one is the cause; what follows may be its consequence.
        if self.failure is None:
            self.failure = failure

    def _note_crash(self, child: Child, now: float) -> None:
        generation = self.current if child.generation in self.accepted else child.generation
        mold = self.molds.get(generation)
        if mold is not None:
            mold.backoff.note(child.since, now)


def _expire(child: Child | Mold, failure: Failure, kill_at: float) -> None:
    child.expired = True
    child.failure = failure
    child.kill_at = kill_at
