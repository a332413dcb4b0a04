"""Response heads: what an application may say, what becomes of it, and what never reaches the wire."""

import http.client
import io
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from portway.http.errors import LocalProtocolError
from portway.http.response import (
    CHUNKED,
    CONTINUE,
    LAST_CHUNK,
    LENGTH,
    NO_BODY,
    UNTIL_CLOSE,
    ResponseHead,
    compose_head,
    encode_chunk,
    error_page,
)
from portway.http.status import REASONS, status_line

DATE = b"Sun, 06 Nov 1994 08:49:37 GMT"
relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck))


def compose(
    status: Any = "200 OK",
    headers: Any = (),
    method: str = "GET",
    minor: int = 1,
    keep_alive: bool = True,
    length: int = 5,
    server: bytes = b"portway",
) -> ResponseHead:
    """Call compose_head with what is usual; `headers` may be a tuple for short."""
    if headers == ():
        headers = []
    return compose_head(status, headers, method, minor, keep_alive, length, DATE, server)


class Wire(io.BytesIO):
    """A socket to http.client."""

    def makefile(self, *_args: Any) -> "Wire":
        return self


def parse(data: bytes, method: str = "GET") -> http.client.HTTPResponse:
    """Read a response with the standard library's client."""
    response = http.client.HTTPResponse(Wire(data), method=method)  # type: ignore[arg-type]
    response.begin()
    return response


def test_the_whole_head() -> None:
    head = compose("200 OK", [("Content-Type", "text/plain"), ("X-Empty", "")])
    assert head.data == (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Empty: \r\nContent-Length: 5\r\n"
        b"Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nServer: portway\r\n\r\n"
    )
    assert (head.framing, head.content_length, head.keep_alive, head.status_code) == (LENGTH, 5, True, 200)


@pytest.mark.parametrize(
    ("status", "method", "minor", "length", "headers", "framing", "content_length", "keeps_open", "fields"),
    [
        ("200 OK", "GET", 1, 0, [], LENGTH, 0, True, {"content-length": "0"}),
        ("200 OK", "GET", 1, 5, [], LENGTH, 5, True, {"content-length": "5"}),
        ("200 OK", "GET", 1, -1, [], CHUNKED, -1, True, {"transfer-encoding": "chunked"}),
        ("200 OK", "GET", 0, -1, [], UNTIL_CLOSE, -1, False, {"connection": "close"}),
        ("200 OK", "GET", 0, 5, [], LENGTH, 5, True, {"content-length": "5", "connection": "keep-alive"}),
        ("200 OK", "GET", 1, -1, ["7"], LENGTH, 7, True, {"content-length": "7"}),
        ("200 OK", "GET", 1, -1, ["0"], LENGTH, 0, True, {"content-length": "0"}),
        ("200 OK", "GET", 0, -1, ["7"], LENGTH, 7, True, {"content-length": "7", "connection": "keep-alive"}),
        # The head says what the application announced; the gateway compares it with what it sends.
        ("200 OK", "GET", 1, 5, ["7"], LENGTH, 7, True, {"content-length": "7"}),
        ("200 OK", "HEAD", 1, 5, [], NO_BODY, -1, True, {}),
        ("200 OK", "HEAD", 1, -1, [], NO_BODY, -1, True, {}),
        ("200 OK", "HEAD", 1, 0, ["7"], NO_BODY, -1, True, {"content-length": "7"}),
        ("200 OK", "HEAD", 0, -1, [], NO_BODY, -1, True, {"connection": "keep-alive"}),
        ("304 Not Modified", "GET", 1, 0, [], NO_BODY, -1, True, {}),
        ("304 Not Modified", "GET", 1, -1, ["7"], NO_BODY, -1, True, {"content-length": "7"}),
        ("204 No Content", "GET", 1, 0, [], NO_BODY, -1, True, {}),
        ("204 No Content", "DELETE", 1, 0, ["0"], NO_BODY, -1, True, {}),
        ("204 No Content", "GET", 0, -1, [], NO_BODY, -1, True, {"connection": "keep-alive"}),
        ("101 Switching Protocols", "GET", 1, 0, ["0"], NO_BODY, -1, False, {"connection": "close"}),
        ("103 Early Hints", "GET", 1, -1, [], NO_BODY, -1, False, {"connection": "close"}),
        ("404 Not Found", "HEAD", 1, 9, [], NO_BODY, -1, True, {}),
        ("500 Oops", "POST", 1, -1, [], CHUNKED, -1, True, {"transfer-encoding": "chunked"}),
    ],
)
def test_framing(
    status: str,
    method: str,
    minor: int,
    length: int,
    headers: list[str],
    framing: int,
    content_length: int,
    keeps_open: bool,
    fields: dict[str, str],
) -> None:
    head = compose(status, [("Content-Length", value) for value in headers], method, minor, True, length)
    assert (head.framing, head.content_length, head.keep_alive) == (framing, content_length, keeps_open)
    lines = dict(line.split(": ", 1) for line in head.data.decode().lower().split("\r\n")[1:-2])
    assert {name: lines[name] for name in lines if name not in ("date", "server")} == fields


