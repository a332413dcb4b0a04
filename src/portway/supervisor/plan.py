"""What to do next: a pure function of the children there are, what is wanted, and the time.

`plan` makes no system call and changes nothing. The supervisor performs the actions, tells `Children` so, and
asks again until there is nothing left to do; then it waits for an event or for `next_deadline`.

The rules, in the order of the code:

1.  Stopping: everybody is told to end, once; whoever overstays is killed; when nobody is left, finish.
2.  A generation on trial that failed is dropped, or, if there never was another, the server gives up.
3.  A reload starts a new generation; a mold that died is replaced, after a pause if that goes on failing.
4.  A trial begins with all workers at once at first boot. After that it goes on one worker at a time: the
    next one is forked, and when it is ready an old one drains. With all of them ready the generation is
    promoted.
5.  Missing workers of the current generation are forked from its mold, after a pause in a crash loop.
6.  Workers that have reached a limit become outdated, a few at a time (portway.supervisor.recycling).
7.  Workers beyond those wanted drain. Outdated ones drain as soon as they are not needed for full strength.
8.  Whoever does not become ready in time is interrupted, and then made to write where it is. Whoever was told
    to end and overstays, or shows no sign of life, is killed.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from math import inf

from portway.supervisor import recycling
from portway.supervisor.children import LIVE, Child, Children, Failure, Mold, Phase
from portway.supervisor.recycling import NO_LIMITS, Recycle, RecycleLimits

#: How long children may take for a quick stop, and a mold for its end, before they are killed. Seconds.
QUICK = 2.0

#: How long a mold may take to fork a worker before it is taken for stuck. Seconds.
FORK_LIMIT = 30.0


class Stop(Enum):
    """Whether the server is to stop, and how."""

    NO = 0
    GRACEFUL = 1
    QUICK = 2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the operator wants.

    workers: how many there shall be. trial_workers: how many once the generation on trial is promoted. slots:
    how many worker numbers there are. graceful_timeout: seconds that a draining worker has. silence: seconds
    without a sign of life after which a worker is killed. recycle: what workers may reach before they are
    replaced, None where nobody is. startup, trial_startup: seconds that a mold has to load the application and
    a worker to become ready, 0.0 for any time; of the generation that serves, and of the one on trial.
    """

    workers: int
    trial_workers: int
    slots: int
    graceful_timeout: float
    silence: float
    stop: Stop = Stop.NO
    recycle: RecycleLimits | None = NO_LIMITS
    startup: float = 0.0
    trial_startup: float = 0.0

    def startup_of(self, generation: int, candidate: int) -> float:
        """Return the time that children of a generation have to start; candidate: the one on trial."""
        return self.trial_startup if generation == candidate else self.startup


@dataclass(frozen=True, slots=True)
class StartMold:
    """Fork a mold for a new generation.

    trial: it takes over when it is ready, instead of helping the current one.
    """

    generation: int
    trial: bool


@dataclass(frozen=True, slots=True)
class EndMold:
    """Tell a mold to end, and kill it if it has not at `kill_at`."""

    generation: int
    kill_at: float


@dataclass(frozen=True, slots=True)
class KillMold:
    """Kill a mold; reason: "" where nobody needs to be told."""

    generation: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Spawn:
    """Have a worker forked for a free slot."""

    nr: int
    generation: int


@dataclass(frozen=True, slots=True)
class Drain:
    """Tell a worker to finish its requests and end, and kill it if it has not at `kill_at`."""

    nr: int
    kill_at: float


@dataclass(frozen=True, slots=True)
class Quit:
    """Tell a worker to end at once, and kill it if it has not at `kill_at`."""

    nr: int
    kill_at: float


@dataclass(frozen=True, slots=True)
class Abort:
    """Have a worker that hangs write where its threads are and end; kill it if it has not at `kill_at`."""

    nr: int
    kill_at: float
    silent_for: float


@dataclass(frozen=True, slots=True)
class Expire:
    """Interrupt a worker that was not ready within `limit` seconds; go on at `kill_at` if it has not ended."""

    nr: int
    limit: float
    kill_at: float


@dataclass(frozen=True, slots=True)
class ExpireMold:
    """Interrupt a mold that has not loaded the application within `limit` seconds; as `Expire`."""

    generation: int
    limit: float
    kill_at: float


@dataclass(frozen=True, slots=True)
class AbortStart:
    """Have a worker that could not be interrupted write where it is and end; kill it if it has not at `kill_at`."""

    nr: int
    kill_at: float


