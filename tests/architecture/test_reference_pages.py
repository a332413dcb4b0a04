"""The pages of docs/reference that tell what the code has: each table is held to the code it speaks of."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from portway import ctl
from portway.http.limits import Limits
from portway.http.parser import RequestParser
from portway.observe import access
from portway.settings.errors import SettingsError
from portway.settings.table import TABLE
from portway.supervisor import signals, supervisor
from portway.supervisor.children import Failure
from portway.wsgi.environ import EnvironBuilder
from portway.wsgi.input import RequestBody
from portway.wsgi.proxy import FORWARDING_FIELDS, TrustedPeers

Tables = Callable[[str], dict[str, list[list[str]]]]


def code(cell: str) -> list[str]:
    """Return what stands in a cell as code."""
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture
def page(root: Path) -> Callable[[str], str]:
    return lambda name: (root / "docs" / "reference" / name).read_text("utf-8")


# Settings.


def test_every_setting_is_told(page: Callable[[str], str]) -> None:
    text = page("settings.md")
    assert [name for name in TABLE if f"### {name}" not in text] == []


# Signals.

#: What a signal that is mentioned in the page does, by a word of the row, and the name it has in the code.
EFFECTS = {
    "stop": "finish the requests",
    "quit": "at once",
    "reload": "reload",
    "add_worker": "one worker more",
    "remove_worker": "one worker less",
    "reopen": "log files",
    "upgrade": "start the same command again",
    "rest": "all workers finish and end",
    "reap": "a process has ended",
}


def test_every_signal_of_the_supervisor_is_told(tables: Tables) -> None:
    told = {
        getattr(signal, f"SIG{name}"): row[1]
        for row in tables("reference/signals.md")["To the supervisor"]
        for name in code(row[0])
    }
    assert set(told) == set(signals.MEANINGS)
    for number, meaning in signals.MEANINGS.items():
        assert EFFECTS[meaning] in told[number], number.name


def test_every_command_of_portwayctl_is_told_with_its_signal(tables: Tables) -> None:
    told = {
        command: {getattr(signal, f"SIG{name}") for name in code(row[0])}
        for row in tables("reference/signals.md")["To the supervisor"]
        for command in code(row[2])
    }
    assert set(told) == {command for command, (number, _) in ctl.COMMANDS.items() if number}
    for command, numbers in told.items():
        assert ctl.COMMANDS[command][0] in numbers


# Exit statuses.


def test_exit_statuses_are_those_of_the_code(tables: Tables) -> None:
    sections = tables("reference/exit-codes.md")
    told = {int(row[0]): row[1] for row in sections["portway"]}
    assert told.keys() == {
        0,
        supervisor.CANNOT_START,
        SettingsError("").exit_code,
        Failure("boot", "").exit_code,
        Failure("load", "").exit_code,
        128 + signal.SIGINT,
        supervisor.UNEXPECTED,
    }
    assert "boot" in told[Failure("boot", "").exit_code]
    assert "loaded" in told[Failure("load", "").exit_code]
    assert "supervisor itself" in told[supervisor.UNEXPECTED]
    told = {int(row[0]) for row in sections["portwayctl"]}
    own = {ctl.FAILED, ctl.NOT_RUNNING, ctl.NOT_RELOADED, ctl.NOT_DONE}
    assert told == {0, 2, 128 + signal.SIGINT} | own


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--version"], 0),
        (["--config", "missing.py", "app"], 1),
        (["--check-config", "no_such_module"], 1),
        (["--threads", "none", "app"], 2),
        ([], 2),
    ],
)
def test_the_command_exits_as_it_is_told(
    run_python: Callable[..., str], arguments: list[str], status: int
) -> None:
    run_python("-m", "portway", *arguments, expect=status)


# What is in environ.


def environs() -> list[dict[str, object]]:
    """Return environs that together have every key there is, but for those of header fields."""
    builder = EnvironBuilder(trusted=TrustedPeers("192.0.2.1"))
    heads = [
        b"GET /path HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nab",
    ]
    made: list[dict[str, object]] = []
    for head in heads:
        parser = RequestParser(Limits())
        parser.receive_data(head)
        request = parser.next_event()
        body = None
        if request.has_body:
            body = RequestBody()
            body.write(parser.next_event())
            body.finish()
        made.append(builder.build(request, body, ("192.0.2.7", 4711), ("127.0.0.1", 8000)))
    return made


def test_every_key_of_environ_is_told(tables: Tables) -> None:
    told = [
        key
        for heading, rows in tables("reference/environ.md").items()
        if heading != "Header fields"
        for row in rows
        for key in code(row[0])
    ]
    there = {key for environ in environs() for key in environ if not key.startswith("HTTP_")}
    assert len(told) == len(set(told))
    # The worker adds what is its own.
    assert set(told) == there | {"HTTP_*", "portway.deadline", "portway.io_bound", "portway.warmup"}


def test_the_fields_that_only_proxies_may_send_are_told(page: Callable[[str], str]) -> None:
    text = page("environ.md").partition("`X-Forwarded-`, and these:")[2]
    assert {name.lower() for name in code(text.partition(".\n")[0])} == FORWARDING_FIELDS


# The access log.


def test_every_atom_is_told(tables: Tables) -> None:
    told = [atom for row in tables("reference/access-log.md")["Atoms"] for atom in code(row[0])]
    letters = [atom for atom in told if not atom.startswith("{")]
    assert len(told) == len(set(told))
    assert set(letters) == set(access._ATOMS)
    assert sorted(atom for atom in told if atom.startswith("{")) == [
        *(f"{{{name}}}x" for name in access._MEASURED),
        "{x}e",
        "{x}i",
        "{x}o",
    ]
    for atom in told:
        access.check_format(f"%({atom})s")


def test_no_other_atom_is_known() -> None:
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    for name in [*(set(letters) - set(access._ATOMS)), "{x}a", "{x}", ""]:
        with pytest.raises(ValueError):
            access.check_format(f"%({name})s")


def test_the_numbers_are_told(page: Callable[[str], str]) -> None:
    told = re.search(r"The numbers \(([^)]*)\)", page("access-log.md"))
    assert told is not None
    numbers = set(code(told[1]))
    assert numbers == access._NUMBERS
    for atom in access._ATOMS:
        if atom in numbers:
            access.check_format(f"%({atom})010d")
        else:
            with pytest.raises(ValueError):
                access.check_format(f"%({atom})010d")


def test_the_example_is_a_line_of_the_default_format(page: Callable[[str], str]) -> None:
    examples = [line[4:] for line in page("access-log.md").splitlines() if line.startswith("    ")]
    assert examples[0] == access.DEFAULT_FORMAT
    lines: list[str] = []
    record = access.AccessRecord(
        method="GET",
        target="/posts/?page=2",
        path="/posts/",
        query="page=2",
        http_minor=1,
        status=200,
        body_bytes=7037,
        remote_addr="203.0.113.7",
        fields=[("user-agent", "curl/8.5.0")],
        response_fields=[],
        environ={},
        started=1767261600.0,
        duration=0.012,
    )
    access.AccessLog(access.DEFAULT_FORMAT, lines.append).log(record)
    zoned = re.compile(r"\[[^]]*\]")
    assert zoned.sub("[]", lines[0]) == zoned.sub("[]", examples[1]) + "\n"
