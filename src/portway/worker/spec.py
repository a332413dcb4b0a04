"""What a worker is given by whoever forked it: values, sockets and functions, nothing that knows the supervisor."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from portway.files.server import FileServer
from portway.net.listeners import Listener
from portway.net.relay import Relay
from portway.observe.log import Logs
from portway.observe.scoreboard import Scoreboard
from portway.settings.table import Settings

Application = Callable[..., Any]


@dataclass(slots=True)
class WorkerSpec:
    """The beginning of a worker's life.

    nr: its slot in the scoreboard. generation: of code and configuration. listeners: bound sockets, shared with others.
    application: the WSGI callable; None where the worker imports it itself, by `load`.
    file_server: answers static and media files; None for none.
    logs: what the supervisor opened; the worker opens its files again on USR1.
    life_fd: a pipe's end that reports end of file when the supervisor is gone.
    report: tells the supervisor something, as a dict with a "type"; who says it is added.
    relay: on which workers pass connections to each other; None where there is no other worker.
    """

    settings: Settings
    nr: int
    generation: int
    listeners: list[Listener]
    application: Application | None
    load: Callable[[], Application]
    file_server: FileServer | None
    scoreboard: Scoreboard
    logs: Logs
    life_fd: int
    report: Callable[[dict[str, Any]], None]
    relay: Relay | None = None
