"""`FileServer`: answers requests for static and media files, or says that a request is not for files.

It runs on the leader thread, between reading a request and handing it to an application thread, one call at a
time, and waits for nothing but the local disk. A static file costs one prefix test and one look-up; its path
never touches the file system. It knows neither sockets nor the application, and no request makes it raise.
"""

import logging
import os
import time
from collections.abc import Callable, Iterable

from portway.files.bodies import Bodies
from portway.files.catalogue import Catalogue
from portway.files.conditional import decide, wanted_fields
from portway.files.encodings import weights
from portway.files.failures import GONE, OUTSIDE, Failures
from portway.files.media_types import is_active, media_type
from portway.files.mounts import Mount, by_length
from portway.files.paths import decode, is_hidden, relative_path
from portway.files.ranges import parse_range
from portway.files.reading import (
    SMALL,
    NotServedError,
    OutsideError,
    last_modified,
    metadata_tag,
    open_beneath,
    open_regular,
)
from portway.files.responses import OPTIONS, FileResponse, compose, error
from portway.files.static_file import Representation, StaticFile, lines, validator_lines
from portway.http.request import Request

__all__ = ["FileResponse", "FileServer"]

_log = logging.getLogger("portway.error")

# Seconds for which a file with a content hash in its name, and the original of a compressed one, is taken for
# unchanged without asking the disk.
_TRUSTED = 1.0


