"""One source, two builds: which modules are compiled, how each begins, and that both forms load."""

import ast
import json
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import pytest

#: Imports each module named on standard input in a process of its own that has imported nothing of the
#: package before, and prints those that fail. A cycle shows itself only to whoever enters it at that point.
IMPORT_EACH = """
import importlib, os, sys
for name in sys.stdin.read().split():
    if os.fork() == 0:
        try:
            importlib.import_module(name)
        except BaseException as error:
            print(f"{name}: {error!r}", flush=True)
        finally:
            os._exit(0)
    if os.wait()[1]:
        print(name, "ended the process")
"""

#: Prints, for each module named on standard input, where it was loaded from and what it says of itself.
TELL_EACH = """
import importlib, json, sys
told = {}
for name in sys.stdin.read().split():
    module = importlib.import_module(name)
    is_compiled = getattr(module, "is_compiled", None)
    told[name] = [module.__spec__.origin, is_compiled() if is_compiled else None]
print(json.dumps(told))
"""

#: As if Cython were not installed, which is how the uncompiled form runs for its users.
NO_CYTHON = "import sys; sys.modules['cython'] = None\n"


@pytest.fixture(scope="module")
def compiled(root: Path) -> tuple[str, ...]:
    """Return the tuple COMPILED of setup.py."""
    for node in ast.parse((root / "setup.py").read_text("utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "COMPILED":
            return ast.literal_eval(node.value)
    raise AssertionError("setup.py has no tuple COMPILED")


@pytest.fixture(scope="module")
def trees(modules: dict[str, Path]) -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_bytes()) for name, path in modules.items()}


def defines_is_compiled(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.FunctionDef) and node.name == "is_compiled" for node in tree.body)


def uses_cython(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "cython" for node in ast.walk(tree))


def headers(tree: ast.Module) -> Iterator[ast.Try]:
    """Yield the statements that import Cython or the stand-in for it."""
    for node in tree.body:
        if (
            isinstance(node, ast.Try)
            and [ast.unparse(statement) for statement in node.body] == ["import cython"]
            and [ast.unparse(handler.type) for handler in node.handlers if handler.type]
            == ["ModuleNotFoundError"]
            and [ast.unparse(statement) for statement in node.handlers[0].body]
            == ["from portway import _cython as cython"]
        ):
            yield node


def test_the_list_is_that_of_the_modules_which_can_be_compiled(
    compiled: tuple[str, ...], trees: dict[str, ast.Module]
) -> None:
    assert list(compiled) == sorted(set(compiled)), "sorted, and nothing twice"
    assert list(compiled) == sorted(name for name, tree in trees.items() if defines_is_compiled(tree))
    assert list(compiled) == sorted(name for name, tree in trees.items() if uses_cython(tree))


def test_compiled_modules_begin_alike(compiled: tuple[str, ...], trees: dict[str, ast.Module]) -> None:
    assert [name for name in compiled if len(list(headers(trees[name]))) != 1] == []


def test_annotations_of_compiled_modules_are_types(
    compiled: tuple[str, ...], trees: dict[str, ast.Module]
) -> None:
    """Not text: `from __future__ import annotations` would hide names that the uncompiled form lacks."""
    futures = [
        name
        for name in compiled
        for node in trees[name].body
        if isinstance(node, ast.ImportFrom) and node.module == "__future__"
    ]
    assert futures == []


def test_extension_types_have_no_slots_of_pythons(
    compiled: tuple[str, ...], trees: dict[str, ast.Module]
) -> None:
    slotted = [
        f"{name}.{node.name}"
        for name in compiled
        for node in ast.walk(trees[name])
        if isinstance(node, ast.ClassDef)
        and any("cclass" in ast.unparse(decorator) for decorator in node.decorator_list)
        and "__slots__" in ast.unparse(node)
    ]
    assert slotted == []


def test_declarations_belong_to_a_compiled_module(compiled: tuple[str, ...], root: Path) -> None:
    """A .pxd beside a module that is not compiled would declare what nobody has."""
    source = root / "src"
    stray = []
    for path in source.rglob("*.pxd"):
        name = ".".join(path.relative_to(source).with_suffix("").parts)
        # Without a module of its name it declares what the C library has.
        if path.name != "__init__.pxd" and path.with_suffix(".py").exists() and name not in compiled:
            stray.append(name)
    assert stray == []


def test_each_module_can_be_the_first_to_be_imported(
    modules: dict[str, Path], run_python: Callable[..., str]
) -> None:
    assert run_python("-c", IMPORT_EACH, input="\n".join(modules)) == ""


def test_each_module_can_be_the_first_without_cython(
    modules: dict[str, Path], run_python: Callable[..., str]
) -> None:
    printed = run_python("-c", NO_CYTHON + IMPORT_EACH, input="\n".join(modules), PORTWAY_NO_EXTENSIONS="1")
    assert printed == ""


def test_the_uncompiled_form_is_loaded_from_source(
    compiled: tuple[str, ...], modules: dict[str, Path], run_python: Callable[..., str]
) -> None:
    printed = run_python("-c", TELL_EACH, input="\n".join(modules), PORTWAY_NO_EXTENSIONS="1")
    told = json.loads(printed)
    assert {name: origin for name, (origin, _) in told.items()} == {
        name: str(path) for name, path in modules.items()
    }
    assert {name for name, (_, form) in told.items() if form is not None} == set(compiled)
    assert not any(form for _, form in told.values())


def test_each_build_says_which_it_is(
    compiled: tuple[str, ...], modules: dict[str, Path], run_python: Callable[..., str]
) -> None:
    version = runpy.run_path(str(modules["portway"]))["__version__"]
    python = "CPython {}.{}.{}".format(*sys.version_info)
    printed = run_python("-m", "portway", "--version", PORTWAY_NO_EXTENSIONS="1")
    assert printed == f"portway {version} (uncompiled, {python})\n"

    told = json.loads(run_python("-c", TELL_EACH, input="\n".join(compiled), PORTWAY_NO_EXTENSIONS=None))
    extensions = [name for name, (origin, _) in told.items() if origin.endswith(tuple(EXTENSION_SUFFIXES))]
    assert extensions == [name for name, (_, form) in told.items() if form]
    form = "compiled" if len(extensions) == len(compiled) else "uncompiled"
    if 0 < len(extensions) < len(compiled):
        form = f"{len(extensions)} of {len(compiled)} modules compiled"
    printed = run_python("-m", "portway", "--version", PORTWAY_NO_EXTENSIONS=None)
    assert printed == f"portway {version} ({form}, {python})\n"


@pytest.mark.skipif(
    not os.environ.get("PORTWAY_REQUIRE_EXTENSIONS"), reason="the compiled build was not asked for"
)
def test_the_build_that_was_asked_for_is_the_one_that_runs(run_python: Callable[..., str]) -> None:
    assert " (compiled, " in run_python("-m", "portway", "--version")
