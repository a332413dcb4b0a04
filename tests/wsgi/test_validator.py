"""wsgiref.validate between the gateway and sample applications: neither side breaks PEP 3333."""

import io
import sys
import warnings
from wsgiref.simple_server import demo_app
from wsgiref.validate import validator

import pytest

from portway.wsgi.environ import EnvironBuilder
from portway.wsgi.proxy import TrustedPeers

OK = [("Content-Type", "text/plain")]


def one_element(environ, start_response):
    start_response("200 OK", [*OK, ("Content-Length", "5")])
    return [b"hello"]


def several(environ, start_response):
    start_response("200 OK", list(OK))
    return [b"hello", b" ", b"world"]


def generator(environ, start_response):
    start_response("200 OK", list(OK))
    yield b"hello"
    yield b""
    yield b" world"


def writing(environ, start_response):
    start_response("200 OK", list(OK))(b"hello")
    return [b" world"]


def error_before_bytes(environ, start_response):
    start_response("200 OK", list(OK))
    try:
        raise ValueError("boom")
    except ValueError:
        start_response("500 Internal Server Error", list(OK), sys.exc_info())
    return [b"sorry"]


def reading(environ, start_response):
    body = environ["wsgi.input"]
    parts = [body.read(3), body.readline(2), body.readline(), *body.readlines(), *body, body.read(10)]
    environ["wsgi.errors"].write("read\n")
    environ["wsgi.errors"].writelines(["all\n"])
    environ["wsgi.errors"].flush()
    start_response("200 OK", list(OK))
    return [b"|".join(parts)]


def no_content(environ, start_response):
    start_response("204 No Content", [])
    return []


def file(environ, start_response):
    start_response("200 OK", list(OK))
    return environ["wsgi.file_wrapper"](io.BytesIO(b"from a file"))


APPLICATIONS = {
    one_element: b"hello",
    several: b"hello world",
    generator: b"hello world",
    writing: b"hello world",
    error_before_bytes: b"sorry",
    no_content: b"",
    file: b"from a file",
}

CONNECTIONS = {
    "tcp": {"peer": ("192.0.2.7", 4711), "local": ("192.0.2.1", 8000)},
    "ipv6": {"peer": ("2001:db8::7", 4711, 0, 0), "local": ("::1", 8000, 0, 0)},
    "unix": {"peer": "", "local": "/run/portway.sock"},
}


def get(method="GET", target="/path", *fields):
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: a", *fields, "", ""]).encode()


@pytest.fixture(autouse=True)
def warnings_are_errors():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda application: application.__name__)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD", "OPTIONS", "DELETE"])
def test_responses(call, application, method):
    answer = call(validator(application), method=method)
    assert answer.status in (200, 204, 500)
    assert answer.complete
    assert answer.outcome.error == ""
    assert answer.body == (b"" if method == "HEAD" else APPLICATIONS[application])


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (get("POST", "/", "Content-Length: 0"), b"||||"),
        (
            get("POST", "/", "Content-Length: 20") + b"abcdef\nghi\njk\nlmnopq",
            b"abc|de|f\n|ghi\n|jk\n|lmnopq|",
        ),
        (
            get("POST", "/", "Transfer-Encoding: chunked") + b"8\r\nabcdef\ng\r\n3\r\nhi\n\r\n0\r\n\r\n",
            b"abc|de|f\n|ghi\n|",
        ),
        (get("POST", "/", "Content-Length: 200") + b"a" * 200, b"aaa|aa|" + b"a" * 195 + b"|"),
        (get(), b"||||"),
    ],
)
def test_input_and_errors(call, error_log, raw, expected):
    answer = call(validator(reading), raw)
    assert answer.outcome.error == ""
    assert answer.body.rstrip(b"|") == expected.rstrip(b"|")
    assert error_log.messages == ["read", "all"]


@pytest.mark.parametrize("connection", CONNECTIONS.values(), ids=CONNECTIONS)
@pytest.mark.parametrize(
    "raw",
    [
        get(),
        get("GET", "/app"),
        get("GET", "/app/%FF/x?y"),
        get("OPTIONS", "*"),
        get("GET", "http://other.example"),
        get("GET", "/", "X-Forwarded-For: 203.0.113.5", "X-Forwarded-Proto: https", "Forwarded: for=_x"),
        get("GET", "/", "X-Odd.Name!: 1", "Cookie: a", "Cookie: b", "Proxy: p", "X-Latin: \u00fc"),
        b"GET / HTTP/1.0\r\n\r\n",
    ],
    ids=repr,
)
@pytest.mark.parametrize("script_name", ["", "/app"])
def test_environs(parse, MemorySink, connection, raw, script_name):
    from portway.http.errors import RemoteProtocolError
    from portway.wsgi.gateway import Gateway

    builder = EnvironBuilder(trusted=TrustedPeers("*"), script_name=script_name)
    request, _ = parse(raw)
    if script_name and not request.path.startswith(script_name) and request.path != "*":
        with pytest.raises(RemoteProtocolError):
            builder.build(request, None, **connection)
        return
    outcome = Gateway(validator(one_element)).respond(
        request, builder.build(request, None, **connection), MemorySink(), b"date", True
    )
    assert (outcome.status_code, outcome.error) == (200, "")


def test_the_demo_application_of_the_standard_library(call):
    answer = call(validator(demo_app))
    assert answer.status == 200
    assert answer.body.startswith(b"Hello world!")


def test_the_validator_s_own_complaints_are_500(call, error_log):
    def application(environ, start_response):
        start_response("200 OK", [("Status", "200")])
        return [b"x"]

    answer = call(validator(application))
    assert answer.status == 500
    assert answer.outcome.error == "AssertionError"
