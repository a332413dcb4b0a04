"""Every limit, at it, below and above it, in every way of feeding; and the values that Limits takes."""

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from portway.http.limits import Limits
from portway.http.parser import RequestParser

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


def request_line(size: int) -> bytes:
    line = b"GET /%b HTTP/1.1"
    return line % (b"x" * (size - len(line) + 2)) + b"\r\nHost: a\r\n\r\n"


def field_line(size: int) -> bytes:
    return HEAD + b"B: " + b"x" * (size - 3) + b"\r\n\r\n"


def padded_field_line(size: int) -> bytes:
    return HEAD + b"B:" + b" " * (size - 2) + b"\r\n\r\n"


def field_count(count: int) -> bytes:
    return HEAD + b"B: c\r\n" * (count - 1) + b"\r\n"


def dropped_field_count(count: int) -> bytes:
    return HEAD + b"B_: c\r\n" * (count - 1) + b"\r\n"


def head(size: int) -> bytes:
    lines = HEAD + b"B: c\r\n" * 6 + b"D: %b\r\n\r\n"
    return lines % (b"x" * (size - len(lines) + 2))


def head_of_a_request_line(size: int) -> bytes:
    return request_line(size - len(b"\r\nHost: a\r\n\r\n"))


def empty_lines(count: int) -> bytes:
    return b"\r\n" * count + HEAD + b"\r\n"


def announced_body(size: int) -> bytes:
    return HEAD + b"Content-Length: %d\r\n\r\n" % size + b"x" * size


def one_chunk(size: int) -> bytes:
    return CHUNKED + b"%x\r\n" % size + b"x" * size + b"\r\n" + END


def many_chunks(size: int) -> bytes:
    return CHUNKED + b"1\r\nx\r\n" * size + END


def chunk_line(size: int) -> bytes:
    return CHUNKED + b"1;" + b"a" * (size - 2) + b"\r\nx\r\n" + END


def last_chunk_line(size: int) -> bytes:
    return CHUNKED + b"0;" + b"a" * (size - 2) + b"\r\n\r\n"