class FileServer:
    """Answers for the files of some mounts.

    mounts: static and media mounts in any order; the longest prefix of a path decides.
    catalogue: the static files, if they were scanned before; otherwise they are scanned now.
    memory: bytes of small static files each worker keeps at hand.
    clock, wall: monotonic seconds and seconds since the epoch.

    Raises ValueError when two mounts claim one prefix and are not both static.
    """

    def __init__(
        self,
        mounts: Iterable[Mount],
        catalogue: Catalogue | None = None,
        *,
        memory: int = 8 * 1024 * 1024,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.mounts = by_length(mounts)
        self.catalogue = catalogue if catalogue is not None else Catalogue.scan(self.mounts)
        self._prefixes = tuple(mount.url for mount in self.mounts)
        self._files = self.catalogue.files
        # A root that is a link itself ("current") is resolved once: whoever moves it reloads the server.
        self._roots = {mount.url: os.path.realpath(os.fsencode(mount.root)) for mount in self.mounts}
        self._bodies = Bodies(memory)
        self._clock = clock
        self._wall = wall
        self._failures = Failures(clock)
        checked = [mount.url for mount in self.mounts if mount.kind == "media" and not mount.follow_links]
        if checked and not os.path.isdir("/proc/self/fd"):
            _log.error(
                "files: %s cannot be served: where a file lies is asked of /proc, and it is not mounted",
                checked,
            )

    def find(self, request: Request) -> FileResponse | None:
        """Return the answer to a request for a file, or None if the request is the application's.

        Never raises. The receiver closes the answer's descriptor, if it has one.
        """
        path = request.path
        if not path.startswith(self._prefixes):
            return None
        try:
            file = self._files.get(path) if "%" not in path else None
            if file is not None and (request.method == "GET" or request.method == "HEAD"):
                response = self._static(file, path, request)
                return response if response is not None else self._missing(self._mount_of(path), request)
            return self._less_usual(request)
        except Exception:  # noqa: BLE001 - no request may stop the leader
            _log.exception("files: cannot answer %s %r", request.method, path)
            return error(500, request.method)

    def _less_usual(self, request: Request) -> FileResponse | None:
        """Answer what is not simply a GET of a known static file by its plain name."""
        path, method = request.path, request.method
        mount = self._mount_of(path)
        response: FileResponse | None = None
        if method not in ("GET", "HEAD"):
            if not mount.passes:
                response = OPTIONS if method == "OPTIONS" else error(405, method)
            return response
        if mount.kind == "media":
            response = self._media(mount, request)
        elif (name := decode(path[len(mount.url) :])) is not None:
            file = self._files.get(mount.url + name)
            if file is not None:
                response = self._static(file, mount.url + name, request)
        return response if response is not None else self._missing(mount, request)

    def _mount_of(self, path: str) -> Mount:
        return next(mount for mount in self.mounts if path.startswith(mount.url))

    def _missing(self, mount: Mount, request: Request) -> FileResponse | None:
        return None if mount.passes else error(404, request.method)

    # Static files

    def _static(self, file: StaticFile, url: str, request: Request) -> FileResponse | None:
        """Answer from the catalogue; None if the file is gone."""
        method = request.method
        wanted = wanted_fields(request.fields)
        current: StaticFile | None = file
        try:
            for _attempt in range(2):
                if current is None:
                    break
                response = self._catalogued(current, method, wanted)
                if response is not None:
                    return response
                current = self.catalogue.rescan(url, self._wall())
            else:
                return error(503, method)  # it changes faster than it can be read
        except (FileNotFoundError, NotADirectoryError, NotServedError):
            pass
        except OSError as failure:
            return error(self._failures.status(failure, file.identity.path), method)
        self._failures.report(GONE, "%r was there at the start and is gone", file.identity.path)
        return None

    def _catalogued(self, file: StaticFile, method: str, wanted: dict[str, str]) -> FileResponse | None:
        """Answer with a file as it was catalogued, or return None when it has changed. Raises OSError."""
        chosen = file.identity
        accepted = wanted.get("accept-encoding")
        # A range is one of the file as it is: clients count the bytes of what they will have in the end.
        if accepted is not None and file.variants and not _asks_for_part(method, wanted, chosen.size):
            chosen = file.choose(weights(accepted))
            # What a compressed sibling was made of may have changed and left it behind.
            if chosen is not file.identity and not self._is_unchanged(file.identity, trusted=True):
                return None
        if chosen.etag[0] == "W" and chosen.is_provisional(self._wall()):
            return None
        if len(wanted) == (accepted is not None):
            status, first, count = 200, 0, chosen.size
        else:
            now = self._wall()
            status, first, count = decide(method, wanted, chosen.etag, chosen.modified, chosen.size, now)
        if method == "GET" and (status == 200 or status == 206):
            whole = self._bodies.get(chosen)
            if whole is None:
                return self._opened(chosen, status, first, count)
            if not self._is_unchanged(chosen, chosen.immutable):
                return None
            if status == 200:
                return whole  # the common case, and nothing was made for it
            response = compose(206, method, chosen.shared, chosen.validators, chosen.size, first, count)
            response.body = whole.body[first : first + count]
            return response
        if not self._is_unchanged(chosen, chosen.immutable):
            return None
        return compose(status, method, chosen.shared, chosen.validators, chosen.size, first, count)

    def _is_unchanged(self, representation: Representation, trusted: bool) -> bool:
        """True if the file on disk is the one that was hashed, or was so a moment ago if that is enough.

        Raises OSError but for a missing file.
        """
        if trusted:
            now = self._clock()
            if now < representation.fresh_until:
                return True
            representation.fresh_until = now + _TRUSTED
        try:
            unchanged = representation.is_of(os.stat(representation.path))
        except (FileNotFoundError, NotADirectoryError):
            unchanged = False
        if not unchanged:
            representation.fresh_until = 0.0
        return unchanged

    def _opened(self, chosen: Representation, status: int, first: int, count: int) -> FileResponse | None:
        """Answer a GET with the file's content, or return None when it has changed. Raises OSError."""
        try:
            fd, found = open_regular(chosen.path)
        except (FileNotFoundError, NotADirectoryError, NotServedError):
            return None
        try:
            if not chosen.is_of(found):
                return None
            response = compose(status, "GET", chosen.shared, chosen.validators, chosen.size, first, count)
            if count > SMALL:
                response.fd, response.offset, response.count = fd, first, count
                fd = -1
                return response
            response.body = os.pread(fd, count, first)
            # Read first, then looked at: what was read is what was hashed.
            if len(response.body) != count or not chosen.is_of(os.fstat(fd)):
                return None
            if status == 200:
                self._bodies.keep(chosen, response)
            return response
        finally:
            if fd >= 0:
                os.close(fd)

    # Media files

    def _media(self, mount: Mount, request: Request) -> FileResponse | None:
        """Answer from disk; None if there is no such file."""
        method = request.method
        root = self._roots[mount.url]
        relative = relative_path(request.path[len(mount.url) :])
        if relative is None:
            return None
        try:
            if mount.follow_links:
                fd, found = open_regular(root + b"/" + relative)
            else:
                fd, found, place = open_beneath(root, relative)
                if place != relative and any(map(is_hidden, place.split(b"/"))):
                    os.close(fd)
                    return None
        except OutsideError:
            self._failures.report(
                OUTSIDE, "%r leads out of its folder and is not served", root + b"/" + relative
            )
            return None
        except NotServedError:
            return None
        except OSError as failure:
            status = self._failures.status(failure, root + b"/" + relative)
            return None if status == 404 else error(status, method)
        try:
            now = self._wall()
            size = found.st_size
            etag, modified = metadata_tag(found, now), last_modified(found, now)
            status, first, count = decide(method, wanted_fields(request.fields), etag, modified, size, now)
            content_type = media_type(relative.decode("latin-1"))
            # Somebody else wrote this file: what could run scripts in the site's name is shown without them.
            shared = lines(content_type, f"max-age={mount.max_age}", sandbox=is_active(content_type))
            response = compose(status, method, shared, validator_lines(etag, modified), size, first, count)
            if method == "GET" and (status == 200 or status == 206):
                if count > SMALL:
                    response.fd, response.offset, response.count = fd, first, count
                    fd = -1
                else:
                    response.body = os.pread(fd, count, first)
                    if len(response.body) != count:
                        return error(503, method)  # cut short between two system calls
            return response
        except OSError as failure:
            return error(self._failures.status(failure, root + b"/" + relative), method)
        finally:
            if fd >= 0:
                os.close(fd)


def _asks_for_part(method: str, wanted: dict[str, str], size: int) -> bool:
    value = wanted.get("range")
    return value is not None and method == "GET" and parse_range(value, size) is not None
