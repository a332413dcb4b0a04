"""A server as processes: started in a session of its own, waited for, weighed, and ended by its ids.

Used by the one thread of the benchmark. Everything that a server starts stays in its session, so also what it
forks and forgets is found and ended. The kernel ends the server if the benchmark dies first.
"""

import ctypes
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

#: Seconds that a server may take to answer, and to end when it is told to.
START, STOP = 30.0, 8.0

_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)
_TICKS = os.sysconf("SC_CLK_TCK")


class ServerFailedError(Exception):
    """A server did not start, did not answer as it should, or ended while it was measured."""


def without_paths(text: str) -> str:
    """Return the text with only the last part of each absolute path: what is reported is read elsewhere."""
    return re.sub(r"(?<![\w.:/])/(?:[\w.+-]+/)+([\w.+-]+)", r"\1", text)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _in_child() -> None:
    # A background job of a shell has INT ignored, and Python programs would leave it so.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


class Processes:
    """All processes of one server.

    argv: the command. core: the only core that they may use, None for all. log: where standard output and
    error go. Use as a context manager: nothing lives after the block.
    """

    def __init__(
        self, argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path, core: int | None = None
    ) -> None:
        self.argv = [*(["taskset", "-c", str(core)] if core is not None else []), *argv]
        self.log = log
        self.started = time.perf_counter()
        with open(log, "wb") as stream:
            self._main = subprocess.Popen(
                self.argv,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_in_child,
            )
        self.pid = self._main.pid

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def said(self) -> str:
        """Return the last lines that the server wrote, in one line, for a report."""
        try:
            lines = [line.strip() for line in self.log.read_text("utf-8", "replace").splitlines()]
        except OSError:
            return ""
        return without_paths(" / ".join([line for line in lines if line][-3:]))[-400:]

    def check(self) -> None:
        """Raise ServerFailedError if the server has ended."""
        code = self._main.poll()
        if code is not None:
            raise ServerFailedError(f"it ended with {code}: {self.said() or 'it said nothing'}")

    def wait_for_port(self, port: int, seconds: float = START, every: float = 0.01) -> None:
        """Wait until the server listens. Raises ServerFailedError if it does not in time."""
        until = time.monotonic() + seconds
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=seconds).close()
                return
            except OSError:
                self.check()
            if time.monotonic() > until:
                raise ServerFailedError(f"it does not listen after {seconds:g} s: {self.said()}")
            time.sleep(every)

    def ids(self) -> list[int]:
        """Return the ids of all living processes of the server."""
        everything = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
        return [pid for pid in everything if _session(pid) == self.pid]

    def cpu(self) -> dict[int, float]:
        """Return the seconds of processor time that each process has used, by its id."""
        return {pid: used for pid in self.ids() if (used := _cpu(pid)) is not None}

    def pss(self) -> dict[int, int]:
        """Return each process's share of the memory in bytes: its own pages and its part of the shared."""
        return {pid: size for pid in self.ids() if (size := _pss(pid)) is not None}

    def stop(self, number: signal.Signals = signal.SIGINT, seconds: float = STOP) -> None:
        """End all processes: first by a signal that asks for a quick end, then by force."""
        if self._main.poll() is None:
            self._main.send_signal(number)
            try:
                self._main.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        until = time.monotonic() + 5
        while left := self.ids():
            for pid in left:
                # A session id stays taken while one of its processes lives, so this is nobody else's.
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if time.monotonic() > until:
                raise RuntimeError(f"processes {left} of {self.argv} cannot be ended")
            self._main.poll()
            time.sleep(0.01)
        self._main.wait()


def busiest(before: Mapping[int, float], after: Mapping[int, float]) -> int:
    """Return the id of the process that used most processor time between two answers of `cpu`."""
    if not after:
        raise ServerFailedError("no process of it lives")
    return max(after, key=lambda pid: after[pid] - before.get(pid, 0.0))


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the name, which may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _session(pid: int) -> int | None:
    try:
        fields = _stat(pid)
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[3])


def _cpu(pid: int) -> float | None:
    try:
        fields = _stat(pid)
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _pss(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return None
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return None