def extensions(size: int) -> bytes:
    return CHUNKED + b"1;a\r\nx\r\n" * (size // 2) + b"0;" + b"a" * (size % 2 + 1) + b"\r\n\r\n"


def extensions_total(size: int) -> bytes:
    """Extensions of `size` bytes, in two chunks."""
    return CHUNKED + b"1;aaa\r\nx\r\n" + b"1;" + b"a" * (size - 5) + b"\r\nx\r\n" + END


def trailer_count(count: int) -> bytes:
    return CHUNKED + b"0\r\n" + b"B: c\r\n" * count + b"\r\n"


def trailer_line(size: int) -> bytes:
    return CHUNKED + b"0\r\n" + b"B: " + b"x" * (size - 3) + b"\r\n\r\n"


def trailer_section(size: int) -> bytes:
    lines = b"B: c\r\n" * 7 + b"D: %b\r\n\r\n"
    return CHUNKED + b"0\r\n" + lines % (b"x" * (size - len(lines) + 2))


CASES = [
    (request_line, {"request_line": 40}, 40, 414, "request line longer than 40 bytes"),
    (field_line, {"field_size": 40}, 40, 431, "field line longer than 40 bytes"),
    (padded_field_line, {"field_size": 40}, 40, 431, "field line longer than 40 bytes"),
    (field_count, {"fields": 5}, 5, 431, "more than 5 field lines"),
    (dropped_field_count, {"fields": 5}, 5, 431, "more than 5 field lines"),
    (head, {"head": 96}, 96, 431, "head longer than 96 bytes"),
    (head_of_a_request_line, {"head": 96}, 96, 431, "head longer than 96 bytes"),
    (empty_lines, {"empty_lines": 3}, 3, 400, "too many empty lines before a request line"),
    (empty_lines, {"empty_lines": 0}, 0, 400, "too many empty lines before a request line"),
    (announced_body, {"body": 20}, 20, 413, "announced body larger than 20 bytes"),
    (one_chunk, {"body": 20}, 20, 413, "chunked body larger than 20 bytes"),
    (many_chunks, {"body": 20}, 20, 413, "chunked body larger than 20 bytes"),
    (chunk_line, {"chunk_line": 30}, 30, 400, "chunk-size line longer than 30 bytes"),
    (last_chunk_line, {"chunk_line": 30}, 30, 400, "chunk-size line longer than 30 bytes"),
    (extensions_total, {"chunk_extensions": 30}, 30, 400, "more than 30 bytes of chunk extensions"),
    (trailer_count, {"trailers": 4}, 4, 431, "more than 4 trailer field lines"),
    (trailer_count, {"trailers": 0}, 0, 431, "more than 0 trailer field lines"),
    (trailer_line, {"field_size": 40}, 40, 431, "trailer field line longer than 40 bytes"),
    (trailer_section, {"head": 80}, 80, 431, "trailer section longer than 80 bytes"),
]


@pytest.mark.parametrize(
    ("make", "limits", "limit", "status", "reason"), CASES, ids=[f"{c[0].__name__}-{c[2]}" for c in CASES]
)
def test_limit(
    make: Callable[[int], bytes],
    limits: dict[str, int],
    limit: int,
    status: int,
    reason: str,
    parse: Callable[..., Any],
) -> None:
    bounds = replace(Limits(), **limits)
    for size in (limit - 1, limit):
        if size >= 0:
            (requests, ending), _ = parse(RequestParser, make(size), bounds)
            assert (len(requests), requests and requests[0]["complete"], ending) == (1, True, "need data")
    (requests, ending), _ = parse(RequestParser, make(limit + 1), bounds)
    assert ending == f"{status} {reason}"
    assert not any(request["complete"] for request in requests)


@pytest.mark.parametrize(
    ("make", "limits", "size"),
    [
        (request_line, {"request_line": 0}, 5000),
        (field_line, {"field_size": 0}, 9000),
        (trailer_line, {"field_size": 0}, 9000),
        (field_count, {"fields": 0}, 500),
        (announced_body, {"body": 0}, 2000),
        (one_chunk, {"body": 0}, 2000),
    ],
)
def test_zero_is_no_limit_of_its_own(
    make: Callable[[int], bytes], limits: dict[str, int], size: int, run: Callable[..., Any]
) -> None:
    requests, ending = run(RequestParser(replace(Limits(), **limits)), [make(size)], False)
    assert (len(requests), requests[0]["complete"], ending) == (1, True, "need data")


@pytest.mark.parametrize(
    ("make", "limits", "status"),
    [(request_line, {"request_line": 0}, 414), (field_line, {"field_size": 0}, 431)],
)
def test_the_head_bounds_lines_without_a_limit(
    make: Callable[[int], bytes], limits: dict[str, int], status: int, run: Callable[..., Any]
) -> None:
    bounds = replace(Limits(), head=1000, **limits)
    requests, ending = run(RequestParser(bounds), [make(1001)], False)
    assert (requests, ending) == ([], f"{status} head longer than 1000 bytes")


def test_a_line_without_end_is_refused_when_it_is_too_long_and_not_before(run: Callable[..., Any]) -> None:
    limits = replace(Limits(), request_line=20)
    assert run(RequestParser(limits), [b"G" * 20], False) == ([], "need data")
    assert run(RequestParser(limits), [b"G" * 20 + b"\r"], False) == ([], "need data")
    assert run(RequestParser(limits), [b"G" * 21], False)[1].startswith("414 ")


def test_the_length_comes_before_the_content(run: Callable[..., Any]) -> None:
    limits = replace(Limits(), request_line=20, field_size=20)
    assert run(RequestParser(limits), [b"G" + b"\0" * 20 + b"\r\n"], False)[1].startswith("414 ")
    assert run(RequestParser(limits), [HEAD + b"A" + b"\0" * 20 + b"\n"], False)[1].startswith("431 ")


@pytest.mark.parametrize(
    "size", [b"1000000000000000", b"4000000000000001", b"ffffffffffffffff", b"8000000000000000"]
)
def test_a_chunk_can_be_too_large_for_no_limit(size: bytes, run: Callable[..., Any]) -> None:
    requests, ending = run(RequestParser(Limits(body=0)), [CHUNKED + size + b"\r\nx"], False)
    assert ending.startswith("413 chunked body larger than")
    assert requests[0]["body"] == b""


@pytest.mark.parametrize(
    "length", [b"1" + b"0" * 18, b"9223372036854775808", b"18446744073709551621", b"9" * 60]
)
def test_a_length_can_be_too_large_for_no_limit(length: bytes, run: Callable[..., Any]) -> None:
    wire = HEAD + b"Content-Length: " + length + b"\r\n\r\n"
    assert run(RequestParser(Limits(body=0)), [wire], False)[1].startswith("413 announced body larger than")


def test_a_large_length_needs_no_limit(run: Callable[..., Any]) -> None:
    wire = HEAD + b"Content-Length: 999999999999999999\r\n\r\nx"
    requests, ending = run(RequestParser(Limits(body=0)), [wire], False)
    assert (requests[0]["content_length"], requests[0]["body"], ending) == (10**18 - 1, b"x", "need data")
    wire = CHUNKED + b"0ffffffffffffff\r\nx"
    requests, ending = run(RequestParser(Limits(body=0)), [wire], False)
    assert (requests[0]["body"], ending) == (b"x", "need data")


def test_limits_are_for_each_request_anew(run: Callable[..., Any]) -> None:
    head = CHUNKED.replace(b" / ", b" /long-enough-for-the-least-head ")
    wire = head + b"1;aa\r\nx\r\n0\r\nA: b\r\n\r\n"
    limits = replace(
        Limits(), body=1, chunk_extensions=3, trailers=1, fields=2, head=len(head), empty_lines=1
    )
    requests, ending = run(RequestParser(limits), [(b"\r\n" + wire) * 5], False)
    assert [request["complete"] for request in requests] == [True] * 5
    assert ending == "need data"


def test_a_body_over_the_limit_is_refused_before_it_is_read(run: Callable[..., Any]) -> None:
    limits = replace(Limits(), body=10)
    assert run(RequestParser(limits), [HEAD + b"Content-Length: 11\r\n\r\n"], False)[1].startswith("413 ")
    assert run(RequestParser(limits), [CHUNKED + b"B\r\n"], False)[1].startswith("413 ")
    assert run(RequestParser(limits), [CHUNKED + b"9\r\nxxxxxxxxx\r\n2\r\n"], False)[1].startswith("413 ")


def test_defaults_are_gunicorns_where_gunicorn_has_the_limit() -> None:
    limits = Limits()
    assert (limits.request_line, limits.fields, limits.field_size) == (4094, 100, 8190)


@pytest.mark.parametrize("value", [-1, 2**62, 1.5, "1", None, True])
@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_limits_take_whole_numbers_only(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        Limits(**{name: value})  # type: ignore[arg-type]


def test_a_head_needs_some_room() -> None:
    assert Limits(head=64).head == 64
    with pytest.raises(ValueError, match="at least 64"):
        Limits(head=63)
