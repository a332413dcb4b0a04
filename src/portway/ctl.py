"""The `portwayctl` command: asks a running server how it is, and tells it what to do.

It finds the server by its control socket or by its pid file, beside which the socket is. A server without a
control socket is sent the signals that the supervisor knows; then nothing is waited for.

Exit statuses: 0 done (for `status`: it runs), 1 there is no such server or it may not be told, 2 the command
line is wrong, 3 `status`: it does not run, 4 `reload`: the old generation keeps serving, 5 `reload`: not done
in time.
"""

import argparse
import json
import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

from portway.control_client import ControlClient, ControlError, NoAnswerError, NobodyThereError
from portway.settings.control_socket import beside
from portway.status_text import printable, status_text, workers_text

#: The commands, the signal that means the same, and what each does.
COMMANDS = {
    "status": (None, "say how the server is"),
    "workers": (None, "say what each thread of each worker is doing now"),
    "reload": (signal.SIGHUP, "start workers with the current code and settings, then stop the old ones"),
    "stop": (signal.SIGTERM, "finish the requests that run, then stop"),
    "quit": (signal.SIGQUIT, "stop at once"),
    "reopen": (signal.SIGUSR1, "reopen the log files, after they were rotated"),
    "add-worker": (signal.SIGTTIN, "start one more worker"),
    "remove-worker": (signal.SIGTTOU, "stop one worker"),
}

FAILED, NOT_RUNNING, NOT_RELOADED, NOT_DONE = 1, 3, 4, 5

