"""One request and its response: the sink that the gateway writes to, and the record of what happened when.

An Exchange is made by the leader when a head is complete. `run` is called by an application thread, once; `send` and
`send_file` by the gateway within it. `on_deadline` is called by the leader while another thread may be in `run`; how
the two keep out of each other's way is written down in portway.worker.expiry.
"""

import logging
import os
from time import time
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from portway.http.errors import RemoteProtocolError
from portway.http.response import error_page
from portway.net.system import wait_writable
from portway.observe.access import AccessRecord
from portway.worker.expiry import Expiry
from portway.worker.replies import CLIENT_LEFT, body_size, log_answer
from portway.worker.stacks import stack_of
from portway.wsgi.sink import ClientDisconnected
from portway.wsgi.timeout import RequestTimeout

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
# Seconds after which RequestTimeout is tried again in a thread that could not be interrupted.
AGAIN = cython.declare(cython.double, 0.01)


# Bytes of a piece that is sent, or a rest that is left to the leader, without a further thought.
LARGE = cython.declare(cython.Py_ssize_t, 262144)
# Seconds that a thread waits for a client that reads fast: at once where others wait for the thread and where none
# does, and in one response.
MOMENT = cython.declare(cython.double, 0.005)
LONG_MOMENT = cython.declare(cython.double, 0.05)
PATIENCE = cython.declare(cython.double, 0.25)


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return bool(cython.compiled)


