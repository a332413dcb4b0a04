"""The catalogue of static files: every URL under the static mounts, with its finished header lines.

Made once, before the workers fork, so that they share its memory; it pickles as well. After that the path of
a request never reaches the file system: it is looked up here or it is unknown. A worker that finds a file
changed measures that one file again, in its own copy; a file that appears later is unknown until the next
generation of workers.

Symbolic links that lead out of a static root are left out, as are names that begin with a dot (except
.well-known) and everything that is not a regular file. Used by one thread at a time.
"""

import logging
import os
import time
from collections.abc import Collection, Iterable, Iterator

from portway.files.encodings import CODINGS, EXTENSIONS, IDENTITY
from portway.files.media_types import media_type
from portway.files.mounts import Mount, by_length
from portway.files.names import (
    DJANGO_MANIFEST,
    VITE_MANIFESTS,
    django_digest,
    django_manifest_names,
    is_content_hash,
    vite_manifest_names,
)
from portway.files.paths import is_hidden
from portway.files.reading import Measured, NotServedError, measure
from portway.files.static_file import Representation, StaticFile, lines

_log = logging.getLogger("portway.error")

#: RFC 8246; a year is what RFC 9111 readers take for "for ever".
IMMUTABLE = "public, max-age=31536000, immutable"

# A file that changed is hashed again on the leader thread up to this size (bytes): some milliseconds.
_RESCAN_LIMIT = 4 * 1024 * 1024
# A precompressed sibling found at the start may be this much older (seconds) than what it was made of,
# because copying a tree takes a while. While we serve there is no such excuse.
_COPYING = 2.0
_MANIFEST_LIMIT = 16 * 1024 * 1024


class Catalogue:
    """The static files by URL path.

    files: URL path, percent-decoded into one character for each byte -> StaticFile. mounts: the static
    mounts, longest prefix first. size: bytes of all files together.
    """

    __slots__ = ("files", "mounts", "size")

    def __init__(self, files: dict[str, StaticFile], mounts: tuple[Mount, ...]) -> None:
        self.files = files
        self.mounts = mounts
        self.size = sum(file.identity.size for file in files.values())

    @classmethod
    def scan(cls, mounts: Iterable[Mount]) -> "Catalogue":
        """Read every file of the static mounts; media mounts are passed over.

        The time is linear in the bytes there are (a second for 300 to 800 megabytes), the memory in the
        number of files (less than a kilobyte each). A folder or file that cannot be read is logged and left
        out: never an exception.
        """
        ordered = by_length(mounts)
        static = tuple(mount for mount in ordered if mount.kind == "static")
        files: dict[str, StaticFile] = {}
        for mount in static:
            # A longer prefix inside this one takes its URLs away, whether it has files there or not.
            inner = tuple(
                other.url for other in ordered if other.url != mount.url and other.url.startswith(mount.url)
            )
            for url, file in _scan_mount(mount):
                if not url.startswith(inner):
                    files.setdefault(url, file)
        return cls(files, static)

    def __len__(self) -> int:
        return len(self.files)

    def rescan(self, url: str, now: float) -> StaticFile | None:
        """Measure a file again that has changed; None if it is no longer served.

        now: seconds since the epoch.

        Raises OSError if it cannot be read, or is gone; NotServedError if it is no regular file.
        """
        old = self.files[url]
        path = old.identity.path
        # Two folders may be laid over each other under one URL: the mount is the one the file is in.
        for mount in self.mounts:
            if url.startswith(mount.url) and _is_inside(path, mount):
                break
        else:
            return None
        own = measure(path, now, md5=django_digest(url) is not None, limit=_RESCAN_LIMIT)
        measured = {b"": own}
        for extension in EXTENSIONS:
            suffix = extension.encode("ascii")
            try:
                if _is_inside(path + suffix, mount):
                    measured[suffix] = measure(path + suffix, now, limit=_RESCAN_LIMIT)
            except (OSError, NotServedError):
                pass  # what cannot be read is not offered
        immutable = _is_immutable(url, own, ())
        file = _static_file(path, url, measured, mount, immutable, _Omissions(mount), lag=0.0)
        self.files[url] = file
        return file


class _Omissions:
    """What was left out of a mount, said in one line for each reason: ten thousand links make one line."""

    def __init__(self, mount: Mount) -> None:
        self._mount = mount
        self._found: dict[str, tuple[bytes, int]] = {}

    def note(self, reason: str, path: bytes) -> None:
        first, count = self._found.get(reason, (path, 0))
        self._found[reason] = first, count + 1

    def log(self) -> None:
        for reason, (path, count) in self._found.items():
            others = f" (and {count - 1} more)" if count > 1 else ""
            _log.warning(
                "static: %s: %r%s is left out: %s", self._mount.url, os.fsdecode(path), others, reason
            )


