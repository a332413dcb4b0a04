"""The control socket: a Unix socket on which portwayctl asks and the supervisor answers.

A client sends requests, each a JSON object on a line, and gets an answer to each, again an object on a line,
in order: `{"ok": true, ...}`, or `{"ok": false, "error": "why"}`. What the requests mean is not known here;
see portway.supervisor.commands.

The supervisor has no threads, and nothing a client does or leaves undone makes it wait: every socket is
non-blocking, a client is read only when it has taken the answer to its last request, and all there is of it
is bounded: how many clients, how long a request, how long one may be idle. Who may connect is a matter of
the file's permissions. `fileno()` is a descriptor for the supervisor's loop; it calls `take` in each turn.
"""

import json
import logging
import os
import select
import socket
import struct
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from portway.net.addresses import Address
from portway.net.listeners import BindError, Listener, open_listeners
from portway.settings.control_socket import second
from portway.settings.table import Settings

log = logging.getLogger("portway.error")

#: How many clients there may be. People and scripts; each costs a descriptor of the supervisor's.
MAX_CLIENTS = 16

#: The longest request in bytes, line feed included. The longest that means anything has fifty.
MAX_REQUEST = 4096

#: Seconds that a client may take for its next request or for the next piece of its answer.
IDLE = 30.0

#: Seconds without a look at new clients after the system had no descriptor for one.
PAUSE = 1.0

Answer = Mapping[str, Any]

#: Is given a request and its client, whose `answer` is to be called once, then or later.
Handle = Callable[[dict[str, Any], "Client"], None]


class ControlSocketError(Exception):
    """The control socket cannot be opened; str() says why and what to do."""


class Client:
    """One connection, and what has been heard from it."""

    def __init__(self, control: "Control", sock: socket.socket) -> None:
        self._control = control
        self.socket = sock
        self.received = bytearray()
        self.to_send = b""
        #: It has sent a request that is not answered yet.
        self.waiting = False
        #: It is not going to send more.
        self.finished = False
        #: A request of its is being handled right now.
        self.handling = False
        self.deadline = monotonic() + IDLE

    @property
    def who(self) -> str:
        """Who it is, for the log: "process 4711 of user 1000"."""
        credentials = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, uid, _ = struct.unpack("3i", credentials)
        return f"process {pid} of user {uid}"

    def answer(self, answer: Answer) -> None:
        """Answer the request that waits; does nothing if the client has gone meanwhile."""
        self._control.answer(self, answer)


