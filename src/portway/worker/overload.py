"""What a worker does with requests that it cannot run in time: refuse them, or forget them. Runs on the leader.

Requests that find every application thread busy wait in the queue of worker.leadership. This module keeps that queue
bounded in length and in time, and takes from it the requests whose clients have left. It does not decide who runs what.
"""

import logging
from typing import Any

from portway.worker.leadership import Leadership

log = logging.getLogger("portway.error")

#: Seconds between two log lines about the same limit.
LOG_EVERY = 60.0


class Overload:
    """The limits of a worker's queue.

    max_queue_time: seconds that a request may wait for an application thread; 0 for no limit.
    """

    def __init__(self, leadership: Leadership, max_queue_time: float) -> None:
        self._leadership = leadership
        self._max_queue_time = max_queue_time
        self._next_line: dict[str, float] = {}

    def refuse(self, exchange: Any, now: float) -> Any:
        """Answer 503 to a request for which there is no place in the queue.

        Returns the next request of its connection if there is one for which there is a place, else None.
        """
        while exchange is not None and self._leadership.queue_is_full():
            text = "Every thread is busy and %d requests wait (max_queue): further ones are answered 503."
            self._say(now, text, self._leadership.queue_length())
            exchange.refuse(503, now)
            exchange = exchange.finish(True)
        return exchange

    def sweep(self, now: float) -> None:
        """Answer 503 to the requests that have waited too long. Called several times a second."""
        if not self._max_queue_time or not self._leadership.queue_length():
            return
        for exchange in self._leadership.take_overdue(now - self._max_queue_time):
            text = "No thread became free within %g s (max_queue_time): requests that waited so long are answered 503."
            self._say(now, text, self._max_queue_time)
            exchange.refuse(503, now)
            # The refusal ends the connection: no request can follow.
            exchange.finish(True)

    def on_client_left(self, exchange: Any, now: float) -> None:
        """Forget the request of a client that has closed its connection, if it is still waiting.

        exchange: the connection's, None where it has none. The lock of the connection is held.
        """
        if exchange is not None and self._leadership.withdraw(exchange):
            exchange.abandon(now)
            exchange.finish(True)

    def _say(self, now: float, text: str, value: float) -> None:
        if now >= self._next_line.get(text, 0.0):
            self._next_line[text] = now + LOG_EVERY
            log.warning(text, value)