@cython.cclass
class Exchange(Sink):
    """A request, its body and the state of its response.

    Times are seconds of the monotonic clock: `arrived` when the head was complete, `ready` when the whole request was,
    `started` when the application was called, `ended` when it had returned, `deadline` when it must have, 0.0 for
    never. began: the application has sent something. keep_alive, aborted: what becomes of the connection.
    seat: of the thread that runs it. guarded: that thread is in the server's code and not to be interrupted.
    expiry: portway.worker.expiry.Expiry, from the moment that the deadline is over.
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
        self.deadline: float = 0.0
        self.guarded: bool = False
        self.overdue: bool = False
        # The access log has its line.
        self.logged: bool = False
        self.expiry: Any = None
        self.patience: float = PATIENCE
        self.seat: Any = None

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
        seat.running = self
        if service.application_timeout:
            self.deadline = connection.deadline = now + service.application_timeout
        slot.begin(
            service.next_request_id(), cython.cast(cython.longlong, now * 1e9), request.method, request.path
        )
        response: Response = service.gateway.respond(request, environ, self, service.date, request.keep_alive)
        # From here on nobody raises RequestTimeout in this thread; what was raised before is settled.
        seat.running = None
        if self.expiry is not None:
            self._settle()
        self.ended = clock()
        service.leadership.note_call_time(self.ended - now)
        slot.end(
            cython.cast(cython.longlong, self.ended * 1e9), response.body_bytes, response.status_code >= 500
        )
        self.keep_alive = response.keep_alive
        self.aborted = response.aborted or self.expiry is not None
        if self.body is not None:
            self.drop()
        if service.access_log is not None:
            self._log_access(response, environ)

    @cython.cfunc
    def _settle(self) -> Any:
        try:
            self.expiry.settle()
        except RequestTimeout:
            pass

    def break_off(self, slot: ThreadSlot) -> Any:
        """End `run` in the place of one that an exception has left; whoever calls it closes the connection."""
        if self.seat is not None:
            self.seat.running = None
            if self.expiry is not None:
                self._settle()
            self.ended = clock()
            slot.end(cython.cast(cython.longlong, self.ended * 1e9), 0, True)
            self.log_unserved(500, 0, self.started)
        self.aborted = True
        self.drop()

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
        self.drop()
        extra = RETRY_AFTER if status == 503 else ()
        page = error_page(status, False, service.date, service.server, self.request.method == "HEAD", extra)
        self.log_unserved(status, body_size(page), now)
        try:
            connection.transmit(page)
        except ClientDisconnected:
            self.aborted = True

    def abandon(self, now: cython.double) -> Any:
        """Do without an answer, because the client has left. The owner, who calls `finish` next."""
        self.ended = now
        self.aborted = True
        self.log_unserved(CLIENT_LEFT, 0, now)
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
        self.guarded = True
        try:
            if self.expiry is not None:
                self.expiry.stop_sending()
            if not self.began:
                self._begin()
            if connection.gone:
                raise ClientDisconnected
            if len(data) <= LARGE and (connection.outbox is None or connection.outbox.size == 0):
                connection.transmit(data)
                return
            # Before a piece, not after the last one, however large: nobody has to wait for who reads what is complete.
            if connection.outbox is not None and connection.outbox.is_high():
                self._wait_for_client()
            if self.patience > 0.0 and connection.batch is None:
                self._keep_pace(data)
            else:
                connection.transmit(data)
        finally:
            self.guarded = False

    def send_file(self, fd: cython.int, offset: Any, count: Any) -> Any:
        """Send a part of a file; the descriptor becomes the connection's own. Raises ClientDisconnected."""
        self.guarded = True
        try:
            try:
                if self.expiry is not None:
                    self.expiry.stop_sending()
                if not self.began:
                    self._begin()
            except BaseException:
                os.close(fd)
                raise
            self.connection.transmit_file(fd, offset, count)
        finally:
            self.guarded = False

    def is_last(self) -> cython.bint:
        """Tell whether the server wants the connection to end with this response."""
        return not self.connection.service.keeps_alive()

    @cython.cfunc
    def _begin(self) -> Any:
        """The first bytes: from here on nobody else answers.

        To say so and to look whether somebody has is one step, against `on_deadline` on the leader's thread: in the
        compiled form because nothing between the two gives the GIL away, in the other form by the connection's lock.
        """
        if not cython.compiled:
            self.connection.acquire()
        self.began = True
        expired: cython.bint = self.expiry is not None
        if not cython.compiled:
            self.connection.release()
        if expired:
            raise ClientDisconnected

    @cython.cfunc
    def _keep_pace(self, data: bytes) -> Any:
        """Send, and rather wait for a client that reads fast than put its response on disk.

        What a client leaves for a moment goes into the outbox, and from then on all of its response: it is slow, and
        this thread is for others.
        """
        connection = self.connection
        rest: Any = data
        while True:
            outbox: Any = connection.outbox
            if outbox is None or outbox.size == 0:
                rest = connection.transmit_at_once(rest)
                if rest is None:
                    return
                if len(rest) <= LARGE:
                    # A copy: a small rest is not to hold a large piece.
                    rest = bytes(rest)
                    break
            elif len(rest) <= outbox.room():
                break
            if not self._wait_a_moment():
                break
        connection.put(rest)

    @cython.cfunc
    def _wait_a_moment(self) -> cython.bint:
        """Wait until the socket, or what waits for it, has room; False if that takes too long. Others lead on."""
        connection = self.connection
        leadership = connection.service.leadership
        leadership.hand_over(self.seat)
        moment: cython.double = MOMENT if leadership.queue_length() else LONG_MOMENT
        began: cython.double = clock()
        outbox: Any = connection.outbox
        if outbox is not None and outbox.size:
            has_room: cython.bint = outbox.wait_empty(moment)
        else:
            has_room = wait_writable(connection.fd, int(moment * 1000))
        if connection.gone:
            raise ClientDisconnected
        self.patience -= clock() - began
        if not has_room:
            self.patience = 0.0
        return self.patience > 0.0

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
        return self.deadline

    def client_has_gone(self) -> bool:
        """Tell whether the client has closed its side, as far as that is known. Any thread."""
        return bool(self.connection.gone or self.connection.half_closed)

    def on_deadline(self, now: cython.double) -> None:
        """The time of the application, or of a client that does not read its stream, is over. The lock is held."""
        connection = self.connection
        if self.seat is None or self.seat.running is not self:
            # The call has just returned, and its thread waits for the lock.
            return
        if self.expiry is not None:
            done = self.expiry.interrupt()
        else:
            if self.began and connection.outbox is not None and connection.outbox.size:
                log.warning(
                    "%s %s of %s was cut off: the client did not read.",
                    self.request.method,
                    self.request.path,
                    connection.service.client_of(connection, self.request),
                )
                connection.cut(True)
                return
            if not self.overdue and (self.began or self.guarded):
                # It sends, perhaps the end of it: one look more, so that what is whole is not cut off.
                self.overdue = True
                connection.deadline = now + AGAIN
                return
            expiry = Expiry(self)
            # One step, as in `_begin`.
            self.expiry = expiry
            expiry.answered = not self.began
            done = expiry.expire(now)
        if not done:
            connection.deadline = now + AGAIN

    def report_stuck(self, now: cython.double) -> None:
        """Say where the application is that keeps a worker from ending. The leader."""
        log.error(
            "%s %s of %s is left unfinished after %.3f s in the application. Its thread is here:\n%s",
            self.request.method,
            self.request.path,
            self.connection.service.client_of(self.connection, self.request),
            now - self.started,
            stack_of(self.seat.ident),
            extra={"lines": True},
        )

    def log_unserved(self, status: int, body_bytes: int, until: cython.double) -> None:
        """Write the access log's line of a request that the application has not answered, if there is none yet.

        until: when it stopped to wait for a thread.
        """
        if not self.logged:
            self.logged = True
            log_answer(
                self.connection, self.request, status, body_bytes, self.ready, max(until - self.ready, 0.0)
            )

    # The application, by environ["portway.deadline"].

    def move_deadline(self, deadline: cython.double) -> bool:
        """Let the application have until `deadline`, 0.0 for ever; return False if it is too late for that."""
        connection = self.connection
        moved: cython.bint = False
        self.guarded = True
        try:
            if self.expiry is None:
                connection.acquire()
                try:
                    if self.expiry is None:
                        moved = True
                        self.deadline = deadline
                        if connection.outbox is None or not connection.outbox.size:
                            connection.deadline = deadline
                finally:
                    connection.release()
        finally:
            self.guarded = False
        return bool(moved)

    def mark_io_bound(self) -> bool:
        """Say that the call mostly waits, by environ["portway.io_bound"]; see Leadership.mark."""
        # No exception of another thread may come while the lock is held.
        self.guarded = True
        try:
            granted: bool = self.connection.service.leadership.mark(self.seat)
        finally:
            self.guarded = False
        return granted

    @cython.cfunc
    def _log_access(self, response: Response, environ: dict[str, Any]) -> Any:
        if self.logged:
            return
        self.logged = True
        status: cython.int = response.status_code
        if response.aborted and self.connection.gone and not response.body_bytes and self.expiry is None:
            # There was nobody to take the first byte.
            status = CLIENT_LEFT
        request = self.request
        duration = self.ended - self.ready
        record = AccessRecord(
            method=request.method,
            target=request.target,
            path=request.path,
            query=request.query,
            http_minor=request.http_minor,
            status=status,
            body_bytes=response.body_bytes,
            remote_addr=environ.get("REMOTE_ADDR", ""),
            fields=request.fields,
            response_fields=response.headers,
            environ=environ,
            started=time() - duration,
            duration=duration,
            queued=self.started - self.ready,
        )
        self.connection.service.access_log.log(record)
