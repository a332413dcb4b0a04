"""A static file as it is kept for serving: one `Representation` for each coding, with its header lines made.

Built at start and when a file has changed; a site has thousands of them, shared by all workers until written
to, so each is small: the lines that files have in common exist once. Knows no requests. One thread at a time.
"""

import os
from collections.abc import Sequence
from functools import lru_cache

from portway.files.encodings import IDENTITY, Weights
from portway.files.reading import is_young
from portway.http.date import format_date

NOSNIFF = b"X-Content-Type-Options: nosniff\r\n"


class Lines:
    """Header lines that many representations share, each ending in CRLF.

    content: for 200 and 206. unmodified: the subset that a 304 repeats (RFC 9110 15.4.5), without ETag.
    """

    __slots__ = ("content", "unmodified")

    def __init__(self, content: bytes, unmodified: bytes) -> None:
        self.content = content
        self.unmodified = unmodified


@lru_cache(maxsize=1024)
def lines(
    content_type: str, cache_control: str, coding: str = "", vary: bool = False, sandbox: bool = False
) -> Lines:
    """Return the shared lines for a kind of file; equal arguments give the same object.

    coding: Content-Encoding, "" for identity. vary: the file has several codings. sandbox: tell browsers to
    run nothing in it (Content-Security-Policy).
    """
    unmodified = f"Cache-Control: {cache_control}\r\n"
    if vary:
        unmodified += "Vary: Accept-Encoding\r\n"
    content = f"Content-Type: {content_type}\r\n"
    if coding:
        content += f"Content-Encoding: {coding}\r\n"
    if sandbox:
        content += "Content-Security-Policy: sandbox\r\n"
    content += "Accept-Ranges: bytes\r\n"
    return Lines(
        content.encode("latin-1") + NOSNIFF + unmodified.encode("latin-1"), unmodified.encode("latin-1")
    )


def validator_lines(etag: str, modified: int) -> bytes:
    """Return the ETag line and, after it, the Last-Modified line."""
    return b"ETag: %b\r\nLast-Modified: %b\r\n" % (etag.encode("ascii"), format_date(modified))


class Representation:
    """One coding of a static file: where it is, what it was when it was hashed, and its header lines.

    path: of the file on disk. size: bytes. mtime_ns, ctime_ns: with the size they tell whether the file has
    changed; ctime also moves when somebody puts old times on new content.
    etag: with quotes; strong, but weak for two seconds if a file that changed is too big to hash again.
    modified: Last-Modified, seconds since the epoch.
    coding: index into `encodings.CODINGS`, or IDENTITY. shared, validators: header lines.
    immutable: the name holds a hash of the content. fresh_until: a worker's own note (monotonic seconds)
    until when it may take the file for unchanged.
    """

    __slots__ = (
        "coding",
        "ctime_ns",
        "etag",
        "fresh_until",
        "immutable",
        "modified",
        "mtime_ns",
        "path",
        "shared",
        "size",
        "validators",
    )

    def __init__(
        self,
        path: bytes,
        size: int,
        mtime_ns: int,
        ctime_ns: int,
        etag: str,
        modified: int,
        shared: Lines,
        coding: int = IDENTITY,
        immutable: bool = False,
    ) -> None:
        self.path = path
        self.size = size
        self.mtime_ns = mtime_ns
        self.ctime_ns = ctime_ns
        self.etag = etag
        self.modified = modified
        self.coding = coding
        self.shared = shared
        self.validators = validator_lines(etag, modified)
        self.immutable = immutable
        self.fresh_until = 0.0

    def is_of(self, status: os.stat_result) -> bool:
        """True if this is what was measured, by its size and times."""
        return (
            status.st_mtime_ns == self.mtime_ns
            and status.st_size == self.size
            and status.st_ctime_ns == self.ctime_ns
        )

    def is_provisional(self, now: float) -> bool:
        """True if its tag was made weak because the file was young, and the file is young no longer."""
        return self.etag[0] == "W" and not is_young(self.mtime_ns, self.ctime_ns, now)


class StaticFile:
    """A file of the catalogue: the identity representation, and the precompressed ones, smallest first."""

    __slots__ = ("identity", "variants")

    def __init__(self, identity: Representation, variants: Sequence[Representation] = ()) -> None:
        self.identity = identity
        self.variants = tuple(sorted(variants, key=lambda variant: variant.size))

    def choose(self, weights: Weights) -> Representation:
        """Return the representation the client likes best, the smallest among equals (RFC 9110 12.5.3)."""
        chosen = self.identity
        best = weights[IDENTITY]
        for variant in self.variants:
            weight = weights[variant.coding]
            if weight > best or (weight and weight == best and chosen is self.identity):
                chosen = variant
                best = weight
        return chosen