#: How long an answer may take, in seconds: a reload imports the application and starts every worker.
TIMEOUT, RELOAD_TIMEOUT = 10.0, 300.0


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments (None: those of the process); return its exit status."""
    try:
        options = build_parser().parse_args(argv)
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else 2
    try:
        return _run(options)
    except _NotRunningError as error:
        _complain(str(error))
        return NOT_RUNNING if options.command == "status" else FAILED
    except ControlError as error:
        _complain(str(error))
        return FAILED
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def build_parser() -> argparse.ArgumentParser:
    """Return what understands the command line."""
    parser = argparse.ArgumentParser(
        prog="portwayctl",
        description="Ask a running Portway how it is, and tell it what to do.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:14} {what}" for name, (_, what) in COMMANDS.items()),
    )
    server = parser.add_mutually_exclusive_group(required=True)
    server.add_argument(
        "-p", "--pid", metavar="FILE", help="the server's pid file (its --pid), or its process id"
    )
    server.add_argument(
        "-s", "--socket", metavar="FILE", help="the server's control socket (its --control-socket)"
    )
    parser.add_argument("--json", action="store_true", help="status, workers: answer in JSON")
    parser.add_argument("--no-wait", action="store_true", help="reload: do not wait for the outcome")
    parser.add_argument(
        "--timeout",
        type=_seconds,
        metavar="SECONDS",
        help=f"how long to wait for the answer; 0 is for ever (default: {TIMEOUT:g}, reload {RELOAD_TIMEOUT:g})",
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help="one of the commands below")
    return parser


class _NotRunningError(ControlError):
    """The server does not run."""


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 86400:
        raise argparse.ArgumentTypeError("it must be a number of seconds from 0 to 86400")
    return seconds


def _run(options: argparse.Namespace) -> int:
    if options.socket is not None:
        try:
            client: ControlClient | None = ControlClient(options.socket)
        except NobodyThereError as error:
            raise _NotRunningError(str(error)) from None
        pid = 0
    else:
        pid = read_pid(options.pid)
        client = _beside(options.pid, pid) if options.command in ("status", "workers", "reload") else None
    if client is None:
        return _signal(options, pid)
    with client:
        return _ask(options, client)


def _beside(given: str, pid: int) -> ControlClient | None:
    """Connect to the control socket beside the pid file, if it is that of this server."""
    if given.isdigit():
        return None
    try:
        client = ControlClient(beside(given))
    except NobodyThereError:
        return None
    if client.pid not in (0, pid):
        client.__exit__()
        return None
    return client


# With a control socket.


def _ask(options: argparse.Namespace, client: ControlClient) -> int:
    command = options.command
    if command == "reload":
        return _reload(options, client)
    timeout = TIMEOUT if options.timeout is None else options.timeout
    name = "status" if command == "workers" else command
    answer = client.ask({"command": name}, timeout)
    if not answer["ok"]:
        _complain(str(answer.get("error")))
        return FAILED
    if command == "status":
        _measure(answer, client)
        print(_json(answer) if options.json else status_text(answer))
    elif command == "workers":
        print(_json(answer["workers"]) if options.json else workers_text(answer))
    return 0


def _measure(status: dict[str, Any], client: ControlClient) -> None:
    """Add how much memory each worker takes now.

    Here and not in the supervisor, which must not wait for the kernel to walk through the memory of all.
    """
    from portway.supervisor.gauge import read_pss

    if client.pid != status["pid"]:
        # In another namespace the process ids mean other processes.
        return
    for worker in status["workers"]:
        try:
            worker["memory"] = read_pss(worker["pid"]) if worker["pid"] else None
        except OSError:
            # It has just ended, or this user may not know.
            continue


def _reload(options: argparse.Namespace, client: ControlClient) -> int:
    timeout = RELOAD_TIMEOUT if options.timeout is None else options.timeout
    try:
        answer = client.ask({"command": "reload", "wait": not options.no_wait}, timeout)
    except NoAnswerError:
        _complain(f"the reload is not done after {timeout:g} s; it goes on, and `status` tells its outcome")
        return NOT_DONE
    if not answer["ok"]:
        _complain(str(answer.get("report") or answer.get("error")))
        return NOT_RELOADED
    if "generation" in answer:
        print(f"Reloaded: generation {answer['generation']} serves with {answer['workers']} workers.")
    return 0


def _json(value: Any) -> str:
    return json.dumps(value, indent=2)


# Without.


def read_pid(given: str) -> int:
    """Return the process id that is given, or that stands in the file that is given. Raises ControlError."""
    text = given
    if not given.isdigit():
        try:
            with open(given, encoding="ascii", errors="replace") as file:
                text = file.read(64).strip()
        except FileNotFoundError:
            raise _NotRunningError(
                f"there is no pid file {given}: the server does not run, or writes another"
            ) from None
        except OSError as error:
            raise _NotRunningError(f"the pid file {given} cannot be read: {error.strerror}") from None
    # In a container the server may be process 1, and its file says so; who types 1 means another.
    least = 2 if text == given else 1
    if not (text.isascii() and text.isdigit()) or not least <= int(text) < 2**31:
        raise _NotRunningError(
            f"{given} holds no process id" if text != given else f"{given} is no server's process id"
        )
    return int(text)


def _signal(options: argparse.Namespace, pid: int) -> int:
    number, _ = COMMANDS[options.command]
    try:
        os.kill(pid, number or 0)
        owner = ""
    except ProcessLookupError:
        raise _NotRunningError(f"process {pid} does not run") from None
    except PermissionError:
        if number is not None:
            raise ControlError(f"process {pid} belongs to another user; try sudo") from None
        owner = " (of another user)"
    if options.command == "workers":
        raise ControlError(
            f"process {pid} has no control socket that can be found: give its path with --socket, or start "
            "the server with --pid FILE or --control-socket FILE"
        )
    if options.command == "status":
        print(_json({"pid": pid}) if options.json else f"running, process {pid}{owner}")
    elif options.command == "reload" and not options.no_wait:
        print(
            "portwayctl: asked for; without a control socket only the log tells the outcome", file=sys.stderr
        )
    return 0


def _complain(text: str) -> None:
    print("\n".join(map(printable, f"portwayctl: {text}".split("\n"))), file=sys.stderr)
