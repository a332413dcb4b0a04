"""Forking: signals in order on both sides, workers that become the supervisor's, and how a process ends.

A mold does not become the parent of its workers. It forks twice and the process in between ends at once, so
the kernel gives the worker to the next ancestor that has asked for such orphans (PR_SET_CHILD_SUBREAPER): the
supervisor, which learns of its death first hand whatever becomes of the mold.
"""

import atexit
import ctypes
import logging
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Callable, Iterable

from portway.supervisor import signals

log = logging.getLogger("portway.error")

# linux/prctl.h
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def adopt_orphans() -> None:
    """Make this process the parent of all its descendants whose parent has ended. Raises OSError."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; `parent` is who it should be.

    For processes that may be busy for long without looking after their parent. A change of the user undoes
    it.
    """
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def fork(main: Callable[[], int], deaf: Iterable[signal.Signals] = ()) -> int:
    """Run `main` in a child process, which ends with what it returns; return its process id.

    In the child signals have the meaning of `signals.reset_for_child`, and nothing of the caller goes on.
    Raises OSError.
    """
    signals.block()
    try:
        pid = _fork()
        if pid == 0:
            _run(main, deaf)
    finally:
        # Only the parent comes here.
        signals.unblock()
    return pid


def fork_detached(main: Callable[[], int], announce: Callable[[int], None]) -> None:
    """Run `main` in a process that becomes a child of the next ancestor that adopts orphans.

    `announce` is called with its process id, in the process between, so that it is known even if the caller
    dies meanwhile; `main` begins after that, so whatever it says or does comes later. Raises OSError if one
    of the forks or the announcement fails.
    """
    signals.block()
    try:
        between = _fork()
        if between == 0:
            _fork_again(main, announce)
    finally:
        signals.unblock()
    try:
        status = os.waitpid(between, 0)[1]
    except ChildProcessError:
        # The application has taken the deaths of children away from us.
        return
    code = os.waitstatus_to_exitcode(status)
    if code:
        raise OSError(abs(code), os.strerror(code) if code > 0 else f"killed by {signal_name(-code)}")


def _fork_again(main: Callable[[], int], announce: Callable[[int], None]) -> None:
    code = 1
    try:
        announced, tell = os.pipe()
        pid = _fork()
        if pid == 0:
            os.close(tell)
            if not os.read(announced, 1):
                # Nobody knows of this process.
                os._exit(1)
            os.close(announced)
            _run(main, ())
        announce(pid)
        os.write(tell, b".")
        code = 0
    except OSError as error:
        code = error.errno or 1
    finally:
        os._exit(code)


def _fork() -> int:
    with warnings.catch_warnings():
        # Python 3.12 warns where threads exist, from libraries too; the mold reports them by name.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _run(main: Callable[[], int], deaf: Iterable[signal.Signals]) -> None:
    """Run a child's main function and end the process, whatever happens."""
    code = 1
    try:
        signals.reset_for_child(deaf)
        code = main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 1
    except BaseException:
        log.exception("An error that nobody expected ends process %d.", os.getpid())
    finally:
        leave(code)


def leave(code: int) -> None:
    """End this process as the interpreter would at the end of a program, without waiting for threads.

    The functions registered with atexit run (libraries send their last data then), streams are flushed. What
    stands between here and the beginning of the program belongs to the supervisor and must not run: no
    exception leaves.
    """
    try:
        atexit._run_exitfuncs()
    except BaseException:  # noqa: BLE001 - it is the application's, and the process ends anyway
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):
            pass
    os._exit(code & 0xFF)


def reap() -> list[tuple[int, str]]:
    """Return the children that have ended since the last time, and how, without waiting."""
    deaths: list[tuple[int, str]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return deaths
        if pid == 0:
            return deaths
        deaths.append((pid, describe_end(status)))


def describe_end(status: int) -> str:
    """Say how a process ended, from what waitpid(2) returned: "exited with 1", "was killed by SIGKILL"."""
    code = os.waitstatus_to_exitcode(status)
    return f"exited with {code}" if code >= 0 else f"was killed by {signal_name(-code)}"


def signal_name(number: int) -> str:
    """Return the name of a signal, "signal 34" for one without."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def set_title(name: str, role: str) -> None:
    """Show in ps and top what this process is, as "portway: worker 0"; needs setproctitle to be installed."""
    try:
        from setproctitle import setproctitle
    except ImportError:
        return
    setproctitle(f"{name}: {role}")
