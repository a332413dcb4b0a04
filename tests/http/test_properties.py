"""Properties that hold for any bytes and any requests, tried with many of both."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from portway.http import grammar
from portway.http.limits import Limits
from portway.http.parser import RequestParser

pytestmark = pytest.mark.timeout(300)
relaxed = settings(deadline=None, suppress_health_check=list(HealthCheck))

# Small enough for hypothesis to reach them.
LIMITS = replace(
    Limits(), request_line=60, fields=4, field_size=40, head=160, empty_lines=2, body=30, chunk_line=20,
    chunk_extensions=24, trailers=2,
)  # fmt: skip

# What a hostile client would build its bytes from.
FRAGMENTS = st.sampled_from(
    [
        *(
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"\t",
            b":",
            b",",
            b";",
            b"\0",
            b"\x0b",
            b"\x80",
            b"#",
            b"?",
            b"%",
            b"=",
            b'"',
        ),
        *(
            b"GET ",
            b"POST ",
            b"OPTIONS ",
            b"/",
            b"*",
            b"http://",
            b" HTTP/1.1\r\n",
            b" HTTP/1.0\r\n",
            b" HTTP/2.0\r\n",
        ),
        *(
            b"GET / HTTP/1.1\r\n",
            b"POST / HTTP/1.1\r\n",
            b"Host: a\r\n",
            b"Host: a:8\r\n",
            b"Host: [::1]\r\n",
            b"Host",
        ),
        *(
            b"Content-Length: 5\r\n",
            b"Content-Length: 0\r\n",
            b"Content-Length: ",
            b"Transfer-Encoding: chunked\r\n",
        ),
        *(
            b"Transfer-Encoding",
            b"chunked",
            b"Connection: close\r\n",
            b"Connection: keep-alive\r\n",
            b"Expect: ",
        ),
        *(
            b"100-continue",
            b"X_Y: z\r\n",
            b"\r\n\r\n",
            b"0\r\n\r\n",
            b"5\r\nhello\r\n",
            b"5",
            b"f",
            b"0",
            b"hello",
            b"A: b\r\n",
        ),
        *(
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        ),
    ]
)
HOSTILE = st.one_of(
    st.binary(max_size=200),
    st.lists(st.one_of(FRAGMENTS, FRAGMENTS, FRAGMENTS, st.binary(max_size=3)), max_size=30).map(b"".join),
)


@st.composite
def cut(draw: st.DrawFn, data: bytes) -> list[bytes]:
    """Return the data in pieces."""
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=12)))
    return [
        data[start:end] for start, end in zip([0, *places], [*places, len(data)], strict=True) if start < end
    ]


TOKENS = st.binary(min_size=1, max_size=12).map(
    lambda raw: bytes(grammar.members(grammar.TOKEN)[byte % 77] for byte in raw)
)
NAMES = TOKENS.filter(
    lambda name: (
        b"_" not in name
        and name.lower() not in (b"host", b"content-length", b"transfer-encoding", b"connection", b"expect")
    )
)
VALUES = st.binary(max_size=30).map(
    lambda raw: bytes(byte for byte in raw if grammar.VALUE[byte]).strip(b" \t")
)
TARGETS = st.binary(max_size=30).map(lambda raw: b"/" + bytes(byte for byte in raw if grammar.TARGET[byte]))


@st.composite
def messages(draw: st.DrawFn) -> tuple[dict[str, Any], bytes]:
    """Return a request as a client means it, and its bytes."""
    method = draw(TOKENS.filter(lambda name: name != b"CONNECT"))
    target = draw(TARGETS)
    fields = [(b"Host", b"example.org"), *draw(st.lists(st.tuples(NAMES, VALUES), max_size=5))]
    body = draw(st.binary(max_size=60))
    trailers: list[tuple[bytes, bytes]] = []
    if not draw(st.booleans()):
        framing, sent = (b"Content-Length", b"%d" % len(body)), body
    else:
        framing, sent, left = (b"Transfer-Encoding", b"chunked"), b"", body
        while left:
            size = draw(st.integers(1, len(left)))
            sent += b"%x%b\r\n%b\r\n" % (
                size,
                draw(st.sampled_from([b"", b";a", b' ; a="b;c"'])),
                left[:size],
            )
            left = left[size:]
        trailers = [
            (b"X-" + name, value) for name, value in draw(st.lists(st.tuples(NAMES, VALUES), max_size=2))
        ]
        trailers = [field for field in trailers if not field[0].lower().startswith((b"x-forw", b"x-real"))]
        sent += b"0\r\n" + b"".join(b"%b:%b\r\n" % field for field in trailers) + b"\r\n"
    fields.insert(draw(st.integers(0, len(fields))), framing)
    padding = st.sampled_from([b"", b" ", b"\t", b" \t "])
    lines = b"".join(b"%b:%b%b%b\r\n" % (name, draw(padding), value, draw(padding)) for name, value in fields)

    def text(pairs: list[tuple[bytes, bytes]]) -> list[tuple[str, str]]:
        return [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in pairs]

    meant = {
        "method": method.decode(),
        "target": target.decode("latin-1"),
        "fields": text(fields),
        "body": body,
        "trailers": text(trailers),
        "complete": True,
    }
    return meant, b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, target, lines, sent)


@relaxed
@given(data=st.data(), wire=HOSTILE, eof=st.booleans())
@example(data=None, wire=b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", eof=True)
def test_any_bytes_give_the_same_however_they_are_cut(
    run: Callable[..., Any], data: Any, wire: bytes, eof: bool
) -> None:
    """Also: any bytes give events or a ProtocolError, because nothing else is caught."""
    pieces = data.draw(cut(wire)) if data is not None else [wire[:5], wire[5:]]
    for limits in (Limits(), LIMITS):
        whole = run(RequestParser(limits), [wire], eof)
        assert run(RequestParser(limits), pieces, eof) == whole
        assert run(RequestParser(limits), [wire[i : i + 1] for i in range(len(wire))], eof) == whole


@relaxed
@given(data=st.data())
def test_a_damaged_request_gives_the_same_however_it_is_cut(
    run: Callable[..., Any], corpus: list[bytes], data: Any
) -> None:
    wire = bytearray(data.draw(st.sampled_from(corpus)))
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(wire)))
        wire[place : place + data.draw(st.integers(0, 2))] = data.draw(
            st.one_of(FRAGMENTS, st.binary(max_size=2))
        )
    whole = run(RequestParser(LIMITS), [bytes(wire)], True)
    assert run(RequestParser(LIMITS), data.draw(cut(bytes(wire))), True) == whole
    assert run(RequestParser(LIMITS), [bytes([byte]) for byte in wire], True) == whole


@relaxed
@given(data=st.data(), sent=st.lists(messages(), min_size=1, max_size=3))
def test_what_a_client_means_is_what_is_read(run: Callable[..., Any], data: Any, sent: Any) -> None:
    wire = b"".join(message[1] for message in sent)
    requests, ending = run(RequestParser(Limits()), data.draw(cut(wire)), False)
    assert ending == "need data"
    assert len(requests) == len(sent)
    for request, (meant, _) in zip(requests, sent, strict=True):
        assert {name: request[name] for name in meant} == meant
        path, _, query = meant["target"].partition("?")
        assert (request["path"], request["query"]) == (path, query)


@relaxed
@given(wire=HOSTILE)
def test_nothing_with_a_control_character_gets_through(run: Callable[..., Any], wire: bytes) -> None:
    requests, _ = run(RequestParser(Limits()), [wire], True)
    for request in requests:
        strings = [request["method"], request["target"], request["path"], request["query"], request["host"]]
        for name, value in (*request["fields"], *request["trailers"]):
            assert name == name.lower() and "_" not in name  # noqa: PT018
            assert value == value.strip(" \t")
            strings += [name, value]
        for string in strings:
            assert not any((ord(letter) < 32 and letter != "\t") or ord(letter) == 127 for letter in string)
        assert " " not in request["target"] + request["method"] + request["host"]
        assert len(request["body"]) <= max(request["content_length"], 0) or request["chunked"]
