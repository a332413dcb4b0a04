"""Workers that try themselves before they serve: with a failure nobody but the operator ever meets them."""

import signal

import pytest

pytestmark = pytest.mark.functional

SHOP = """
import os

VERSION = "{version}"
FAILS = {fails!r}
tried = []

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if environ.get("portway.warmup"):
        tried.append(path)
        # What an application may use of a request works in one of the server's own as well.
        assert environ["portway.deadline"].extend(5)
        assert not environ["portway.io_bound"]()
        if path == FAILS:
            check_stock()
    body = f"{{VERSION}} {{','.join(tried)}}".encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]

def check_stock():
    raise LookupError("no stock")

def is_ready():
    return VERSION != "3"
"""

DJANGO = {
    "settings.py": """
SECRET_KEY = "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789"
ALLOWED_HOSTS = [".example.com"]
ROOT_URLCONF = "urls"
WSGI_APPLICATION = "wsgi.application"
LOGGING_CONFIG = None
""",
    "wsgi.py": """
import os
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "settings")
from django.core.wsgi import get_wsgi_application
application = get_wsgi_application()
""",
    "urls.py": """
from django.http import HttpResponse
from django.urls import path

def index(request):
    import late
    return HttpResponse(f"{request.get_host()} {late.loaded_for}")

urlpatterns = [path("", index)]
""",
    "late.py": "loaded_for = 'the warm-up'\n",
}


def shop(version, fails=None):
    return SHOP.format(version=version, fails=fails)


def test_each_worker_has_requested_the_paths_before_it_serves(serve, project, load):
    flags = ["--workers", 2, "--max-requests", 50, "--warmup", "/a", "--warmup", "/b?c=d"]
    server = serve("app", *flags, cwd=project(shop(1)))
    with load(server, clients=4) as clients:
        server.wait_for_log("replaced by process", 4)
    assert not clients.failures
    assert clients.bodies == {b"1 /a,/b"}


def test_a_failure_at_first_boot_is_one_report_and_the_end(serve, project):
    flags = ["--workers", 2, "--warmup", "/good", "--warmup", "/bad"]
    server = serve("app", *flags, cwd=project(shop(1, "/bad")), ready=False)
    assert server.wait() == 3
    lines = [line for line in server.log.splitlines() if "[ERROR]" in line]
    assert len(lines) == 1
    assert lines[0].endswith(
        "The server cannot start: The warm-up request GET /bad raised LookupError: no stock."
    )
    assert "in check_stock" in server.log
    assert "gateway.py" not in server.log


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_a_reload_that_fails_its_warm_up_changes_nothing(serve, project, load, preload):
    folder = project(shop(1))
    flags = [preload, "--workers", 2, "--warmup", "/page", "--ready-check", "app:is_ready"]
    server = serve("app", *flags, cwd=folder)
    with load(server, clients=4) as clients:
        project(shop(2, "/page"))
        server.send(signal.SIGHUP)
        server.wait_for_log(
            "Not reloaded, generation 1 keeps serving: The warm-up request GET /page raised LookupError: no stock."
        )
        server.wait_for_log("in check_stock")
        clients.wait_for(50)
        project(shop(3))
        server.send(signal.SIGHUP)
        server.wait_for_log(
            "Not reloaded, generation 1 keeps serving: The ready check app:is_ready returned False."
        )
        clients.wait_for(50)
        assert clients.bodies == {b"1 /page"}
        project(shop(4))
        server.send(signal.SIGHUP)
        server.wait_for_log("Reloaded: generation 4 serves with 2 workers.")
        server.wait_for_answer("4 /page")
    assert not clients.failures
    assert clients.bodies <= {b"1 /page", b"4 /page"}


def test_a_replacement_that_fails_its_warm_up_leaves_the_old_worker(serve, project, load, tmp_path):
    """The database goes away while the server runs, say, and workers are due."""
    gone = tmp_path / "gone"
    source = shop(1, "/page").replace(
        "    raise LookupError", f"    if os.path.exists({str(gone)!r}):\n        raise LookupError"
    )
    server = serve("app", "--workers", 2, "--max-requests", 20, "--warmup", "/page", cwd=project(source))
    gone.touch()
    with load(server, clients=4) as clients:
        server.wait_for_log(
            r"did not boot and is tried again: The warm-up request GET /page raised LookupError", 2
        )
        assert "replaced by" not in server.log
        gone.unlink()
        server.wait_for_log("replaced by process", 2)
    assert not clients.failures


def test_a_check_that_cannot_be_found_is_told_at_first_boot(serve, project):
    server = serve("app", "--ready-check", "app:is_redy", cwd=project(shop(1)), ready=False)
    assert server.wait() == 4
    assert (
        "The ready check app:is_redy cannot be used: Failed to find attribute 'is_redy' in 'app'."
        in server.log
    )
    checked = serve(
        "app", "--ready-check", "nowhere:check", "--check-config", cwd=project(shop(1)), ready=False
    )
    assert checked.wait() == 1
    assert "The ready check nowhere:check cannot be used: Failed to find the module 'nowhere'" in checked.log


def test_a_path_outside_of_the_script_name_is_refused(serve, project):
    flags = ["--script-name", "/app", "--warmup", "/application/x"]
    server = serve("app", *flags, cwd=project(shop(1)), ready=False)
    assert server.wait() == 2
    assert "--warmup /application/x: /application/x is not below script_name, which is /app" in server.log
    served = serve("app", "--script-name", "/app", "--warmup", "/app/x", cwd=project(shop(1)))
    assert served.get("/app/").text == "1 /x"


def test_a_unix_socket(serve, project, tmp_path):
    server = serve("app", "--warmup", "/x", "--bind", f"unix:{tmp_path}/socket", cwd=project(shop(1)))
    assert server.get().text == "1 /x"


@pytest.fixture
def site(project):
    """Return a function that writes a small Django project, and its folder."""

    pytest.importorskip("django")

    def site(**changes):
        for name, source in {**DJANGO, **{f"{name}.py": text for name, text in changes.items()}}.items():
            folder = project(source, name)
        return folder

    return site


def test_django_is_asked_by_a_host_that_it_accepts(serve, site):
    server = serve("wsgi", "--warmup", "/", "--workers", 1, cwd=site())
    assert "WARNING" not in server.log
    # The module that the view imports is there already.
    site(late="raise RuntimeError('read too late')\n")
    assert server.get(headers={"Host": "example.com"}).text == "example.com the warm-up"


def test_the_report_has_what_a_view_of_django_raised(serve, site):
    server = serve("wsgi", "--warmup", "http://www.example.com/", cwd=site(), ready=True)
    site(late="raise RuntimeError('not finished')\n")
    server.send(signal.SIGHUP)
    server.wait_for_log(
        "Not reloaded, generation 1 keeps serving: The warm-up request GET http://www.example.com/ was answered 500, "
        "by RuntimeError: not finished."
    )
    server.wait_for_log('late.py", line 1, in <module>')
    assert server.get(headers={"Host": "example.com"}).text == "example.com the warm-up"


def test_a_host_that_django_refuses_is_warned_about(serve, site):
    server = serve("wsgi", "--warmup", "http://elsewhere.org/", "--workers", 1, cwd=site())
    server.wait_for_log(r"\[WARNING\] The warm-up request GET http://elsewhere.org/ was answered 400\.")
