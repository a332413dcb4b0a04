"""How the server is: one word, and why it is not better.

Pure functions of what the supervisor knows; nothing here makes a system call or reads a clock.
"""

from enum import Enum

from portway.supervisor.children import YOUNG, Children
from portway.supervisor.reloads import Trouble


class State(Enum):
    """How the server is."""

    STARTING = "starting"  #: the first generation is not ready yet
    READY = "ready"  #: it serves, with the code and the settings that it was last asked to
    RELOADING = "reloading"  #: it serves, and a new generation is on trial
    DEGRADED = "degraded"  #: it serves, but something is to be mended: see `reasons`
    RESTING = "resting"  #: it has no workers on purpose, by SIGWINCH; SIGHUP brings them back
    DRAINING = "draining"  #: it is to stop, and finishes the requests that run


def state_of(
    children: Children, trouble: Trouble | None, stopping: bool, now: float, wanted: int = 1
) -> State:
    """Return the state.

    trouble: how the last reload failed. now: seconds of the monotonic clock. wanted: how many workers there
    shall be.
    """
    if stopping:
        return State.DRAINING
    if not children.current:
        return State.STARTING
    if children.candidate or children.reload_asked:
        return State.RELOADING
    if not wanted:
        return State.RESTING
    return State.DEGRADED if reasons(children, trouble, now) else State.READY


def reasons(children: Children, trouble: Trouble | None, now: float) -> list[str]:
    """Return what is to be mended, in sentences, the worst first."""
    found = []
    mold = children.molds.get(children.current)
    if mold is not None and mold.backoff.failures > 1 and now < mold.backoff.retry_at + YOUNG:
        found.append(
            f"Workers end soon after they start, {mold.backoff.failures} times in a row; the log says how."
        )
    if mold is None and children.current and children.mold_backoff.failures:
        found.append("The mold has ended and no new one is ready; workers that end are not replaced.")
    if trouble is not None:
        found.append(str(trouble))
    return found
