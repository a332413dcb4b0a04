"""Commands that the pages tell people to type: make's exist, flags and subcommands are known, values are good."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from portway import ctl
from portway.settings.arguments import build_parser, read_arguments
from portway.settings.table import TABLE

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


def lines() -> Iterator[tuple[str, str]]:
    """Yield each line of code in the pages as (page, line), without a prompt."""
    for page in PAGES:
        fence = ""
        for line in page.read_text("utf-8").splitlines():
            if line.lstrip().startswith("```"):
                fence = "" if fence else line
            elif fence or line.startswith("    "):
                yield str(page.relative_to(ROOT)), line.strip().removeprefix("$ ")


def commands(program: str) -> list[tuple[str, str]]:
    """Return what is typed; lines such as `portway 0.1.0 (...)` and `portway [options] ...` are no commands."""
    return [(page, line) for page, line in lines() if re.match(rf"{program}( [^\d\[]|$)", line)]


@pytest.fixture(scope="module")
def targets() -> dict[str, str]:
    """Return the targets of the Makefile with what `make help` says of them, "" for those it does not list."""
    found = re.findall(r"^([a-z-]+):(?:.*?## (.*))?", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    return dict(found)


def test_commands_are_found() -> None:
    assert len(commands("portway")) > 20
    assert len(commands("portwayctl")) > 5
    assert len(commands("make")) > 3


@pytest.mark.parametrize(("page", "line"), commands("portway"))
def test_the_flags_are_known(page: str, line: str) -> None:
    given, _ = read_arguments(shlex.split(line, comments=True)[1:], build_parser())
    assert given.foreign == []
    for name, (_, value) in given.values.items():
        # Of what depends on the machine only the form can be checked.
        if name not in ("user", "group"):
            TABLE[name].kind.parse(value)


@pytest.mark.parametrize(("page", "line"), commands("portwayctl"))
def test_the_subcommands_are_known(page: str, line: str) -> None:
    # What follows is the shell's, as in `portwayctl ... reload || exit 1`.
    words = shlex.split(re.split(r" \|\| | && ", line)[0], comments=True)[1:]
    if words[-1] != "COMMAND":
        ctl.build_parser().parse_args(words)


def test_the_targets_of_make_exist(targets: dict[str, str]) -> None:
    wanted = {(page, line.split()[1]) for page, line in commands("make") if len(line.split()) > 1}
    for page in PAGES:
        for name in re.findall(r"`make ([a-z-]+)", page.read_text("utf-8")):
            wanted.add((str(page.relative_to(ROOT)), name))
    assert [(page, name) for page, name in sorted(wanted) if name not in targets] == []


def test_contributors_are_told_every_target(targets: dict[str, str]) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    told = set(re.findall(r"`?make ([a-z-]+)", text))
    assert {name for name, help in targets.items() if help} - told == {"help", "superuser"} - told


def test_every_flag_that_is_told_in_words_is_known() -> None:
    """`--flag` in running text, but for flags of other programs that the pages speak of."""
    others = {
        "--cpus",  # Docker's
        "--daemon",
        "--http-socket",  # uWSGI's
        "--noinput",  # Django's
        "--statsd-host",  # Gunicorn's, said not to be there
    }
    known = {*build_parser()._option_string_actions, *ctl.build_parser()._option_string_actions}
    unknown = set()
    for page in PAGES:
        if page.name == "settings.md":
            continue
        for flag in re.findall(r"`(--[a-z][a-z_-]+)", page.read_text("utf-8")):
            # Abbreviations count: the pages tell that they are understood.
            if flag not in others and not any(name.startswith(flag) for name in known):
                unknown.add(f"{page.relative_to(ROOT)}: {flag}")
    assert unknown == set()