@pytest.mark.parametrize("minor", [0, 1])
@pytest.mark.parametrize("length", [-1, 5])
def test_close_is_said(minor: int, length: int) -> None:
    head = compose(minor=minor, keep_alive=False, length=length)
    assert head.data.count(b"Connection: close\r\n") == 1
    assert head.data.count(b"Connection") == 1
    assert head.keep_alive is False


def test_staying_open_is_said_to_old_clients_only() -> None:
    assert b"Connection" not in compose(minor=1).data
    assert compose(minor=0).data.count(b"Connection: keep-alive\r\n") == 1


def test_the_applications_date_and_server_take_the_place_of_ours() -> None:
    data = compose(headers=[("DATE", "Thu, 01 Jan 1970 00:00:00 GMT"), ("server", "other")]).data
    assert b"DATE: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in data
    assert b"server: other\r\n" in data
    assert DATE not in data
    assert b"portway" not in data


def test_no_server() -> None:
    assert b"Server" not in compose(server=b"").data


def test_fields_keep_their_order_case_and_number() -> None:
    data = compose(headers=[("Set-Cookie", "a=1"), ("x-B", "2"), ("Set-Cookie", "c=3")]).data
    assert b"\r\nSet-Cookie: a=1\r\nx-B: 2\r\nSet-Cookie: c=3\r\n" in data


@pytest.mark.parametrize("status", ["100 Continue", "200 OK", "299 Whatever", "599 Whatever"])
def test_status_codes(status: str) -> None:
    head = compose(status)
    assert (head.status_code, head.data.split(b"\r\n")[0]) == (
        int(status[:3]),
        b"HTTP/1.1 " + status.encode(),
    )


def test_values_are_latin_1() -> None:
    assert b"\r\nA: caf\xe9 \xff\tb\r\n" in compose(headers=[("A", "caf\xe9 \xff\tb")]).data


def test_a_reason_may_be_latin_1() -> None:
    assert compose("200 \xc7a va").data.startswith(b"HTTP/1.1 200 \xc7a va\r\n")


class Text(str):
    """A str that is not quite one."""

    def __str__(self) -> str:
        return "lies\r\n"


def test_subclasses_of_str_count_by_their_characters() -> None:
    head = compose(Text("200 OK"), [(Text("A"), Text("b")), (Text("Content-Length"), Text("5"))])
    assert head.data.startswith(b"HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 5\r\n")
    with pytest.raises(LocalProtocolError, match="hop-by-hop"):
        compose(headers=[(Text("Connection"), "close")])


@pytest.mark.parametrize(
    "status",
    [
        *(
            "",
            "2",
            "200",
            "200 ",
            "200OK",
            "20 OK",
            "2000 OK",
            " 200 OK",
            "200  OK",
            "200 OK ",
            "200\tOK",
            "abc OK",
        ),
        *(
            "200 OK\r\n",
            "200 O\rK",
            "200 O\nK",
            "200 OK\r\nA: b",
            "200 O\0K",
            "200 O\x7fK",
            "200 \u20ac",
            "\u0662\u0660\u0660 OK",
        ),
        *("099 Low", "600 High", "999 Higher", "-20 OK", "+20 OK", "2e2 OK", "\xb200 OK", "200 O\x85K\r"),
        *(b"200 OK", 200, None, ["200 OK"], ("200", "OK")),
    ],
)
def test_malformed_status(status: Any) -> None:
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match=r"^500 response status must be"):
            compose(status)


@pytest.mark.parametrize(
    "name", ["", "A B", "A:", "A\r\nB", "A\n", "A\0", "\xe4", "\u20ac", "(A)", "A,", '"A"', " A", "A "]
)
def test_malformed_name(name: str) -> None:
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="is not a token"):
            compose(headers=[(name, "b")])


