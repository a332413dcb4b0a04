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
        name = environ["QUERY_STRING"]
        deadline = time.monotonic() + 60
        while not os.path.exists(name) and time.monotonic() < deadline:
            time.sleep(0.002)
        body = b"released"
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


def stream(environ, start_response):
    """Send a line for ever, and write to the file that the query names how it ended."""
    start_response("200 OK", TEXT)
    try:
        while True:
            yield b"x" * 65536
    finally:
        with open(environ["QUERY_STRING"], "w") as file:
            file.write("closed")
