"""A worker's own requests before it serves: what the application sees of them, and which answers are failures."""

import logging
import os
import tempfile

import pytest

from portway.django.own_requests import accepted_host
from portway.settings.table import Settings
from portway.worker import warmup
from portway.worker.not_ready import NotReady
from portway.worker.warmup import warm_up
from portway.wsgi.environ import EnvironBuilder
from portway.wsgi.gateway import Gateway

LOCAL = ("192.0.2.1", 8000)


class Site:
    """An application that keeps the environs it was given, and answers as it is told."""

    def __init__(self, status="200 OK", body=(b"x",), headers=()):
        self.seen = []
        self.status, self.body, self.headers = status, body, list(headers)

    def __call__(self, environ, start_response):
        self.seen.append(environ)
        start_response(self.status, self.headers)
        return self.body


def run(application, *targets, **settings):
    script = settings.get("script_name", "")
    builder = EnvironBuilder(script_name=script)
    warm_up(Settings(warmup=targets, **settings), builder, Gateway(application), LOCAL)


def failure(application, *targets, **settings):
    with pytest.raises(NotReady) as raised:
        run(application, *targets, **settings)
    return raised.value


def test_the_application_sees_an_ordinary_request():
    site = Site()
    run(site, "/caf%C3%A9/?page=2")
    (environ,) = site.seen
    assert environ["REQUEST_METHOD"] == "GET"
    assert environ["PATH_INFO"].encode("latin-1").decode() == "/café/"
    assert environ["QUERY_STRING"] == "page=2"
    assert environ["HTTP_HOST"] == "localhost"
    assert environ["HTTP_USER_AGENT"].endswith("(warm-up)")
    assert environ["REMOTE_ADDR"] == "127.0.0.1"
    assert environ["SERVER_PORT"] == "8000"
    assert environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.input"].read() == b""
    assert environ["portway.warmup"] is True


def test_each_path_is_requested_in_order():
    site = Site()
    run(site, "/b", "/a", "/b")
    assert [environ["PATH_INFO"] for environ in site.seen] == ["/b", "/a", "/b"]


def test_a_url_says_the_host_and_the_scheme():
    site = Site()
    run(site, "http://example.com:81/x", "https://example.org/")
    first, second = site.seen
    assert (first["HTTP_HOST"], first["PATH_INFO"], first["wsgi.url_scheme"]) == (
        "example.com:81",
        "/x",
        "http",
    )
    assert (second["HTTP_HOST"], second["wsgi.url_scheme"], second["SERVER_PORT"]) == (
        "example.org",
        "https",
        "443",
    )


def test_the_path_is_below_the_script_name():
    site = Site()
    run(site, "/app/x", script_name="/app")
    assert (site.seen[0]["SCRIPT_NAME"], site.seen[0]["PATH_INFO"]) == ("/app", "/x")
    assert "refused with 404" in str(failure(site, "/x", script_name="/app"))


def test_a_host_that_is_none_is_refused():
    assert "GET http://a:b/ is refused with 400" in str(failure(Site(), "http://a:b/"))


@pytest.mark.parametrize("status", ["200 OK", "204 No Content", "302 Found"])
def test_answers_that_are_good(status, caplog):
    with caplog.at_level(logging.INFO, "portway.error"):
        run(Site(status, []), "/")
    assert caplog.records == []


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "499 X"])
def test_answers_that_are_worth_a_warning(status, caplog):
    run(Site(status, []), "/x")
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage().startswith(f"The warm-up request GET /x was answered {status[:3]}.")
    assert ("ALLOWED_HOSTS" in record.getMessage()) is (status[:3] == "400")


@pytest.mark.parametrize("status", ["500 Oops", "503 Later", "599 X"])
def test_answers_that_are_failures(status):
    site = Site(status, [])
    error = failure(site, "/x", "/y")
    assert str(error) == f"The warm-up request GET /x was answered {status[:3]}."
    assert error.__cause__ is None
    assert len(site.seen) == 1


