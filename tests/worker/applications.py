"""WSGI applications for the tests of the worker."""

import os
import threading
import time

TEXT = [("Content-Type", "text/plain")]
gate = threading.Event()


def hello(environ, start_response):
    """Answer at once."""
    start_response("200 OK", [*TEXT, ("Content-Length", "13")])
    return [b"Hello, world!"]


def echo(environ, start_response):
    """Answer with the request's body."""
    body = environ["wsgi.input"].read()
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
    return [body]


def routes(environ, start_response):
    """Do what the path says."""
    path = environ["PATH_INFO"]
    if path.startswith("/number/"):
        body = f"{path[8:]} {threading.current_thread().name}".encode()
    elif path == "/block":
        # Until a file of this name exists, or for a minute: the test says how long the application takes.
        wait_for_file(environ["QUERY_STRING"])
        body = b"released"
    elif path.startswith("/io-bound"):
        # As /block, but said to be a call that mostly waits.
        marked = environ["portway.io_bound"]()
        wait_for_file(environ["QUERY_STRING"])
        body = b"%d %d" % (marked, environ["portway.io_bound"]())
    elif path.startswith("/note/"):
        # The file that the query names tells the test which calls there were, and in which order.
        with open(environ["QUERY_STRING"], "a") as file:
            file.write(path[6:] + "\n")
        body = b"noted"
    elif path == "/compute":
        # Never lets the interpreter go of its own accord.
        deadline = time.monotonic() + 60
        while not gate.is_set() and time.monotonic() < deadline:
            pass
        body = b"computed"
    elif path == "/open-gate":
        gate.set()
        body = b"open"
    elif path == "/closing":
        wait_for_file(environ["QUERY_STRING"] + ".go")
        start_response("200 OK", TEXT)
        return Closing(environ["QUERY_STRING"])
    elif path == "/sleep":
        time.sleep(float(environ["QUERY_STRING"]))
        body = b"slept"
    elif path == "/spin":
        end = time.monotonic() + float(environ["QUERY_STRING"])
        while time.monotonic() < end:
            pass
        body = b"spun"
    elif path == "/echo":
        return echo(environ, start_response)
    elif path == "/big":
        start_response("200 OK", TEXT)
        return (b"%07d\n" % n * 128 for n in range(int(environ["QUERY_STRING"])))
    elif path == "/exit":
        raise SystemExit(3)
    elif path == "/raise":
        raise RuntimeError("on purpose")
    elif path == "/cut":
        start_response("200 OK", [*TEXT, ("Content-Length", "1000")])
        return [b"too short"]
    elif path == "/who":
        body = f"{environ['REMOTE_ADDR']} {environ['wsgi.url_scheme']}".encode()
    elif path == "/stream":
        return stream(environ, start_response)
    else:
        body = f"{environ['REQUEST_METHOD']} {path}".encode()
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
    return [body]


def wait_for_file(name):
    """Take time until a file of this name exists, or for a minute."""
    deadline = time.monotonic() + 60
    while not os.path.exists(name) and time.monotonic() < deadline:
        time.sleep(0.002)


class Closing:
    """A body that writes to a file which thread closed it, and how often."""

    def __init__(self, name):
        self.name = name
        self.caller = threading.get_ident()

    def __iter__(self):
        return iter([b"x" * 100_000] * 10)

    def close(self):
        """Note it."""
        with open(self.name, "a") as file:
            file.write("closed in its thread\n" if threading.get_ident() == self.caller else "elsewhere\n")


def stream(environ, start_response):
    """Send a line for ever, and write to the file that the query names how it ended."""
    start_response("200 OK", TEXT)
    try:
        while True:
            yield b"x" * 65536
    finally:
        with open(environ["QUERY_STRING"], "w") as file:
            file.write("closed")


def begins_and_blocks(environ, start_response):
    """Send the first piece, and then nothing until the file that the query names exists."""
    start_response("200 OK", TEXT)
    yield b"first piece"
    wait_for_file(environ["QUERY_STRING"])
    yield b"second piece"
