"""The worker under stress: one worker process without a supervisor, that watches over its own leaders.

Usage: server.py THREADS STATIC_FOLDER. Prints a line of JSON when it listens. What only the leader may do is guarded:
a second thread in it is a problem in the application's books. In both builds these are the acceptor and a descriptor
that the loop watches; in the uncompiled form also waiting for events and acting on them.
"""

import json
import os
import sys
import threading

import application

from portway.files.mounts import Mount
from portway.files.server import FileServer
from portway.net.addresses import parse_address
from portway.net.listeners import open_listeners
from portway.net.system import Poller
from portway.observe.log import configure_logging
from portway.observe.scoreboard import Scoreboard
from portway.settings.load import load
from portway.worker import loop as loop_module
from portway.worker.connection import Connection
from portway.worker.process import Worker
from portway.worker.spec import WorkerSpec


class OneAtATime:
    """Notes where a second thread comes into what one thread at a time may be in."""

    def __init__(self):
        self._inside = threading.Lock()
        self._owner = None
        self.entered = 0

    def guard(self, function):
        def guarded(*arguments):
            me = threading.get_ident()
            if self._owner == me:
                # Within another guarded function of the same leader.
                return function(*arguments)
            if not self._inside.acquire(blocking=False):
                application.books.problem(f"two leaders: one of them in {function.__qualname__}")
                return function(*arguments)
            self._owner = me
            try:
                self.entered += 1
                return function(*arguments)
            finally:
                self._owner = None
                self._inside.release()

        return guarded


def watch_leaders(worker):
    """Guard what the leader does."""
    leader = OneAtATime()
    loop = worker._loop
    for name in ("on_event", "tick"):
        setattr(loop.acceptor, name, leader.guard(getattr(loop.acceptor, name)))
    bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def linger(_now):
        os.eventfd_read(bell)
        # Long enough for another leader to come by.
        for _ in range(50):
            pass

    loop.watch(bell, leader.guard(linger))
    application.on_call = lambda: os.eventfd_write(bell, 1)
    if not loop_module.is_compiled():
        Poller.wait = leader.guard(Poller.wait)
        for name in ("on_event", "on_deadline"):
            setattr(Connection, name, leader.guard(getattr(Connection, name)))
    return leader


def main():
    """Serve on a free port of the loopback interface until told to stop."""
    threads, folder = sys.argv[1:]
    flags = ["--threads", threads, "--log-level", "warning", "--graceful-timeout", "20"]
    settings = load([*flags, "application:application"], {}).settings
    listeners = open_listeners([parse_address("127.0.0.1:0")], settings.backlog)
    for listener in listeners:
        listener.socket.listen(settings.backlog)
    scoreboard = Scoreboard(1, settings.threads + settings.max_io_threads)
    scoreboard.open(0)
    worker = Worker(
        WorkerSpec(
            settings=settings,
            nr=0,
            generation=1,
            listeners=listeners,
            application=application.application,
            load=lambda: application.application,
            file_server=FileServer([Mount("/static/", folder, "static")]),
            scoreboard=scoreboard,
            logs=configure_logging("-", settings.loglevel, None),
            life_fd=os.dup(0),
            report=lambda message: None,
        )
    )
    leader = watch_leaders(worker)
    application.connections = worker._service.connections
    build = "compiled" if loop_module.is_compiled() else "uncompiled"
    print(json.dumps({"port": listeners[0].port, "build": build}), flush=True)
    code = worker.run()
    print(json.dumps({"guarded": leader.entered, "problems": application.books.problems}), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
