"""The heads of responses that the worker makes without the application, and their records for the access log."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from portway.observe.access import AccessRecord

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


def local_record(
    address: str, request: Any, status: int, fields: bytes, body_bytes: int, now: float
) -> AccessRecord:
    """Return the access log's record of a request that was answered without the application.

    address: the client's. request: None where no request could be read. fields: header lines of the response.
    now: seconds since the epoch.
    """
    return AccessRecord(
        method=request.method if request is not None else "",
        target=request.target if request is not None else "",
        path=request.path if request is not None else "",
        query=request.query if request is not None else "",
        http_minor=request.http_minor if request is not None else 1,
        status=status,
        body_bytes=body_bytes,
        remote_addr=address,
        fields=request.fields if request is not None else (),
        response_fields=_pairs(fields),
        environ=None,
        started=now,
        duration=0.0,
    )


def _pairs(lines: bytes) -> Sequence[tuple[str, str]]:
    pairs = []
    for line in lines.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(": ")
        if colon:
            pairs.append((name, value))
    return pairs
