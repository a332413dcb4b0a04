"""What all connections of a worker share: its parts, its limits, the date, and the set of the connections itself.

One Service per worker. The leader changes it; every thread reads it. It decides nothing: worker.loop does.
"""

from time import time
from typing import Any

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from portway.http.date import format_date
from portway.wsgi.input import Room

if cython.compiled:
    from cython.cimports.portway.worker.leadership import Leadership
    from cython.cimports.portway.wsgi.environ import EnvironBuilder
    from cython.cimports.portway.wsgi.gateway import Gateway
else:
    from portway.worker.leadership import Leadership
    from portway.wsgi.environ import EnvironBuilder
    from portway.wsgi.gateway import Gateway


def is_compiled() -> bool:
    """Tell whether this module runs compiled."""
    return bool(cython.compiled)


@cython.final
@cython.cclass
class Service:
    """The parts of a worker, as its connections see them.

    leadership: who runs the application. epoll: where connections register. connections: the open ones by descriptor.
    environ, gateway: portway.wsgi's EnvironBuilder and Gateway. limits, deadlines: of requests; keep_alive and
    application_timeout are two of the deadlines, in seconds. slot: the worker's place in the scoreboard.
    trusted: portway.wsgi.proxy.TrustedPeers.
    server, date: the values of the Server field, b"" for none, and of the Date field of this second.
    body_memory, body_directory, body_room: see portway.wsgi.input.RequestBody.
    local: portway.worker.local.LocalAnswers, or None where nothing is answered here.
    access_log: portway.observe.access.AccessLog, or None. overload: portway.worker.overload.Overload.
    accept_paused: the acceptor does not accept at the moment, and its clock has to be asked.
    leaving: the worker is to stop soon, or stops: no response keeps its connection alive, and it is not ready.
    draining: it has been told to stop. on_room: a function that is
    called once when the next connection is closed; set where the worker waits for that. retire: asks, with a reason,
    for the worker's replacement; None where nobody can be asked.
    """

    def __init__(
        self,
        leadership: Leadership,
        epoll: Any,
        environ: EnvironBuilder,
        gateway: Gateway,
        limits: Any,
        deadlines: Any,
        slot: Any,
        trusted: Any,
        server: bytes,
        body_memory: int = 524288,
        body_directory: str | None = None,
    ) -> None:
        self.leadership = leadership
        self.epoll = epoll
        self.connections: dict[int, Any] = {}
        self.environ = environ
        self.gateway = gateway
        self.limits = limits
        self.deadlines = deadlines
        self.keep_alive: float = deadlines.keep_alive
        self.application_timeout: float = deadlines.application
        self.slot = slot
        self.trusted = trusted
        self.server = server
        self.date = b""
        self.body_memory = body_memory
        self.body_directory = body_directory
        self.body_room = Room()
        self.local: Any = None
        self.access_log: Any = None
        self.overload: Any = None
        self.leaving: bool = False
        self.draining: bool = False
        self.accept_paused: bool = False
        self.on_room: Any = None
        self.retire: Any = None
        self._request_id: int = 0
        self._next_second: float = 0.0

    def add(self, connection: Any) -> None:
        """Take a new connection. The leader."""
        self.connections[connection.fd] = connection
        self.slot.add_accepted(1)

    def forget(self, connection: Any) -> Any:
        """Drop a connection that is about to be closed. Its owner, on any thread."""
        fd = connection.fd
        if self.connections.get(fd) is connection:
            del self.connections[fd]
        wake = self.on_room
        if wake is not None:
            self.on_room = None
            wake()

    def next_request_id(self) -> cython.longlong:
        """Number a request; numbers may be skipped, never used twice by one thread."""
        self._request_id += 1
        return self._request_id

    def keeps_alive(self) -> cython.bint:
        """Tell whether responses may keep their connections alive."""
        return self.keep_alive > 0.0 and not self.leaving

    def client_of(self, connection: Any, request: Any) -> str:
        """Return the client's address for a log: what a trusted proxy says, else the connection's.

        request: a Request, or None where none could be read.
        """
        address = self.trusted.address_of(connection.peer, () if request is None else request.fields)
        return address or connection.peer_name

    def count_answer(self, status: cython.int, bytes_sent: cython.longlong) -> None:
        """Count an answer that was given without the application. The owner of the connection."""
        if status >= 400:
            self.slot.add_refused()
        else:
            self.slot.add_file(bytes_sent)

    def tell_time(self, now: cython.double) -> Any:
        """Compose the Date field anew when a second has begun; now: the monotonic clock. The leader."""
        if now >= self._next_second:
            wall: cython.double = time()
            second: cython.longlong = cython.cast(cython.longlong, wall)
            self._next_second = now + (second + 1 - wall)
            self.date = format_date(second)