@pytest.mark.parametrize(
    "value",
    [
        *(
            "\r\n",
            "\r",
            "\n",
            "b\r\nC: d",
            "b\rC: d",
            "b\nC: d",
            "b\r\n\r\n<script>",
            "\r\n folded",
            "\0",
            "b\0",
            "\x0b",
        ),
        *("\x1b[31m", "\x7f", "b\x01c", "\x1f", "x" * 70 + "\n", "\u20ac", "\u010d\u010a", "\ud800"),
    ],
)
@pytest.mark.parametrize("name", ["A", "Date", "Server", "Location", "Set-Cookie"])
def test_malformed_value(name: str, value: str) -> None:
    headers = [("First", "fine"), (name, value), ("Last", "fine")]
    with pytest.raises(LocalProtocolError, match=f"in the value of response header {name}") as caught:
        compose(headers=headers)
    assert caught.value.reason.isascii()
    assert caught.value.reason.isprintable()


def test_a_control_character_does_not_hide_behind_a_lost_content_length() -> None:
    with pytest.raises(LocalProtocolError):
        compose("204 No Content", [("Content-Length", "0"), ("A", "\r\n")])


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Connection",
            "connection",
            "CONNECTION",
            "Keep-Alive",
            "Proxy-Authenticate",
            "Proxy-Authorization",
        ),
        *("TE", "Trailer", "Trailers", "Transfer-Encoding", "transfer-encoding", "Upgrade"),
    ],
)
def test_hop_by_hop(name: str) -> None:
    with pytest.raises(LocalProtocolError, match="hop-by-hop"):
        compose(headers=[(name, "chunked")])


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            " ",
            "-1",
            "+5",
            "5 ",
            " 5",
            "5,5",
            "5, 5",
            "0x5",
            "five",
            "5.0",
            "5e0",
            "1_0",
            "\xb2",
            "\u0665",
        ),
        *("1" * 19, "5\r\n", "5\0"),
    ],
)
@pytest.mark.parametrize("status", ["200 OK", "204 No Content"])
def test_malformed_content_length(status: str, value: str) -> None:
    with pytest.raises(LocalProtocolError, match="is not a number of bytes"):
        compose(status, [("Content-Length", value)])


def test_content_length_has_bounds() -> None:
    assert compose(headers=[("Content-Length", "9" * 18)]).content_length == 10**18 - 1
    assert compose(headers=[("Content-Length", "0005")]).content_length == 5


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "304 Not Modified"])
@pytest.mark.parametrize(("first", "second"), [("5", "5"), ("5", "6"), ("0", "0"), ("0", "5")])
def test_two_content_lengths(status: str, first: str, second: str) -> None:
    with pytest.raises(LocalProtocolError, match="more than one Content-Length"):
        compose(status, [("Content-Length", first), ("content-length", second)])


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ((("A", "b"),), "response headers must be a list, not tuple"),
        ({"A": "b"}, "response headers must be a list, not dict"),
        (None, "response headers must be a list, not NoneType"),
        ("A: b", "response headers must be a list, not str"),
        ([["A", "b"]], "a response header must be a tuple (name, value), not \"['A', 'b']\""),
        (["AB"], "a response header must be a tuple (name, value), not \"'AB'\""),
        ([("A",)], "a response header must be a tuple (name, value), not \"('A',)\""),
        ([("A", "b", "c")], "a response header must be a tuple (name, value), not \"('A', 'b', 'c')\""),
        ([None], "a response header must be a tuple (name, value), not 'None'"),
        ([(b"A", "b")], "a response header's name must be a str, not bytes"),
        ([(None, "b")], "a response header's name must be a str, not NoneType"),
        ([("A", b"b")], "the value of response header A must be a str, not bytes"),
        ([("A", 5)], "the value of response header A must be a str, not int"),
        ([("Content-Length", 5)], "the value of response header Content-Length must be a str, not int"),
        ([("A", None)], "the value of response header A must be a str, not NoneType"),
        ([("A", ["b"])], "the value of response header A must be a str, not list"),
    ],
)
def test_wrong_types(headers: Any, reason: str) -> None:
    with pytest.raises(LocalProtocolError) as caught:
        compose_head("200 OK", headers, "GET", 1, True, 0, DATE, b"")
    assert (caught.value.status, caught.value.reason) == (500, reason)


def test_more_names_and_statuses_than_are_remembered() -> None:
    for number in range(3000):
        assert b"\r\nX-%d: y\r\n" % number in compose(headers=[(f"X-{number}", "y")]).data
        assert compose(f"200 Reason {number}").data.startswith(b"HTTP/1.1 200 Reason %d\r\n" % number)
    with pytest.raises(LocalProtocolError):
        compose(headers=[("connection", "close")])


