"""docs/reference/files.md: its examples are answers of the file server, its figures those of the code."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from portway.files import catalogue, encodings, mounts, reading, server
from portway.http.limits import Limits
from portway.http.parser import RequestParser

#: 1 January 2026, 10:00 GMT.
CHANGED = 1767261600

#: Fields that the worker adds to the answer of the file server.
WORKERS = ("Date", "Server")


@pytest.fixture(scope="module")
def page(root: Path) -> str:
    return (root / "docs" / "reference" / "files.md").read_text("utf-8")


@pytest.fixture
def examples(page: str) -> list[tuple[str, list[str], str]]:
    """Return the examples: path, lines of the head but for the first, body."""
    found = []
    for block in re.findall(r"^    \$ curl.*\n(?:    .*\n|\n(?=    ))+", page, re.MULTILINE):
        command, status, *lines = [line[4:] for line in block.rstrip("\n").split("\n")]
        assert status == "HTTP/1.1 200 OK"
        path = re.search(r"http://[^/]+(/\S+)", command)
        assert path is not None
        found.append((path[1], lines[: lines.index("")], "\n".join(lines[lines.index("") + 1 :])))
    return found


@pytest.fixture
def get(examples: list[tuple[str, list[str], str]], tmp_path: Path) -> Callable[..., server.FileResponse]:
    """Return get(path, method, *fields), which asks a server that has the files of the examples."""
    for path, _, body in examples:
        file = tmp_path / path.lstrip("/")
        file.parent.mkdir(exist_ok=True)
        file.write_text(body, "utf-8")
        os.utime(file, (CHANGED, CHANGED))
    served = [mounts.Mount(f"/{kind}/", str(tmp_path / kind), kind) for kind in ("static", "media")]
    # A while later, as far as the server knows: nothing has just been written.
    files = server.FileServer(served, wall=lambda: time.time() + 60)

    def get(path: str, method: str = "GET", *fields: str) -> server.FileResponse:
        parser = RequestParser(Limits())
        head = [f"{method} {path} HTTP/1.1", "Host: a", *fields, "", ""]
        parser.receive_data("\r\n".join(head).encode())
        return files.find(parser.next_event())

    return get


def test_the_examples_are_answers(
    examples: list[tuple[str, list[str], str]], get: Callable[..., server.FileResponse]
) -> None:
    assert [path.split("/")[1] for path, _, _ in examples] == ["static", "media"]
    for path, told, body in examples:
        response = get(path)
        fields = response.fields.decode("latin-1").split("\r\n")[:-1]
        assert response.status_code == 200
        assert fields == [line for line in told if line.partition(":")[0] not in WORKERS]
        assert response.body == body.encode()
        assert [line.partition(":")[0] for line in told[-2:]] == list(WORKERS)


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (["HEAD"], 200),
        (["GET", "If-Modified-Since: Thu, 01 Jan 2026 10:00:00 GMT"], 304),
        (["GET", 'If-Match: "other"'], 412),
        (["GET", "If-Unmodified-Since: Thu, 01 Jan 2026 09:00:00 GMT"], 412),
        (["GET", "Range: bytes=0-3"], 206),
        (["GET", "Range: bytes=1000-"], 416),
        (["GET", "Range: bytes=0-1,3-4"], 200),
        (["GET", "Range: bytes=0-3", 'If-Range: "other"'], 200),
        (["OPTIONS"], 204),
        (["POST"], 405),
    ],
)
def test_requests_are_answered_as_it_is_told(
    page: str, get: Callable[..., server.FileResponse], request_: list[str], answer: int
) -> None:
    for path in ("/static/site.css", "/media/drawing.svg"):
        assert get(path, *request_).status_code == answer
    told = page.partition("## Requests and their answers")[2]
    assert answer == 200 or str(answer) in told


def test_unknown_files_are_404(page: str, get: Callable[..., server.FileResponse]) -> None:
    for path in (
        "/static/other.css",
        "/media/other.svg",
        "/media/../static/site.css",
        "/media/.env",
        "/static/",
    ):
        response = get(path)
        assert response.status_code == 404
        assert b"Cache-Control: no-store\r\n" in response.fields
    assert "`Cache-Control: no-store`" in page


def test_the_figures_are_those_of_the_code(page: str) -> None:
    assert f"`{catalogue.IMMUTABLE}`" in page
    assert f"`public, max-age={mounts.Mount('/a/', '/', 'static').max_age}`" in page
    assert f"| `max-age={mounts.Mount('/a/', '/', 'media').max_age}` |" in page
    assert f"Files of up to {reading.SMALL // 1024} KiB" in page
    for extension in encodings.EXTENSIONS:
        assert f"`site.css{extension}`" in page
