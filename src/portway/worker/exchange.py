"""One request and its response: the sink that the gateway writes to, and the record of what happened when.

An Exchange is made by the leader when a head is complete. `run` is called by an application thread, once; `send` and
`send_file` by the gateway within it. `on_deadline` is called by the leader while another thread may be in `run`.
"""

import logging
import sys
import threading
import traceback
from time import monotonic, time
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from portway.http.errors import RemoteProtocolError
from portway.http.response import error_page
from portway.observe.access import AccessRecord
from portway.worker.replies import local_record
from portway.wsgi.sink import ClientDisconnected

log = logging.getLogger("portway.error")

RETRY_AFTER = [("Retry-After", "1")]


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return cython.compiled


@cython.freelist(64)
@cython.cclass
class Exchange:
    """A request, its body and the state of its response.

    Times are seconds of the monotonic clock: `arrived` when the head was complete, `ready` when the whole request was,
    `started` when the application was called. began: the application has sent something.
    """

    connection = cython.declare(object, visibility="readonly")
    request = cython.declare(object, visibility="readonly")
    body = cython.declare(object, visibility="public")
    arrived = cython.declare(cython.double, visibility="readonly")
    ready = cython.declare(cython.double, visibility="public")
    started = cython.declare(cython.double, visibility="readonly")
    began = cython.declare(cython.bint, visibility="readonly")
    # The client was given another answer.
    expired: cython.bint
    seat: Any
    thread: Any

    def __init__(self, connection: Any, request: Any, now: cython.double) -> None:
        self.connection = connection
        self.request = request
        self.body = None
        self.arrived = now
        self.ready = now
        self.started = 0.0
        self.began = False
        self.expired = False
        self.seat = None
        self.thread = None

    def run(self, seat: Any, slot: Any) -> Any:
        """Call the application and answer. Returns the next complete request of the connection, or None.

        seat: the place of the calling thread. slot: its part of the scoreboard.
        """
        connection = self.connection
        loop = connection.loop
        request = self.request
        now: cython.double = monotonic()
        if connection.gone or (connection.half_closed and now - self.ready > loop.deadlines.abandoned):
            # It waited in the queue, and its client did not.
            self.drop()
            return connection.finish(False, True, now)
        self.seat = seat
        self.started = now
        if loop.deadlines.application:
            self.thread = threading.get_ident()
            connection.deadline = now + loop.deadlines.application
        try:
            environ = loop.environ.build(request, self.body, connection.peer, connection.site.local)
        except RemoteProtocolError as error:
            log.warning("Refused a request of %s: %d, %s.", connection.peer_name, error.status, error.reason)
            return self.refuse(error.status, now)
        slot.begin(loop.next_request_id(), cython.cast(cython.longlong, now * 1e9), request.method, request.path)
        keep_alive: cython.bint = request.keep_alive and not loop.draining
        outcome = loop.gateway.respond(request, environ, self, loop.date, keep_alive)
        ended: cython.double = monotonic()
        loop.leadership.note_call_time(ended - now)
        slot.end(cython.cast(cython.longlong, ended * 1e9), outcome.body_bytes, outcome.status_code >= 500)
        if self.body is not None:
            self.drop()
        if loop.access_log is not None:
            self._log_access(outcome, environ, ended)
        return connection.finish(outcome.keep_alive, outcome.aborted or self.expired, ended)

    def refuse(self, status: cython.int, now: cython.double) -> Any:
        """Answer with the short page instead of the application; return the next complete request, or None. The owner."""
        connection = self.connection
        loop = connection.loop
        loop.count_answer(status, 0)
        if loop.access_log is not None:
            loop.access_log.log(local_record(connection.peer, self.request, status, b"", 0, time()))
        self.drop()
        extra = RETRY_AFTER if status == 503 else ()
        page = error_page(status, False, loop.date, loop.server, self.request.method == "HEAD", extra)
        try:
            connection.transmit(page)
        except ClientDisconnected:
            return connection.finish(False, True, now)
        return connection.finish(False, False, now)

    def drop(self) -> None:
        """Let go of the request's body."""
        if self.body is not None:
            self.body.close()
            self.body = None

    # The sink (portway.wsgi.sink.Sink); the thread that runs the application.

    def send(self, data: bytes) -> None:
        """Send bytes of the response; waits where the client is far behind. Raises ClientDisconnected."""
        connection = self.connection
        if not self.began:
            self._begin()
        if connection.gone:
            raise ClientDisconnected
        connection.transmit(data)
        if connection.outbox is not None and connection.outbox.is_high():
            self._wait_for_client()

    def send_file(self, fd: cython.int, offset: Any, count: Any) -> None:
        """Send a part of a file; the descriptor becomes the connection's own. Raises ClientDisconnected."""
        if not self.began:
            self._begin()
        self.connection.transmit_file(fd, offset, count)

    def _begin(self) -> None:
        """The first bytes: from here on nobody else answers."""
        connection = self.connection
        if connection.deadline == 0.0:
            self.began = True
            return
        connection.acquire()
        self.began = True
        connection.release()
        if self.expired:
            raise ClientDisconnected

    def _wait_for_client(self) -> None:
        connection = self.connection
        # A leader that waits here would wait for itself.
        connection.loop.leadership.hand_over(self.seat)
        if not connection.outbox.wait_below():
            raise ClientDisconnected

    # The leader.

    def application_deadline(self) -> cython.double:
        """Return when the application must have returned; 0.0 for never."""
        limit: cython.double = self.connection.loop.deadlines.application
        return self.started + limit if limit else 0.0

    def on_deadline(self, now: cython.double) -> None:
        """The time of the application, or of a client that does not read its stream, is over. The lock is held."""
        connection = self.connection
        if self.began:
            waited = connection.outbox is not None and connection.outbox.size
            log.warning(
                "%s %s of %s was cut off: %s.",
                self.request.method,
                self.request.path,
                connection.peer_name,
                "the client did not read" if waited else f"the application took {now - self.started:.1f} s",
            )
            connection.cut()
            return
        self.expired = True
        loop = connection.loop
        frame = sys._current_frames().get(self.thread)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "  (the thread has ended)\n"
        log.error(
            "%s %s took longer than the timeout of %g s in the application, after %.3f s in the queue. "
            "The client was answered 504. The thread is here:\n%s",
            self.request.method,
            self.request.path,
            loop.deadlines.application,
            self.started - self.ready,
            stack.rstrip(),
        )
        connection.answer_late(error_page(504, False, loop.date, loop.server))

    def _log_access(self, outcome: Any, environ: dict, ended: cython.double) -> None:
        request = self.request
        duration = ended - self.ready
        record = AccessRecord(
            method=request.method,
            target=request.target,
            path=request.path,
            query=request.query,
            http_minor=request.http_minor,
            status=504 if self.expired else outcome.status_code,
            body_bytes=outcome.body_bytes,
            remote_addr=environ.get("REMOTE_ADDR", ""),
            fields=request.fields,
            response_fields=outcome.headers,
            environ=environ,
            started=time() - duration,
            duration=duration,
        )
        self.connection.loop.access_log.log(record)
