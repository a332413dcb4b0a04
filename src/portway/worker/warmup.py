"""What a worker does before it says that it is ready: it requests pages of itself, and asks whether all is well.

    --warmup PATH                    a GET through the parser, environ and the gateway, as a client's, without a socket
    --ready-check MODULE:CALLABLE    a call

So the modules that the first request imports, the connections that it opens and the templates that it compiles are
there before a client waits for them, and a worker that cannot answer never meets one. Runs in the worker's main
thread, application thread 0, before the other threads are started. These requests are in no log and no counter; what
goes wrong is raised as NotReady and reported by whoever started the worker.
"""

import logging
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import get_ident
from time import monotonic, time
from typing import Any

from portway import __version__
from portway.django.own_requests import accepted_host, noted_exceptions
from portway.http.date import format_date
from portway.http.errors import RemoteProtocolError
from portway.http.limits import Limits
from portway.http.parser import RequestParser
from portway.settings.application import load_ready_check
from portway.settings.kinds import split_own_request
from portway.settings.table import Settings
from portway.worker.not_ready import NotReady
from portway.wsgi.sink import ClientDisconnected, Sink

log = logging.getLogger("portway.error")

#: How much of an answer is read, in bytes. An answer without an end, a stream of events, must not hold a worker up.
MOST = 16 * 1024**2

_PEER = ("127.0.0.1", 0)


def warm_up(settings: Settings, environ: Any, gateway: Any, local: Any) -> None:
    """Make the requests and call the check that the settings name. Raises NotReady.

    environ, gateway: the worker's EnvironBuilder and Gateway. local: an address that it listens on, as the socket
    module gives it.
    """
    for target in settings.warmup:
        _request(target, settings, environ, gateway, local)
    if settings.ready_check:
        _check(settings.ready_check)


def _request(target: str, settings: Settings, builder: Any, gateway: Any, local: Any) -> None:
    scheme, path, host = split_own_request(target)
    what = f"The warm-up request GET {target}"
    begun = monotonic()
    try:
        request = _parse(path, host or accepted_host())
        environ = builder.build(request, None, _PEER, local)
    except RemoteProtocolError as error:
        raise NotReady(f"{what} is refused with {error.status}: {error.reason}.") from None
    if scheme == "https":
        environ["wsgi.url_scheme"] = scheme
        environ["SERVER_PORT"] = "443"
    environ["portway.warmup"] = True
    environ["portway.deadline"] = _NoDeadline()
    with _caught_reports() as reports, noted_exceptions() as noted:
        response = gateway.respond(request, environ, _Drain(), format_date(int(time())), False)
    status = response.status_code
    for record in reports:
        raised = record.exc_info[1] if record.exc_info else None
        if raised is not None:
            raise NotReady(f"{what} raised {_described(raised)}.") from raised
        raise NotReady(f"{what} failed: {record.getMessage()}.")
    if status >= 500:
        by = f", by {_described(noted[-1])}" if noted else ""
        raise NotReady(f"{what} was answered {status}{by}.") from (noted[-1] if noted else None)
    if status >= 400:
        hint = ""
        if status == 400 and not host:
            hint = " If ALLOWED_HOSTS is the reason, write it as http://HOST/PATH."
        log.warning("%s was answered %d.%s", what, status, hint)
    log.debug("%s was answered %d after %.3f s.", what, status, monotonic() - begun)


def _parse(path: str, host: str) -> Any:
    """Return the request as a client's would be. Raises RemoteProtocolError."""
    parser = RequestParser(Limits())
    agent = f"portway/{__version__} (warm-up)"
    head = f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {agent}\r\nAccept: */*\r\n\r\n"
    parser.receive_data(head.encode("latin-1", "replace"))
    return parser.next_event()


def _check(spec: str) -> None:
    check = load_ready_check(spec)
    try:
        result = check()
    except BaseException as error:
        raise NotReady(f"The ready check {spec} raised {_described(error)}.") from error
    if not result:
        raise NotReady(
            f"The ready check {spec} returned {result!r:.100}. It must return a true value where all is well."
        )


def _described(error: BaseException) -> str:
    text = str(error).partition("\n")[0]
    return f"{type(error).__name__}: {text}".rstrip(".") if text else type(error).__name__


@contextmanager
def _caught_reports() -> Iterator[list[logging.LogRecord]]:
    """Keep what this thread says of errors to the error log, instead of writing it: there will be one report."""
    reports: list[logging.LogRecord] = []
    me = get_ident()

    def catch(record: logging.LogRecord) -> bool:
        # Its requests carry the path; see portway.wsgi.error_log.
        if record.thread != me or record.levelno < logging.ERROR or not hasattr(record, "path"):
            return True
        reports.append(record)
        return False

    log.addFilter(catch)
    try:
        yield reports
    finally:
        log.removeFilter(catch)


class _Drain(Sink):
    """Takes an answer for nobody."""

    def __init__(self) -> None:
        self._taken = 0

    def send(self, data: bytes) -> None:
        """Count the bytes; raise ClientDisconnected where they are too many."""
        self._taken += len(data)
        if self._taken > MOST:
            raise ClientDisconnected

    def send_file(self, fd: int, offset: int, count: int) -> None:
        """Let the file be."""
        os.close(fd)


class _NoDeadline:
    """`portway.deadline` of a request that has none."""

    remaining = math.inf

    def extend(self, _seconds: float) -> bool:
        """Do nothing."""
        return True

    def clear(self) -> bool:
        """Do nothing."""
        return True
