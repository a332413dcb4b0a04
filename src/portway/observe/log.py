r"""Where the server's own messages and the access log go: files that can be rotated, written without failing.

The logger `portway.error` takes the operator's messages, in Gunicorn's form

    [2026-01-01 10:00:00 +0000] [1234] [INFO] message

and `portway.access` whole lines of the access log. `configure_logging` is called once, in the supervisor,
before anything forks; the processes that follow share the descriptors and each reopens its own on USR1.

What is promised to the callers:

- Writing never raises. A full disk or a closed pipe loses the line, and `lost` counts it. That lines are lost is said
  once a minute at most: of the access log in the error log, of the error log on standard error.
- A line is written with one system call to a descriptor in append mode: lines of several processes do not
  mix.
- A message cannot forge another: control characters in it are escaped. Lines of a traceback, and those of a
  message logged with `extra={"lines": True}`, stand indented below the first.
- An application that configures logging (Django's LOGGING with dictConfig) neither closes nor silences these
  loggers.
"""

import logging
import os
import re
import threading
from collections.abc import Callable
from typing import Any

from portway.observe.seldom import Seldom

ERROR_LOGGER = "portway.error"
ACCESS_LOGGER = "portway.access"

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}

# C0 without the tab, DEL, C1, and the two separators that some readers take for the end of a line.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")


class LogFile:
    """A descriptor that lines are written to.

    path: of the file, which is made where it is missing; None for a stream that is already open as `fd`.
    lost: how many lines could not be written. complain: is given a sentence about that. Raises OSError when the file
    cannot be opened.
    """

    def __init__(self, path: str | None, fd: int = -1) -> None:
        self.path = path
        self.lost = 0
        self.complain: Callable[[str], None] | None = None
        self._seldom = Seldom()
        self.fd = fd if path is None else _open(path)

    def write(self, line: str) -> None:
        """Write the line, which ends with a newline; never raises, and may be called by any thread."""
        data = line.encode("utf-8", "backslashreplace")
        try:
            written = os.write(self.fd, data)
            while written < len(data):
                data = data[written:]
                written = os.write(self.fd, data)
        except OSError as error:
            self.lost += 1
            if self.complain is not None and self._seldom.is_due("lost"):
                name = self.path if self.path is not None else "on standard output"
                why = error.strerror or error
                self.complain(
                    f"The log {name} cannot be written: {why}. Its lines are lost meanwhile; requests are not."
                )

    def reopen(self) -> None:
        """Go on in a new file of the same name, after the old one was moved away.

        The descriptor keeps its number and is exchanged by one system call, so that other threads may go on
        writing. Where the new file cannot be opened, writing goes on in the old one and OSError is raised.
        """
        if self.path is None:
            return
        new = _open(self.path)
        try:
            os.dup2(new, self.fd, inheritable=False)
        finally:
            os.close(new)


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)


class Logs:
    """The server's open logs.

    error: the file of portway.error. access: that of the access log, None when it is off.
    """

    def __init__(self, error: LogFile, access: LogFile | None) -> None:
        self.error = error
        self.access = access

    def reopen(self) -> None:
        """Reopen the files, after they were rotated; a file that cannot be opened is reported and kept."""
        for file in (self.error, self.access):
            if file is None:
                continue
            try:
                file.reopen()
            except OSError as error:
                logging.getLogger(ERROR_LOGGER).error(
                    "The log %s cannot be reopened: %s", file.path, error.strerror or error
                )


class LineHandler(logging.Handler):
    """Writes records to a LogFile, one line each."""

    def __init__(self, file: LogFile) -> None:
        super().__init__()
        self.file = file

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; a record that cannot be formatted is replaced by a line that says so."""
        try:
            line = self.format(record)
        except Exception as error:  # noqa: BLE001 - a wrong call of the logger must not become the caller's error
            where = f"{record.pathname}:{record.lineno}"
            line = escape_control(
                f"A message from {where} cannot be formatted: {type(error).__name__}: {error}"
            )
        self.file.write(line + "\n")

    # logging.config.dictConfig calls close() of every handler there is, also of those that it does not know.
    def close(self) -> None:
        """Leave the file open: it is the server's, not that of whoever configures logging here."""


