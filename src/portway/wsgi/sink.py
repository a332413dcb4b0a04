"""Where the gateway puts the bytes of a response: the one thing it knows of the connection.

`Sink` is what the worker's Exchange derives from (it sends) and the sinks of tests (they keep). The gateway calls
it in the thread that runs the application, one call at a time.
"""

# mypy: disallow-untyped-decorators=False

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

from typing import Any


class ClientDisconnected(ConnectionError):  # noqa: N818 - what happened, not a mistake
    """The client is gone or was given up: nothing more of this response can be sent."""


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


@cython.cclass
class Sink:
    """Takes the bytes of one response, in order. A class and not a protocol, so that a call of it is one of C."""

    def send(self, data: bytes) -> Any:
        """Take the bytes for sending; may block the calling thread while too much is waiting already.

        Raises ClientDisconnected. Whatever else it raises ends the response as an error of the server.
        """
        raise NotImplementedError

    def send_file(self, fd: cython.int, offset: Any, count: Any) -> Any:
        """Take `count` bytes of the regular file `fd` from `offset` on, for sendfile.

        The descriptor belongs to the sink from the call on, which closes it also when it raises.
        Raises ClientDisconnected.
        """
        raise NotImplementedError

    def is_last(self) -> cython.bint:
        """Tell whether the connection ends with this response, although the client would keep it.

        Asked when the head is composed, not when the application is called: the server may have been told to stop
        in between.
        """
        return False
