"""Finds the Django project that a command is run in, by reading files: nothing is imported or run.

Used by the command line, before anything forks, to serve `portway` without arguments.
"""

import ast
import os
from collections.abc import Mapping
from dataclasses import dataclass

#: How many folders above the current one are looked into; a repository's own root ends the search before.
LEVELS_UP = 5
_ENDS_OF_A_REPOSITORY = (".git", ".hg", ".svn")
_VARIABLE = "DJANGO_SETTINGS_MODULE"


@dataclass(frozen=True, slots=True)
class DjangoProject:
    """A Django project on disk.

    root: the absolute path of the folder that manage.py is in; it goes to the front of sys.path.
    settings_module: the dotted name for DJANGO_SETTINGS_MODULE.
    """

    root: str
    settings_module: str


class ProjectError(Exception):
    """A manage.py was found, but which project is meant cannot be told; str() says what to do."""


def find_project(directory: str, environ: Mapping[str, str]) -> DjangoProject | None:
    """Return the project that the directory belongs to, None where there is none.

    Looks for manage.py in the directory, then in the folders directly below it, then in those above (at most
    LEVELS_UP, not above the root of a repository). DJANGO_SETTINGS_MODULE in `environ` wins over manage.py's
    default, as it does for manage.py itself. Raises ProjectError when several projects fit or the settings
    are not named.
    """
    directory = os.path.abspath(directory)
    root = _find_root(directory)
    if root is None:
        return None
    return DjangoProject(root, _settings_module(os.path.join(root, "manage.py"), environ))


def _find_root(directory: str) -> str | None:
    if _has_manage(directory):
        return directory
    below = _folders_with_manage(directory)
    if len(below) > 1:
        names = ", ".join(os.path.relpath(folder, directory) for folder in below)
        raise ProjectError(
            f"There are several Django projects in {directory}: {names}. "
            f"Say which one, as `portway --chdir {os.path.relpath(below[0], directory)}`."
        )
    if below:
        return below[0]
    folder = directory
    for _ in range(LEVELS_UP):
        parent = os.path.dirname(folder)
        if parent == folder or any(
            os.path.exists(os.path.join(folder, end)) for end in _ENDS_OF_A_REPOSITORY
        ):
            return None
        folder = parent
        if _has_manage(folder):
            return folder
    return None


def _has_manage(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "manage.py"))


def _folders_with_manage(directory: str) -> list[str]:
    try:
        with os.scandir(directory) as entries:
            folders = [entry.path for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except OSError:
        return []
    return sorted(folder for folder in folders if _has_manage(folder))


def _settings_module(manage: str, environ: Mapping[str, str]) -> str:
    defaults, forced = _named_settings(manage)
    # manage.py's os.environ.setdefault() gives way to the environment, its os.environ[...] = does not.
    from_environment = environ.get(_VARIABLE, "")
    if from_environment and not forced:
        return from_environment
    names = forced or defaults
    if not names:
        raise ProjectError(
            f"{manage} does not name its settings module in a form that can be read without running it. "
            f"Set the variable {_VARIABLE}, as `{_VARIABLE}=mysite.settings portway`."
        )
    if len(names) > 1:
        raise ProjectError(
            f"{manage} names several settings modules: {', '.join(names)}. "
            f"Say which one, as `{_VARIABLE}={names[0]} portway`."
        )
    return names[0]


def _named_settings(manage: str) -> tuple[list[str], list[str]]:
    """Return the settings modules that the file sets as a default, and those it sets in any case."""
    try:
        with open(manage, "rb") as file:
            tree = ast.parse(file.read(), manage)
    except OSError as error:
        raise ProjectError(f"{manage} cannot be read: {error.strerror}.") from None
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        raise ProjectError(f"{manage}{f':{line}' if line else ''} is not valid Python: {error}.") from None
    constants = _string_constants(tree)
    defaults: list[str] = []
    forced: list[str] = []
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "setdefault"
        ):
            if (
                len(node.args) == 2
                and _is_environ(node.func.value)
                and _text(node.args[0], constants) == _VARIABLE
            ):
                _add(defaults, _text(node.args[1], constants))
        elif isinstance(node, ast.Assign):
            for place in node.targets:
                if (
                    isinstance(place, ast.Subscript)
                    and _is_environ(place.value)
                    and _text(place.slice, constants) == _VARIABLE
                ):
                    _add(forced, _text(node.value, constants))
    return defaults, forced


def _string_constants(tree: ast.Module) -> dict[str, str]:
    """Return the names at the top of the module that are given a string once, and what they are given."""
    constants: dict[str, str] = {}
    for node in tree.body:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            for place in node.targets:
                if isinstance(place, ast.Name):
                    constants[place.id] = node.value.value
    return constants


def _is_environ(node: ast.expr) -> bool:
    """Tell whether the expression is `os.environ` or a bare `environ`."""
    return (isinstance(node, ast.Attribute) and node.attr == "environ") or (
        isinstance(node, ast.Name) and node.id == "environ"
    )


def _text(node: ast.expr, constants: dict[str, str]) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Name):
        return constants.get(node.id, "")
    return ""


def _add(names: list[str], name: str) -> None:
    if name and name not in names:
        names.append(name)
