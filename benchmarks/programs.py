"""Runs an application in a server that has no usable command of its own: FastPySGI and bjoern.

A program: `python -m benchmarks.programs SERVER MODULE:CALLABLE PORT BACKLOG`. The main thread serves until
SIGINT.
"""

import importlib
import sys
from typing import Any


def main(name: str, specification: str, port: int, backlog: int) -> None:
    """Serve the application on a port of the loopback interface."""
    module, _, attribute = specification.partition(":")
    application = getattr(importlib.import_module(module), attribute)
    # Chosen at run time: neither has to be installed for the others to be measured.
    server: Any = importlib.import_module(name)
    if name == "fastpysgi":
        server.server.backlog = backlog
        server.run(application, "127.0.0.1", port)
    else:
        server.run(application, "127.0.0.1", port, listen_backlog=backlog)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    except KeyboardInterrupt:
        pass
