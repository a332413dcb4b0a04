"""Which build runs, and on which Python it may."""

import importlib
import os
import sys

import pytest

import portway
from portway.settings import build


def test_each_module_is_told_as_it_says_itself() -> None:
    compiled, uncompiled = build.compiled_modules()
    assert not set(compiled) & set(uncompiled)
    assert compiled + uncompiled, "there is a hot path"
    for name in compiled:
        assert importlib.import_module(name).is_compiled(), name
    for name in uncompiled:
        assert not importlib.import_module(name).is_compiled(), name


@pytest.mark.skipif(not os.environ.get("PORTWAY_NO_EXTENSIONS"), reason="about the uncompiled build")
def test_the_uncompiled_build_says_so() -> None:
    assert build.compiled_modules()[0] == []
    assert build.build_text().startswith("uncompiled, ")


@pytest.mark.parametrize(
    ("compiled", "uncompiled", "form"),
    [
        (["a", "b"], [], "compiled"),
        ([], ["a", "b"], "uncompiled"),
        (["a"], ["b", "c"], "1 of 3 modules compiled"),
    ],
)
def test_the_line(
    monkeypatch: pytest.MonkeyPatch, compiled: list[str], uncompiled: list[str], form: str
) -> None:
    monkeypatch.setattr(build, "compiled_modules", lambda: (compiled, uncompiled))
    version = ".".join(map(str, sys.version_info[:3]))
    assert build.version_text().startswith(f"portway {portway.__version__} ({form}, ")
    assert version in build.version_text()


def test_this_python_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: True, raising=False)
    assert build.refusal() is None


def test_a_python_without_its_lock_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "_is_gil_enabled", lambda: False, raising=False)
    told = build.refusal()
    assert told is not None
    assert "PYTHON_GIL=1" in told


def test_another_system_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    told = build.refusal()
    assert told is not None
    assert "Linux" in told
