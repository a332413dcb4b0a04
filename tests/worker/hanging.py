"""WSGI applications that do not come back in time, for the tests of deadlines; what befell them is in NOTES."""

import ctypes
import os
import threading
import time

TEXT = [("Content-Type", "text/plain")]
#: What the calls have seen; read by /notes.
NOTES = []
#: Held for ever.
LOCK = threading.Lock()
LOCK.acquire()


def application(environ, start_response):
    """Hang in the way that the path says; the query says until when, or for how long."""
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/loop":
        body = noting("loop", lambda: sleep_in_steps())
    elif path == "/swallow":
        body = swallow()
    elif path == "/stubborn":
        body = stubborn(query)
    elif path == "/spin":
        body = noting("spin", spin)
    elif path == "/lock":
        body = noting("lock", lambda: LOCK.acquire(timeout=float(query)))
    elif path == "/blocked":
        # In C, without the interpreter's lock.
        body = noting("blocked", lambda: ctypes.CDLL(None).usleep(int(float(query) * 1e6)))
    elif path == "/sleep":
        time.sleep(float(query))
        body = b"slept"
    elif path == "/race":
        body = race(int(query) / 1000)
    elif path == "/extend":
        body = extend(environ["portway.deadline"], query)
    elif path == "/stream":
        start_response("200 OK", TEXT)
        return stream()
    elif path == "/notes":
        body = "\n".join(NOTES).encode()
    else:
        body = f"{os.getpid()} {threading.get_ident()}".encode()
    start_response("200 OK", [*TEXT, ("Content-Length", str(len(body)))])
    return [body]


def noting(name, call):
    """Make a call, and note how it ended."""
    try:
        call()
    except Exception as error:
        NOTES.append(f"{name}: Exception {type(error).__name__}")
    except BaseException as error:
        NOTES.append(f"{name}: {type(error).__name__}, {isinstance(error, TimeoutError)}")
        raise
    finally:
        NOTES.append(f"{name}: finally")
    return b"returned"


def race(seconds):
    """Compute and wait for a time, and note what comes between."""
    began = time.monotonic()
    try:
        while time.monotonic() < began + seconds:
            time.sleep(0.0005)
    except BaseException as error:
        NOTES.append(f"{type(error).__name__} {time.monotonic() - began:.6f}")
        raise
    return b"raced"


def sleep_in_steps():
    """Wait for a minute, in Python."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        time.sleep(0.01)


def spin():
    """Compute for a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        pass


def swallow():
    """Go on after errors of all kinds, as workers' loops do."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            time.sleep(0.01)
        except Exception:
            NOTES.append("swallowed")
    return b"never"


def stubborn(name):
    """Go on after everything, until a file of this name exists."""
    end = time.monotonic() + 60
    count = 0
    while True:
        # It may come in any of these lines.
        try:
            while not os.path.exists(name) and time.monotonic() < end:
                time.sleep(0.01)
            break
        except BaseException:
            count += 1
    NOTES.append(f"stubborn: interrupted {count} times")
    return b"late"


def extend(deadline, query):
    """Take longer than the deadline, and say so in time."""
    before = deadline.remaining
    if query == "clear":
        deadline.clear()
    else:
        deadline.extend(float(query))
    after = deadline.remaining
    other = []

    def elsewhere():
        try:
            other.append(str(deadline.remaining))
        except RuntimeError:
            other.append("RuntimeError")

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    time.sleep(1.5)
    return f"{before:.3f} {after:.3f} {other[0]} {deadline.remaining:.3f}".encode()


def stream():
    """Send a piece, and then hang."""
    try:
        yield b"first piece"
        sleep_in_steps()
    finally:
        NOTES.append("stream: finally")
