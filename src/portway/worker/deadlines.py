"""How long each phase of a connection may take. All values are seconds; 0 stands for no limit where a field says so."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Deadlines:
    """The times that the leader enforces."""

    #: From the first byte of a request (or from the accept) to the end of its head.
    head: float = 15.0
    #: Without a byte of the body; see also `minimum_rate`.
    body: float = 30.0
    #: Between requests of a kept-alive connection.
    keep_alive: float = 75.0
    #: Without the client taking a byte of its response.
    write: float = 30.0
    #: In the application; 0 for no limit.
    application: float = 30.0
    #: Draining: for one more request of a connection that is idle, which is closed after it.
    drain: float = 2.0
    #: A request whose client has closed its side is dropped if it waited longer than this for a thread.
    abandoned: float = 0.0
    #: Bytes a second that a client has to manage on the average, sending a body or reading a response (Apache's
    #: mod_reqtimeout has the same figure for the same reason: a byte a second is an attack).
    minimum_rate: float = 500.0
