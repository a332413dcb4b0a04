"""What a worker answers without its application: health, and static and media files. Runs on the leader."""

from collections.abc import Callable
from typing import Any

from portway.files.server import FileResponse, FileServer


class LocalAnswers:
    """Finds the answer to a request that needs no application thread.

    files: the file server, or None. health_path: a prefix such as "/-/", or "" for no health answers. is_ready: whether
    the worker takes requests and does not drain.
    """

    def __init__(self, files: FileServer | None, health_path: str, is_ready: Callable[[], bool]) -> None:
        self._files = files
        self._live = health_path + "live" if health_path else ""
        self._ready = health_path + "ready" if health_path else ""
        self._is_ready = is_ready

    def find(self, request: Any) -> FileResponse | None:
        """Return the answer, or None where the application is to give it."""
        path = request.path
        if self._live and (path in (self._live, self._ready)) and request.method in ("GET", "HEAD"):
            return self._health(request, path == self._live or self._is_ready())
        if self._files is not None:
            return self._files.find(request)
        return None

    def _health(self, request: Any, good: bool) -> FileResponse:
        text = b"ok\n" if good else b"draining\n"
        fields = (
            b"Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nContent-Length: %d\r\n"
        )
        return FileResponse(
            200 if good else 503, fields % len(text), b"" if request.method == "HEAD" else text
        )
