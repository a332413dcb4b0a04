"""`FileResponse`: what the files package answers, and the answers that are always the same.

A response carries finished header lines and either a body in memory or an open descriptor; the worker adds
the status line, Date, Server and Connection, and sends it. The fixed answers are made once and handed out
again and again: whoever gets a FileResponse reads it and does not change it.
"""

import os

from portway.files.static_file import NOSNIFF, Lines

_PHRASES = {
    404: "Not Found",
    405: "Method Not Allowed",
    412: "Precondition Failed",
    416: "Range Not Satisfiable",
    500: "Internal Server Error",
    503: "Service Unavailable",
}

_ALLOW = b"Allow: GET, HEAD, OPTIONS\r\n"
_ACCEPT_RANGES = b"Accept-Ranges: bytes\r\n"
_RETRY = b"Retry-After: 1\r\n"


class FileResponse:
    """An answer from disk.

    status_code: 200, 204, 206, 304, 404, 405, 412, 416, 500 or 503.
    fields: header lines, each ending in CRLF, Content-Length where one is due; no Date, Server or Connection.
    body: the whole content when it is small, or b"".
    fd: otherwise a descriptor of the regular file, open for reading, which the receiver owns and closes; -1
    if none.
    offset, count: the bytes of `fd` to send.
    """

    __slots__ = ("body", "count", "fd", "fields", "offset", "status_code")

    def __init__(
        self,
        status_code: int,
        fields: bytes,
        body: bytes = b"",
        fd: int = -1,
        offset: int = 0,
        count: int = 0,
    ) -> None:
        self.status_code = status_code
        self.fields = fields
        self.body = body
        self.fd = fd
        self.offset = offset
        self.count = count

    def close(self) -> None:
        """Close the descriptor of a response that will not be sent, if it has one."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def _page(status_code: int, extra: bytes, head_only: bool) -> FileResponse:
    """Make a short plain page. Errors are not for caches to keep: the file may be there in a second."""
    body = f"{status_code} {_PHRASES[status_code]}\n".encode("latin-1")
    fields = (
        b"Content-Type: text/plain; charset=utf-8\r\n%bCache-Control: no-store\r\n%bContent-Length: %d\r\n"
        % (NOSNIFF, extra, len(body))
    )
    return FileResponse(status_code, fields, b"" if head_only else body)


_EXTRA = {405: _ALLOW, 503: _RETRY}
_GET = {status: _page(status, _EXTRA.get(status, b""), False) for status in _PHRASES}
_HEAD = {status: _page(status, _EXTRA.get(status, b""), True) for status in _PHRASES}

#: The answer to OPTIONS (RFC 9110 9.3.7). It says nothing on CORS: no other origin is let in by default.
OPTIONS = FileResponse(204, _ALLOW)


def error(status_code: int, method: str) -> FileResponse:
    """Return the page for an error; for HEAD without its body."""
    return _HEAD[status_code] if method == "HEAD" else _GET[status_code]


def compose(
    status_code: int, method: str, shared: Lines, validators: bytes, size: int, first: int, count: int
) -> FileResponse:
    """Return the answer that `conditional.decide` came to, without its content.

    shared, validators: the header lines of the representation. size: bytes of it, of which `count` from
    `first` on are sent.
    """
    if status_code == 200:
        return FileResponse(200, b"%b%bContent-Length: %d\r\n" % (shared.content, validators, size))
    if status_code == 304:
        # What a cache needs to find and renew its copy, and no more (RFC 9110 15.4.5). ETag comes first in
        # validators; Last-Modified is left out, since there is an ETag.
        return FileResponse(304, shared.unmodified + validators[: validators.index(b"\n") + 1])
    if status_code == 206:
        fields = b"%b%bContent-Range: bytes %d-%d/%d\r\nContent-Length: %d\r\n" % (
            shared.content,
            validators,
            first,
            first + count - 1,
            size,
            count,
        )
        return FileResponse(206, fields)
    if status_code == 416:
        # The size there is, so that the client can ask again (RFC 9110 15.5.17).
        return _page(416, _ACCEPT_RANGES + b"Content-Range: bytes */%d\r\n" % size, False)
    return error(status_code, method)
