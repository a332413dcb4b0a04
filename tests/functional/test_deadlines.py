"""Requests that take too long, in whole servers: what becomes of their workers, and of everybody else's requests."""

import json
import re
from pathlib import Path

import pytest

APPS = Path(__file__).parent / "apps"

pytestmark = pytest.mark.functional

HANGS = """
import ctypes
import json
import os
import time

SEEN = []

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/hang":
        try:
            while True:
                time.sleep(0.01)
        finally:
            SEEN.append("finally")
    elif path == "/lock":
        # The interpreter's lock is kept, as by a library that forgets to give it back.
        usleep = ctypes.PyDLL(None).usleep
        while True:
            usleep(900_000)
    body = json.dumps({"pid": os.getpid(), "seen": SEEN}).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

SETTINGS = """
SECRET_KEY = "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "shop.views.careful"]
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "shop.sqlite3"}}
"""
VIEWS = """
import time
from django.db import connection, transaction
from django.http import HttpResponse
from portway import RequestTimeout

def note(what):
    with open("seen", "a") as file:
        file.write(what + "\\n")

def careful(get_response):
    def middleware(request):
        try:
            return get_response(request)
        except Exception:
            note("the middleware got an Exception")
            raise
    return middleware

def hang(request):
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS sale (id INTEGER)")
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("INSERT INTO sale VALUES (1)")
            while True:
                time.sleep(0.01)
    except Exception:
        note("the view got an Exception")
    except RequestTimeout:
        note("RequestTimeout")
        raise
    finally:
        note("finally")

def index(request):
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sale")
        rows = cursor.fetchone()[0]
    return HttpResponse(str(rows))

def extended(request):
    request.environ["portway.deadline"].extend(30)
    time.sleep(2)
    return HttpResponse("extended")
"""
URLS = """
from django.urls import path
from shop import views
urlpatterns = [path("", views.index), path("hang", views.hang), path("extended", views.extended)]
"""
WSGI = "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"


def test_the_worker_is_replaced_and_no_other_request_fails(serve, project, load):
    server = serve("app", "--workers", 1, "--threads", 2, "--timeout", 1, cwd=project(HANGS))
    before = json.loads(server.get().text)["pid"]
    with load(server, clients=4) as clients:
        assert server.get("/hang").status == 504
        server.wait_for_log(rf"Worker \d \(process {before}\) .*GET /hang took longer than its time")
        clients.wait_for(50)
    assert not clients.failures
    bodies = [json.loads(body) for body in clients.bodies]
    assert len({body["pid"] for body in bodies}) == 2
    assert {tuple(body["seen"]) for body in bodies} <= {(), ("finally",)}
    assert "Error handling request GET /hang: RequestTimeout" in server.log
    assert json.loads(server.get().text)["pid"] != before
    assert server.stop() == 0


def test_a_worker_that_does_not_answer_at_all_is_killed_and_says_where_it_was(serve, project):
    flags = ("--workers", 1, "--timeout", 1, "--log-level", "debug")
    server = serve("app", *flags, program=[APPS / "impatient.py"], cwd=project(HANGS))
    before = json.loads(server.get().text)["pid"]
    client = server.connect()
    client.sendall(b"GET /lock HTTP/1.1\r\nHost: a\r\n\r\n")
    # Nobody can answer it: every thread of the worker waits for the lock.
    assert client.recv(100) == b""
    client.close()
    server.wait_for_log(
        rf"process {before}\) has given no sign of life for \d+ s: it is killed. Its stacks follow"
    )
    server.wait_for_log("Fatal Python error: Aborted")
    assert re.search(r'File ".*app\.py", line \d+ in application', server.log)
    server.wait_for_log(r"Worker \d \(process \d+\) is ready", 2)
    assert json.loads(server.get().text)["pid"] != before
    assert server.stop() == 0


def test_django_makes_no_response_of_it_and_rolls_back(serve, project):
    pytest.importorskip("django")
    folder = project(
        "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n", "manage.py"
    )
    for name, source in {
        "__init__": "",
        "settings": SETTINGS,
        "views": VIEWS,
        "urls": URLS,
        "wsgi": WSGI,
    }.items():
        project(source, f"shop/{name}.py")
    server = serve(None, "--workers", 1, "--timeout", 1, "--graceful-timeout", 20, cwd=folder)
    assert server.get("/extended").text == "extended"
    assert server.get("/hang").status == 504
    server.wait_for_log("Error handling request GET /hang: RequestTimeout")
    assert (folder / "seen").read_text() == "RequestTimeout\nfinally\n"
    assert server.get("/").text == "0"
    assert "Internal Server Error" not in server.log
    assert server.stop() == 0