def _scan_mount(mount: Mount) -> Iterator[tuple[str, StaticFile]]:
    """Yield the URL and the file of everything below the mount's root that is served."""
    omissions = _Omissions(mount)
    root = os.path.realpath(os.fsencode(mount.root))
    found = dict(_walk(root, b"", mount, (root,), omissions))
    if not found:
        _log.warning("static: %s: there are no files in %s", mount.url, mount.root)
    hashed = _manifest_names(root, found)
    now = time.time()
    # A precompressed file is wanted twice, as a coding of another and as a file of its own, and read once.
    kept: dict[bytes, Measured] = {}

    def measured(name: bytes) -> Measured | None:
        digest = name not in hashed and django_digest(name.decode("latin-1")) is not None
        try:
            return measure(found[name], now, md5=digest)
        except NotServedError:
            omissions.note("it is not a regular file", found[name])
        except OSError as error:
            omissions.note(f"it cannot be read ({error.strerror})", found[name])
        return None

    for name, path in found.items():
        own = kept.pop(name, None) or measured(name)
        if own is None:
            continue
        codings = {b"": own}
        for extension in EXTENSIONS:
            suffix = extension.encode("ascii")
            if name + suffix in found:
                variant = measured(name + suffix)
                if variant is not None:
                    kept[name + suffix] = codings[suffix] = variant
        relative = name.decode("latin-1")
        immutable = _is_immutable(relative, own, hashed)
        file = _static_file(path, relative, codings, mount, immutable, omissions, lag=_COPYING)
        yield mount.url + relative, file
    omissions.log()


def _walk(
    root: bytes, below: bytes, mount: Mount, above: tuple[bytes, ...], omissions: _Omissions
) -> Iterator[tuple[bytes, bytes]]:
    """Yield (name below the root, path) of everything that may be served, in the order of names.

    root: without symbolic links. below: the folder's name with its "/", or b"". above: the real folders that
    lead here, so that a link to one of them does not lead round in circles.
    """
    folder = root + b"/" + below if below else root
    try:
        with os.scandir(folder) as entries:
            ordered = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        omissions.note(f"it cannot be listed ({error.strerror})", folder)
        return
    for entry in ordered:
        name = below + entry.name
        if is_hidden(entry.name):
            continue
        try:
            if entry.is_symlink() and not _is_inside(entry.path, mount):
                omissions.note("it is a link that leads out of its folder", entry.path)
            elif entry.is_dir():
                real = os.path.realpath(entry.path)
                if real not in above:
                    yield from _walk(root, name + b"/", mount, (*above, real), omissions)
            elif entry.is_file():
                yield name, entry.path
        except OSError as error:
            omissions.note(f"it cannot be looked at ({error.strerror})", entry.path)


def _is_inside(path: bytes, mount: Mount) -> bool:
    """True if the file, all links followed, lies below the root and under no hidden name, or need not."""
    if mount.follow_links:
        return True
    root = os.path.realpath(os.fsencode(mount.root))
    real = os.path.realpath(path)
    inside = root if root.endswith(b"/") else root + b"/"
    return real.startswith(inside) and not any(map(is_hidden, real[len(inside) :].split(b"/")))


def _manifest_names(root: bytes, found: dict[bytes, bytes]) -> Collection[bytes]:
    """Return the names below the root that a manifest says hold a hash of the content."""
    names: set[bytes] = set()
    manifest = found.get(DJANGO_MANIFEST.encode("ascii"))
    if manifest is not None:
        try:
            names.update(os.fsencode(name) for name in django_manifest_names(_read(manifest)))
        except (OSError, ValueError) as error:
            _log.error("static: %r is no manifest of Django's: %s", os.fsdecode(manifest), error)
    # Vite's output is the folder of manifest.json, or the one of .vite/, which has its assets/ beside it.
    folders = {b""}
    for name in found:
        for mark in (b"/manifest.json", b"/assets/"):
            if mark in name:
                folders.add(name[: name.index(mark) + 1])
    for folder in folders:
        for candidate in VITE_MANIFESTS:
            try:
                text = _read(os.path.join(root, folder, os.fsencode(candidate)))
                names.update(folder + os.fsencode(name) for name in vite_manifest_names(text))
            except (OSError, ValueError):
                continue  # there is none, or it is another program's
    return names


def _read(path: bytes) -> bytes:
    with open(path, "rb") as file:
        return file.read(_MANIFEST_LIMIT)


def _is_immutable(name: str, own: Measured, hashed: Collection[bytes]) -> bool:
    """True if the name is certain to change with the content. hashed: what a manifest vouches for."""
    if name.encode("latin-1") in hashed or is_content_hash(name):
        return True
    digest = django_digest(name)
    return digest is not None and own.md5.startswith(digest)


def _static_file(
    path: bytes,
    name: str,
    measured: dict[bytes, Measured],
    mount: Mount,
    immutable: bool,
    omissions: _Omissions,
    *,
    lag: float,
) -> StaticFile:
    """Put a file and its precompressed siblings together.

    measured: by suffix, b"" for the file itself. lag: seconds that a sibling may be older than the file.
    """
    own = measured[b""]
    useful: list[tuple[int, bytes, Measured]] = []
    for coding, extension in enumerate(EXTENSIONS):
        suffix = extension.encode("ascii")
        variant = measured.get(suffix)
        if variant is None or variant.size >= own.size:
            continue
        # Under a hashed name there is one content; else a sibling of an older one would be sent in place of
        # the new.
        if not immutable and variant.mtime_ns < own.mtime_ns - lag * 1e9:
            omissions.note("as a coding, since it is older than its original", path + suffix)
            continue
        useful.append((coding, suffix, variant))
    content_type = media_type(name)
    cache_control = IMMUTABLE if immutable else f"public, max-age={mount.max_age}"
    vary = bool(useful)

    def representation(coding: int, suffix: bytes, of: Measured) -> Representation:
        coding_name = "" if coding == IDENTITY else CODINGS[coding]
        shared = lines(content_type, cache_control, coding_name, vary)
        return Representation(
            path + suffix, of.size, of.mtime_ns, of.ctime_ns, of.etag, of.modified, shared, coding, immutable
        )

    return StaticFile(
        representation(IDENTITY, b"", own),
        [representation(coding, suffix, variant) for coding, suffix, variant in useful],
    )
