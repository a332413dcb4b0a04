"""Puts the settings together: defaults, environment, configuration file, *_CMD_ARGS, command line.

Each later one wins, setting by setting. Reads files and the machine, changes nothing about the process (no
chdir, no environment); portway.settings.application does that where the application is loaded. Runs in the
command line's process, and again in the supervisor when it is asked to reload.
"""

import difflib
import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from portway.settings import control_socket, sizing
from portway.settings.arguments import Given, build_parser, read_arguments
from portway.settings.config_file import DEFAULT_FILES, default_file, might_be_setting, run_config
from portway.settings.errors import SettingsError
from portway.settings.foreign import BY_NAME, HOOKS
from portway.settings.kinds import split_own_request
from portway.settings.table import TABLE, Origin, Setting, Settings, Source

#: Variables that hold flags, the later one wins.
ARGUMENT_VARIABLES = ("GUNICORN_CMD_ARGS", "PORTWAY_CMD_ARGS")


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was asked for.

    application: named on the command line or in *_CMD_ARGS, None otherwise (settings.wsgi_app may name one).
    warnings: sentences for the operator. help, version: the flags of that name.
    """

    settings: Settings
    application: str | None
    warnings: tuple[str, ...]
    help: bool = False
    version: bool = False


def load(
    arguments: Sequence[str],
    environ: Mapping[str, str],
    directory: str | None = None,
    machine: sizing.Machine | None = None,
) -> Loaded:
    """Return the settings that the arguments and the environment ask for.

    arguments: without the program's name. directory: where relative paths begin, None for the current folder.
    machine: what the default number of workers is worked out from, None to measure it. Raises SettingsError.
    """
    return _Loading(environ, directory or current_directory(environ), machine).load(arguments)


def load_again(settings: Settings) -> Loaded:
    """Return what the same arguments and environment ask for now: the configuration file is read anew.

    The folder is the one by the same name, which may be another release by now. Raises SettingsError.
    """
    origin = settings.origin
    if origin is None:
        raise SettingsError("these settings were not loaded from anywhere")
    return load(origin.arguments, origin.environ, origin.directory)


def current_directory(environ: Mapping[str, str]) -> str:
    """Return the current folder, as PWD names it if it does: a symlink `current/` stays in the path."""
    real = os.getcwd()
    named = environ.get("PWD", "")
    try:
        if os.path.isabs(named) and os.path.samefile(named, real):
            return os.path.normpath(named)
    except OSError:
        pass
    return real


class _Loading:
    """The steps of one load, and what they gather."""

    def __init__(self, environ: Mapping[str, str], directory: str, machine: sizing.Machine | None) -> None:
        self.environ = environ
        self.directory = directory
        self.machine = machine
        self.values: dict[str, Any] = {name: row.default for name, row in TABLE.items()}
        self.sources: dict[str, Source] = {}
        self.warnings: list[str] = []

    def load(self, arguments: Sequence[str]) -> Loaded:
        parser = build_parser()
        command, namespace = read_arguments(arguments, parser)
        variables: list[tuple[str, Given]] = []
        for variable in ARGUMENT_VARIABLES:
            given, flags = read_arguments(self._words(variable), parser, variable)
            if flags.help or flags.version:
                raise SettingsError(f"{variable}: --help and --version belong on the command line")
            variables.append((variable, given))
        application = command.application
        if not application:
            application = next(
                (given.application for _, given in reversed(variables) if given.application), None
            )
        if namespace.help or namespace.version:
            return Loaded(Settings(), application, (), namespace.help, namespace.version)

        self._take_environment()
        self._take_file(command, variables)
        for variable, given in variables:
            self._take_arguments(given, variable)
        self._take_arguments(command, "")
        reason = self._complete()
        origin = Origin(tuple(arguments), dict(self.environ), self.directory)
        settings = Settings(**self.values, sources=self.sources, sizing_reason=reason, origin=origin)
        return Loaded(settings, application, tuple(self.warnings))

    def _words(self, variable: str) -> list[str]:
        try:
            return shlex.split(self.environ.get(variable, ""))
        except ValueError as error:
            raise SettingsError(f"{variable}: {str(error).lower()}") from None

    def _set(self, name: str, value: Any, source: Source, shown: str) -> None:
        """Check the value and keep it; `shown` is how messages name the value's place and the value."""
        try:
            self.values[name] = TABLE[name].kind.parse(value)
        except ValueError as error:
            raise SettingsError(f"{shown}: {error}") from None
        self.sources[name] = source

    def _take_environment(self) -> None:
        for name, row in TABLE.items():
            text = self.environ.get(row.env, "") if row.env else ""
            if not text:
                continue
            value = f"0.0.0.0:{text.strip()}" if row.env == "PORT" else text
            self._set(name, value, Source("environment", row.env), f"{row.env}={text}")

    def _take_arguments(self, given: Given, variable: str) -> None:
        begin = f"{variable}: " if variable else ""
        for name, (flag, value) in given.values.items():
            source = Source("flag", f"{variable} {flag}".strip())
            values = value if TABLE[name].repeatable else [value]
            if len(values) > 1:
                # One at a time first, so that a message is about the one that is wrong.
                for one in values:
                    self._set(name, [one], source, f"{begin}{flag} {one}")
            shown = (
                f"{begin}{flag} {' '.join(map(str, values))}"
                if TABLE[name].kind.metavar
                else f"{begin}{flag}"
            )
            self._set(name, value, source, shown)
        for name, flag, value in given.foreign:
            self._foreign(name, value, f"{begin}{flag}")

    def _foreign(self, name: str, value: Any, shown: str) -> None:
        foreign = BY_NAME[name]
        if foreign.passes(value):
            return
        if foreign.needless:
            self.warnings.append(f"{shown} has no effect in Portway: {foreign.advice}.")
        else:
            raise SettingsError(f"{shown} is not available in Portway: {foreign.advice}")

    def _take_file(self, command: Given, variables: list[tuple[str, Given]]) -> None:
        location = None
        for variable, given in [*variables, ("", command)]:
            if "config" in given.values:
                flag, location = given.values["config"]
                if not location:
                    raise SettingsError(
                        f"{variable or flag}: --config needs a path, file:PATH or python:MODULE"
                    )
        if location is None:
            location = default_file(self.directory)
            if location is None:
                return
            others = [name for name in DEFAULT_FILES if os.path.isfile(os.path.join(self.directory, name))]
            if len(others) > 1:
                self.warnings.append(f"{others[0]} is read; {others[1]} beside it is not.")
            self.values["config"], self.sources["config"] = (
                location,
                Source("machine", "found in the current folder"),
            )
        place, names = run_config(location, self.directory)
        self._take_globals(place, names)

    def _take_globals(self, place: str, names: dict[str, Any]) -> None:
        hooks, unknown = [], []
        for name, value in names.items():
            if name == "config":
                continue
            if name in TABLE:
                # `import user` and the like make names too, that are not meant as settings.
                if not isinstance(value, ModuleType):
                    self._set(name, value, Source("file", place), f"{place}: {name} = {value!r}")
            elif name in HOOKS:
                hooks.append(name)
            elif name in BY_NAME:
                self._foreign(name, value, f"{place}: {name} = {value!r}")
            elif might_be_setting(name, value):
                close = difflib.get_close_matches(name, TABLE, 1, 0.75)
                unknown.append(f"{name} (did you mean {close[0]}?)" if close else name)
        if unknown:
            self.warnings.append(f"{place} sets names that are no settings: {', '.join(unknown)}.")
        if hooks:
            self.warnings.append(f"{place} defines hooks that Portway does not call: {', '.join(hooks)}.")

    def _shown(self, name: str) -> str:
        """Return how a message names the value of a setting that the last steps find wrong."""
        source = self.sources.get(name, Source("default", "default"))
        value = TABLE[name].kind.show(self.values[name])
        return f"{source.text} {value}" if source.kind == "flag" else f"{source.text}: {name} = {value}"

    def _complete(self) -> str:
        """Work out what depends on the machine or on other settings; return why so many workers."""
        self._complete_paths()
        self._complete_account()
        if self.values["limit_request_head"] < max(
            self.values["limit_request_line"], self.values["limit_request_field_size"]
        ):
            self.warnings.append(
                "limit_request_head bounds limit_request_line and limit_request_field_size, which are larger."
            )
        self._check_warmup()
        if self.values["max_requests_jitter"] and not self.values["max_requests"]:
            self.warnings.append("max_requests_jitter has no effect without max_requests.")
        source = self.sources.get("workers")
        if source is not None:
            return f"by {source.text}"
        self.values["workers"], reason = sizing.default_workers(self.machine or sizing.measure())
        self.sources["workers"] = Source("machine", f"default for {reason}")
        return reason

    def _check_warmup(self) -> None:
        """Refuse what every worker would answer itself with 404."""
        script = self.values["script_name"]
        for target in self.values["warmup"]:
            path = split_own_request(target)[1].partition("?")[0]
            if script and not unquote(path).startswith(f"{script}/") and unquote(path) != script:
                raise SettingsError(
                    f"{self._shown('warmup')}: {path} is not below script_name, which is {script}; "
                    f"write it as clients do, {script}{path}"
                )

    def _complete_paths(self) -> None:
        values = self.values
        base = os.path.normpath(os.path.join(self.directory, values["chdir"] or ""))
        values["chdir"] = base
        if not os.path.isdir(base):
            raise SettingsError(f"{self._shown('chdir')}: there is no such folder")
        if not os.access(base, os.X_OK):
            raise SettingsError(f"{self._shown('chdir')}: this user may not enter that folder")
        values["pythonpath"] = tuple(os.path.join(base, path) for path in values["pythonpath"])
        self._complete_control_socket()
        for name in ("pidfile", "control_socket", "accesslog", "errorlog"):
            path = values[name]
            if path is None or (path == "-" and name.endswith("log")):
                continue
            values[name] = path = os.path.normpath(os.path.join(base, path))
            if not os.path.isdir(os.path.dirname(path)):
                raise SettingsError(f"{self._shown(name)}: there is no folder {os.path.dirname(path)}")
            if os.path.isdir(path):
                raise SettingsError(f"{self._shown(name)}: it is a folder; it must be a file")
        for name in ("static", "media"):
            pairs = [(url, os.path.normpath(os.path.join(base, folder))) for url, folder in values[name]]
            for url, folder in pairs:
                if not os.path.isdir(folder):
                    raise SettingsError(
                        f"{self._shown(name)}: there is no folder {folder} to serve {url} from"
                    )
            values[name] = tuple(pairs)
        both = {url for url, _ in values["static"]} & {url for url, _ in values["media"]}
        if both:
            raise SettingsError(f"{self._shown('media')}: {both.pop()} is served from --static already")

    def _complete_control_socket(self) -> None:
        """Choose where the control socket is: nothing is made where nobody asked for a file."""
        values = self.values
        if values["control_socket_disable"]:
            values["control_socket"] = None
        elif "control_socket" not in self.sources:
            chosen = control_socket.choose(values["pidfile"], values["proc_name"], self.environ)
            if chosen is not None:
                values["control_socket"], why = chosen
                self.sources["control_socket"] = Source("machine", why)

    def _complete_account(self) -> None:
        for name, own in (("user", os.geteuid()), ("group", os.getegid())):
            wanted = self.values[name]
            if wanted is not None and wanted != own and os.geteuid() != 0:
                raise SettingsError(f"{self._shown(name)}: only root can start workers as another {name}")


def row_text(row: Setting, settings: Settings) -> str:
    """Return the value of a setting as text that would give it again, "none" for an empty one."""
    return row.kind.show(getattr(settings, row.name)) or "none"


def print_config(settings: Settings) -> str:
    """Return all settings, one on a line, each with where its value came from."""
    names = max(map(len, TABLE))
    lines = [
        f"{name:{names}} = {row_text(row, settings)}  ({settings.explain(name)})"
        for name, row in TABLE.items()
    ]
    return "\n".join(lines)