@dataclass(frozen=True, slots=True)
class AbortMold:
    """Have a mold that could not be interrupted write where it is and end; as `AbortStart`."""

    generation: int
    kill_at: float


@dataclass(frozen=True, slots=True)
class Kill:
    """Kill a worker that overstays."""

    nr: int


@dataclass(frozen=True, slots=True)
class Promote:
    """The generation on trial has all its workers: it is the current one now."""

    generation: int


@dataclass(frozen=True, slots=True)
class Drop:
    """The generation on trial failed: the current one stays."""

    generation: int
    failure: Failure


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The first boot failed: stop, and exit with the failure's code."""

    failure: Failure


@dataclass(frozen=True, slots=True)
class Finish:
    """All children are gone and the server is to stop: end."""


Action = (
    StartMold
    | EndMold
    | KillMold
    | Spawn
    | Recycle
    | Drain
    | Quit
    | Abort
    | Expire
    | ExpireMold
    | AbortStart
    | AbortMold
    | Kill
    | Promote
    | Drop
    | GiveUp
    | Finish
)

REPLACED = Failure("boot", "A later reload took its place.")


def plan(children: Children, wanted: Wanted, now: float) -> list[Action]:
    """Return what is to be done now, in this order; an empty list when all is as it should be."""
    if wanted.stop is not Stop.NO:
        return [*_stop(children, wanted, now), *_overdue(children, wanted, now)]
    verdict = _judge_trial(children, wanted)
    if verdict is not None:
        return [verdict]
    return [
        *_start_molds(children, now),
        *_end_molds(children, now),
        *_spawn(children, wanted, now),
        *recycling.choose(children, wanted.workers, wanted.recycle, now),
        *_drain(children, wanted, now),
        *_overdue(children, wanted, now),
    ]


def next_deadline(children: Children, wanted: Wanted, now: float) -> float | None:
    """Return when `plan` must be asked again even if nothing happens; None for never."""
    times = [children.mold_backoff.retry_at, *recycling.next_expiry(children, wanted.recycle)]
    for mold in children.molds.values():
        times.append(mold.backoff.retry_at)
        if mold.kill_at is not None:
            times.append(mold.kill_at)
        times.append(_start_ends(mold, children, wanted))
    for child in children.workers.values():
        if child.kill_at is not None:
            times.append(child.kill_at)
        if child.phase is Phase.ASKED:
            times.append(child.since + FORK_LIMIT)
        elif child.phase is Phase.STARTING:
            times.append(_start_ends(child, children, wanted))
        elif child.beat:
            times.append(child.beat + wanted.silence)
    return min((time for time in times if now < time < inf), default=None)


def _stop(children: Children, wanted: Wanted, now: float) -> list[Action]:
    if not children.workers and not children.molds:
        return [Finish()]
    actions: list[Action] = []
    for child in children.workers.values():
        if not child.pid:
            continue
        if wanted.stop is Stop.QUICK and child.phase not in (Phase.QUITTING, Phase.KILLED):
            actions.append(Quit(child.nr, now + QUICK))
        elif child.phase in LIVE:
            actions.append(Drain(child.nr, _drain_limit(wanted, now)))
    for mold in children.molds.values():
        if mold.phase is Phase.READY:
            actions.append(EndMold(mold.generation, now + QUICK))
        elif mold.phase is Phase.STARTING:
            # It is importing and has nothing to lose.
            actions.append(KillMold(mold.generation))
    return actions


def _judge_trial(children: Children, wanted: Wanted) -> Action | None:
    if not children.candidate:
        return None
    if children.failure is not None:
        if children.current:
            return Drop(children.candidate, children.failure)
        return GiveUp(children.failure)
    if children.reload_asked and children.current:
        return Drop(children.candidate, REPLACED)
    ready = [child for child in children.live(children.candidate) if child.phase is Phase.READY]
    if len(ready) >= wanted.trial_workers:
        return Promote(children.candidate)
    return None


def _start_molds(children: Children, now: float) -> list[Action]:
    if children.reload_asked and not children.candidate:
        return [StartMold(children.newest + 1, trial=True)]
    if children.candidate or children.replacement or not children.current:
        return []
    if children.current in children.molds or now < children.mold_backoff.retry_at:
        return []
    return [StartMold(children.newest + 1, trial=False)]


def _end_molds(children: Children, now: float) -> list[Action]:
    """End the molds that no generation needs any more; a trial keeps the one it may have to go back to."""
    needed = (children.current, children.candidate, children.replacement)
    actions: list[Action] = []
    for mold in children.molds.values():
        if mold.generation in needed:
            continue
        if mold.phase is Phase.READY:
            actions.append(EndMold(mold.generation, now + QUICK))
        elif mold.phase is Phase.STARTING:
            actions.append(KillMold(mold.generation))
    return actions


