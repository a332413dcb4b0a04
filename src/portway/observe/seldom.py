"""Says the same thing only once in a while: for lines of the log about trouble that goes on.

Each process counts for itself; any thread may ask.
"""

from collections.abc import Callable
from time import monotonic

#: Seconds between two lines about the same trouble.
EVERY = 60.0


class Seldom:
    """When each trouble was told of last; clock: seconds that never go back."""

    def __init__(self, every: float = EVERY, clock: Callable[[], float] = monotonic) -> None:
        self._every = every
        self._clock = clock
        self._next: dict[str, float] = {}

    def is_due(self, trouble: str) -> bool:
        """Tell whether it is time to say it, which then counts as said."""
        now = self._clock()
        if now < self._next.get(trouble, now):
            return False
        self._next[trouble] = now + self._every
        return True
