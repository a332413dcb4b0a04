"""Reads settings from environment variables: typed, with every mistake reported at once.

Each method reads one variable and returns a value of its type. A mistake is noted and a harmless stand-in
returned, so that reading goes on; `check()` then raises one InvalidEnvironment that lists them all. An
empty variable counts as one that is not set: that is what an empty line in an environment file means.
Values of secrets are never shown.
"""

import zoneinfo
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from markup.database_url import parse_database_url

TRUE = ("1", "true", "yes", "on")
FALSE = ("0", "false", "no", "off")


class InvalidEnvironment(ImproperlyConfigured):
    """The environment does not make valid settings; the message is a list of what to change."""


class Env:
    """The environment of this process as a source of settings."""

    def __init__(self, environ: Mapping[str, str]):
        self._environ = environ
        self._mistakes: list[str] = []

    def _get(self, name: str) -> str:
        return self._environ.get(name, "").strip()

    def _mistake(self, name: str, value: str | None, allowed: str) -> None:
        shown = "is not set" if value is None else f"is {value!r}"
        self._mistakes.append(f"{name} {shown}: {allowed}")

    def check(self) -> None:
        """Raise InvalidEnvironment naming every mistake met so far; return if there was none."""
        if self._mistakes:
            lines = "\n".join(f"  - {mistake}" for mistake in self._mistakes)
            raise InvalidEnvironment(f"The environment does not make valid settings:\n{lines}")

    def secret(self, name: str, default: str | None = None, hint: str = "") -> str:
        """Return `name`, or the content of the file `name`_FILE; it is required if there is no default."""
        value, path = self._get(name), self._get(f"{name}_FILE")
        if value and path:
            self._mistakes.append(f"{name} and {name}_FILE are both set: set one of them")
        elif path:
            try:
                value = Path(path).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                self._mistake(f"{name}_FILE", path, f"a file that can be read as text is needed ({error})")
                return default or ""
            if not value:
                self._mistake(f"{name}_FILE", path, "the file is empty")
        elif not value and default is None:
            self._mistake(
                name,
                None,
                f"it is required, or {name}_FILE with the path of a file that holds it. {hint}".strip(),
            )
        return value or default or ""

    def text(self, name: str, default: str = "", choices: Sequence[str] = ()) -> str:
        """Return a string; one of `choices`, in any case, where they are given."""
        value = self._get(name)
        if not value:
            return default
        if choices and value.upper() not in choices:
            self._mistake(name, value, f"allowed are {', '.join(choices)}")
            return default
        return value.upper() if choices else value

    def boolean(self, name: str, default: bool) -> bool:
        """Return True for 1, true, yes, on; False for 0, false, no, off."""
        value = self._get(name).lower()
        if value and value not in TRUE + FALSE:
            self._mistake(name, value, f"allowed are {', '.join(TRUE)} and {', '.join(FALSE)}")
        return value in TRUE if value in TRUE + FALSE else default

    def integer(self, name: str, default: int, minimum: int, maximum: int) -> int:
        """Return a whole number from `minimum` to `maximum`."""
        value = self._get(name)
        if not value:
            return default
        if not (value.isascii() and value.isdigit()) or not minimum <= int(value) <= maximum:
            self._mistake(name, value, f"a whole number from {minimum} to {maximum} is needed")
            return default
        return int(value)

    def words(
        self, name: str, default: Sequence[str], fits: Callable[[str], bool], allowed: str
    ) -> list[str]:
        """Return the comma-separated parts of a variable; `fits` tests one, `allowed` says what fits."""
        parts = [part.strip() for part in self._get(name).split(",") if part.strip()]
        for part in parts:
            if not fits(part):
                self._mistake(name, part, allowed)
        return parts or list(default)

    def directory(self, name: str, default: Path) -> Path:
        """Return an absolute path; whether something is there is for those who use it."""
        value = self._get(name)
        if value and not Path(value).is_absolute():
            self._mistake(name, value, "an absolute path is needed")
        return Path(value) if value else default

    def time_zone(self, name: str, default: str) -> str:
        """Return the name of a time zone, such as Europe/Berlin."""
        value = self._get(name) or default
        try:
            zoneinfo.ZoneInfo(value)
        except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
            self._mistake(name, value, "a time zone's name is needed, such as UTC or Europe/Berlin")
            return default
        return value

    def database(self, name: str, default: str) -> dict[str, Any]:
        """Return an entry of DATABASES made from a database URL; see `parse_database_url`."""
        try:
            return parse_database_url(self.secret(name, default))
        except ValueError as error:
            self._mistakes.append(f"{name} is not a database URL: {error}")
            return parse_database_url("sqlite://:memory:")
