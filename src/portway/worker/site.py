"""One listener as the worker sees it: its socket, and how the environ of a request that came in by it is built."""

import socket
from collections.abc import Callable
from typing import Any


class Site:
    """A listening socket of the worker.

    sock: listening, non-blocking. environ: `EnvironBuilder.build` for this address.
    """

    __slots__ = ("environ", "fd", "name", "sock")

    def __init__(self, sock: socket.socket, name: str, environ: Callable[..., dict[str, Any]]) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.name = name
        self.environ = environ