TOKEN = st.text("abcXYZ019-!~", min_size=1, max_size=10).filter(
    lambda name: name.lower() not in ("te", "date", "server", "connection", "upgrade")
)
VALUE = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@relaxed
@given(
    code=st.integers(200, 599),
    reason=st.text("abc XYZ", min_size=1).map(str.strip).filter(bool),
    headers=st.lists(st.tuples(TOKEN.map("X-".__add__), VALUE), max_size=5),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
    minor=st.integers(0, 1),
    keep_alive=st.booleans(),
    body=st.binary(max_size=50),
    known=st.booleans(),
)
def test_a_client_reads_what_the_application_said(
    code: int,
    reason: str,
    headers: list[tuple[str, str]],
    method: str,
    minor: int,
    keep_alive: bool,
    body: bytes,
    known: bool,
) -> None:
    head = compose(f"{code} {reason}", headers, method, minor, keep_alive, len(body) if known else -1)
    sent = b""
    if head.framing == CHUNKED:
        sent = encode_chunk(body[:20]) + encode_chunk(body[20:]) + LAST_CHUNK
    elif head.framing != NO_BODY:
        sent = body
    response = parse(head.data + sent + (b"" if head.framing == UNTIL_CLOSE else b"HTTP/1.1 NEXT"), method)
    assert (response.status, response.reason) == (code, reason)
    assert [field for field in response.getheaders() if field[0].startswith("X-")] == headers
    assert response.read() == (b"" if head.framing == NO_BODY else body)
    assert (response.getheader("Connection") == "close") == (not head.keep_alive)
    assert head.keep_alive <= keep_alive


@relaxed
@given(
    status=st.one_of(st.text(max_size=10), st.text(max_size=6).map("200 ".__add__)),
    headers=st.lists(
        st.tuples(st.text(max_size=4), st.text(st.characters(max_codepoint=300), max_size=6)), max_size=3
    ),
)
def test_nothing_leaves_that_would_be_read_differently(status: str, headers: list[tuple[str, str]]) -> None:
    try:
        head = compose(status, headers)
    except LocalProtocolError:
        return
    lines = head.data.split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    assert lines[0] == b"HTTP/1.1 " + status.encode("latin-1")
    assert lines[1 : 1 + len(headers)] == [f"{name}: {value}".encode("latin-1") for name, value in headers]
    assert not any((byte < 32 and byte != 9) or byte == 127 for line in lines for byte in line)


def test_chunks() -> None:
    assert encode_chunk(b"x" * 26) == b"1a\r\n" + b"x" * 26 + b"\r\n"
    assert encode_chunk(b"") == b"", "an empty chunk would end the body"
    assert LAST_CHUNK == b"0\r\n\r\n"
    assert CONTINUE == b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("status", [code for code in REASONS if code >= 400])
def test_error_page(status: int) -> None:
    response = parse(error_page(status, True, DATE, b"portway"))
    assert (response.status, response.reason) == (status, REASONS[status])
    assert response.getheader("Content-Type") == "text/plain; charset=utf-8"
    assert response.read() == f"{status} {REASONS[status]}\n".encode()
    assert response.getheader("Connection") is None


def test_error_page_for_head_has_the_same_head() -> None:
    page = error_page(404, True, DATE, b"portway")
    assert error_page(404, True, DATE, b"portway", head_only=True) == page[: page.index(b"\r\n\r\n") + 4]


def test_error_page_that_closes() -> None:
    response = parse(error_page(400, False, DATE, b"", extra=[("Retry-After", "1")]))
    assert (response.getheader("Connection"), response.getheader("Server")) == ("close", None)
    assert response.getheader("Retry-After") == "1"


def test_error_page_of_a_status_without_a_page() -> None:
    with pytest.raises(KeyError):
        error_page(299, True, DATE, b"")


def test_error_page_checks_what_is_added() -> None:
    with pytest.raises(LocalProtocolError):
        error_page(405, True, DATE, b"", extra=[("Allow", "GET\r\nA: b")])


def test_status_lines() -> None:
    assert status_line(413) == b"HTTP/1.1 413 Content Too Large\r\n"
    assert all(100 <= code <= 599 for code in REASONS)


def test_a_head_says_what_it_is() -> None:
    assert repr(compose()) == "<ResponseHead 200 framing=1 keep_alive=True>"
