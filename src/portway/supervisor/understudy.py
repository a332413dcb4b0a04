"""A mold that stands by while another one imports the application, and takes over where that must not fork.

Runs in the mold. What an import leaves behind (threads, connections) cannot be taken back, so a process that has
imported an application that cannot be forked is of no use any more. The understudy is forked from it before the
import and waits: until it is dismissed, or until the other has said so and has ended, addresses that it had and
all. Then it is the mold, as the supervisor's child, and has each worker import the application for itself.
"""

import os
import select
import signal
from collections.abc import Callable
from time import monotonic, sleep

from portway.supervisor import spawn

_TAKE_OVER = b"."
#: Seconds until the kernel has given an orphan its new parent.
_ADOPTION = 5.0


class Understudy:
    """The understudy, seen from the mold that forks it.

    supervisor: the process that adopts it. take_over: what it runs then, in its process; returns the exit code.
    Raises OSError where it cannot be forked.
    """

    def __init__(self, supervisor: int, take_over: Callable[[], int]) -> None:
        reader, self._writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        mold = os.pidfd_open(os.getpid())
        writer = self._writer

        def main() -> int:
            os.close(writer)
            _wait_for_end(mold)
            try:
                called = os.read(reader, 1) == _TAKE_OVER
            except BlockingIOError:
                # It was not, and a process of the application has inherited the other end.
                called = False
            os.close(reader)
            os.close(mold)
            return take_over() if called and _is_adopted_by(supervisor) else 0

        try:
            self.pid = spawn.fork(main, deaf=(signal.SIGINT, signal.SIGQUIT))
        finally:
            os.close(reader)
            os.close(mold)

    def dismiss(self) -> None:
        """End it: it is not needed."""
        os.close(self._writer)
        os.kill(self.pid, signal.SIGKILL)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            # The application has taken the deaths of children away from us.
            pass

    def call(self) -> None:
        """Have it take over once this process has ended."""
        os.write(self._writer, _TAKE_OVER)


def _wait_for_end(descriptor: int) -> None:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    poll.poll()


def _is_adopted_by(supervisor: int) -> bool:
    until = monotonic() + _ADOPTION
    while os.getppid() != supervisor:
        if monotonic() > until:
            return False
        sleep(0.001)
    return True
