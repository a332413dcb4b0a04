"""The `portway` command: reads the settings, chooses what to serve, and hands both to the supervisor.

It imports nothing of the application, except for --check-config and --print-config. Exit statuses: 0 done, 1
a configuration file or a check failed, 2 a flag or a value is wrong; those of a running server are the
supervisor's (3 a worker did not boot, 4 the application could not be loaded).
"""

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from portway.settings.arguments import build_parser
from portway.settings.build import refusal, version_text
from portway.settings.errors import SettingsError
from portway.settings.load import load, load_again, print_config
from portway.settings.table import Settings
from portway.settings.target import Target, choose_target

log = logging.getLogger("portway.error")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the arguments (None: those of the process); return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    # A check has two outcomes, 0 and 1, whatever is wrong.
    checking = any(word in ("--check-config", "--print-config") for word in arguments)
    try:
        return _run(arguments, os.environ)
    except SettingsError as error:
        print(f"portway: {error}", file=sys.stderr)
        return 1 if checking else error.exit_code
    except KeyboardInterrupt:
        # Before the supervisor takes the signal: the configuration file or the application was running.
        return 128 + signal.SIGINT


def _run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    loaded = load(arguments, environ)
    if loaded.help:
        print(build_parser().format_help(), end="")
        return 0
    if loaded.version:
        print(version_text())
        return 0
    refused = refusal()
    if refused is not None:
        raise SettingsError(refused, 1)
    for warning in loaded.warnings:
        print(f"portway: warning: {warning}", file=sys.stderr)
    settings = loaded.settings
    if settings.print_config:
        print(print_config(settings))
    target = choose_target(loaded, environ)
    if settings.check_config or settings.print_config:
        return _check(settings, target)
    os.chdir(settings.chdir)

    from portway.supervisor.supervisor import run

    return run(settings, target, reload=lambda: _load_again(settings))


def _load_again(settings: Settings) -> Settings:
    """Return the settings as the same command would have them now. Raises SettingsError."""
    loaded = load_again(settings)
    for warning in loaded.warnings:
        log.warning("%s", warning)
    return loaded.settings


def _check(settings: Settings, target: Target) -> int:
    """Load the application as a worker would; return 0, or 1 with the reason on standard error."""
    from portway.settings.application import load_target, prepare_process
    from portway.supervisor.report import compose, describe
    from portway.wsgi.loader import ApplicationLoadError

    prepare_process(settings, target)
    try:
        found = load_target(settings, target)
    except ApplicationLoadError as error:
        print(compose("portway:", describe(error)), file=sys.stderr)
        return 1
    for warning in (*found.warnings, *found.notes):
        print(f"portway: warning: {warning}", file=sys.stderr)
    print(f"The settings are good; {found.spec} can be served.", file=sys.stderr)
    return 0
