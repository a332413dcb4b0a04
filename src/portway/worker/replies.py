"""The heads of responses that the worker makes without the application, and their lines in the access log."""

from collections.abc import Sequence
from http import HTTPStatus
from time import time
from typing import Any

from portway.http.response import error_page
from portway.net.system import clock
from portway.observe.access import AccessRecord

#: What the access log has as the status of a request whose client left before there was an answer. No client ever
#: gets it; Nginx's number, because people know it.
CLIENT_LEFT = 499

_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii")
    for status in HTTPStatus
    if status.value >= 200
}


def file_head(response: Any, http_minor: int, keep_alive: bool, date: bytes, server: bytes) -> bytes:
    """Return the head of a portway.files response: the fields that it lacks added, and the blank line.

    date: an IMF-fixdate; server: the value of the Server field, b"" for none.
    """
    connection = (
        b""
        if keep_alive and http_minor
        else b"Connection: keep-alive\r\n"
        if keep_alive
        else b"Connection: close\r\n"
    )
    return b"".join(
        (
            _STATUS_LINES[response.status_code],
            response.fields,
            b"Date: ",
            date,
            b"\r\n" if not server else b"\r\nServer: " + server + b"\r\n",
            connection,
            b"\r\n",
        )
    )


def body_size(page: bytes) -> int:
    """Return how many bytes of a whole response are its body."""
    return len(page) - page.index(b"\r\n\r\n") - 4


def log_answer(
    connection: Any,
    request: Any,
    status: int,
    body_bytes: int,
    began: float,
    queued: float = 0.0,
    fields: bytes = b"",
) -> None:
    """Write the access log's line of a request that the application has not answered, where there is such a log.

    request: None where no request line could be read. began: when its time began, by the monotonic clock; it ends now.
    queued: seconds that it waited for a thread. fields: header lines of the response.
    """
    service = connection.service
    if service.access_log is None:
        return
    duration = max(clock() - began, 0.0)
    service.access_log.log(
        AccessRecord(
            method=request.method if request is not None else "",
            target=request.target if request is not None else "",
            path=request.path if request is not None else "",
            query=request.query if request is not None else "",
            http_minor=request.http_minor if request is not None else 1,
            status=status,
            body_bytes=body_bytes,
            remote_addr=service.trusted.address_of(
                connection.peer, () if request is None else request.fields
            ),
            fields=request.fields if request is not None else (),
            response_fields=_pairs(fields),
            environ=None,
            started=time() - duration,
            duration=duration,
            queued=queued,
        )
    )


def refusal(connection: Any, status: int, since: float) -> bytes:
    """Return the short page for a request that is not read to its end; count the request, and log it.

    since: when its head began, by the monotonic clock. The owner of the connection.
    """
    service = connection.service
    request, began = _arriving(connection, since)
    head_only = request is not None and request.method == "HEAD"
    page = error_page(status, False, service.date, service.server, head_only)
    service.count_answer(status, 0)
    log_answer(connection, request, status, body_size(page), began)
    return page


def log_loss(connection: Any, since: float) -> None:
    """Write the access log's line of a request whose client has left while it arrived. since: as in `refusal`."""
    request, began = _arriving(connection, since)
    log_answer(connection, request, CLIENT_LEFT, 0, began)


def _arriving(connection: Any, since: float) -> tuple[Any, float]:
    """Return what is known of the request that is arriving, and when its time began."""
    exchange = connection.exchange
    if exchange is not None:
        return exchange.request, exchange.arrived
    return connection.parser.request_so_far(), since


def _pairs(lines: bytes) -> Sequence[tuple[str, str]]:
    pairs = []
    for line in lines.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(": ")
        if colon:
            pairs.append((name, value))
    return pairs
