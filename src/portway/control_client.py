"""The other end of the control socket: connects to a running server and asks it one thing.

Runs in `portwayctl`, in one thread, and waits as long as it is told to. What can be asked is told in
portway.supervisor.commands, what the lines look like in portway.supervisor.control.
"""

import json
import socket
import struct
from time import monotonic
from typing import Any

#: More than any answer has: 64 workers with 64 threads that are all busy say it in two million bytes.
MAX_ANSWER = 64 * 1024**2

#: Whole seconds that a connection may wait to be made.
CONNECT_TIMEOUT = 10


class ControlError(Exception):
    """The server could not be asked; str() is a sentence for the operator."""


class NobodyThereError(ControlError):
    """There is no socket, or nobody listens on it."""


class NoAnswerError(ControlError):
    """The time is over, and there is no answer yet."""


class ControlClient:
    """A connection to a server, closed at the end of a `with` block."""

    def __init__(self, path: str) -> None:
        """Connect. Raises NobodyThereError or, if it is forbidden, ControlError."""
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX)
        # A server that is stopped lets so many wait, and no more.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", CONNECT_TIMEOUT, 0))
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            if isinstance(error, FileNotFoundError | NotADirectoryError):
                raise NobodyThereError(
                    f"there is no control socket {path}: the server does not run"
                ) from None
            if isinstance(error, ConnectionRefusedError):
                raise NobodyThereError(f"nobody listens on {path}: the server does not run") from None
            if isinstance(error, BlockingIOError):
                raise ControlError(f"the server at {path} does not answer") from None
            if isinstance(error, PermissionError):
                raise ControlError(f"the control socket {path} belongs to another user; try sudo") from None
            raise ControlError(
                f"the control socket {path} cannot be used: {error.strerror or error}"
            ) from None

    def __enter__(self) -> "ControlClient":
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    @property
    def pid(self) -> int:
        """The process id of the server, 0 where it lives in another namespace."""
        credentials = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid: int = struct.unpack("3i", credentials)[0]
        return pid

    def ask(self, request: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Send a request and return its answer. timeout: seconds, 0 for ever.

        Raises NoAnswerError when the time is over, ControlError if the server ends or sends nonsense.
        """
        deadline = monotonic() + timeout if timeout else None
        received = bytearray()
        try:
            self._send(json.dumps(request).encode("ascii") + b"\n", deadline)
            while not received.endswith(b"\n"):
                self._set_time(deadline)
                data = self._socket.recv(65536)
                if not data:
                    raise ControlError(f"the server at {self._path} has ended, or closed without an answer")
                received += data
                if len(received) > MAX_ANSWER:
                    raise ControlError(f"what listens on {self._path} is no Portway: its answer has no end")
        except TimeoutError:
            raise NoAnswerError(f"there is no answer from {self._path} within {timeout:g} s") from None
        except OSError as error:
            raise ControlError(f"the server at {self._path} has ended: {error.strerror or error}") from None
        try:
            answer = json.loads(received)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or not isinstance(answer.get("ok"), bool):
            raise ControlError(
                f"what listens on {self._path} is no Portway: it answers {bytes(received[:60])!r}"
            )
        return answer

    def _send(self, data: bytes, deadline: float | None) -> None:
        self._set_time(deadline)
        self._socket.sendall(data)

    def _set_time(self, deadline: float | None) -> None:
        if deadline is None:
            self._socket.settimeout(None)
            return
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