class ErrorFormatter(logging.Formatter):
    """Gunicorn's form of an error log's line."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s [%(process)d] [%(levelname)s] %(message)s", "[%Y-%m-%d %H:%M:%S %z]")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the first line, and those that follow it where the record was logged with lines=True."""
        if getattr(record, "lines", False):
            first, *rest = record.message.split("\n")
            record.message = "\n".join([escape_control(first), *map(_indented, rest)])
        else:
            record.message = escape_control(record.message)
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return the traceback, indented, so that no line of it can be taken for the first of a message."""
        return "\n".join(map(_indented, super().formatException(ei).split("\n")))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802 - logging's name
        """Return the stack, indented."""
        return "\n".join(map(_indented, stack_info.split("\n")))


class PlainFormatter(logging.Formatter):
    """The message alone, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the message."""
        return escape_control(record.getMessage())


def escape_control(text: str) -> str:
    r"""Return the text with each control character but the tab written out, as \n, \x1b or \u2028."""
    return _CONTROL.sub(_written_out, text)


def _written_out(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1]


def _indented(line: str) -> str:
    return f"  {escape_control(line)}".rstrip()


class OperatorLogger(logging.Logger):
    """A logger that others' configuration of logging cannot switch off.

    dictConfig and fileConfig set `disabled` on each logger they do not mention, unless they are told not to.
    """

    @property
    def disabled(self) -> bool:
        """Return False."""
        return False

    @disabled.setter
    def disabled(self, value: bool) -> None:
        """Leave it as it is."""


_configuring = threading.Lock()


def configure_logging(errorlog: str = "-", loglevel: str = "info", accesslog: str | None = None) -> Logs:
    """Open the logs and connect the loggers `portway.error` and `portway.access` to them; return them.

    errorlog, accesslog: a path, or "-" for standard error and standard output; accesslog None is no access
    log. loglevel: a key of LEVELS. Raises OSError, with the path, when a file cannot be opened. Calling it
    again replaces what was before; the old files are closed.
    """
    error = LogFile(None, 2) if errorlog == "-" else LogFile(errorlog)
    access = None
    if accesslog == "-":
        access = LogFile(None, 1)
    elif accesslog:
        try:
            access = LogFile(accesslog)
        except OSError:
            # What was before goes on.
            if error.path is not None:
                os.close(error.fd)
            raise
    if error.path is not None:
        error.complain = _tell_standard_error
    if access is not None:
        access.complain = _tell_error_log
    with _configuring:
        _connect(ERROR_LOGGER, LEVELS[loglevel], error, ErrorFormatter())
        _connect(ACCESS_LOGGER, logging.INFO, access, PlainFormatter())
    return Logs(error, access)


def _tell_standard_error(sentence: str) -> None:
    try:
        os.write(2, f"portway: {sentence}\n".encode("utf-8", "backslashreplace"))
    except OSError:
        # There is nobody left to tell.
        pass


def _tell_error_log(sentence: str) -> None:
    logging.getLogger(ERROR_LOGGER).error("%s", sentence)


def _connect(name: str, level: int, file: LogFile | None, formatter: logging.Formatter) -> None:
    logger = logging.getLogger(name)
    # Modules ask for their logger when they are imported, before there is a configuration.
    logger.__class__ = OperatorLogger
    # Handlers that somebody else has added stay.
    for old in logger.handlers[:]:
        if isinstance(old, LineHandler):
            logger.removeHandler(old)
            if old.file.path is not None:
                os.close(old.file.fd)
    if file is None:
        logger.addHandler(logging.NullHandler())
    else:
        handler = LineHandler(file)
        handler.setFormatter(formatter)
        logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
