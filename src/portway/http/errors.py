"""The two protocol errors. Each knows the status it is answered with; nobody maps exceptions to statuses.

Plain values with no behaviour, usable from any thread. Not compiled, so that both builds raise the same
classes.
"""


class ProtocolError(Exception):
    """HTTP was broken, by the client or by the application.

    `status` is the status code to answer with, if an answer can still be sent. `reason` is one short line for
    the log, printable ASCII whatever the client sent; it is not meant for the client.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


class RemoteProtocolError(ProtocolError):
    """The client sent what HTTP, or a limit, does not allow: the connection is answered and closed."""


class LocalProtocolError(ProtocolError):
    """The application, or this server, asked for bytes that must not go on the wire: always 500."""

    def __init__(self, reason: str) -> None:
        super().__init__(500, reason)

    def __reduce__(self) -> tuple[type["LocalProtocolError"], tuple[str]]:
        return type(self), (self.reason,)


def quoted(data: bytes | str) -> str:
    """Return at most 40 characters of what was received as printable ASCII in quotes, for a `reason`."""
    text = data if isinstance(data, str) else data.decode("latin-1")
    return ascii(text) if len(text) <= 40 else ascii(text[:40]) + "..."
