"""One request and its response: the sink that the gateway writes to, and the record of what happened when.

An Exchange is made by the leader when a head is complete. `run` is called by an application thread, once; `send` and
`send_file` by the gateway within it. `on_deadline` is called by the leader while another thread may be in `run`.
"""

import logging
import sys
import threading
import traceback
from time import time
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from portway.http.errors import RemoteProtocolError
from portway.http.response import error_page
from portway.observe.access import AccessRecord
from portway.wsgi.sink import ClientDisconnected

if cython.compiled:
    from cython.cimports.portway.http.request import Request
    from cython.cimports.portway.net.system import clock
    from cython.cimports.portway.observe.scoreboard import ThreadSlot
    from cython.cimports.portway.worker.leadership import Seat
    from cython.cimports.portway.wsgi.gateway import Response
    from cython.cimports.portway.wsgi.sink import Sink
else:
    from portway.http.request import Request
    from portway.net.system import clock
    from portway.observe.scoreboard import ThreadSlot
    from portway.worker.leadership import Seat
    from portway.wsgi.gateway import Response
    from portway.wsgi.sink import Sink

log = logging.getLogger("portway.error")

RETRY_AFTER = [("Retry-After", "1")]


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return bool(cython.compiled)


@cython.cclass
class Exchange(Sink):
    """A request, its body and the state of its response.

    Times are seconds of the monotonic clock: `arrived` when the head was complete, `ready` when the whole request was,
    `started` when the application was called, `ended` when it had returned. began: the application has sent something.
    keep_alive, aborted: what becomes of the connection.
    """

    @cython.cfunc
    def prepare(self, connection: Any, request: Request, now: cython.double) -> Any:
        """Begin; as a function of C, because a call of the class would cost more than all that it does."""
        self.connection = connection
        self.request = request
        self.body: Any = None
        self.arrived: float = now
        self.ready: float = now
        self.started: float = 0.0
        self.ended: float = 0.0
        self.began: bool = False
        self.keep_alive: bool = False
        self.aborted: bool = False
        # The client was given another answer.
        self.expired: bool = False
        self.seat: Any = None
        self.thread: Any = None

    def run(self, seat: Seat, slot: ThreadSlot) -> Any:
        """Call the application and answer. Whoever calls it calls `finish` next.

        seat: the place of the calling thread. slot: its part of the scoreboard.
        """
        connection = self.connection
        service = connection.service
        request = self.request
        now: cython.double = clock()
        self.started = self.ended = now
        if connection.gone or (connection.half_closed and now - self.ready > service.deadlines.abandoned):
            # It waited in the queue, and its client did not.
            self.abandon(now)
            return
        try:
            environ = service.environ.build(request, self.body, connection.peer, connection.site.local)
        except RemoteProtocolError as error:
            log.warning("Refused a request of %s: %d, %s.", connection.peer_name, error.status, error.reason)
            self.refuse(error.status, now)
            return
        self.seat = seat
        if service.application_timeout:
            self.thread = threading.get_ident()
            connection.deadline = now + service.application_timeout
        slot.begin(
            service.next_request_id(), cython.cast(cython.longlong, now * 1e9), request.method, request.path
        )
        keep_alive: cython.bint = request.keep_alive and service.keeps_alive()
        response: Response = service.gateway.respond(request, environ, self, service.date, keep_alive)
        self.ended = clock()
        service.leadership.note_call_time(self.ended - now)
        slot.end(
            cython.cast(cython.longlong, self.ended * 1e9), response.body_bytes, response.status_code >= 500
        )
        self.keep_alive = response.keep_alive
        self.aborted = response.aborted or self.expired
        if self.body is not None:
            self.drop()
        if service.access_log is not None:
            self._log_access(response, environ)

    def finish(self, is_leader: cython.bint) -> Any:
        """Give the connection back; return its next complete request, or None. The thread that called `run`.

        is_leader: the thread leads still.
        """
        return self.connection.finish(self.keep_alive, self.aborted, self.ended, is_leader)

    def refuse(self, status: cython.int, now: cython.double) -> Any:
        """Answer with the short page instead of the application. The owner, who calls `finish` next."""
        connection = self.connection
        service = connection.service
        service.count_answer(status, 0)
        self.ended = now
        if service.access_log is not None:
            connection.log_answer(self.request, status, b"", 0)
        self.drop()
        extra = RETRY_AFTER if status == 503 else ()
        page = error_page(status, False, service.date, service.server, self.request.method == "HEAD", extra)
        try:
            connection.transmit(page)
        except ClientDisconnected:
            self.aborted = True

    def abandon(self, now: cython.double) -> Any:
        """Do without an answer, because the client has left. The owner, who calls `finish` next."""
        self.ended = now
        self.aborted = True
        self.drop()

    def drop(self) -> Any:
        """Let go of the request's body."""
        if self.body is not None:
            self.body.close()
            self.body = None

    # The sink (portway.wsgi.sink.Sink); the thread that runs the application.

    def send(self, data: bytes) -> Any:
        """Send bytes of the response; waits where the client is far behind. Raises ClientDisconnected."""
        connection = self.connection
        if not self.began:
            self._begin()
        if connection.gone:
            raise ClientDisconnected
        connection.transmit(data)
        if connection.outbox is not None and connection.outbox.is_high():
            self._wait_for_client()

    def send_file(self, fd: cython.int, offset: Any, count: Any) -> Any:
        """Send a part of a file; the descriptor becomes the connection's own. Raises ClientDisconnected."""
        if not self.began:
            self._begin()
        self.connection.transmit_file(fd, offset, count)

    @cython.cfunc
    def _begin(self) -> Any:
        """The first bytes: from here on nobody else answers.

        To say so and to look whether somebody has is one step, against `on_deadline` on the leader's thread: in the
        compiled form because nothing between the two gives the GIL away, in the other form by the connection's lock.
        """
        if not cython.compiled:
            self.connection.acquire()
        self.began = True
        expired: cython.bint = self.expired
        if not cython.compiled:
            self.connection.release()
        if expired:
            raise ClientDisconnected

    @cython.cfunc
    def _wait_for_client(self) -> Any:
        connection = self.connection
        # A leader that waits here would wait for itself.
        connection.service.leadership.hand_over(self.seat)
        if not connection.outbox.wait_below():
            raise ClientDisconnected

    # The leader.

    def release_gathered(self) -> Any:
        """Send the answers before this one that were gathered to be sent together with it, if it is still running."""
        connection = self.connection
        connection.acquire()
        try:
            if connection.exchange is self:
                connection.end_gathering()
        finally:
            connection.release()

    def application_deadline(self) -> cython.double:
        """Return when the application must have returned; 0.0 for never."""
        limit: cython.double = self.connection.service.application_timeout
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
        service = connection.service
        frame = sys._current_frames().get(self.thread)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "  (the thread has ended)\n"
        log.error(
            "%s %s took longer than the timeout of %g s in the application, after %.3f s in the queue. "
            "The client was answered 504. The thread is here:\n%s",
            self.request.method,
            self.request.path,
            service.application_timeout,
            self.started - self.ready,
            stack.rstrip(),
            extra={"lines": True},
        )
        connection.answer_late(error_page(504, False, service.date, service.server))

    @cython.cfunc
    def _log_access(self, response: Response, environ: dict[str, Any]) -> Any:
        request = self.request
        duration = self.ended - self.ready
        record = AccessRecord(
            method=request.method,
            target=request.target,
            path=request.path,
            query=request.query,
            http_minor=request.http_minor,
            status=504 if self.expired else response.status_code,
            body_bytes=response.body_bytes,
            remote_addr=environ.get("REMOTE_ADDR", ""),
            fields=request.fields,
            response_fields=response.headers,
            environ=environ,
            started=time() - duration,
            duration=duration,
        )
        self.connection.service.access_log.log(record)
