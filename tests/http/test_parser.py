"""The RequestParser as its callers use it: the order of events, what it says about itself, where it stops."""

from collections.abc import Callable
from typing import Any

import pytest

from portway.http.errors import LocalProtocolError, RemoteProtocolError
from portway.http.events import CONNECTION_CLOSED, END_OF_MESSAGE, NEED_DATA, PAUSED
from portway.http.limits import Limits
from portway.http.parser import RequestParser
from portway.http.request import Request

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture
def parser() -> RequestParser:
    return RequestParser(Limits())


def test_nothing_was_received(parser: RequestParser) -> None:
    assert parser.next_event() is NEED_DATA
    assert (parser.buffered, parser.in_head, parser.trailers) == (0, False, [])


def test_a_request_without_a_body_pauses_at_once(parser: RequestParser) -> None:
    parser.receive_data(GET)
    assert isinstance(parser.next_event(), Request)
    assert parser.next_event() is PAUSED
    assert parser.next_event() is PAUSED
    parser.start_next_cycle()
    assert parser.next_event() is NEED_DATA


def test_a_body_ends_and_pauses(parser: RequestParser) -> None:
    parser.receive_data(POST + b"hel")
    request = parser.next_event()
    assert isinstance(request, Request)
    assert (request.has_body, request.content_length) == (True, 5)
    assert [parser.next_event(), parser.next_event()] == [b"hel", NEED_DATA]
    parser.receive_data(b"lo")
    assert [parser.next_event() for _ in range(4)] == [b"lo", END_OF_MESSAGE, PAUSED, PAUSED]


def test_a_chunked_body_ends_and_pauses(parser: RequestParser) -> None:
    parser.receive_data(CHUNKED + b"3\r\nabc\r\n2\r\nde\r\n0\r\nA: b\r\n\r")
    parser.next_event()
    assert [parser.next_event() for _ in range(3)] == [b"abc", b"de", NEED_DATA]
    parser.receive_data(b"\n")
    assert [parser.next_event(), parser.next_event()] == [END_OF_MESSAGE, PAUSED]
    assert parser.trailers == [("a", "b")]


def test_pipelined_requests_wait_in_the_buffer(parser: RequestParser) -> None:
    parser.receive_data(GET + POST + b"hello" + GET[:10])
    parser.next_event()
    assert parser.buffered == len(POST) + 5 + 10
    parser.start_next_cycle()
    assert isinstance(parser.next_event(), Request)
    assert [parser.next_event(), parser.next_event(), parser.next_event()] == [
        b"hello",
        END_OF_MESSAGE,
        PAUSED,
    ]
    parser.receive_data(GET[10:])
    assert (parser.next_event(), parser.buffered) == (PAUSED, len(GET))
    parser.start_next_cycle()
    assert isinstance(parser.next_event(), Request)
    assert parser.buffered == 0


def test_a_body_that_arrives_alone_is_not_copied(parser: RequestParser) -> None:
    for head, body in ((POST, b"hello"), (CHUNKED + b"5\r\n", b"hello")):
        piece = bytes(bytearray(body))
        parser.receive_data(head)
        parser.next_event()
        assert parser.next_event() is NEED_DATA
        parser.receive_data(piece)
        assert parser.next_event() is piece
        parser.receive_data(b"\r\n0\r\n\r\n" if head is not POST else b"\r\n")
        assert parser.next_event() is END_OF_MESSAGE
        parser.start_next_cycle()


def test_a_piece_of_body_never_reaches_into_what_follows(parser: RequestParser) -> None:
    parser.receive_data(POST + b"helloGET")
    parser.next_event()
    assert [parser.next_event(), parser.next_event(), parser.buffered] == [b"hello", END_OF_MESSAGE, 3]


@pytest.mark.parametrize(
    ("received", "in_head"),
    [
        (b"", False),
        (b"\r\n", False),
        (b"\r", True),
        (b"G", True),
        (b"GET / HTTP/1.1\r\n", True),
        (b"GET / HTTP/1.1\r\nHost: a\r\n", True),
        (GET, False),
        (POST, False),
        (POST + b"hello" + GET, False),
    ],
)
def test_in_head(parser: RequestParser, received: bytes, in_head: bool) -> None:
    parser.receive_data(received) if received else None
    parser.next_event()
    assert parser.in_head is in_head


