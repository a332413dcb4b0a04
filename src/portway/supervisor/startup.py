"""Interrupts a start that takes too long, and so learns where it hangs. Runs in molds and in workers that start.

The supervisor sends SIGVTALRM to a process that has not begun its work in time (`startup_timeout`). Its handler
raises StartupTimeout in the main thread, wherever that is: in an import, in a query, in a lock. The process then
ends as by any other exception, with a report that has the place. A process that cannot be interrupted, because
it is in C code that does not come back, is sent SIGABRT, by which it writes its stacks to the error log.
"""

import signal
from types import FrameType

#: What the supervisor sends. Nobody else does, except a program that counts its own CPU time with setitimer.
EXPIRE = signal.SIGVTALRM

#: What to do where a start takes too long.
HINT = "where that is not a mistake, --startup-timeout SECONDS gives it longer, and 0 as long as it takes."


class StartupTimeout(BaseException):
    """The start has taken too long. No Exception, so that code which survives everything does not survive it.

    str() is a clause that says which limit was reached.
    """


class _Start:
    """Whether this process is starting, and how long it may take. limit: seconds, 0.0 while it does not start."""

    limit: float = 0.0


_start = _Start()


def begin(limit: float) -> None:
    """Let the start be interrupted from now on. limit: seconds, for the message; 0 if there is none."""
    _start.limit = limit
    signal.signal(EXPIRE, _expire)


def end() -> None:
    """The start is over: what arrives later interrupts nothing."""
    _start.limit = 0.0


def find(error: BaseException) -> StartupTimeout | None:
    """Return the interruption that an exception came from, None where there was none."""
    seen: list[BaseException] = []
    at: BaseException | None = error
    while at is not None and at not in seen:
        if isinstance(at, StartupTimeout):
            return at
        seen.append(at)
        at = at.__cause__ or at.__context__
    return None


def _expire(_number: int, _frame: FrameType | None) -> None:
    if _start.limit:
        raise StartupTimeout(f"it took longer than startup_timeout ({_start.limit:g} s)")
