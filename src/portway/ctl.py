"""The `portwayctl` command: tells a running server what to do, by its process id.

It sends the signals that the supervisor knows and waits for nothing. Exit statuses: 0 done (for `status`: it
runs), 1 there is no such server or it may not be signalled, 2 the command line is wrong, 3 `status`: it does
not run.
"""

import argparse
import os
import signal
import sys
from collections.abc import Sequence

#: The commands, the signal each sends, and what it asks for.
COMMANDS = {
    "status": (None, "say whether the server runs"),
    "reload": (signal.SIGHUP, "start workers with the current code and settings, then stop the old ones"),
    "stop": (signal.SIGTERM, "finish the requests that run, then stop"),
    "quit": (signal.SIGQUIT, "stop at once"),
    "reopen": (signal.SIGUSR1, "reopen the log files, after they were rotated"),
    "add-worker": (signal.SIGTTIN, "start one more worker"),
    "remove-worker": (signal.SIGTTOU, "stop one worker"),
}

FAILED, NOT_RUNNING = 1, 3


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments (None: those of the process); return its exit status."""
    parser = argparse.ArgumentParser(
        prog="portwayctl",
        description="Tell a running Portway what to do.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:14} {what}" for name, (_, what) in COMMANDS.items()),
    )
    parser.add_argument(
        "-p",
        "--pid",
        required=True,
        metavar="FILE",
        help="the server's pid file (its --pid), or its process id",
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    try:
        options = parser.parse_args(argv)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    try:
        pid = read_pid(options.pid)
        return _send(options.command, pid)
    except _ControlError as error:
        print(f"portwayctl: {error}", file=sys.stderr)
        return NOT_RUNNING if options.command == "status" else FAILED


class _ControlError(Exception):
    """The server cannot be told; str() is the sentence for the operator."""


def read_pid(given: str) -> int:
    """Return the process id that is given, or that stands in the file that is given. Raises _ControlError."""
    text = given
    if not given.isdigit():
        try:
            with open(given, encoding="ascii", errors="replace") as file:
                text = file.read(64).strip()
        except FileNotFoundError:
            raise _ControlError(
                f"there is no pid file {given}: the server does not run, or writes another"
            ) from None
        except OSError as error:
            raise _ControlError(f"the pid file {given} cannot be read: {error.strerror}") from None
    if not (text.isascii() and text.isdigit()) or int(text) < 2 or int(text) > 2**31 - 1:
        raise _ControlError(
            f"{given} holds no process id" if text != given else f"{given} is no server's process id"
        )
    return int(text)


def _send(command: str, pid: int) -> int:
    number, _ = COMMANDS[command]
    try:
        os.kill(pid, number or 0)
    except ProcessLookupError:
        raise _ControlError(f"process {pid} does not run") from None
    except PermissionError:
        if number is None:
            print(f"running, process {pid} (of another user)")
            return 0
        raise _ControlError(f"process {pid} belongs to another user; try sudo") from None
    if number is None:
        print(f"running, process {pid}")
    return 0
