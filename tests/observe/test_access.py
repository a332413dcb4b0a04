"""The access log: every atom, what is escaped, and what is refused as a format."""

import base64
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.observe.access import DEFAULT_FORMAT, AccessLog, AccessRecord, check_format, escape

STARTED = 1_767_261_600.9  # 2026-01-01 10:00:00.9 UTC


def record(**changed: Any) -> AccessRecord:
    values: dict[str, Any] = {
        "method": "GET",
        "target": "/posts/caf%C3%A9/?page=2",
        "path": "/posts/caf%C3%A9/",
        "query": "page=2",
        "http_minor": 1,
        "status": 200,
        "body_bytes": 5120,
        "remote_addr": "192.0.2.7",
        "fields": [("host", "example.org"), ("referer", "http://example.org/"), ("user-agent", "curl/8")],
        "response_fields": [("Content-Type", "text/html"), ("X-Request-ID", "r-1")],
        "environ": {"REMOTE_ADDR": "192.0.2.7", "wsgi.url_scheme": "https", "app.user": 42},
        "started": STARTED,
        "duration": 1.234567,
        "queued": 0.25,
    }
    return AccessRecord(**{**values, **changed})


def line(form: str, **changed: Any) -> str:
    return AccessLog(form, lambda text: None).line(record(**changed))


