"""The command line, made from the table: what was given, in words, without judging the values.

One parser reads the command itself and the variables PORTWAY_CMD_ARGS and GUNICORN_CMD_ARGS. Abbreviated
flags are understood as argparse understands them, which is what Gunicorn does.
"""

import argparse
import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from portway.settings.errors import SettingsError
from portway.settings.foreign import FOREIGN
from portway.settings.table import TABLE


@dataclass(slots=True)
class Given:
    """What arguments say: `values` has (flag, value) for each setting, a list of them for repeatable ones.

    foreign: (name, flag, value) of settings that only Gunicorn has. application: the positional argument.
    """

    values: dict[str, tuple[str, Any]] = field(default_factory=dict)
    foreign: list[tuple[str, str, Any]] = field(default_factory=list)
    application: str | None = None


class _Parser(argparse.ArgumentParser):
    """An argparse parser that raises instead of exiting."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(message.removeprefix("argument "))


class _Remember(argparse.Action):
    """Keeps the flag beside the value; `const` is the value of a flag that takes none."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option: str | None = None,
    ) -> None:
        given: Given = namespace.given
        value = self.const if self.nargs == 0 or (self.nargs == "?" and values is None) else values
        if self.dest.startswith("foreign:"):
            given.foreign.append((self.dest.removeprefix("foreign:"), option or "", value))
        elif TABLE[self.dest].repeatable:
            _, before = given.values.get(self.dest, ("", []))
            given.values[self.dest] = (option or "", [*before, value])
        else:
            given.values[self.dest] = (option or "", value)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the command line; it knows every flag of the table and of Gunicorn."""
    parser = _Parser(
        prog="portway",
        usage="portway [options] [MODULE[:CALLABLE]]",
        description="Serve a WSGI application, or the Django project of the current folder, over HTTP.",
        epilog="Every setting can also stand in a configuration file; see `--print-config`.",
        add_help=False,
    )
    parser.add_argument("application", nargs="*", metavar="MODULE[:CALLABLE]", help=argparse.SUPPRESS)
    parser.add_argument("-h", "--help", action="store_true", help="Show this and exit.")
    parser.add_argument(
        "-v", "--version", action="store_true", help="Show the version and which build runs, and exit."
    )
    groups: dict[str, Any] = {}
    for row in TABLE.values():
        if row.section not in groups:
            groups[row.section] = parser.add_argument_group(row.section)
        _add_flags(groups[row.section], row)
    for foreign in FOREIGN:
        if foreign.flags:
            nargs = {"value": None, "flag": 0, "optional": "?"}[foreign.takes]
            # --no-sendfile says that sendfile is False; the flag of any other says True.
            const = foreign.name != "sendfile"
            parser.add_argument(
                *foreign.flags,
                action=_Remember,
                dest=f"foreign:{foreign.name}",
                nargs=nargs,
                const=const,
                help=argparse.SUPPRESS,
            )
    return parser


def _add_flags(group: Any, row: Any) -> None:
    meaning = row.meaning.replace("%", "%%")
    shown = f" Default: {row.default_text.replace('%', '%%')}."
    if row.kind.metavar:
        if row.flags:
            group.add_argument(
                *row.flags, action=_Remember, dest=row.name, metavar=row.kind.metavar, help=meaning + shown
            )
        return
    if row.flags:
        group.add_argument(
            *row.flags, action=_Remember, dest=row.name, nargs=0, const=True, help=meaning + shown
        )
    if row.off_flags:
        # What is on without a flag that turns it on is told by the flag that turns it off.
        off = (
            f"The opposite of {row.flags[-1]}." if row.flags else f"Do not: {meaning[0].lower()}{meaning[1:]}"
        )
        group.add_argument(*row.off_flags, action=_Remember, dest=row.name, nargs=0, const=False, help=off)


def read_arguments(
    arguments: Sequence[str], parser: argparse.ArgumentParser, origin: str = ""
) -> tuple[Given, Any]:
    """Return what the arguments give, and argparse's namespace (with `help` and `version`).

    origin: the variable the arguments come from, "" for the command line; it begins the messages. Raises
    SettingsError for unknown and ambiguous flags, missing values and a second application.
    """
    begin = f"{origin}: " if origin else ""
    namespace = argparse.Namespace(given=Given())
    try:
        namespace, unknown = parser.parse_known_args(list(arguments), namespace)
    except SettingsError as error:
        raise SettingsError(f"{begin}{error}", error.exit_code) from None
    given: Given = namespace.given
    flags = [word for word in unknown if word.startswith("-") and word not in ("-", "--")]
    if flags:
        raise SettingsError(f"{begin}there is no flag {_did_you_mean(flags[0])}")
    names = [*namespace.application, *unknown]
    if len(names) > 1:
        raise SettingsError(f"{begin}one application can be served, not several: {' '.join(names)}")
    given.application = names[0] if names else None
    return given, namespace


def _did_you_mean(word: str) -> str:
    flag = word.partition("=")[0]
    known = [name for row in TABLE.values() for name in (*row.flags, *row.off_flags) if name.startswith("--")]
    close = difflib.get_close_matches(flag, [*known, "--help", "--version"], 1, 0.6)
    return f"{flag}; did you mean {close[0]}?" if close else f"{flag}; `portway --help` lists them"
