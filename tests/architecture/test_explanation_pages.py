"""What the pages of docs/explanation say in figures and examples, held to the code."""

from collections.abc import Callable
from pathlib import Path

import pytest

from portway.files import reading
from portway.http.errors import RemoteProtocolError
from portway.http.limits import Limits
from portway.http.parser import NEED_DATA, PAUSED, RequestParser
from portway.net import outbox
from portway.settings.table import TABLE
from portway.worker.deadlines import Deadlines
from portway.wsgi import input as wsgi_input

ROOT = Path(__file__).resolve().parents[2]


def text(page: str) -> str:
    return (ROOT / "docs" / "explanation" / page).read_text("utf-8")


def refused() -> list[tuple[str, int]]:
    """Return the rows of the table of requests that are refused."""
    section = text("security.md").partition("## Requests that")[2].partition("\n## ")[0]
    rows = [line.strip("| ").split(" | ") for line in section.splitlines() if line.startswith("| `")]
    return [(row[0].strip("`"), int(row[1])) for row in rows]


def exhaust(parser: RequestParser) -> None:
    while parser.next_event() not in (NEED_DATA, PAUSED):
        pass


def test_there_are_examples() -> None:
    assert len(refused()) > 20


@pytest.mark.parametrize(("sent", "status"), refused())
def test_the_request_is_refused_as_it_is_told(sent: str, status: int) -> None:
    parser = RequestParser(Limits())
    parser.receive_data(sent.encode().decode("unicode_escape").encode("latin-1"))
    with pytest.raises(RemoteProtocolError) as raised:
        exhaust(parser)
    assert raised.value.status == status


def test_the_limits_without_a_setting(tables: Callable[[str], dict[str, list[list[str]]]]) -> None:
    limits = Limits()
    bounds = [int(row[1].split()[0]) for row in tables("explanation/security.md")["Limits"]]
    assert bounds == [limits.empty_lines, limits.chunk_line, limits.chunk_extensions, limits.trailers]


def test_the_figures_of_buffering() -> None:
    page = " ".join(text("buffering.md").split())
    record = " ".join((ROOT / "docs/adr/0006-buffer-requests-and-responses.md").read_text("utf-8").split())
    assert f"up to {wsgi_input.MEMORY // 1024} KiB in memory" in page
    assert f"{outbox.MEMORY // 1024**2} MiB in memory, then" in page
    assert f"more than {outbox.HIGH_WATER // 1024**2} MiB behind" in page
    assert f"no more than {outbox.LOW_WATER // 1024**2} MiB are left" in page
    assert f"`max_body` ({TABLE['max_body'].default // 1024**2} MiB by default)" in page
    for number in (wsgi_input.MEMORY // 1024, outbox.HIGH_WATER // 1024**2, outbox.LOW_WATER // 1024**2):
        assert f"{number} " in record


def test_the_deadlines(tables: Callable[[str], dict[str, list[list[str]]]]) -> None:
    rows = tables("explanation/worker.md")["Deadlines"]
    assert [row[1].strip("`") for row in rows] == [
        "head_timeout",
        "body_timeout",
        "keepalive",
        "write_timeout",
        "timeout",
    ]
    deadlines = Deadlines()
    told = [deadlines.head, deadlines.body, deadlines.keep_alive, deadlines.write, deadlines.application]
    assert [TABLE[row[1].strip("`")].default for row in rows] == told
    assert f"{deadlines.minimum_rate:.0f} bytes a second" in text("worker.md")
    signals = (ROOT / "docs/reference/signals.md").read_text("utf-8")
    assert f"have {deadlines.drain:.0f} seconds for one more" in signals


def test_the_size_of_files_that_are_sent_at_once() -> None:
    page = (ROOT / "docs/reference/files.md").read_text("utf-8")
    assert f"{reading.SMALL // 1024} KiB" in page
