"""The pid file: tells scripts which process to signal, and a second server that there is a first."""

import os


class PidFileError(Exception):
    """The pid file cannot be used; str() says why and what to do."""


class PidFile:
    """A file with the process id of the supervisor, or none.

    Written in one step, so that a reader never finds it empty, and removed only while it names this process.
    """

    def __init__(self) -> None:
        self.path: str | None = None

    def use(self, path: str | None, gone: int = 0) -> None:
        """Write the file, in the place of the one that was used before; None is no file.

        gone: a process that is known to have ended, even if nobody has taken note of its death yet. Raises
        PidFileError if another process that lives is named in it or if it cannot be written; then the one
        that was used before stays.
        """
        if path == self.path:
            return
        if path is not None:
            _write(path, os.getpid(), gone)
        self.remove()
        self.path = path

    def leave_to(self, pid: int) -> None:
        """Name another process in the file, in one step, and let go of it; never raises."""
        if self.path is not None and _read(self.path) == os.getpid():
            try:
                _write(self.path, pid)
            except PidFileError:
                # It writes it itself as soon as it can.
                pass
        self.path = None

    def remove(self) -> None:
        """Remove the file if it still names this process."""
        if self.path is not None and _read(self.path) == os.getpid():
            try:
                os.unlink(self.path)
            except OSError:
                pass
        self.path = None


def _write(path: str, pid: int, gone: int = 0) -> None:
    other = _read(path)
    if other is not None and other not in (os.getpid(), gone) and _lives(other):
        raise PidFileError(
            f"Portway is running already: {path} names process {other}, which lives. "
            f"Stop it (kill -TERM {other}), or give this server another --pid."
        )
    beside = f"{path}.{os.getpid()}"
    try:
        with open(beside, "w", encoding="ascii") as file:
            file.write(f"{pid}\n")
        os.chmod(beside, 0o644)
        os.replace(beside, path)
    except OSError as error:
        try:
            os.unlink(beside)
        except OSError:
            pass
        raise PidFileError(f"The pid file {path} cannot be written: {error.strerror}.") from error


def _read(path: str) -> int | None:
    """Return the process id in the file, None if there is none or it holds something else."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read(64).strip()
    except OSError:
        return None
    return int(text) if text.isascii() and text.isdigit() and int(text) > 0 else None


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        # It is another user's.
        return True
    return True