def test_the_next_head_begins_with_its_first_byte(parser: RequestParser) -> None:
    parser.receive_data(GET + b"G")
    parser.next_event()
    assert parser.in_head is False
    parser.start_next_cycle()
    assert parser.in_head is True
    assert parser.next_event() is NEED_DATA
    assert parser.in_head is True


@pytest.mark.parametrize(
    "received", [b"", GET[:1], GET[:-1], GET[:20], POST, POST + b"hell", CHUNKED + b"1\r\nx"]
)
def test_the_next_cycle_needs_the_end_of_this_one(parser: RequestParser, received: bytes) -> None:
    if received:
        parser.receive_data(received)
    while parser.next_event() is not NEED_DATA:
        pass
    with pytest.raises(LocalProtocolError, match="before the request was complete"):
        parser.start_next_cycle()


@pytest.mark.parametrize(
    ("received", "reason"),
    [
        (b"\r", "head"),
        (b"G", "head"),
        (b"GET / HTTP/1.1\r\n", "head"),
        (GET[:-2], "head"),
        (GET[:-1], "head"),
        (POST, "body"),
        (POST + b"hell", "body"),
        (CHUNKED, "body"),
        (CHUNKED + b"5", "body"),
        (CHUNKED + b"5\r\nhell", "body"),
        (CHUNKED + b"5\r\nhello", "body"),
        (CHUNKED + b"5\r\nhello\r\n", "body"),
        (CHUNKED + b"0\r\n", "body"),
        (CHUNKED + b"0\r\nA: b\r\n", "body"),
    ],
)
def test_the_end_in_the_middle(parse: Callable[..., Any], received: bytes, reason: str) -> None:
    (_, ending), (requests, ending_at_eof) = parse(RequestParser, received)
    assert ending == "need data"
    assert ending_at_eof == f"400 connection closed in the middle of a {reason}"
    assert not any(request["complete"] for request in requests)


def test_the_end_between_requests(parser: RequestParser) -> None:
    parser.receive_data(GET)
    parser.receive_data(b"")
    assert isinstance(parser.next_event(), Request)
    assert parser.next_event() is PAUSED
    parser.start_next_cycle()
    assert [parser.next_event(), parser.next_event()] == [CONNECTION_CLOSED, CONNECTION_CLOSED]


def test_the_end_after_an_empty_line(parser: RequestParser) -> None:
    parser.receive_data(b"\r\n")
    parser.receive_data(b"")
    assert [parser.next_event(), parser.next_event()] == [CONNECTION_CLOSED, CONNECTION_CLOSED]


def test_the_end_comes_after_what_was_received_before_it(parser: RequestParser) -> None:
    parser.receive_data(POST + b"hello" + GET)
    parser.receive_data(b"")
    assert isinstance(parser.next_event(), Request)
    assert [parser.next_event(), parser.next_event()] == [b"hello", END_OF_MESSAGE]
    parser.start_next_cycle()
    assert isinstance(parser.next_event(), Request)


