"""What a failing disk or a full descriptor table becomes: a status for the client, a line for the operator.

Runs on the leader thread. The lines are rationed, because a server that runs out of descriptors would write
one for each of ten thousand requests a second.
"""

import errno
import logging
import os
from collections.abc import Callable

_log = logging.getLogger("portway.error")

# Seconds between two lines about one kind of failure.
_INTERVAL = 1.0

# There is no such file, whatever the reason; that somebody asks for it is nothing the operator must know.
_MISSING = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO, errno.EISDIR}
)
# It is there and not for us: missing for the client, a mistake in permissions for the operator.
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
# It will be different in a moment.
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR, errno.ENOBUFS})


#: Kinds of trouble that are no errno, for `Failures.report`.
GONE = -1
OUTSIDE = -2


class Failures:
    """Classifies and reports errors. clock: monotonic seconds."""

    __slots__ = ("_clock", "_silent_until", "_suppressed")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._silent_until: dict[int, float] = {}
        self._suppressed: dict[int, int] = {}

    def status(self, error: OSError, path: bytes) -> int:
        """Return 404, 500 or 503 for an error of opening or reading `path`; log all that is not a miss."""
        code = error.errno or 0
        if code in _MISSING:
            return 404
        self.report(code, "cannot read %r: %s", path, error.strerror or error)
        if code in _FORBIDDEN:
            return 404
        return 503 if code in _PASSING else 500

    def report(self, kind: int, message: str, path: bytes, detail: object = "") -> None:
        """Log an error, once a second for each kind; what was held back is counted in the next line."""
        now = self._clock()
        if now < self._silent_until.get(kind, 0.0):
            self._suppressed[kind] = self._suppressed.get(kind, 0) + 1
            return
        self._silent_until[kind] = now + _INTERVAL
        held_back = self._suppressed.pop(kind, 0)
        more = f" (and {held_back} more like it)" if held_back else ""
        arguments = (os.fsdecode(path), detail) if detail else (os.fsdecode(path),)
        _log.error("files: " + message + "%s", *arguments, more)
