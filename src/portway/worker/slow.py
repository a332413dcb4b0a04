"""The slow-request log: where a request is while it runs, after one, two, four ... times a number of seconds.

The leader looks, at its looks at the deadlines; the requests themselves know nothing of it and pay nothing for it. Not
compiled.
"""

import logging
from typing import Any

from portway.worker.stacks import stack_of

log = logging.getLogger("portway.error")


class SlowRequests:
    """Watches what the application's threads have been doing, and for how long.

    seats: of the worker's threads. seconds: the time in the application after which a request is reported, and then
    after twice the time of the report before.
    """

    def __init__(self, seats: list[Any], seconds: float) -> None:
        self._seats = seats
        self._seconds = seconds
        # What was reported and has not ended, by the number of the seat: exchange, time of the next report.
        self._reported: dict[int, tuple[Any, float]] = {}

    def look(self, now: float) -> None:
        """Report what is due. The leader; now: the monotonic clock."""
        for seat in self._seats:
            exchange = seat.running
            known = self._reported.get(seat.index)
            if known is not None and known[0] is not exchange:
                self._report_end(known[0], now)
                del self._reported[seat.index]
                known = None
            if exchange is None:
                continue
            due = known[1] if known is not None else self._seconds
            took = now - exchange.started
            if took >= due:
                self._report(exchange, seat, took)
                while due <= took:
                    due *= 2
                self._reported[seat.index] = (exchange, due)

    def finish(self, now: float) -> None:
        """Report the ends of what has ended since the last look, when the worker stops."""
        for seat in self._seats:
            known = self._reported.pop(seat.index, None)
            if known is not None and known[0] is not seat.running:
                self._report_end(known[0], now)

    def _report(self, exchange: Any, seat: Any, took: float) -> None:
        request = exchange.request
        log.warning(
            "%s %s of %s is slow: %.3f s in the application so far, after %.3f s in the queue%s. "
            "Its thread is here:\n%s",
            request.method,
            request.path,
            exchange.connection.service.client_of(exchange.connection, request),
            took,
            exchange.started - exchange.ready,
            "; the client has gone" if exchange.client_has_gone() else "",
            stack_of(seat.ident),
            extra={"lines": True},
        )

    def _report_end(self, exchange: Any, now: float) -> None:
        request = exchange.request
        # Its thread may not have come to note when it ended.
        ended = exchange.ended if exchange.ended > exchange.started else now
        log.warning(
            "%s %s of %s was slow: it has ended after %.3f s in the application.",
            request.method,
            request.path,
            exchange.connection.service.client_of(exchange.connection, request),
            ended - exchange.started,
        )