def test_after_close_nothing_is_kept(parser: RequestParser) -> None:
    parser.receive_data(GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n") + GET)
    parser.next_event()
    parser.start_next_cycle()
    assert (parser.next_event(), parser.buffered, parser.in_head) == (CONNECTION_CLOSED, 0, False)


@pytest.mark.parametrize("received", [b"GET /\r\n", GET + b"\0", POST + b"hello\n", CHUNKED + b"x\r\n"])
def test_a_failed_parser_stays_failed(parser: RequestParser, received: bytes) -> None:
    parser.receive_data(received)
    errors = []
    while not errors:
        try:
            if parser.next_event() is PAUSED:
                parser.start_next_cycle()
        except RemoteProtocolError as error:
            errors.append(error)
    parser.receive_data(GET)
    for _ in range(2):
        with pytest.raises(RemoteProtocolError) as caught:
            parser.next_event()
        errors.append(caught.value)
    parser.receive_data(b"")
    with pytest.raises(RemoteProtocolError) as caught:
        parser.next_event()
    errors.append(caught.value)
    assert {(error.status, error.reason) for error in errors} == {(400, errors[0].reason)}
    assert len({id(error) for error in errors}) == 4, "a traceback would grow with every raise"
    with pytest.raises(LocalProtocolError):
        parser.start_next_cycle()


def test_trailers_are_of_the_current_request(parser: RequestParser) -> None:
    parser.receive_data(CHUNKED + b"0\r\nA: 1\r\n\r\n" + CHUNKED + b"0\r\nB: 2\r\n\r\n" + GET)
    parser.next_event()
    assert parser.next_event() is END_OF_MESSAGE
    first = parser.trailers
    parser.start_next_cycle()
    parser.next_event()
    assert parser.next_event() is END_OF_MESSAGE
    assert (first, parser.trailers) == ([("a", "1")], [("b", "2")])
    parser.start_next_cycle()
    parser.next_event()
    assert parser.trailers == []


def test_requests_share_nothing_that_changes(parser: RequestParser) -> None:
    parser.receive_data(GET + GET)
    first = parser.next_event()
    parser.start_next_cycle()
    second = parser.next_event()
    assert isinstance(first, Request)
    assert isinstance(second, Request)
    assert first.fields is not second.fields


def test_parsers_share_nothing_but_names() -> None:
    one, other = RequestParser(Limits()), RequestParser(Limits())
    one.receive_data(b"GET /one HTTP/1.1\r\nHost: one\r\n")
    other.receive_data(b"GET /other HTTP/1.1\r\nHost: other\r\n")
    assert [one.next_event(), other.next_event()] == [NEED_DATA, NEED_DATA]
    one.receive_data(b"\r\n")
    other.receive_data(b"\r\n")
    assert [getattr(parser.next_event(), "host", None) for parser in (one, other)] == ["one", "other"]


def test_many_names_push_each_other_out_of_the_cache_and_nothing_changes() -> None:
    names = [f"X-{number:x}-{'y' * (number % 70)}" for number in range(5000)]
    limits = Limits(fields=0, head=2**20)
    wire = b"GET / HTTP/1.1\r\nHost: a\r\n%b\r\n" % b"".join(b"%b: v\r\n" % name.encode() for name in names)
    for _ in range(2):
        parser = RequestParser(limits)
        parser.receive_data(wire)
        request = parser.next_event()
        assert isinstance(request, Request)
        assert request.fields == [("host", "a"), *((name.lower(), "v") for name in names)]


def test_a_request_can_be_made_for_a_test() -> None:
    request = Request("GET", "/a?b", "/a", "b", fields=[("host", "c")], host="c")
    assert (request.method, request.http_minor, request.keep_alive, request.has_body) == (
        "GET",
        1,
        True,
        False,
    )
    assert (request.fields, request.dropped, request.content_length) == ([("host", "c")], (), -1)
    assert repr(request) == "<Request GET /a?b HTTP/1.1>"
    assert Request("POST", "/", "/", content_length=1).has_body is True
    assert Request("POST", "/", "/", content_length=0).has_body is False
    assert Request("POST", "/", "/", chunked=True).has_body is True
    assert Request("GET", "/", "/").fields is not Request("GET", "/", "/").fields


def test_a_parser_says_what_it_is_doing(parser: RequestParser) -> None:
    assert repr(parser) == "<RequestParser state=0 buffered=0>"


def test_an_error_is_one_short_printable_line() -> None:
    parser = RequestParser(Limits())
    parser.receive_data(b"GET / HTTP/1.1\r\nHost: " + b"\xff\x9b'\"\\" * 500 + b"\r\n")
    with pytest.raises(RemoteProtocolError) as caught:
        parser.next_event()
    assert str(caught.value) == f"{caught.value.status} {caught.value.reason}"
    assert caught.value.reason.isascii()
    assert caught.value.reason.isprintable()
    assert len(caught.value.reason) < 250
