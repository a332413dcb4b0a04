"""What the gateway writes to the error log, off the hot path. Nothing here raises, whatever is logged.

Each record names the request; its attributes `method` and `path` carry the same for structured logs. Runs in
the thread that runs the application.
"""

import logging

from portway.http.request import Request

log = logging.getLogger("portway.error")


def log_exception(request: Request, error: BaseException, where: str = "") -> None:
    """Log an exception with its traceback. where: " in close()" or "" for the call and the iteration."""
    try:
        log.error(
            "Error handling request %s %s: %s%s",
            request.method,
            _printable(request.path),
            type(error).__name__,
            where,
            exc_info=(type(error), error, error.__traceback__),
            extra={"method": request.method, "path": request.path},
        )
    except BaseException:  # noqa: BLE001, S110 - no memory, or a handler that raises: there is nobody to tell
        pass


def log_problem(request: Request, reason: str) -> None:
    """Log what the application did wrong where that says it all, without a traceback."""
    try:
        log.error(
            "Error handling request %s %s: %s",
            request.method,
            _printable(request.path),
            reason,
            extra={"method": request.method, "path": request.path},
        )
    except BaseException:  # noqa: BLE001, S110 - as above
        pass


def _printable(path: str) -> str:
    """Return the path as ASCII, so that nothing a client sends can act on a terminal or break a line."""
    return path.encode("unicode_escape").decode("ascii")
