"""The compiled form and the same source uncompiled agree, event for event and error for error."""

from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portway.http import chunked, head, parser, request, response
from portway.http.errors import LocalProtocolError
from portway.http.limits import Limits

pytestmark = pytest.mark.timeout(300)
relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck))

SMALL = replace(
    Limits(), request_line=60, fields=4, field_size=40, head=160, body=30, chunk_line=20, trailers=2
)
FRAGMENTS = st.one_of(
    st.binary(max_size=4),
    st.sampled_from(
        [b"\r\n", b"\n", b"Host: a", b": ", b",", b"chunked", b"close", b"0", b"5;a", b"\xff", b"\x7f", b"_"]
    ),
)


def test_all_modules_are_of_one_build() -> None:
    assert len({module.is_compiled() for module in (chunked, head, parser, request, response)}) == 1


def test_the_corpus(twins: SimpleNamespace, corpus: list[bytes], run: Callable[..., Any]) -> None:
    for wire in corpus:
        for limits in (Limits(), SMALL):
            for eof in (False, True):
                compiled = run(parser.RequestParser(limits), [wire], eof)
                assert run(twins.parser.RequestParser(limits), [wire], eof) == compiled


def test_every_byte_at_every_place_of_a_request(twins: SimpleNamespace, run: Callable[..., Any]) -> None:
    wire = b"PUT /a?b HTTP/1.1\r\nHost: a:80\r\nContent-Length: 2\r\nX: y\r\n\r\nzz"
    for place in range(len(wire)):
        for byte in range(256):
            changed = wire[:place] + bytes([byte]) + wire[place + 1 :]
            compiled = run(parser.RequestParser(Limits()), [changed], True)
            assert run(twins.parser.RequestParser(Limits()), [changed], True) == compiled


def test_every_byte_at_every_place_of_a_chunked_body(twins: SimpleNamespace, run: Callable[..., Any]) -> None:
    start = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    wire = b'1f;a="b"\r\n0123456789abcdef0123456789abcde\r\n0\r\nX: y\r\n\r\n'
    for place in range(len(wire)):
        for byte in range(256):
            changed = start + wire[:place] + bytes([byte]) + wire[place + 1 :]
            compiled = run(parser.RequestParser(Limits()), [changed], True)
            assert run(twins.parser.RequestParser(Limits()), [changed], True) == compiled


@relaxed
@given(data=st.data())
def test_damaged_requests(
    twins: SimpleNamespace, corpus: list[bytes], run: Callable[..., Any], data: Any
) -> None:
    wire = bytearray(data.draw(st.sampled_from(corpus)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(wire)))
        wire[place : place + data.draw(st.integers(0, 3))] = data.draw(FRAGMENTS)
    pieces = [bytes(wire[:7]), bytes(wire[7:])]
    for limits in (Limits(), SMALL):
        compiled = run(parser.RequestParser(limits), [piece for piece in pieces if piece], True)
        assert run(twins.parser.RequestParser(limits), [piece for piece in pieces if piece], True) == compiled


def compose(module: Any, *arguments: Any) -> Any:
    """Return what compose_head of a form of the module makes of the arguments, or its error."""
    try:
        made = module.compose_head(*arguments, b"Thu, 01 Jan 1970 00:00:00 GMT", b"portway")
    except LocalProtocolError as error:
        return str(error)
    return made.data, made.framing, made.content_length, made.keep_alive, made.status_code


TEXT = st.one_of(
    st.text(max_size=8),
    st.text(st.characters(max_codepoint=255), max_size=8),
    st.sampled_from(
        ["Content-Length", "content-length", "Date", "Server", "Connection", "X-A", "5", "005", "5, 5"]
    ),
)
ANYTHING = st.one_of(TEXT, st.binary(max_size=4), st.none(), st.integers())
HEADERS = st.one_of(
    st.lists(st.tuples(TEXT, TEXT), max_size=4),
    st.lists(st.tuples(st.sampled_from(["X-A", "Content-Length", "Date"]), TEXT), max_size=3),
    st.lists(st.one_of(st.tuples(ANYTHING, ANYTHING), st.tuples(TEXT), ANYTHING), max_size=2),
    ANYTHING,
)


@relaxed
@given(
    status=st.one_of(
        st.sampled_from(["200 OK", "204 No Content", "304 Not Modified", "101 X", "600 X"]), ANYTHING
    ),
    headers=HEADERS,
    method=st.sampled_from(["GET", "HEAD"]),
    minor=st.integers(0, 1),
    keep_alive=st.booleans(),
    length=st.integers(-1, 3),
)
def test_response_heads(
    twins: SimpleNamespace,
    status: Any,
    headers: Any,
    method: str,
    minor: int,
    keep_alive: bool,
    length: int,
) -> None:
    arguments = (status, headers, method, minor, keep_alive, length)
    assert compose(twins.response, *arguments) == compose(response, *arguments)


@relaxed
@given(data=st.binary(max_size=40))
def test_chunks(twins: SimpleNamespace, data: bytes) -> None:
    assert twins.response.encode_chunk(data) == response.encode_chunk(data)
