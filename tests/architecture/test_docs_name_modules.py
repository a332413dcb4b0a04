"""Modules that the documentation names are there, and the journey of a request passes through all layers."""

import importlib
import re
from pathlib import Path

import pytest

#: What looks like a module and is none: loggers, keys of environ, and names of files.
OTHERS = {"portway.error", "portway.access", "portway.deadline", "portway.io_bound", "portway.warmup"}
FILES = re.compile(r"portway\.(?:conf|env|pid|service|socket|sock)\b")
NAME = re.compile(r"(?<![\w./-])portway(?:\.[a-z_][a-z0-9_]*)+")


@pytest.fixture(scope="module")
def pages(root: Path) -> dict[str, str]:
    """Return the text of each page, by its path in the repository."""
    found = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return {str(path.relative_to(root)): path.read_text("utf-8") for path in found}


def named(text: str) -> set[str]:
    """Return what a text names in the manner of modules of the package."""
    return {name for name in NAME.findall(text) if not FILES.match(name)} - OTHERS


def is_there(name: str, modules: dict[str, Path]) -> bool:
    """Tell whether a name is that of a module, a package, or something in a module."""
    if name in modules or any(module.startswith(f"{name}.") for module in modules):
        return True
    module, _, attribute = name.rpartition(".")
    return module in modules and hasattr(importlib.import_module(module), attribute)


def test_every_module_that_is_named_is_there(pages: dict[str, str], modules: dict[str, Path]) -> None:
    missing = {
        (page, name) for page, text in pages.items() for name in named(text) if not is_there(name, modules)
    }
    assert missing == set()


def test_the_journey_passes_through_every_layer(pages: dict[str, str]) -> None:
    journey = named(pages["docs/explanation/journey-of-a-request.md"])
    assert {name.split(".")[1] for name in journey} >= {
        *("supervisor", "worker", "settings", "net", "wsgi", "files", "observe", "django", "http")
    }


def test_every_step_of_the_journey_is_told(pages: dict[str, str]) -> None:
    """The numbers that the diagram gives its arrows are those that the text speaks of."""
    journey = pages["docs/explanation/journey-of-a-request.md"]
    diagram = re.search(r"```mermaid\n(.*?)```", journey, re.DOTALL)
    assert diagram is not None
    arrows = len(re.findall(r"^ +\w+-{1,2}>>\w+:", diagram[1], re.MULTILINE))
    told = [
        int(number)
        for step in re.findall(r"^\*\*(\d+\.(?: and \d+\.)?)", journey, re.MULTILINE)
        for number in re.findall(r"\d+", step)
    ]
    assert told == list(range(1, arrows + 1))


def test_the_views_and_files_of_the_journey_are_there(root: Path, pages: dict[str, str]) -> None:
    journey = pages["docs/explanation/journey-of-a-request.md"]
    for module in ("markup.settings", "markup.urls", "posts.urls", "posts.views"):
        assert f"`{module}`" in journey
        assert (root / "markup" / f"{module.replace('.', '/')}.py").is_file()
    assert "def post_detail(" in (root / "markup" / "posts" / "views.py").read_text("utf-8")