class Control:
    """The control socket of a supervisor, and its clients. path: None while there is none."""

    def __init__(self, handle: Handle) -> None:
        self.path: str | None = None
        self._handle = handle
        self._mode = 0
        self._listener: Listener | None = None
        self._clients: dict[int, Client] = {}
        # An epoll of its own, so that the supervisor's loop need not know the clients. It reports the end of
        # a connection (EPOLLHUP) even of those that are not listened to.
        self._epoll = select.epoll()
        self._paused_until = 0.0

    def use(self, path: str | None, mode: int = 0o600) -> None:
        """Listen on the path, in the place of the one before; None for no path.

        Raises ControlSocketError; then the socket that was used before stays.
        """
        if path is None or (path == self.path and os.path.exists(path)):
            if path is None:
                self._forget_listener()
            elif mode != self._mode:
                os.chmod(path, mode)
            self.path, self._mode = path, mode
            return
        listener = _listen(path, mode)
        self._forget_listener()
        self.path, self._mode, self._listener = path, mode, listener
        self._epoll.register(listener.socket.fileno(), select.EPOLLIN)

    def follow(self, settings: Settings, beside_another: bool = False) -> None:
        """Use the socket that the settings name, or the second one beside a server that has it still.

        Raises ControlSocketError if it cannot be used; one that nobody has asked for by name is done without.
        """
        try:
            path = settings.control_socket
            if path is not None and beside_another:
                path = second(path, settings.pidfile)
            self.use(path, settings.control_socket_mode)
        except ControlSocketError as error:
            if settings.source("control_socket") != "machine":
                raise
            log.warning("%s", error)

    def fileno(self) -> int:
        """Return the descriptor that is readable when `take` has something to do."""
        return self._epoll.fileno()

    def take(self, now: float) -> None:
        """Do what can be done without waiting: hear, answer and forget clients."""
        if self._paused_until and now >= self._paused_until and self._listener is not None:
            self._paused_until = 0.0
            self._epoll.register(self._listener.socket.fileno(), select.EPOLLIN)
        for descriptor, events in self._epoll.poll(0):
            client = self._clients.get(descriptor)
            if client is not None:
                self._serve(client, events)
            elif self._listener is not None and descriptor == self._listener.socket.fileno():
                self._accept(self._listener.socket, now)
        for client in list(self._clients.values()):
            if not client.waiting and now >= client.deadline:
                self._drop(client)

    def next_deadline(self) -> float | None:
        """Return when `take` has to be called even if nothing happens; None for never."""
        times = [client.deadline for client in self._clients.values() if not client.waiting]
        if self._paused_until:
            times.append(self._paused_until)
        return min(times, default=None)

    def answer(self, client: Client, answer: Answer) -> None:
        """Send a client the answer to its request, and go on with what it has sent since."""
        if self._clients.get(client.socket.fileno()) is not client or not client.waiting:
            return
        client.waiting = False
        client.deadline = monotonic() + IDLE
        client.to_send = json.dumps(answer, separators=(",", ":")).encode("ascii") + b"\n"
        self._flush(client)
        if not client.handling:
            self._go_on(client)

    def close(self) -> None:
        """Close everything and remove the file; clients that wait learn it by the end of the connection."""
        self._forget_listener()
        self.path = None
        self.abandon()

    def abandon(self) -> None:
        """In a forked process: close the copies of what is the supervisor's."""
        if self._listener is not None:
            self._listener.close()
        for client in self._clients.values():
            client.socket.close()
        self._clients.clear()
        self._epoll.close()

    # Clients.

    def _accept(self, listener: socket.socket, now: float) -> None:
        try:
            sock, _ = listener.accept()
        except OSError as error:
            if not isinstance(error, BlockingIOError | ConnectionAbortedError):
                # No descriptor or no memory: it would be reported again at once, for ever.
                self._epoll.unregister(listener.fileno())
                self._paused_until = now + PAUSE
            return
        sock.setblocking(False)
        if len(self._clients) >= MAX_CLIENTS:
            refusal = {"ok": False, "error": f"{MAX_CLIENTS} clients are connected; try again in a while"}
            try:
                sock.send(json.dumps(refusal).encode("ascii") + b"\n", socket.MSG_NOSIGNAL)
            except OSError:
                pass
            sock.close()
            return
        self._clients[sock.fileno()] = Client(self, sock)
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _serve(self, client: Client, events: int) -> None:
        if events & select.EPOLLIN:
            self._receive(client)
        elif events & (select.EPOLLHUP | select.EPOLLERR):
            self._drop(client)
            return
        if events & select.EPOLLOUT:
            self._flush(client)
        self._go_on(client)

    def _receive(self, client: Client) -> None:
        try:
            data = client.socket.recv(MAX_REQUEST)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        client.received += data
        client.finished = not data

    def _go_on(self, client: Client) -> None:
        """Handle the next request of a client that has all its answers, and set what is listened for."""
        while self._is_known(client) and not client.waiting and not client.to_send:
            line = _take_line(client)
            if line is None:
                if client.finished:
                    self._drop(client)
                    return
                break
            self._handle_line(client, line)
        if self._is_known(client):
            events = select.EPOLLOUT if client.to_send else 0 if client.waiting else select.EPOLLIN
            self._epoll.modify(client.socket.fileno(), events)

    def _handle_line(self, client: Client, line: bytes) -> None:
        client.waiting = client.handling = True
        try:
            if len(line) > MAX_REQUEST:
                client.finished = True
                client.received.clear()
                client.answer({"ok": False, "error": f"a request has at most {MAX_REQUEST} bytes"})
                return
            try:
                request = json.loads(line)
            except (ValueError, RecursionError):
                request = None
            if isinstance(request, dict):
                self._handle(request, client)
            else:
                client.answer({"ok": False, "error": "a request is a JSON object on a line"})
        except Exception:
            log.exception("A request on the control socket could not be answered.")
            client.answer({"ok": False, "error": "an error in the server; its log has it"})
        finally:
            client.handling = False

    def _flush(self, client: Client) -> None:
        try:
            sent = client.socket.send(client.to_send, socket.MSG_NOSIGNAL)
        except BlockingIOError:
            return
        except OSError:
            self._drop(client)
            return
        client.to_send = client.to_send[sent:]
        client.deadline = monotonic() + IDLE

    def _is_known(self, client: Client) -> bool:
        return self._clients.get(client.socket.fileno()) is client

    def _drop(self, client: Client) -> None:
        if self._is_known(client):
            del self._clients[client.socket.fileno()]
            self._epoll.unregister(client.socket.fileno())
            client.socket.close()

    def _forget_listener(self) -> None:
        if self._listener is not None:
            if not self._paused_until:
                self._epoll.unregister(self._listener.socket.fileno())
            self._paused_until = 0.0
            self._listener.close()
            self._listener.remove()
            self._listener = None


def _take_line(client: Client) -> bytes | None:
    """Take the next request from what was received; None if there is no whole one.

    What comes last needs no line feed. A request that is too long is returned before its end.
    """
    received = client.received
    end = received.find(b"\n") + 1
    if not end and (len(received) > MAX_REQUEST or (client.finished and received)):
        end = len(received)
    if not end:
        return None
    line = bytes(received[:end])
    del received[:end]
    return line


def _listen(path: str, mode: int) -> Listener:
    try:
        (listener,) = open_listeners([Address("unix", path=path)], MAX_CLIENTS, 0o777 & ~mode)
    except BindError as error:
        # The advice there is about --bind.
        why = str(error).partition(": ")[2].replace("--bind", "--control-socket")
        raise ControlSocketError(f"The control socket {path} cannot be opened: {why}") from error
    return listener
