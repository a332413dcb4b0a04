"""Reads files of a root: opens without ever blocking, measures, hashes.

System calls and nothing of HTTP. Runs at start over every static file, and on the leader thread for media and
for static files that changed, so nothing here waits for anything but the local disk.
"""

import base64
import hashlib
import os
import stat

#: A file up to this size (bytes) is read and sent with its header at once; a bigger one goes by sendfile.
SMALL = 16 * 1024

# A descriptor that never waits: for a writer at the other end of a FIFO, for a terminal, for a lease.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
# A handle that is not open for reading: taking one of a device or a FIFO touches neither.
_HANDLE = os.O_PATH | os.O_CLOEXEC

_CHUNK = 256 * 1024

# A file this young (nanoseconds) may change again without its time moving: clocks of file systems tick 100 to
# 1000 times a second, some only once.
_SETTLED_NS = 2_000_000_000


class NotServedError(Exception):
    """The path names nothing that is served: not a regular file, or it lies outside its root."""


class OutsideError(NotServedError):
    """A symbolic link leads out of the root."""


def open_regular(path: bytes) -> tuple[int, os.stat_result]:
    """Open a regular file for reading; return the descriptor, which the caller closes, and fstat of it.

    Raises OSError if it cannot be opened, NotServedError if it is no regular file.
    """
    fd = os.open(path, _READ)
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            raise NotServedError(path)
    except BaseException:
        os.close(fd)
        raise
    return fd, status


def open_beneath(root: bytes, relative: bytes) -> tuple[int, os.stat_result, bytes]:
    """Open a regular file beneath `root`; return a descriptor, fstat of it, and its real path below the root.

    root: an absolute path without symbolic links. relative: without "..".

    The path is first resolved to a handle, and the kernel is asked where that handle lies: what is checked is
    what will be read, whatever happens to names and links meanwhile, and links that stay inside the root work
    (walking with O_NOFOLLOW would forbid them). Only when it is a regular file inside does an open for
    reading follow, of the same handle: a device or FIFO is never opened, not even one inside.

    Raises OSError; OutsideError if it lies elsewhere; NotServedError if it is no regular file.
    """
    handle = os.open(root + b"/" + relative, _HANDLE)
    try:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise NotServedError(relative)
        link = b"/proc/self/fd/%d" % handle
        place = os.readlink(link)
        inside = root if root.endswith(b"/") else root + b"/"
        if not place.startswith(inside):
            raise OutsideError(place)
        return os.open(link, _READ), status, place[len(inside) :]
    finally:
        os.close(handle)


def same(before: os.stat_result, after: os.stat_result) -> bool:
    """True if nothing wrote to the file between the two."""
    return (
        before.st_mtime_ns == after.st_mtime_ns
        and before.st_ctime_ns == after.st_ctime_ns
        and before.st_size == after.st_size
    )


class Measured:
    """A file's stamp and entity tag. md5: the content's MD5 in hexadecimal, "" unless it was asked for."""

    __slots__ = ("ctime_ns", "etag", "md5", "modified", "mtime_ns", "size")

    def __init__(self, status: os.stat_result, etag: str, md5: str, now: float) -> None:
        self.size = status.st_size
        self.mtime_ns = status.st_mtime_ns
        self.ctime_ns = status.st_ctime_ns
        self.etag = etag
        self.md5 = md5
        self.modified = last_modified(status, now)


def measure(path: bytes, now: float, *, md5: bool = False, limit: int | None = None) -> Measured:
    """Hash a file into its strong entity tag; linear in its size, in constant memory.

    now: seconds since the epoch. md5: compute that as well. limit: above so many bytes the content is not
    read, and the tag is made of size and times, because the caller cannot take the time.

    Raises OSError, and NotServedError if it is no regular file.
    """
    fd, status = open_regular(path)
    try:
        if limit is not None and status.st_size > limit:
            return Measured(status, metadata_tag(status, now), "", now)
        for _attempt in range(3):
            content = hashlib.blake2b(digest_size=16)
            claimed = hashlib.md5(usedforsecurity=False) if md5 else None
            position = 0
            while data := os.pread(fd, _CHUNK, position):
                content.update(data)
                if claimed is not None:
                    claimed.update(data)
                position += len(data)
                if position > status.st_size:
                    break  # it grows as we read
            before, status = status, os.fstat(fd)
            if position == status.st_size and same(before, status):
                tag = base64.urlsafe_b64encode(content.digest()).rstrip(b"=").decode("ascii")
                return Measured(status, f'"{tag}"', claimed.hexdigest() if claimed is not None else "", now)
        # Somebody keeps writing to it: nothing can be said of its content but when that changed last.
        return Measured(status, metadata_tag(status, now), "", now)
    finally:
        os.close(fd)


def metadata_tag(status: os.stat_result, now: float) -> str:
    """Make an entity tag of a file's modification time, in nanoseconds, and its size.

    RFC 9110 8.8.3.1 allows a modification time of sub-second resolution as a strong validator, and 8.8.1 asks
    that it changes whenever the content does. A time that ticks in milliseconds cannot promise that for a
    file that was written just now, so while it is young its tag is weak: good enough to revalidate with,
    never to join ranges. The inode is left out: hosts that serve copies of one tree should agree on the tag.
    """
    tag = f'"{status.st_mtime_ns:x}-{status.st_size:x}"'
    return f"W/{tag}" if is_young(status.st_mtime_ns, status.st_ctime_ns, now) else tag


def is_young(mtime_ns: int, ctime_ns: int, now: float) -> bool:
    """True if a file with these times may change again without them moving. now: seconds since the epoch."""
    return now * 1e9 - max(mtime_ns, ctime_ns) < _SETTLED_NS


def last_modified(status: os.stat_result, now: float) -> int:
    """Return the second for Last-Modified: never later than now (RFC 9110 8.8.2.1), nor before the epoch."""
    return max(0, min(status.st_mtime_ns // 1_000_000_000, int(now)))