@pytest.fixture
def in_utc(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def basic(text: str) -> list[tuple[str, str]]:
    return [("authorization", "Basic " + base64.b64encode(text.encode()).decode())]


@pytest.mark.usefixtures("in_utc")
def test_the_default_format_is_the_combined_one() -> None:
    written: list[str] = []
    AccessLog(DEFAULT_FORMAT, written.append).log(record())
    assert written == [
        (
            '192.0.2.7 - - [01/Jan/2026:10:00:00 +0000] "GET /posts/caf%C3%A9/?page=2 HTTP/1.1" 200 5120 '
            '"http://example.org/" "curl/8"\n'
        )
    ]


@pytest.mark.usefixtures("in_utc")
@pytest.mark.parametrize(
    ("atom", "text"),
    [
        ("h", "192.0.2.7"),
        ("l", "-"),
        ("u", "-"),
        ("t", "[01/Jan/2026:10:00:00 +0000]"),
        ("r", "GET /posts/caf%C3%A9/?page=2 HTTP/1.1"),
        ("s", "200"),
        ("m", "GET"),
        ("U", "/posts/caf%C3%A9/"),
        ("q", "page=2"),
        ("H", "HTTP/1.1"),
        ("b", "5120"),
        ("B", "5120"),
        ("f", "http://example.org/"),
        ("a", "curl/8"),
        ("T", "1"),
        ("D", "1234567"),
        ("M", "1234"),
        ("L", "1.234567"),
        ("p", "<PID>"),
        ("{host}i", "example.org"),
        ("{User-Agent}i", "curl/8"),
        ("{x-gone}i", "-"),
        ("{content-type}o", "text/html"),
        ("{X-Request-ID}o", "r-1"),
        ("{x-gone}o", "-"),
        ("{REMOTE_ADDR}e", "192.0.2.7"),
        ("{remote_addr}e", "192.0.2.7"),
        ("{wsgi.url_scheme}e", "https"),
        ("{app.user}e", "42"),
        ("{GONE}e", "-"),
    ],
)
def test_each_atom(atom: str, text: str) -> None:
    text = text.replace("PID", str(os.getpid()))
    assert line(f"%({atom})s") == text
    assert line(f'"%({atom})s"') == f'"{text}"'


def test_forms_of_printf() -> None:
    assert line("%(s)d %(D)d %(b)8s|%(m)-6s|%(T)03d 100%%") == "200 1234567     5120|GET   |001 100%"


def test_a_format_may_have_tabs_and_words() -> None:
    assert line("took\t%(T)ss") == "took\t1s"


@pytest.mark.usefixtures("in_utc")
def test_the_time_follows_the_record() -> None:
    log = AccessLog("%(t)s", lambda text: None)
    assert log.line(record()) == log.line(record(started=STARTED + 0.05)) == "[01/Jan/2026:10:00:00 +0000]"
    assert log.line(record(started=STARTED + 1)) == "[01/Jan/2026:10:00:01 +0000]"
    assert log.line(record()) == "[01/Jan/2026:10:00:00 +0000]"


def test_a_request_without_a_request_line() -> None:
    bad = {"method": "", "target": "", "path": "", "query": "", "fields": [], "environ": None}
    assert line('"%(r)s" %(m)s %(U)s %(f)s "%(a)s" %(q)s %({X}e)s', **bad) == '"-" - - - "-" - -'


def test_a_client_on_a_unix_socket_has_no_address() -> None:
    assert line("%(h)s", remote_addr="") == "-"


@pytest.mark.parametrize(
    ("fields", "user"),
    [
        (basic("ada:secret"), "ada"),
        (basic("ada"), "ada"),
        (basic(":secret"), "-"),
        (basic("a b"), "a\\x20b"),
        (basic('ada" "x'), 'ada\\"\\x20\\"x'),
        (basic("ada\nroot"), "ada\\x0aroot"),
        ([("authorization", "basic " + base64.b64encode(b"ada:x").decode())], "ada"),
        ([("authorization", "Basic !!!")], "-"),
        ([("authorization", "Basic " + base64.b64encode(b"\xff\xfe").decode())], "-"),
        ([("authorization", "Bearer abc")], "-"),
        ([("authorization", "")], "-"),
    ],
)
def test_the_user_of_basic_authentication(fields: list[tuple[str, str]], user: str) -> None:
    assert line("%(u)s", fields=fields) == user


def test_a_password_is_not_logged() -> None:
    assert "secret" not in line(DEFAULT_FORMAT, fields=basic("ada:secret"))


@pytest.mark.parametrize(
    ("value", "escaped"),
    [
        ("plain", "plain"),
        ('a"b', 'a\\"b'),
        ("a\\b", "a\\\\b"),
        ("a\nb", "a\\x0ab"),
        ("a\r\nb", "a\\x0d\\x0ab"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\x00\x7f\x85\xa0", "\\x00\\x7f\\x85\\xa0"),
        ("caf\xe9", "caf\xe9"),
        ("\u2028", "\\u2028"),
        ("\udc80", "\\udc80"),
        ("\U000e0001", "\\U000e0001"),
        ("\u202e", "\\u202e"),
    ],
)
def test_escaping(value: str, escaped: str) -> None:
    assert escape(value) == escaped


@given(st.text())
def test_nothing_that_is_escaped_ends_a_line_or_a_quotation(value: str) -> None:
    escaped = escape(value)
    assert escaped.isprintable()
    assert len(escaped.splitlines()) <= 1
    without_pairs = escaped.replace("\\\\", "").replace('\\"', "")
    assert '"' not in without_pairs


@given(st.lists(st.text(), min_size=6, max_size=6))
def test_nothing_a_client_sends_makes_another_field(values: list[str]) -> None:
    method, target, path, referer, agent, user = values
    changed = {
        "method": method or "GET",
        "target": target.replace(" ", ""),
        "path": path,
        "fields": [*basic(user), ("referer", referer), ("user-agent", agent), ("x", agent)],
        "response_fields": [("x", referer)],
        "environ": {"x": user},
    }
    text = line("%(h)s %(u)s %(m)s %(f)s %(a)s %({x}i)s %({x}o)s %({x}e)s %(s)s", **changed)
    assert len(text.split(" ")) == 9
    assert text.endswith(" 200")


def test_an_object_of_the_applications_that_cannot_be_written() -> None:
    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert line("%({x}e)s", environ={"x": Bad()}) == "-"


@pytest.mark.parametrize(
    ("form", "part"),
    [
        ("%(z)s", "%(z)s is no atom: the atoms are h l u t r"),
        ("%()s", "is no atom"),
        ("%({x}z)s", "is no atom"),
        ("%({}i)s", "is no atom"),
        ("%h %l", "'%h %l' is no atom: an atom is written %(h)s"),
        ("%(h)s %", "'%' is no atom"),
        ("%(h)", "is no atom"),
        ("%(h)d", "%(h)d is not allowed: write %(h)s"),
        ("%(s)f", "%(s)f is not allowed: write %(s)s"),
        ("%(r)r", "write %(r)s"),
        ("%(h)s\n%(s)s", "one line"),
        ("%(h)s\x1b", "one line"),
        ("", "format of the access log"),
        (" ", "format of the access log"),
        (None, "format of the access log"),
        (3, "format of the access log"),
    ],
)
def test_a_bad_format_is_refused_with_a_reason(form: Any, part: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_format(form)
    assert part in str(caught.value)


def test_a_good_format_is_returned() -> None:
    assert check_format(DEFAULT_FORMAT) == DEFAULT_FORMAT


def test_it_takes_whatever_has_the_attributes() -> None:
    """The worker may hand over its own object instead of an AccessRecord."""

    class Exchange:
        method, target, path, query, http_minor = "PUT", "/x", "/x", "", 0
        status, body_bytes, remote_addr = 201, 0, "::1"
        fields: tuple[tuple[str, str], ...] = ()
        response_fields: tuple[tuple[str, str], ...] = ()
        environ = None
        started, duration = STARTED, 0.0

    write: Callable[[str], None] = lambda text: None  # noqa: E731
    assert AccessLog('%(h)s "%(r)s" %(s)s %(b)s', write).line(Exchange()) == '::1 "PUT /x HTTP/1.0" 201 0'


def test_the_time_in_the_queue() -> None:
    assert line("%({queue}x)s") == "0.250000"
    assert line('"%({queue}x)10s"', queued=1.5) == '"  1.500000"'


@pytest.mark.parametrize("wrong", ["%({queue}x)d", "%({nothing}x)s", "%({queue}y)s"])
def test_what_was_not_measured_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match=r"is (no atom|not allowed)"):
        check_format(wrong)