def test_an_exception_is_a_failure_and_not_logged_twice(caplog):
    def application(environ, start_response):
        raise ValueError("it broke\nin two lines")

    error = failure(application, "/x")
    assert str(error) == "The warm-up request GET /x raised ValueError: it broke."
    assert isinstance(error.__cause__, ValueError)
    assert caplog.records == []


def test_an_exception_of_the_body_or_of_its_end_is_a_failure():
    def body():
        yield b"x"
        raise LookupError

    class Body(list):
        def close(self):
            raise OSError("no")

    assert str(failure(Site(body=body()), "/x")).endswith("raised LookupError.")
    assert str(failure(Site(body=Body([b"x"])), "/x")).endswith("raised OSError: no.")


@pytest.mark.parametrize(
    ("body", "part"), [(None, "returned None"), ("text", "returned str"), ([1], "gave int")]
)
def test_an_answer_that_is_none_is_a_failure(body, part, caplog):
    assert part in str(failure(Site(body=body), "/x"))
    assert caplog.records == []


def test_what_the_application_logs_is_logged(caplog):
    def application(environ, start_response):
        logging.getLogger("portway.error").error("of the application's own")
        return Site()(environ, start_response)

    run(application, "/")
    assert [record.getMessage() for record in caplog.records] == ["of the application's own"]
    assert logging.getLogger("portway.error").filters == []


def test_an_answer_without_an_end_is_left(monkeypatch):
    closed = []

    def body():
        try:
            while True:
                yield b"x" * 1024
        finally:
            closed.append(True)

    monkeypatch.setattr(warmup, "MOST", 10_000)
    run(Site(body=body()), "/events")
    assert closed == [True]


def test_a_file_is_let_be():
    with tempfile.TemporaryFile() as file:
        file.write(b"content")
        file.seek(0)

        def application(environ, start_response):
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](os.fdopen(os.dup(file.fileno()), "rb"))

        before = os.listdir("/proc/self/fd")
        run(application, "/")
        assert os.listdir("/proc/self/fd") == before


def test_the_deadline_is_none():
    site = Site()
    run(site, "/")
    deadline = site.seen[0]["portway.deadline"]
    assert deadline.remaining > 10**9
    assert deadline.extend(5)
    assert deadline.clear()


# The ready check.


def good():
    return [1]


def bad():
    return 0


def silent():
    return None


def broken():
    raise RuntimeError("the cache is gone")


@pytest.fixture
def check(monkeypatch):
    """Return a function that runs a check of this module by its name."""
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    name = os.path.basename(__file__).removesuffix(".py")
    return lambda check, *targets, site=None: run(site or Site(), *targets, ready_check=f"{name}:{check}")


def test_a_check_that_is_content(check):
    site = Site()
    check("good", "/", site=site)
    assert len(site.seen) == 1


@pytest.mark.parametrize(
    ("name", "part"),
    [("bad", "bad returned 0."), ("silent", "returned None. It must return a true value"),
     ("broken", "broken raised RuntimeError: the cache is gone.")],
)  # fmt: skip
def test_a_check_that_is_not(check, name, part):
    with pytest.raises(NotReady) as raised:
        check(name)
    assert part in str(raised.value)


def test_the_check_comes_after_the_requests(check):
    with pytest.raises(NotReady, match="GET /"):
        check("broken", "/", site=Site("500 Oops"))


# Django.


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        ([], "localhost"),
        (["*"], "localhost"),
        (["example.com", "localhost"], "localhost"),
        (["example.com", "www.example.com"], "example.com"),
        ([".example.com"], "example.com"),
    ],
)
def test_a_host_that_the_project_accepts(monkeypatch, hosts, host):
    import sys
    from types import SimpleNamespace

    settings = SimpleNamespace(configured=True, DEBUG=False, ALLOWED_HOSTS=hosts)
    monkeypatch.setitem(sys.modules, "django.conf", SimpleNamespace(settings=settings))
    assert accepted_host() == host
    site = Site()
    run(site, "/")
    assert site.seen[0]["HTTP_HOST"] == host


def test_a_host_without_django(monkeypatch):
    import sys

    monkeypatch.delitem(sys.modules, "django.conf", raising=False)
    assert accepted_host() == "localhost"
