"""`environ["portway.deadline"]`: what an application can know and change of the time it has for a request.

One object for all requests of a worker, so that it costs a request nothing: it finds the request by the thread that
asks. Not compiled.
"""

import math
import threading
from typing import Any

from portway.net.system import clock


class RequestDeadline:
    """The deadline of the request that the calling thread was given.

    Raises RuntimeError in a thread that the server did not call the application in. Times are seconds.
    """

    def __init__(self, seats: list[Any]) -> None:
        """Take the seats of the worker's threads."""
        self._seats = seats

    @property
    def remaining(self) -> float:
        """The time that is left: math.inf if there is no deadline, 0.0 when it is over."""
        exchange = self._exchange()
        if exchange.expiry is not None:
            return 0.0
        deadline: float = exchange.deadline
        return max(deadline - clock(), 0.0) if deadline else math.inf

    def extend(self, seconds: float) -> bool:
        """Let the request have so much time from now on, more or less than it had; return False if it is too late.

        Raises ValueError for a time that is not positive.
        """
        if not seconds > 0:
            raise ValueError(f"a deadline is extended by a positive number of seconds, not {seconds!r}")
        return self._move(clock() + seconds)

    def clear(self) -> bool:
        """Let the request have all the time it takes; return False if it is too late."""
        return self._move(0.0)

    def _move(self, deadline: float) -> bool:
        moved: bool = self._exchange().move_deadline(deadline)
        return moved

    def _exchange(self) -> Any:
        me = threading.get_ident()
        for seat in self._seats:
            if seat.ident == me and seat.running is not None:
                return seat.running
        raise RuntimeError(
            "portway.deadline knows the request by its thread: use it in the thread that runs the request, "
            "not in one that the application has started"
        )

    def __repr__(self) -> str:
        try:
            return f"<RequestDeadline, {self.remaining:.3f} s remaining>"
        except RuntimeError:
            return "<RequestDeadline, in a thread without a request>"
