"""Runs a configuration file: Python whose module globals are settings, as Gunicorn's `gunicorn.conf.py`.

The file is the operator's own code and is trusted as such. It is run in the process that reads the settings;
nothing is written beside it (no __pycache__).
"""

import importlib
import os
import sys
import traceback
from types import ModuleType
from typing import Any

from portway.settings.errors import SettingsError

#: The files that are read when none is named, the first that is there.
DEFAULT_FILES = ("portway.conf.py", "gunicorn.conf.py")
_PLAIN = (str, bytes, int, float, list, tuple, dict, set, type(None))


def default_file(directory: str) -> str | None:
    """Return the path of the configuration file that lies in the directory, None where there is none."""
    for name in DEFAULT_FILES:
        path = os.path.join(directory, name)
        if os.path.isfile(path):
            return path
    return None


def run_config(location: str, directory: str) -> tuple[str, dict[str, Any]]:
    """Run the file or module that the location names; return how to call it in messages, and its globals.

    location: PATH, file:PATH or python:MODULE; a relative path is one in `directory`, which is on the path
    for imports while the file runs. Raises SettingsError (exit status 1) when it is missing or raises.
    """
    added = directory not in sys.path
    if added:
        sys.path.insert(0, directory)
    try:
        if location.startswith("python:"):
            name = location.removeprefix("python:")
            return name, _run_module(name)
        path = os.path.normpath(os.path.join(directory, location.removeprefix("file:")))
        return path, _run_file(path)
    finally:
        if added and directory in sys.path:
            sys.path.remove(directory)


def might_be_setting(name: str, value: Any) -> bool:
    """Tell whether a global looks as if it was meant as a setting: lower case, public, plain data."""
    return name.islower() and not name.startswith("_") and isinstance(value, _PLAIN)


def _run_file(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise SettingsError(f"The configuration file {path} cannot be read: {error.strerror}.", 1) from None
    module = ModuleType("__config__")
    module.__file__ = path
    sys.modules["__config__"] = module
    try:
        exec(compile(source, path, "exec"), module.__dict__)  # noqa: S102 - that is what a Python file is for
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise SettingsError(f"The configuration file cannot be used: {_where(error, path)}.", 1) from error
    return vars(module)


def _run_module(name: str) -> dict[str, Any]:
    try:
        if name in sys.modules:
            return vars(importlib.reload(sys.modules[name]))
        return vars(importlib.import_module(name))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise SettingsError(
            f"The configuration module {name} cannot be used: {_where(error, '')}.", 1
        ) from error


def _where(error: BaseException, path: str) -> str:
    """Return `file:line: Exception: message`; the line is in the file itself where the error passed there."""
    message = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
    if isinstance(error, SyntaxError):
        return f"{error.filename or path}:{error.lineno or 0}: {message}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == path] or frames[-1:]
    return f"{own[-1].filename}:{own[-1].lineno}: {message}" if own else message
