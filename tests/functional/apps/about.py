"""Tells about the process that answers, waits for whom the test says, and fails as applications do."""

import json
import os
import sys
import threading
import time

LOADED_BY = os.getpid()


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path.startswith("/open/"):
        # Waits until somebody writes to the FIFO that the test has made.
        with open("/" + path.removeprefix("/open/"), "rb") as gate:
            body = gate.read()
    elif path == "/exit":
        sys.exit(9)
    elif path == "/kill":
        os._exit(9)
    elif path.startswith("/sleep/"):
        time.sleep(float(path.removeprefix("/sleep/")))
        body = b"slept"
    else:
        about = {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "loaded_by": LOADED_BY,
            "thread": threading.current_thread().name,
            "cwd": os.getcwd(),
            "path": sys.path,
            "environ": dict(os.environ),
            "multiprocess": environ["wsgi.multiprocess"],
            "multithread": environ["wsgi.multithread"],
        }
        body = json.dumps(about).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
