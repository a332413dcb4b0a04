"""The server of an endurance run: a real one in a project of its own, its log, and the end of all of its processes."""

import ctypes
import mmap
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
SOURCE = HERE.parents[1] / "src"
#: Seconds that anything may take that is waited for.
PATIENCE = 60.0
#: How many numbers the ledger has room for; the file is sparse.
NUMBERS = 10_000_000
_PR_SET_CHILD_SUBREAPER = 36


class Failed(Exception):
    """The server did what it should not."""


def adopt_orphans():
    """Make this process the parent of what the server leaves behind, so that it is seen."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1), 0, 0, 0)


def descendants():
    """Return the process ids of everything that this process has started and that has not ended."""
    try:
        # Who has ended is still there until somebody asks how.
        while os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return []
    found, waiting = [], [os.getpid()]
    while waiting:
        at = waiting.pop()
        try:
            children = [int(child) for child in Path(f"/proc/{at}/task/{at}/children").read_text().split()]
        except OSError:
            continue
        found += children
        waiting += children
    return found


def wait_until(condition, why):
    """Wait until `condition()` is true and return what it returned; raise Failed with `why` where it never is."""
    until = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > until:
            raise Failed(why)
        time.sleep(0.02)
    return found


class Server:
    """The server: `version` is that of the application which was written last."""

    def __init__(self, folder, flags):
        self.folder = folder
        self.log_path = folder / "log"
        self.ledger_path = folder / "ledger"
        with open(self.ledger_path, "wb") as file:
            file.truncate(NUMBERS)
        self.version = 0
        self.write_next_version()
        environment = {
            **os.environ,
            "PYTHONPATH": str(SOURCE),
            "ENDURANCE_LEDGER": str(self.ledger_path),
            "GUNICORN_CMD_ARGS": "",
        }
        command = [sys.executable, "-m", "portway", "--bind", "127.0.0.1:0", *flags, "app"]
        with open(self.log_path, "wb") as log:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.pid = process.pid
        # Its end is learnt with that of all the others.
        process.returncode = 0
        self.port = int(self.wait_for_log(r"Listening on http://127\.0\.0\.1:(\d+)")[1])
        self.wait_for_log("Stop with")

    def write_next_version(self):
        """Put the next version of the application where the server finds it."""
        self.version += 1
        source = (HERE / "application.py").read_text()
        self.write(source.replace("VERSION = 1\n", f"VERSION = {self.version}\n"))

    def write(self, source):
        """Write the application's module, with a time that the import system takes for a new one."""
        path = self.folder / "app.py"
        before = path.stat().st_mtime if path.exists() else 0
        new = path.with_name("app.py.new")
        new.write_text(source)
        if new.stat().st_mtime < before + 1:
            os.utime(new, (before + 1, before + 1))
        os.replace(new, path)

    def log(self):
        """Return the log so far."""
        return self.log_path.read_text("utf-8", "replace")

    def find(self, pattern):
        """Return the matches of a pattern in the log so far."""
        return list(re.finditer(pattern, self.log()))

    def wait_for_log(self, pattern, count=1):
        """Wait until a pattern was logged so many times; return the match that made it so many."""

        def found():
            if self.pid not in descendants():
                raise Failed(f"the supervisor {self.pid} has ended")
            matches = self.find(pattern)
            return matches[count - 1] if len(matches) >= count else None

        return wait_until(found, f"the log never had {pattern!r} (x{count})")

    def send(self, number):
        """Send a signal to the supervisor."""
        os.kill(self.pid, number)

    def wait_until_gone(self, pid):
        """Wait until a process has ended."""
        wait_until(lambda: pid not in descendants(), f"process {pid} does not end")

    def stop(self):
        """Tell it to end, and hold it to leaving nothing behind."""
        self.send(signal.SIGTERM)
        wait_until(lambda: not descendants(), f"something stays: {descendants()}")

    def kill(self):
        """End whatever is left of it."""
        for pid in descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_until(lambda: not descendants(), "what was killed does not end")

    def calls(self):
        """Return how often the application was called for each number."""
        with open(self.ledger_path, "rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as ledger:
            return ledger[:]
