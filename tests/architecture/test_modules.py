"""What holds for every module: how long it is, what it is called, and that it says what it is."""

import ast
from pathlib import Path

import pytest

LONGEST = 500

#: Names that say nothing about what is inside, so that everything ends up there.
EMPTY_NAMES = {"base", "common", "core", "helper", "helpers", "misc", "shared", "util", "utilities", "utils"}


@pytest.fixture(scope="module")
def python_files(root: Path, files: list[Path]) -> dict[str, Path]:
    """Return the Python files of the repository by their paths in it."""
    return {str(path.relative_to(root)): path for path in files if path.suffix == ".py"}


def test_there_are_modules(python_files: dict[str, Path]) -> None:
    for folder in ("src/portway/", "markup/", "tests/"):
        assert any(name.startswith(folder) for name in python_files), folder


def test_no_module_is_too_long(python_files: dict[str, Path]) -> None:
    lengths = {name: len(path.read_text("utf-8").splitlines()) for name, path in python_files.items()}
    long = [f"{name}: {length} lines" for name, length in lengths.items() if length > LONGEST]
    assert not long, "\n".join(long)


def test_no_module_has_an_empty_name(python_files: dict[str, Path]) -> None:
    bad = [name for name in python_files if EMPTY_NAMES & set(Path(name).with_suffix("").parts)]
    assert bad == []


def test_every_module_opens_with_its_contract(python_files: dict[str, Path]) -> None:
    silent = [
        name
        for name, path in python_files.items()
        if name.startswith(("src/", "markup/"))
        and "/migrations/" not in name
        and not ast.get_docstring(ast.parse(path.read_bytes()))
    ]
    assert silent == []


def test_packages_hold_nothing_but_a_docstring(modules: dict[str, Path]) -> None:
    """Except the topmost, which chooses between the two builds."""
    full = [
        name
        for name, path in modules.items()
        if path.name == "__init__.py" and name != "portway" and len(ast.parse(path.read_bytes()).body) != 1
    ]
    assert full == []
