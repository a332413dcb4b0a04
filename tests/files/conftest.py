"""A site of real files in a temporary folder, and a way to ask a `FileServer` for them."""

import gzip
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from portway.files.mounts import Mount
from portway.files.responses import FileResponse
from portway.files.server import FileServer
from portway.http.limits import Limits
from portway.http.parser import RequestParser
from portway.http.request import Request


@dataclass
class Answer:
    """A FileResponse as a client would see it: the content read from the descriptor, which is closed."""

    status: int
    fields: dict[str, str]
    body: bytes
    was_fd: bool

    def __getitem__(self, name: str) -> str:
        return self.fields[name.lower()]

    def __contains__(self, name: str) -> bool:
        return name.lower() in self.fields


def read_answer(response: FileResponse) -> Answer:
    assert response.fields.endswith(b"\r\n")
    fields: dict[str, str] = {}
    for line in response.fields.decode("latin-1").split("\r\n")[:-1]:
        name, separator, value = line.partition(": ")
        assert separator
        assert value == value.strip()
        assert "\n" not in line
        assert name.lower() not in fields, f"{name} is there twice"
        fields[name.lower()] = value
    body = response.body
    if response.fd >= 0:
        assert not body
        body = os.pread(response.fd, response.count, response.offset)
        assert len(body) == response.count
        response.close()
        return Answer(response.status_code, fields, body, True)
    return Answer(response.status_code, fields, body, False)


class Site:
    """Folders `static` and `media`, a clock that the test moves, and a server over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.static = folder / "static"
        self.media = folder / "media"
        self.static.mkdir()
        self.media.mkdir()
        self.mounts = [
            Mount("/static/", str(self.static), "static"),
            Mount("/media/", str(self.media), "media"),
        ]
        # Tests look at files a minute after they were made: nothing is younger than its clock's tick.
        self.offset = 60.0
        self.monotonic = 1000.0
        self._server: FileServer | None = None

    def write(self, name: str, content: bytes | str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    @property
    def server(self) -> FileServer:
        if self._server is None:
            self.restart()
        assert self._server is not None
        return self._server

    def restart(self) -> None:
        self._server = FileServer(
            self.mounts, clock=lambda: self.monotonic, wall=lambda: time.time() + self.offset
        )

    def find(self, target: str, method: str = "GET", **fields: str) -> FileResponse | None:
        """Ask with the bytes of a request; header fields are keywords: if_none_match="*"."""
        lines = [f"{method} {target} HTTP/1.1", "Host: testserver"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
        parser = RequestParser(Limits())
        parser.receive_data("\r\n".join([*lines, "", ""]).encode("latin-1"))
        request = parser.next_event()
        assert isinstance(request, Request)
        return self.server.find(request)

    def get(self, target: str, method: str = "GET", **fields: str) -> Answer:
        response = self.find(target, method, **fields)
        assert response is not None, "left to the application"
        return read_answer(response)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def css(site: Site) -> Path:
    """A small static file of the site, css/site.css."""
    return site.write("static/css/site.css", b"a { color: green }\n" * 50)


@pytest.fixture
def big(site: Site) -> Path:
    """A static file of the site that is too big for memory, big.bin."""
    return site.write("static/big.bin", bytes(range(256)) * 400)


@pytest.fixture
def compressed(site: Site, css: Path) -> dict[str, bytes]:
    """The content of css/site.css and of its precompressed siblings, by coding; "" is the file itself."""
    content = css.read_bytes()
    codings = {"": content, "gzip": gzip.compress(content), "br": b"brotli", "zstd": b"zstandard"}
    for coding, extension in (("gzip", ".gz"), ("br", ".br"), ("zstd", ".zst")):
        site.write("static/css/site.css" + extension, codings[coding])
    return codings


@pytest.fixture
def unprivileged() -> Iterator[tuple[Site, Callable[[], None]]]:
    """A site in a folder that everybody may enter, and a function that gives up root's right to read all."""
    uid = os.geteuid()
    with tempfile.TemporaryDirectory(prefix="portway-") as folder:
        os.chmod(folder, 0o755)

        def give_up() -> None:
            if uid == 0:
                os.seteuid(65534)
            if not os.access(folder, os.X_OK, effective_ids=True):
                pytest.skip("temporary folders are closed to other users here")

        try:
            yield Site(Path(folder)), give_up
        finally:
            os.seteuid(uid)


@pytest.fixture
def descriptors() -> Callable[[], set[str]]:
    """A function that lists the open descriptors of this process."""

    def listed() -> set[str]:
        found = set()
        for name in os.listdir("/proc/self/fd"):
            try:
                found.add(f"{name} {os.readlink(f'/proc/self/fd/{name}')}")
            except FileNotFoundError:
                pass  # the one that was listing
        return found

    return listed
