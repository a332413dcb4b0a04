"""What the processes say to each other: JSON objects, one in a packet, over socket pairs.

Two kinds of path. A `Channel` joins the supervisor and one mold. The `Inbox` is one for all: molds and
workers write to it, the supervisor reads. Both keep the boundaries of messages (SOCK_SEQPACKET), so a packet
is a whole message or none, whoever else writes at the same moment. Sending blocks only while the supervisor
does not read, and fails with OSError once it is gone.

Every message has a "type". To the mold:

    spawn           nr                                      fork a worker for this slot
    (end of file)                                           end

To the supervisor, all with the generation and the pid of the sender:

    mold_ready      mounts                                  the mold has loaded what it serves and can fork
    mold_failed     failure                                 it cannot, and ends
    mold_moved      mold                                    it ends, and this process is the mold then
    spawned         nr, worker                              the process id of a worker that was forked
    spawn_failed    nr, failure                             none was
    ready           nr                                      a worker serves
    failed          nr, failure                             a worker cannot serve, and ends
    retire          nr, reason                              a worker wants another to take its place: it goes on
                                                            serving, and is told to drain when the other is ready
    files           paths                                   source files that were loaded, for --reload
"""

import json
import socket
from collections.abc import Mapping
from typing import Any

from portway.supervisor.children import Failure

#: The longest message in bytes. A socket's buffer takes several of this size (net.core.wmem_default is
#: 212,992).
MAX_MESSAGE = 65536

# How much of a failure is sent. It fits into a message even if JSON needs six bytes for each character.
_MAX_LINES, _MAX_COLUMNS = 50, 150

Message = dict[str, Any]


def encode(message: Mapping[str, Any]) -> bytes:
    """Return the packet for a message. Raises ValueError if it is too long or has no type."""
    if not isinstance(message.get("type"), str):
        raise ValueError(f"a message needs a type: {message!r}")
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False)
    # What is no character (a byte of a file name, say) becomes an escape, which JSON has as well.
    data = text.encode("utf-8", "backslashreplace")
    if len(data) > MAX_MESSAGE:
        raise ValueError(
            f"a message of type {message['type']} has {len(data)} bytes, more than {MAX_MESSAGE}"
        )
    return data


def decode(data: bytes) -> Message:
    """Return the message in a packet. Raises ValueError if it is none."""
    message = json.loads(data)
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise ValueError(f"not a message: {data[:80]!r}")
    return message


def pack_failure(failure: Failure) -> Message:
    """Return a failure as part of a message, cut to what a message can hold."""
    details = failure.details
    if len(details) > _MAX_LINES:
        # The end says what was raised, the beginning where it came from.
        details = (*details[: _MAX_LINES // 2], "  ...", *details[-_MAX_LINES // 2 :])
    return {
        "stage": failure.stage,
        "summary": failure.summary[: 8 * _MAX_COLUMNS],
        "details": [line[:_MAX_COLUMNS] for line in details],
        "hint": failure.hint[: 8 * _MAX_COLUMNS],
    }


def unpack_failure(packed: Mapping[str, Any]) -> Failure:
    """Return the failure that `pack_failure` made part of a message."""
    return Failure(packed["stage"], packed["summary"], tuple(packed["details"]), packed["hint"])


class Channel:
    """One end of the path between the supervisor and a mold."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    @classmethod
    def pair(cls) -> tuple["Channel", "Channel"]:
        """Return both ends."""
        first, second = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        return cls(first), cls(second)

    def fileno(self) -> int:
        """Return the descriptor, -1 after `close`."""
        return self._socket.fileno()

    def send(self, message: Mapping[str, Any]) -> bool:
        """Send a message without waiting; return False if the other end is gone or does not read."""
        try:
            self._socket.send(encode(message), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True

    def receive(self) -> Message | None:
        """Wait for a message and return it; None when the other end was closed."""
        data = self._socket.recv(MAX_MESSAGE)
        return decode(data) if data else None

    def close(self) -> None:
        """Close this end; the other one reads end of file."""
        self._socket.close()


class Inbox:
    """The path from everybody to the supervisor. Forked processes call `send`, the supervisor the rest."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a message has come."""
        return self._reader.fileno()

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a message; waits while the supervisor does not read. Raises OSError when it is gone."""
        self._writer.send(encode(message), socket.MSG_NOSIGNAL)

    def take(self) -> list[Message]:
        """Return all messages that have come, in order, without waiting; what is none is left out."""
        messages: list[Message] = []
        while True:
            try:
                data = self._reader.recv(MAX_MESSAGE, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return messages
            try:
                messages.append(decode(data))
            except ValueError:
                # Only a process that is out of its mind writes such; what it means nobody can tell.
                continue

    def close_reader(self) -> None:
        """In a forked process: leave reading to the supervisor, so that its end is noticed."""
        self._reader.close()

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()
