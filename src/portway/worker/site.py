"""One listener as the worker sees it."""

import socket
from typing import Any


class Site:
    """A listening socket of the worker.

    sock: listening, non-blocking, shared with other processes. url: for messages.
    local: its address as the socket module gives it, the same object for all requests.
    """

    __slots__ = ("fd", "local", "sock", "url")

    def __init__(self, sock: socket.socket, url: str) -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.url = url
        self.local: Any = sock.getsockname()
