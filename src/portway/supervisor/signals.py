"""Signals of the supervisor: the handlers do nothing, the numbers arrive in a queue that the main loop reads.

The interpreter's C-level handler writes the number of each signal to a socket (signal.set_wakeup_fd), in the
order in which they came and whatever the main loop is doing; nothing of ours runs inside a handler.
"""

import signal
import socket
from collections.abc import Iterable
from types import FrameType
from typing import Any

#: What each signal asks the supervisor to do; the name is that of a method, `on_<name>`. The meanings are
#: Gunicorn's.
MEANINGS = {
    signal.SIGTERM: "stop",
    signal.SIGINT: "quit",
    signal.SIGQUIT: "quit",
    signal.SIGHUP: "reload",
    signal.SIGTTIN: "add_worker",
    signal.SIGTTOU: "remove_worker",
    signal.SIGUSR1: "reopen",
    signal.SIGUSR2: "upgrade",
    signal.SIGWINCH: "rest",
    signal.SIGCHLD: "reap",
}

#: Those that end a process that does not handle them, or that make it dump its memory; the supervisor's
#: children do not get them by accident, as from `pkill -HUP`, before they have handlers of their own.
_NOT_FOR_CHILDREN = (
    signal.SIGHUP,
    signal.SIGTTIN,
    signal.SIGTTOU,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGWINCH,
)


class SignalQueue:
    """The signals that have come since `take` was called last. Only one can be open in a process."""

    def __init__(self) -> None:
        self._reader, self._writer = socket.socketpair()
        self._reader.setblocking(False)
        self._writer.setblocking(False)
        self._before: dict[signal.Signals, Any] = {}

    def open(self) -> None:
        """Begin to collect signals. Main thread only."""
        for number in MEANINGS:
            self._before[number] = signal.signal(number, ignore)
        signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when a signal has come."""
        return self._reader.fileno()

    def take(self) -> list[signal.Signals]:
        """Return the signals that have come, in order, without waiting."""
        try:
            return [signal.Signals(number) for number in self._reader.recv(4096)]
        except BlockingIOError:
            return []

    def close(self) -> None:
        """Give back the signals to whoever had them before."""
        signal.set_wakeup_fd(-1)
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self.abandon()

    def abandon(self) -> None:
        """In a forked process, which has its own signals: only close the descriptors."""
        self._reader.close()
        self._writer.close()


def ignore(_number: int, _frame: FrameType | None) -> None:
    """Handle a signal by doing nothing.

    Unlike SIG_IGN it is not handed down to programs that are executed.
    """


def block() -> None:
    """Hold all signals back, so that a fork is not torn between two sets of handlers."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


def unblock() -> None:
    """Let the signals come that `block` held back."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def reset_for_child(deaf: Iterable[signal.Signals] = ()) -> None:
    """Set what signals do in a forked process, while they are still blocked, and let them come.

    It ends by TERM, INT or QUIT and hears nothing else; `deaf` are further ones that it does not hear.
    """
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, _end)
    for number in (*_NOT_FOR_CHILDREN, *deaf):
        signal.signal(number, ignore)
    unblock()


def _end(_number: int, _frame: FrameType | None) -> None:
    """End by QUIT without dumping memory, which is its default."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.raise_signal(signal.SIGINT)
