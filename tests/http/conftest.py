"""What the tests of portway.http share: the wire corpus, and one way to run a parser over pieces of it."""

import importlib.util
import os
import sys
import tomllib
from collections.abc import Callable, Iterable, Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import pytest

from portway.http.errors import RemoteProtocolError
from portway.http.events import CONNECTION_CLOSED, END_OF_MESSAGE, NEED_DATA, PAUSED
from portway.http.limits import Limits

CORPUS = Path(__file__).parent / "corpus"
ATTRIBUTES = (
    "method",
    "target",
    "path",
    "query",
    "http_minor",
    "fields",
    "dropped",
    "host",
    "keep_alive",
    "content_length",
    "chunked",
    "has_body",
    "expect_continue",
    "scheme",
    "authority",
)


class Case(NamedTuple):
    """One case of the corpus."""

    name: str
    wire: bytes
    expected: dict[str, Any]


def read_corpus(kind: str) -> list[Case]:
    """Return all `valid` or all `invalid` cases."""
    cases = []
    for file in sorted(CORPUS.glob("*.toml")):
        for case in tomllib.loads(file.read_text(encoding="utf-8"))[kind]:
            wire = case.get("wire")
            if "line" in case:
                wire = case["line"] + "\r\nHost: example.org\r\n\r\n"
            elif "field" in case:
                wire = "GET / HTTP/1.1\r\nHost: example.org\r\n" + case["field"] + "\r\n\r\n"
            elif "chunks" in case:
                wire = (
                    "POST / HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + case["chunks"]
                )
            cases.append(Case(f"{file.stem}: {case['name']}", wire.encode("latin-1"), case))
    return cases


def outcome(parser: Any, pieces: Iterable[bytes], eof: bool) -> tuple[list[dict[str, Any]], str]:
    """Feed the pieces; return the requests as dicts, with what came of their bodies, and how it ended.

    The ending is `need data`, `closed` or the error. `complete` is whether the whole request was seen.
    """
    requests: list[dict[str, Any]] = []
    for piece in (*filter(None, pieces), *([b""] if eof else [])):
        parser.receive_data(piece)
        while True:
            try:
                event = parser.next_event()
            except RemoteProtocolError as error:
                return requests, str(error)
            if event is NEED_DATA:
                break
            if event is CONNECTION_CLOSED:
                return requests, "closed"
            if event is PAUSED:
                parser.start_next_cycle()
            elif event is END_OF_MESSAGE:
                requests[-1]["complete"] = True
                requests[-1]["trailers"] = parser.trailers
            elif isinstance(event, bytes):
                assert event, "an empty piece of a body"
                requests[-1]["body"] += event
            else:
                requests.append({name: getattr(event, name) for name in ATTRIBUTES})
                requests[-1] |= {"body": b"", "trailers": [], "complete": not event.has_body}
    return requests, "need data"


def parse_everything(parser_class: Any, wire: bytes, limits: Limits | None = None) -> Any:
    """Feed the bytes in every way, with and without the end after them; return the one outcome of them all.

    Without the end first, then with it: ((requests, ending), (requests, ending)).
    """
    limits = limits or Limits()
    whole = [outcome(parser_class(limits), [wire], eof) for eof in (False, True)]
    ways: list[list[bytes]] = [
        wire.splitlines(keepends=True),
        [line + b"\n" for line in wire.split(b"\n")[:-1]] + [wire.rsplit(b"\n", 1)[-1]],
        [wire[i : i + 1] for i in range(len(wire))],
        *([wire[:i], wire[i:]] for i in range(1, len(wire))),
    ]
    for way in ways:
        for eof in (False, True):
            assert outcome(parser_class(limits), way, eof) == whole[eof], f"cut into {way}"
    return whole


def load_twins(names: tuple[str, ...]) -> Iterator[ModuleType]:
    """Load the uncompiled form of modules, which then import each other and not the compiled ones."""
    saved = {name: sys.modules[name] for name in names}
    try:
        for name in names:
            source = str(Path(saved[name].__file__ or "").with_name(name.rpartition(".")[2] + ".py"))
            spec = importlib.util.spec_from_file_location(name, source, loader=SourceFileLoader(name, source))
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            spec.loader.exec_module(module)
            yield module
    finally:
        sys.modules.update(saved)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for `valid_case` or `invalid_case` every one of the corpus."""
    for kind in ("valid", "invalid"):
        if f"{kind}_case" in metafunc.fixturenames:
            cases = read_corpus(kind)
            metafunc.parametrize(f"{kind}_case", cases, ids=[case.name for case in cases])


@pytest.fixture(scope="session")
def corpus() -> list[bytes]:
    """The bytes of all cases."""
    return [case.wire for case in (*read_corpus("valid"), *read_corpus("invalid"))]


@pytest.fixture(scope="session")
def run() -> Callable[..., Any]:
    """`outcome`: feed pieces to a parser."""
    return outcome


@pytest.fixture(scope="session")
def parse() -> Callable[..., Any]:
    """`parse_everything`: feed bytes to new parsers in every way."""
    return parse_everything


@pytest.fixture(scope="session")
def twins() -> SimpleNamespace:
    """The uncompiled forms of the compiled modules, beside the compiled ones.

    Skips where no compiled form is loaded, and fails there if one was required.
    """
    names = tuple(f"portway.http.{name}" for name in ("request", "chunked", "head", "parser", "response"))
    for name in names:
        importlib.import_module(name)
    missing = [name for name in names if not sys.modules[name].is_compiled()]
    if missing:
        if os.environ.get("PORTWAY_REQUIRE_EXTENSIONS") and not os.environ.get("PORTWAY_NO_EXTENSIONS"):
            pytest.fail(f"PORTWAY_REQUIRE_EXTENSIONS is set and there is no compiled form of {missing}")
        pytest.skip(f"one build to compare with itself: {missing} not loaded in the compiled form")
    modules = list(load_twins(names))
    assert not any(module.is_compiled() for module in modules)
    return SimpleNamespace(**{module.__name__.rpartition(".")[2]: module for module in modules})
