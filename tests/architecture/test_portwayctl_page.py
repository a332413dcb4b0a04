"""docs/reference/portwayctl.md, held to the command, the status and the control socket that it tells of."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portway import ctl
from portway.observe.scoreboard import Scoreboard
from portway.settings.table import Settings
from portway.settings.target import Target
from portway.supervisor import control
from portway.supervisor.children import Child, Children, Failure, Phase
from portway.supervisor.commands import SIGNALS
from portway.supervisor.generations import Generations
from portway.supervisor.notify import Notifier
from portway.supervisor.reloads import Reloads
from portway.supervisor.state import State
from portway.supervisor.status import StatusSource
from portway.supervisor.strength import Strength

Tables = Callable[[str], dict[str, list[list[str]]]]
PAGE = "reference/portwayctl.md"


def code(cell: str) -> list[str]:
    """Return what stands in a cell as code."""
    return re.findall(r"`([^`]+)`", cell)


@pytest.fixture
def sections(tables: Tables) -> dict[str, list[list[str]]]:
    return tables(PAGE)


def test_every_command_is_told_with_its_signal(sections: dict[str, list[list[str]]]) -> None:
    told = {code(row[0])[0]: row[1] for row in sections["Commands"] if len(row) == 3}
    numbers = {name: number for name, (number, _) in ctl.COMMANDS.items()}
    assert told == {
        name: number.name.removeprefix("SIG") if number else "none" for name, number in numbers.items()
    }


def test_the_socket_knows_the_signals_of_the_command() -> None:
    with_signal = {name: number for name, (number, _) in ctl.COMMANDS.items() if number}
    assert {**SIGNALS, "reload": with_signal["reload"]} == with_signal


def test_every_option_is_told(sections: dict[str, list[list[str]]]) -> None:
    rows = [*sections["Which server"], *(row for row in sections["Commands"] if len(row) == 2)]
    told = {name for row in rows for name in code(row[0])}
    assert told == set(ctl.build_parser()._option_string_actions) - {"-h", "--help"}


def test_times_are_those_of_the_command(root: Path) -> None:
    text = (root / "docs" / PAGE).read_text("utf-8")
    assert f"Without it {ctl.TIMEOUT:g}, for `reload` {ctl.RELOAD_TIMEOUT:g}" in text


def test_exit_statuses_are_those_of_the_command(sections: dict[str, list[list[str]]]) -> None:
    own = {ctl.FAILED, ctl.NOT_RUNNING, ctl.NOT_RELOADED, ctl.NOT_DONE}
    assert {int(row[0]) for row in sections["Exit statuses"]} == {0, 2} | own


def test_every_state_is_told(sections: dict[str, list[list[str]]]) -> None:
    assert [code(row[0])[0] for row in sections["The state"]] == [state.value for state in State]


@pytest.fixture
def status() -> dict[str, Any]:
    """Return a status in which every field has a value."""
    settings = Settings(workers=1, threads=1, bind=())
    generations, children, board = Generations(settings, []), Children(), Scoreboard(1, 1)
    strength = Strength(settings, board)
    reloads = Reloads(children, generations, strength, Notifier({}), None, False)
    reloads.dropped(1, Failure("boot", "It failed."))
    children.workers[0] = Child(0, 1, 0.0, Phase.READY, pid=4711)
    board.open(0)
    slot = board.worker(0)
    slot.start(4711, 1, 1, 1)
    slot.thread(0).begin(1, 1, "GET", "/")
    target = Target(application="app")
    source = StatusSource(children, generations, strength, reloads, board, target, 0.0, lambda: False)
    return {"ok": True, **source.gather()}


def test_every_field_of_the_status_is_told(
    sections: dict[str, list[list[str]]], status: dict[str, Any]
) -> None:
    rows = [row for row in sections["The status in JSON"] if len(row) == 2]
    told = {name: row[1] for row in rows for name in code(row[0])}
    (worker,) = status["workers"]
    (doing,) = worker["doing"]
    assert told.keys() == status.keys() | worker.keys()
    for name, value in (("failure", status["failure"]), ("totals", status["totals"]), ("doing", doing)):
        assert set(code(told[name])) - {"null"} == value.keys()
    assert code({row[0]: row[1] for row in rows[-10:]}["`state`"]) == [phase.value for phase in Phase]


def test_limits_of_the_socket_are_told(root: Path) -> None:
    text = " ".join((root / "docs" / PAGE).read_text("utf-8").split())
    assert f"A request has at most {control.MAX_REQUEST} bytes" in text
    assert f"there are at most {control.MAX_CLIENTS} clients" in text
    assert f"for {control.IDLE:g} seconds" in text
