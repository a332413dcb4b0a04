"""What a RequestParser reports besides a Request and pieces of a body.

Not compiled: both builds of the parser return these same objects, so callers compare with `is`.
"""

import enum
from typing import Final, Literal


class Event(enum.Enum):
    """The four events that carry nothing."""

    END_OF_MESSAGE = "the body of the current request is complete"
    NEED_DATA = "nothing more can be said until receive_data() is called"
    PAUSED = "the current request is complete; start_next_cycle() goes on to the next"
    CONNECTION_CLOSED = "the client will send no further request"

    def __repr__(self) -> str:
        return self.name


END_OF_MESSAGE: Final[Literal[Event.END_OF_MESSAGE]] = Event.END_OF_MESSAGE
NEED_DATA: Final[Literal[Event.NEED_DATA]] = Event.NEED_DATA
PAUSED: Final[Literal[Event.PAUSED]] = Event.PAUSED
CONNECTION_CLOSED: Final[Literal[Event.CONNECTION_CLOSED]] = Event.CONNECTION_CLOSED
