"""The small static files that were asked for lately, kept in memory as whole answers.

A stylesheet, a script and an icon are asked for with every page: from here they cost no system call but the
one that sees whether they have changed. Each worker has its own; used by one thread at a time.
"""

from portway.files.responses import FileResponse
from portway.files.static_file import Representation


class Bodies:
    """Answers by representation, bounded by the bytes of their bodies; the oldest go first.

    A file that changes gets a new representation, and with it a new answer; the old one goes in its turn.
    limit: bytes; 0 keeps none but empty files.
    """

    __slots__ = ("_kept", "_limit", "_size")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: dict[Representation, FileResponse] = {}

    def get(self, representation: Representation) -> FileResponse | None:
        """Return the whole 200 answer, or None."""
        return self._kept.get(representation)

    def keep(self, representation: Representation, response: FileResponse) -> None:
        """Keep the whole 200 answer of a representation that has none yet, unless it is over the limit."""
        size = len(response.body)
        if size > self._limit:
            return
        self._kept[representation] = response
        self._size += size
        while self._size > self._limit:
            self._size -= len(self._kept.pop(next(iter(self._kept))).body)