def _spawn(children: Children, wanted: Wanted, now: float) -> list[Action]:
    free = (nr for nr in range(wanted.slots) if nr not in children.workers)
    actions: list[Action] = []

    def spawn(generation: int, count: int) -> None:
        mold = children.molds.get(generation)
        if mold is not None and mold.phase is Phase.READY and now >= mold.backoff.retry_at:
            # Without a free slot it has to wait until a draining worker has ended.
            for nr in islice(free, max(0, count)):
                actions.append(Spawn(nr, generation))

    tried = children.live(children.candidate) if children.candidate else []
    serving = sum(child.phase is Phase.READY for child in tried)
    if children.current:
        own = sum(child.phase in LIVE and children.is_current(child) for child in children.workers.values())
        spawn(children.current, wanted.workers - serving - own)
    if children.candidate:
        missing = wanted.trial_workers - len(tried)
        starting = len(tried) - serving
        spawn(children.candidate, min(missing, 1 - starting) if children.current else missing)
    return actions


def _drain(children: Children, wanted: Wanted, now: float) -> list[Action]:
    live = [child for child in children.workers.values() if child.phase in LIVE]
    own = [child for child in live if children.is_current(child)]
    tried = [child for child in live if children.candidate and child.generation == children.candidate]
    outdated = [child for child in live if child not in own and child not in tried]
    serving = sum(child.phase is Phase.READY for child in tried)

    # The youngest number goes first, but one that serves nobody yet before it, and an older generation before
    # all.
    own.sort(key=lambda child: (child.generation, child.phase is Phase.READY, -child.nr))
    leaving = own[: max(0, len(own) + serving - wanted.workers)] if children.current else []

    strength = serving + sum(child.phase is Phase.READY for child in own)
    needed = max(0, wanted.workers - strength)
    useful = [child for child in outdated if child.phase is Phase.READY]
    leaving += [child for child in outdated if child.phase is not Phase.READY]
    leaving += useful[: max(0, len(useful) - needed)]
    return [Drain(child.nr, _drain_limit(wanted, now)) for child in leaving if child.pid]


def _overdue(children: Children, wanted: Wanted, now: float) -> list[Action]:
    actions: list[Action] = []
    for child in children.workers.values():
        limit = wanted.startup_of(child.generation, children.candidate)
        if child.phase is Phase.KILLED:
            continue
        if child.kill_at is not None and now >= child.kill_at:
            starts = child.phase is Phase.STARTING
            actions.append(AbortStart(child.nr, now + QUICK) if starts else Kill(child.nr))
        elif now >= _start_ends(child, children, wanted):
            actions.append(Expire(child.nr, limit, now + QUICK))
        elif child.beat and now - child.beat >= wanted.silence and child.phase is not Phase.QUITTING:
            actions.append(Abort(child.nr, now + QUICK, now - child.beat))
    for mold in children.molds.values():
        if mold.phase is Phase.KILLED:
            continue
        limit = wanted.startup_of(mold.generation, children.candidate)
        if mold.kill_at is not None and now >= mold.kill_at:
            starts = mold.phase is Phase.STARTING
            actions.append(AbortMold(mold.generation, now + QUICK) if starts else KillMold(mold.generation))
        elif now >= _start_ends(mold, children, wanted):
            actions.append(ExpireMold(mold.generation, limit, now + QUICK))
        elif _is_stuck(mold.generation, children.workers.values(), now):
            actions.append(KillMold(mold.generation, f"it did not fork a worker within {FORK_LIMIT:.0f} s"))
    return actions


def _drain_limit(wanted: Wanted, now: float) -> float:
    """Return when a draining worker is killed: it gives up by itself first, and says what it left."""
    return now + wanted.graceful_timeout + QUICK


def _start_ends(child: Child | Mold, children: Children, wanted: Wanted) -> float:
    """Return when a child that starts is to be interrupted; infinity where it is not."""
    limit = wanted.startup_of(child.generation, children.candidate)
    if not limit or child.phase is not Phase.STARTING or child.kill_at is not None:
        return inf
    return child.since + limit


def _is_stuck(generation: int, workers: Iterable[Child], now: float) -> bool:
    return any(
        child.generation == generation and child.phase is Phase.ASKED and now - child.since >= FORK_LIMIT
        for child in workers
    )
