"""Where the gateway puts the bytes of a response: the one thing it knows of the connection.

`Sink` is what the worker implements (its outbox) and what tests replace by a list. The gateway calls it in
the thread that runs the application, one call at a time.
"""

from typing import Protocol


class ClientDisconnected(ConnectionError):  # noqa: N818 - what happened, not a mistake
    """The client is gone or was given up: nothing more of this response can be sent."""


class Sink(Protocol):
    """Takes the bytes of one response, in order."""

    def send(self, data: bytes) -> None:
        """Take the bytes for sending; may block the calling thread while too much is waiting already.

        Raises ClientDisconnected. Whatever else it raises ends the response as an error of the server.
        """

    def send_file(self, fd: int, offset: int, count: int) -> None:
        """Take `count` bytes of the regular file `fd` from `offset` on, for sendfile.

        The descriptor belongs to the sink from the call on, which closes it also when it raises.
        Raises ClientDisconnected.
        """
