"""What is served from where: a `Mount` ties a URL prefix to a folder and to a policy.

Values only: nothing here reads the disk. Mounts are made by the command line or from Django's settings before
the workers fork, and are only read afterwards, so any thread and any process may use them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

#: Static files are known from a catalogue made at start; media files are looked up when asked for.
Kind = Literal["static", "media"]

#: What becomes of a URL under the prefix that names no file: a 404, or the application's turn.
Unknown = Literal["404", "pass"]


@dataclass(frozen=True, slots=True)
class Mount:
    """Serve the files under `root` at the URLs under `url`.

    url: path prefix as it stands in requests, percent-encoded where need be: "/static/". It begins with "/";
        a missing final "/" is added, so that "/static" never claims "/statically".
    root: the folder, a path of the file system.
    kind: "static" or "media".
    max_age: seconds for which a client may use its copy without asking again. Static files whose name holds a
        hash of their content are good for a year whatever this says.
    unknown: "404" keeps URLs that name no file away from the application: a flood of them costs no
        application thread, and no cache keeps the answer. "pass" leaves them, and every method but GET and
        HEAD, to the application. Left empty it is "404", except for the prefix "/", under which the whole
        application lives.
    follow_links: follow symbolic links that lead out of `root` (`collectstatic --link` makes such). Off, they
        are as good as missing; links that stay inside are always followed.

    Raises ValueError, with a sentence for the operator, for a prefix that cannot match or an unknown kind or
    policy.
    """

    url: str
    root: str
    kind: Kind
    max_age: int = 60
    unknown: Unknown | Literal[""] = ""
    follow_links: bool = False

    def __post_init__(self) -> None:
        if not self.url.startswith("/"):
            raise ValueError(f"the URL of a mount begins with /, as in /static/; got {self.url!r}")
        if any(not "!" <= char <= "~" or char in "?#\\" for char in self.url) or "//" in self.url:
            raise ValueError(
                f"the URL of a mount is a plain percent-encoded path, as in /static/; got {self.url!r}"
            )
        if not self.root:
            raise ValueError(f"the mount {self.url} names no folder")
        if self.kind not in ("static", "media"):
            raise ValueError(f"the kind of a mount is 'static' or 'media', not {self.kind!r}")
        if self.unknown not in ("", "404", "pass"):
            raise ValueError(
                f"unknown files of a mount are answered by '404' or 'pass', not {self.unknown!r}"
            )
        if self.max_age < 0:
            raise ValueError(f"max_age is a number of seconds, 0 or more, not {self.max_age!r}")
        if not self.url.endswith("/"):
            object.__setattr__(self, "url", self.url + "/")

    @property
    def passes(self) -> bool:
        """True if what is no file here is the application's."""
        return self.unknown == "pass" or (not self.unknown and self.url == "/")


def by_length(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """Order mounts so that the first whose prefix matches is the right one: the longest prefix first.

    Raises ValueError when two mounts claim one prefix and are not both static (two static folders are laid
    over each other, the first one given wins).
    """
    ordered = tuple(sorted(mounts, key=lambda mount: -len(mount.url)))
    kinds: dict[str, Kind] = {}
    for mount in ordered:
        if mount.url in kinds and {mount.kind, kinds[mount.url]} != {"static"}:
            raise ValueError(f"two mounts claim {mount.url}, and not both are static")
        kinds[mount.url] = mount.kind
    return ordered
