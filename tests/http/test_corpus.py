"""Every case of the wire corpus, fed in every way."""

from collections.abc import Callable
from typing import Any

from portway.http.parser import RequestParser


def test_valid(valid_case: Any, parse: Callable[..., Any]) -> None:
    (requests, ending), (same_requests, ending_at_eof) = parse(RequestParser, valid_case.wire)
    expected = valid_case.expected["requests"]
    assert len(requests) == len(expected)
    for request, attributes in zip(requests, expected, strict=True):
        assert request["complete"]
        for name, value in attributes.items():
            if name in ("fields", "trailers"):
                value = [tuple(field) for field in value]
            elif name == "dropped":
                value = tuple(value)
            elif name == "body":
                value = value.encode("latin-1")
            assert (name, request[name]) == (name, value)
    assert ending == ("closed" if valid_case.expected.get("closed") else "need data")
    assert ending_at_eof == "closed"
    assert same_requests == requests


def test_invalid(invalid_case: Any, parse: Callable[..., Any]) -> None:
    (requests, ending), with_eof = parse(RequestParser, invalid_case.wire)
    status, _, reason = ending.partition(" ")
    assert status == str(invalid_case.expected["status"]), ending
    assert with_eof == (requests, ending)
    assert reason == invalid_case.expected.get("reason", reason)
    assert reason.isascii()
    assert reason.isprintable()
    assert len(reason) < 200
    complete = [request for request in requests if request["complete"]]
    assert len(complete) == invalid_case.expected.get("requests", 0)
