"""When workers are replaced though nothing is wrong with them: the one place where that is decided.

Pure, like portway.supervisor.plan, which asks it. A worker is due when it has answered `max_requests`, has
lived for `max_lifetime`, takes more memory than `max_rss`, or has asked for it. At most a tenth of the workers
(and at least one) are being replaced at a time, and only while the server is at full strength with one
generation: not during a reload, not in a crash loop, not while it stops.

A worker that is chosen counts as outdated from then on (`Child.retiring`). The rest of the plan does with it
what it does with all that are outdated: forks another one, and when that is ready drains the old one. If the
other one does not become ready, the old one serves on.
"""

from dataclasses import dataclass

from portway.settings.kinds import show_size
from portway.settings.table import Settings
from portway.supervisor.children import LIVE, Child, Children, Phase

#: How many workers may be replaced at a time, as a share of all.
SHARE = 0.1

#: By how much of `max_lifetime` workers may be replaced earlier, so that those that were forked together do
#: not end together.
LIFETIME_JITTER = 0.1


@dataclass(frozen=True, slots=True)
class RecycleLimits:
    """What a worker may reach before it is replaced; 0 is no limit.

    requests, jitter: answers of the application, and up to how many more, by chance. lifetime: seconds.
    memory: bytes of PSS.
    """

    requests: int = 0
    jitter: int = 0
    lifetime: float = 0.0
    memory: int = 0

    def requests_of(self, child: Child) -> int:
        """Return how many requests this worker may answer, 0 for any number."""
        return self.requests and self.requests + int(child.spread * (self.jitter + 1))

    def lifetime_of(self, child: Child) -> float:
        """Return how long this worker may live, 0.0 for ever."""
        return self.lifetime * (1.0 - child.spread * LIFETIME_JITTER)


#: Workers stay until they ask to be replaced.
NO_LIMITS = RecycleLimits()


@dataclass(frozen=True, slots=True)
class Recycle:
    """A worker is to be replaced. reason: what follows "Worker 1 (process 123) " in the log."""

    nr: int
    reason: str


def limits_of(settings: Settings) -> RecycleLimits:
    """Return the limits that the settings ask for."""
    return RecycleLimits(
        settings.max_requests, settings.max_requests_jitter, settings.max_lifetime, settings.max_rss
    )


def choose(children: Children, workers: int, limits: RecycleLimits | None, now: float) -> list[Recycle]:
    """Return the workers whose replacement is to begin now.

    workers: how many there shall be. limits: None where nobody is replaced, because the server is about to
    stop. Those that ask for it come first, because they know that something is wrong with them; they do not
    wait for others that are draining. Then the oldest.
    """
    if limits is None or children.candidate or children.reload_asked:
        return []
    mold = children.molds.get(children.current)
    if mold is None or mold.phase is not Phase.READY or now < mold.backoff.retry_at:
        return []
    serving = [
        c for c in children.workers.values() if c.phase is Phase.READY and c.generation in children.accepted
    ]
    staying = [c for c in children.workers.values() if c.phase in LIVE and children.is_current(c)]
    if len(serving) < workers or len(staying) > workers:
        return []
    retiring = [child for child in children.workers.values() if child.retiring]
    waiting = sum(child.phase in LIVE for child in retiring)
    most = max(1, int(workers * SHARE))
    chosen: list[Recycle] = []
    for child in sorted(serving, key=lambda child: (not child.wish, child.since)):
        reason = "" if child.retiring else why(child, limits, now)
        if not reason:
            continue
        if len(chosen) + (waiting if child.wish else len(retiring)) >= most:
            break
        chosen.append(Recycle(child.nr, reason))
    return chosen


def why(child: Child, limits: RecycleLimits, now: float) -> str:
    """Return why a worker is due, with the figure and the limit; "" if it is not."""
    if child.wish:
        return f"asks for it ({child.wish})"
    requests = limits.requests_of(child)
    if requests and child.requests >= requests:
        more = f" and {requests - limits.requests:,} of jitter" if requests > limits.requests else ""
        return f"has answered {child.requests:,} requests (max_requests {limits.requests:,}{more})"
    age = now - child.since
    if limits.lifetime and age >= limits.lifetime_of(child):
        return f"has lived for {age:,.0f} s (max_lifetime {limits.lifetime:,g})"
    if limits.memory and child.memory >= limits.memory:
        return f"takes {child.memory / 1024**2:,.1f} MiB of memory (max_rss {show_size(limits.memory)})"
    return ""


def next_expiry(children: Children, limits: RecycleLimits | None) -> list[float]:
    """Return when workers reach the end of their lifetime."""
    if limits is None or not limits.lifetime:
        return []
    return [
        child.since + limits.lifetime_of(child)
        for child in children.workers.values()
        if child.phase is Phase.READY and not child.retiring
    ]
