"""One server takes the place of another (USR2): a new supervisor beside the old one, on the same sockets.

The old supervisor starts its own command again, from what is on disk by then, as a child that inherits the
listening sockets. Both serve, until somebody ends one of the two: the old one, which completes the upgrade,
or the new one, which takes it back. As with Gunicorn the new one writes `PIDFILE.2` and takes over `PIDFILE`
when the old one has ended; the same for the control socket.

Between the two is a socket pair. Each end belongs to one supervisor and to none of its children, so end of
file says that the other one has ended. The new one says "ready" on it, or why it could not be started:

    ready           all its workers serve
    failed TEXT     the command could not be executed

A variable, which is taken out of the environment at once, tells the new one what it inherits. Everything here
runs in supervisors.
"""

import json
import logging
import os
import select
import selectors
import socket
from collections.abc import Collection, MutableMapping
from typing import NoReturn

from portway.net.addresses import parse_address
from portway.net.listeners import Listener, inherit_listener
from portway.settings.table import Settings
from portway.supervisor import spawn
from portway.supervisor.command import Command
from portway.supervisor.control import Control, ControlSocketError
from portway.supervisor.generations import Generations
from portway.supervisor.notify import Notifier
from portway.supervisor.pidfile import PidFile, PidFileError

log = logging.getLogger("portway.error")

#: Names what a new server inherits: {"pid": its own, "old": of the other, "link": descriptor, "listeners":
#: [[address, descriptor], ...]}.
VARIABLE = "PORTWAY_INHERITS"

_LONGEST = 4096


class Predecessor:
    """The server that started this one and still runs. pid: its supervisor's. listeners: inherited from it."""

    def __init__(self, pid: int, link: socket.socket, listeners: list[Listener]) -> None:
        self.pid = pid
        self.link = link
        self.listeners = listeners
        self._process = -1

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when `is_gone` may have changed."""
        return self._process if self._process >= 0 else self.link.fileno()

    def is_gone(self) -> bool:
        """Tell, without waiting, whether it has ended, with all that it had open."""
        if os.getppid() != self.pid:
            return True
        if self._process < 0 and self._has_let_go():
            # It is about to end; its sockets are closed one after the other.
            try:
                self._process = os.pidfd_open(self.pid)
            except OSError:
                # A kernel before 5.3, or it has ended just now.
                return True
        return self._process >= 0 and bool(select.select([self._process], [], [], 0)[0])

    def _has_let_go(self) -> bool:
        try:
            return not self.link.recv(_LONGEST)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close what the two are connected by."""
        self.link.close()
        if self._process >= 0:
            os.close(self._process)
            self._process = -1

    def close_unused(self, used: Collection[Listener]) -> None:
        """Close the inherited listeners that this server's settings do not name."""
        for listener in self.listeners:
            if listener not in used:
                listener.close()
        self.listeners = []


def take_inheritance(environ: MutableMapping[str, str]) -> Predecessor | None:
    """Return what the environment says was inherited, None where there is no server before this one.

    Raises BindError if one of the sockets cannot be used.
    """
    text = environ.pop(VARIABLE, "")
    if not text:
        return None
    said = json.loads(text)
    if said["pid"] != os.getpid():
        # It was meant for another process, which did not take it out of its environment.
        return None
    link = socket.socket(fileno=said["link"])
    link.set_inheritable(False)
    link.setblocking(False)
    listeners = [inherit_listener(parse_address(text), fd) for text, fd in said["listeners"]]
    return Predecessor(said["old"], link, listeners)


class Successor:
    """The server that was started to take this one's place. ready: it serves."""

    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.link = link
        self.ready = False
        self.failure = ""

    def close(self) -> None:
        """Close what the two are connected by."""
        self.link.close()


