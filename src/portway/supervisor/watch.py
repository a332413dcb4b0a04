"""Notices that source files have changed, for `--reload`: looks at them once a second, without a thread.

It watches the files it is told of and the other Python files in their folders, because parts of an
application are imported only by the first request (a Django project's views, for instance) and new files
appear.
"""

import logging
import os
from collections.abc import Iterable

log = logging.getLogger("portway.error")

#: Seconds between two looks.
INTERVAL = 1.0

#: How many folders are watched at most, so that a look stays short.
_MAX_FOLDERS = 2000


class Watcher:
    """The Python files that are watched, and how they were at the last look. Runs in the supervisor."""

    def __init__(self) -> None:
        self._folders: set[str] = set()
        self._seen: dict[str, tuple[int, int]] = {}
        #: When to look again, in seconds of the monotonic clock.
        self.next_look = 0.0

    def add(self, paths: Iterable[str]) -> None:
        """Watch these files, from how they are now on, and what else there is in their folders."""
        for path in paths:
            folder = os.path.dirname(path)
            if folder in self._folders or len(self._folders) >= _MAX_FOLDERS:
                continue
            self._folders.add(folder)
            self._seen.update(_look(folder))

    def has_changes(self, now: float) -> bool:
        """Look, if it is time to; say what has changed, and return whether something has."""
        if now < self.next_look:
            return False
        self.next_look = now + INTERVAL
        changed = self.changes()
        if changed:
            others = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
            log.info("Changed: %s%s.", os.path.relpath(changed[0]), others)
        return bool(changed)

    def changes(self) -> list[str]:
        """Return the files that were changed, made or removed since the last look."""
        now: dict[str, tuple[int, int]] = {}
        for folder in self._folders:
            now.update(_look(folder))
        before, self._seen = self._seen, now
        return sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))


def _look(folder: str) -> dict[str, tuple[int, int]]:
    """Return the Python files in a folder, each with what changes when it is written or replaced."""
    found: dict[str, tuple[int, int]] = {}
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return found
    for entry in entries:
        if entry.name.endswith(".py"):
            try:
                stat = entry.stat()
            except OSError:
                # It went while we looked, or is a link to nowhere.
                continue
            found[entry.path] = (stat.st_mtime_ns, stat.st_ino)
    return found
