"""Runs one worker without a supervisor, for the tests of portway.worker; not a test itself.

Usage: one_worker.py APPLICATION [FLAG...]: APPLICATION is module:name of tests/worker/applications.py or any
other module that can be imported. Prints a line of JSON with the port, then one for each message of the
worker.
"""

import json
import os
import sys

from portway.files.mounts import Mount
from portway.files.server import FileServer
from portway.net.addresses import parse_address
from portway.net.listeners import open_listeners
from portway.observe.log import configure_logging
from portway.observe.scoreboard import Scoreboard
from portway.settings.load import load
from portway.worker.process import run_worker
from portway.worker.spec import WorkerSpec
from portway.wsgi.loader import load_application


def say(message):
    """Print a message for the test."""
    print(json.dumps(message), flush=True)


def main():
    """Serve the application on a free port of the loopback interface until told to stop."""
    sys.path.insert(0, os.path.dirname(__file__))
    name, *flags = sys.argv[1:]
    settings = load([*flags, name], {}).settings
    bind = [address for address in settings.bind if address.kind != "tcp"] or [parse_address("127.0.0.1:0")]
    listeners = open_listeners(bind, settings.backlog)
    for listener in listeners:
        listener.socket.listen(settings.backlog)
    mounts = [Mount(url, root, "static") for url, root in settings.static]
    mounts += [Mount(url, root, "media") for url, root in settings.media]
    scoreboard = Scoreboard(1, settings.threads + settings.max_io_threads)
    scoreboard.open(0)
    life_fd = os.dup(0)
    logs = configure_logging("-", settings.loglevel, settings.accesslog)
    application = load_application(name)
    say({"type": "listening", "port": listeners[0].port, "pid": os.getpid()})
    return run_worker(
        WorkerSpec(
            settings=settings,
            nr=0,
            generation=1,
            listeners=listeners,
            application=application,
            load=lambda: application,
            file_server=FileServer(mounts) if mounts else None,
            scoreboard=scoreboard,
            logs=logs,
            life_fd=life_fd,
            report=say,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
