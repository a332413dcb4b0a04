"""Tells the service manager how the server is: systemd's notification protocol (sd_notify(3)).

Does nothing where NOTIFY_SOCKET is not set. The service manager's trouble never becomes the server's.
"""

import socket
from collections.abc import Mapping


class Notifier:
    """Sends states to the socket that the environment names. Runs in the supervisor."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        address = environ.get("NOTIFY_SOCKET", "")
        # A first @ stands for the NUL of the abstract namespace.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        self._status = ""
        # What is held back, by the name of the variable; None where nothing is.
        self._held: dict[str, str] | None = None

    def status(self, text: str) -> None:
        """Send a status if it is another than the last one."""
        if text != self._status:
            self.send(f"STATUS={text}")

    def send(self, *lines: str) -> None:
        """Send assignments, as "READY=1" and "STATUS=...", in one message; never raises and never waits."""
        for line in lines:
            if line.startswith("STATUS="):
                self._status = line.removeprefix("STATUS=")
        if not self._address:
            return
        if self._held is not None:
            self._hold_back(lines)
            return
        message = "\n".join(line.replace("\n", " ") for line in lines).encode("utf-8", "backslashreplace")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.sendto(message, self._address)
        except OSError:
            pass

    def hold(self) -> None:
        """Send nothing until `release`: the service manager hears from another process."""
        self._held = {}

    def release(self, *lines: str) -> None:
        """Send these lines with what was held back, as it is by now, and from now on everything."""
        held, self._held = self._held or {}, None
        self.send(*lines, *held.values())

    def _hold_back(self, lines: tuple[str, ...]) -> None:
        assert self._held is not None
        for line in lines:
            name = line.partition("=")[0]
            if name == "READY":
                # What was going on is over.
                self._held = {key: text for key, text in self._held.items() if key == "STATUS"}
            self._held[name] = line
