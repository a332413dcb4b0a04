"""Real processes for tests: each in a session of its own, followed by its log, and never left behind."""

import os
import re
import select
import signal
import subprocess
import sys
import threading
from pathlib import Path
from time import monotonic, sleep

import pytest

#: How long anything may take that a test waits for. Seconds; reached only when a test fails.
PATIENCE = 30.0


class ServerProcess:
    """A server that runs: its process id, what it has logged so far, and its end.

    The lines of standard output and standard error are read as they come, so a test can wait for one.
    """

    def __init__(self, argv, *, cwd, env, pass_fds=()):
        self._changed = threading.Condition()
        self._lines = []
        self._ended = False
        self.process = subprocess.Popen(
            argv,
            cwd=cwd,
            env={**os.environ, "PYTHONUNBUFFERED": "1", **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=pass_fds,
        )
        self.pid = self.process.pid
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        with self.process.stdout as stream:
            for line in stream:
                with self._changed:
                    self._lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                    self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def log(self):
        """All that it has written."""
        with self._changed:
            return "\n".join(self._lines)

    def wait_for_log(self, pattern, count=1):
        """Wait until `count` lines match the pattern; return the match of the last of them."""
        expression = re.compile(pattern)

        def found():
            matches = [match for line in self._lines if (match := expression.search(line))]
            return matches[count - 1] if len(matches) >= count else None

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, PATIENCE)
            match = found()
            if match is None:
                raise AssertionError(f"no line matches {pattern!r} (x{count}) in:\n" + "\n".join(self._lines))
            return match

    def send(self, number, pid=None):
        """Send a signal to the server, or to another process of its own."""
        os.kill(pid or self.pid, number)

    def wait(self):
        """Wait until the server has ended by itself; return its exit code."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def stop(self, number=signal.SIGTERM):
        """Tell the server to end; return its exit code."""
        self.send(number)
        return self.wait()

    def family(self):
        """Return the process ids of everything in the server's session that lives."""
        return [
            int(entry.name)
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and _session(entry) == self.pid
        ]

    def children(self):
        """Return the process ids of the server's children, once nobody stands between them and it.

        A worker is its mold's grandchild for the moment until the process between has ended.
        """
        until = monotonic() + PATIENCE
        while True:
            children = _children(self.pid)
            if not any(map(_children, children)):
                return _children(self.pid)
            assert monotonic() < until, f"children of {children} stay: {[*map(_children, children)]}"
            sleep(0.001)

    def wait_until_gone(self):
        """Wait until nothing of the server's session lives; raise AssertionError if something stays."""
        until = monotonic() + PATIENCE
        while family := self.family():
            # A pid descriptor becomes readable when its process ends: no need to ask again and again.
            wait_for_end(family[0], until - monotonic())

    def close(self):
        """End whatever lives, and fail if the server was not able to end by itself or left something."""
        try:
            if self.process.poll() is None:
                self.send(signal.SIGTERM)
                self.wait()
            self.wait_until_gone()
        finally:
            for pid in self.family():
                os.kill(pid, signal.SIGKILL)
            self.process.wait(PATIENCE)
            self._reader.join(PATIENCE)
            print(f"--- log of process {self.pid}, which exited with {self.process.returncode} ---")
            print(self.log)


def _children(pid):
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def _session(entry):
    try:
        # After the name, which may hold anything: state, parent, group, session.
        fields = (entry / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[3])


def wait_for_end(pid, timeout=PATIENCE):
    """Wait until a process, which need not be ours, has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([descriptor], [], [], max(0.0, timeout))
        if not ready:
            raise AssertionError(f"process {pid} has not ended")
    finally:
        os.close(descriptor)


@pytest.fixture
def ended():
    """Return a function that waits until a process, which need not be ours, has ended."""
    return wait_for_end


@pytest.fixture
def launch(tmp_path):
    """Return a function that starts Python with arguments; what it starts is ended after the test.

    Keywords are for its environment, but for `cwd` and `pass_fds`.
    """
    started = []

    def launch(*arguments, cwd=tmp_path, pass_fds=(), **env):
        argv = [sys.executable, *map(str, arguments)]
        process = ServerProcess(argv, cwd=cwd, env=env, pass_fds=pass_fds)
        started.append(process)
        return process

    yield launch
    failures = []
    for process in started:
        try:
            process.close()
        except (AssertionError, subprocess.TimeoutExpired) as error:
            failures.append(str(error))
    assert not failures, failures