class Succession:
    """Who was before this server and who comes after it, and what the two do about files and sockets."""

    def __init__(
        self,
        command: Command,
        predecessor: Predecessor | None,
        generations: Generations,
        notifier: Notifier,
        pid_file: PidFile,
        control: Control,
    ) -> None:
        self.successor: Successor | None = None
        self.predecessor = predecessor
        self._command = command
        self._generations = generations
        self._notifier = notifier
        self._pid_file = pid_file
        self._control = control
        self._settings: Settings | None = None
        self._selector: selectors.BaseSelector | None = None
        if predecessor is not None:
            # The service manager hears from the server that is its main process.
            notifier.hold()

    def open(self, selector: selectors.BaseSelector) -> None:
        """Begin to listen to the predecessor; what ends the waits of `selector` is dealt with by `look`."""
        self._selector = selector
        if self.predecessor is not None:
            selector.register(self.predecessor.fileno(), selectors.EVENT_READ)

    # The old server.

    def start(self) -> None:
        """Start the new server, unless one of the reasons why that cannot be is there; they are logged."""
        reason = self._refusal()
        if reason:
            log.error("Not upgraded: %s", reason)
            return
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        old = os.getpid()
        listeners = self._generations.listeners

        def become() -> NoReturn:
            try:
                self._become(old, theirs, listeners)
            except OSError as error:
                text = f"failed {error.filename or self._command.program}: {error.strerror}"
                theirs.send(text.encode("utf-8", "backslashreplace")[:_LONGEST])
            os._exit(1)

        try:
            pid = spawn.fork(become)
        except OSError as error:
            log.error("Not upgraded: the new server could not be forked: %s.", error.strerror)
            ours.close()
            return
        finally:
            theirs.close()
        self.successor = Successor(pid, ours)
        for listener in listeners:
            listener.shared = True
        assert self._selector is not None
        self._selector.register(ours.fileno(), selectors.EVENT_READ)
        log.info("Upgrading: process %d is started by the same command; this server goes on.", pid)

    @property
    def has_heir(self) -> bool:
        """Whether a new server is there that serves."""
        return self.successor is not None and self.successor.ready

    def _refusal(self) -> str:
        if self.predecessor is not None:
            old = self.predecessor.pid
            return f"process {old}, whose place this server takes, still runs. End it first: kill -TERM {old}"
        if self.successor is not None:
            new = self.successor.pid
            return (
                f"an upgrade runs already. End this server (kill -TERM {os.getpid()}) to complete it, "
                f"or the new one (kill -TERM {new}) to take it back."
            )
        if os.getpid() == 1:
            return "the first process of a container cannot be replaced. Start another container."
        if not self._command.program:
            return "it is not known by which interpreter this server was started. Restart it."
        return ""

    def _become(self, old: int, link: socket.socket, listeners: list[Listener]) -> NoReturn:
        """In the forked process: let go of nothing that the new server needs, and become it.

        What this server itself was started with, as a lock that is held by an open file, is handed on as well;
        all that it has opened is closed by exec.
        """
        variables = {}
        inherited = []
        for listener in listeners:
            os.set_inheritable(listener.socket.fileno(), True)
            if listener.address.kind != "fd":
                inherited.append([str(listener.address), listener.socket.fileno()])
        os.set_inheritable(link.fileno(), True)
        if self._command.environ.get("LISTEN_PID") == str(old):
            # The sockets that systemd opened are where they were.
            variables["LISTEN_PID"] = str(os.getpid())
        said = {"pid": os.getpid(), "old": old, "link": link.fileno(), "listeners": inherited}
        self._command.run(**variables, **{VARIABLE: json.dumps(said)})

    def reaped(self, pid: int, how: str) -> bool:
        """A process has ended; returns False if it was not the new server."""
        successor = self.successor
        if successor is None or successor.pid != pid:
            return False
        self._hear(successor)
        self._unregister(successor.link.fileno())
        successor.close()
        self.successor = None
        for listener in self._generations.listeners:
            listener.shared = False
        if successor.ready:
            log.warning("The new server (process %d) %s; this one keeps serving.", pid, how)
        else:
            why = successor.failure or f"process {pid} {how} before it was ready"
            log.error("Not upgraded, this server keeps serving: %s.", why)
        return True

    def _hear(self, successor: Successor) -> None:
        """Take what the new server has said."""
        while True:
            try:
                said = successor.link.recv(_LONGEST).decode("utf-8", "replace")
            except OSError:
                return
            if not said:
                # It ends, or has closed its end; its death is what counts.
                self._unregister(successor.link.fileno())
                return
            if said == "ready":
                successor.ready = True
                log.info(
                    "The new server (process %d) is ready; both serve. Complete the upgrade with kill -TERM %d.",
                    successor.pid,
                    os.getpid(),
                )
            elif said.startswith("failed "):
                successor.failure = said.removeprefix("failed ")

    # The new server.

    def say_ready(self) -> None:
        """Tell the old server that this one serves."""
        if self.predecessor is not None:
            try:
                self.predecessor.link.send(b"ready", socket.MSG_NOSIGNAL)
            except OSError:
                # It has just ended.
                pass

    def _take_over(self, predecessor: Predecessor) -> None:
        """The old server has ended: files, pid file and service manager are this one's."""
        predecessor.close()
        self.predecessor = None
        for listener in self._generations.listeners:
            listener.shared = False
        try:
            if self._settings is not None:
                self._pid_file.use(self._settings.pidfile, gone=predecessor.pid)
                self._control.follow(self._settings)
        except (PidFileError, ControlSocketError) as error:
            log.error("%s", error)
        self._notifier.release(f"MAINPID={os.getpid()}")
        log.info(
            "Process %d has ended: this server (process %d) takes its place.", predecessor.pid, os.getpid()
        )

    # Both.

    def look(self) -> None:
        """Find out what the other server has said or that it is gone; never waits."""
        if self.successor is not None:
            self._hear(self.successor)
        if self.predecessor is not None:
            listened = self.predecessor.fileno()
            if self.predecessor.is_gone():
                self._unregister(listened)
                self._take_over(self.predecessor)
            elif self.predecessor.fileno() != listened and self._selector is not None:
                self._selector.unregister(listened)
                self._selector.register(self.predecessor.fileno(), selectors.EVENT_READ)

    def use_files(self, settings: Settings) -> None:
        """Write the pid file and open the control socket, the second ones while there is a predecessor.

        Raises PidFileError and ControlSocketError.
        """
        self._settings = settings
        beside_another = self.predecessor is not None
        path = settings.pidfile
        self._pid_file.use(f"{path}.2" if path and beside_another else path)
        self._control.follow(settings, beside_another)

    def stopping(self) -> None:
        """This server is to end; the service manager is told who goes on, if somebody does."""
        if self.successor is not None:
            self._notifier.send(f"MAINPID={self.successor.pid}")
            self._notifier.hold()

    def close_own(self) -> None:
        """In a forked process: close what only the supervisor may hold."""
        for other in (self.successor, self.predecessor):
            if other is not None:
                other.close()

    def close(self) -> None:
        """The last step of this server: the pid file goes to the new one, or is removed."""
        if self.successor is not None:
            self._pid_file.leave_to(self.successor.pid)
        else:
            self._pid_file.remove()
        self.close_own()

    def _unregister(self, descriptor: int) -> None:
        if self._selector is not None and descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)


def is_in_foreground() -> bool:
    """Tell whether this process is what a terminal shows: then a WINCH says that the window was resized."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
