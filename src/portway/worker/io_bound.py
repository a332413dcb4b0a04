"""`environ["portway.io_bound"]`: by which an application says that the call it is in mostly waits.

One object for all requests of a worker, so that it costs a request nothing: it finds the request by the thread that
calls. Not compiled.
"""

import threading
from typing import Any


class IoBound:
    """Calling it lets the worker run one more call as long as this one lasts.

    It returns False where that cannot be done: the worker has as many extra threads as it may have (max_io_threads), or
    the caller is not the thread that runs the request. It never raises. To call it again changes nothing.
    """

    def __init__(self, seats: list[Any]) -> None:
        """Take the seats of the worker's threads; more may be added to the list later."""
        self._seats = seats

    def __call__(self) -> bool:
        """Mark the call."""
        me = threading.get_ident()
        for seat in self._seats:
            if seat.ident == me:
                exchange = seat.running
                if exchange is not None:
                    return bool(exchange.mark_io_bound())
        return False

    def __repr__(self) -> str:
        return "<portway.io_bound>"
