"""What the import leaves open: database connections are closed before the fork, the rest keeps the mold from forking.

Against a real PostgreSQL. Two processes that write to one of its connections read each other's rows.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.functional

SETTINGS = """
SECRET_KEY = "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789"
ALLOWED_HOSTS = ["*"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
INSTALLED_APPS = ["shop"]
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        "HOST": {host!r},
        "NAME": "postgres",
        "USER": "site",
        **{options!r},
    }}
}}
"""
APPS = """
import threading
import warnings
from django.apps import AppConfig

def query():
    from django.db import connection
    with warnings.catch_warnings():
        # Django says that one should not, and many do.
        warnings.simplefilter("ignore", RuntimeWarning)
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            cursor.fetchone()

class ShopConfig(AppConfig):
    name = "shop"

    def ready(self):
        {ready}
"""
VIEWS = """
import os
from django.db import connection
from django.http import JsonResponse

def literal(request, number):
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid(), %s::bigint, pg_sleep(0.002)", [number])
        backend, answer, _ = cursor.fetchone()
    return JsonResponse({"worker": os.getpid(), "backend": backend, "answer": answer})
"""
FILES = {
    "manage.py": "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')\n",
    "shop/__init__.py": "",
    "shop/urls.py": (
        "from django.urls import path\n"
        "from shop import views\n"
        "urlpatterns = [path('<int:number>', views.literal)]\n"
    ),
    "shop/views.py": VIEWS,
    "shop/wsgi.py": (
        "from django.core.wsgi import get_wsgi_application\napplication = get_wsgi_application()\n"
    ),
}
PERSISTENT = {"CONN_MAX_AGE": None}
POOL = {"OPTIONS": {"pool": True}}
IN_A_THREAD = "thread = threading.Thread(target=query); thread.start(); thread.join()"


@pytest.fixture
def shop(project, postgresql):
    """Return a function that writes a project which queries the database while it is imported."""
    pytest.importorskip("django")
    pytest.importorskip("psycopg_pool")

    def shop(options, ready="query()"):
        files = {
            **FILES,
            "shop/settings.py": SETTINGS.format(host=postgresql, options=options),
            "shop/apps.py": APPS.format(ready=ready),
        }
        for name, source in files.items():
            folder = project(source, name)
        return folder

    return shop


@pytest.fixture
def backends(postgresql):
    """Return a function that asks PostgreSQL for the process ids of all connections but its own."""
    psycopg = pytest.importorskip("psycopg")

    def backends():
        with psycopg.connect(host=postgresql, user="site", dbname="postgres") as connection:
            rows = connection.execute(
                "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return {pid for (pid,) in rows}

    return backends


def ask_in_parallel(server, clients=16, each=25):
    """Send requests, each with a number that no other has; return worker -> its backends. Every answer is checked."""
    seen, wrong = {}, []

    def run(first):
        with contextlib.ExitStack() as connections:
            connection = None
            for number in range(first, first + each):
                connection = connection or connections.enter_context(server.connect())
                answer = server.get(f"/{number}", client=connection)
                if answer.headers.get("Connection") == "close":
                    # Of a worker that ends after a reload.
                    connection = None
                told = json.loads(answer.text) if answer.status == 200 else answer
                if answer.status != 200 or told["answer"] != number:
                    wrong.append((number, told))
                else:
                    seen.setdefault(told["worker"], set()).add(told["backend"])

    threads = [threading.Thread(target=run, args=(client * 1_000_000,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    return seen


@pytest.mark.parametrize("preload", [(), ("--preload",)])
@pytest.mark.parametrize("ready", ["query()", IN_A_THREAD])
@pytest.mark.parametrize("options", [PERSISTENT, POOL], ids=["persistent", "pool"])
def test_connections_of_the_import_are_closed_before_the_fork(shop, serve, backends, options, ready, preload):
    folder = shop(options, ready)
    server = serve(None, "--workers", 2, "--threads", 4, *preload, cwd=folder)
    # The query was made, by the mold, and nothing of that is left: not on the server, not as a thread of the pool.
    assert backends() == set()
    assert "WARNING" not in server.log
    for generation in (1, 2):
        seen = {}
        while len(seen) < 2:
            for worker, own in ask_in_parallel(server).items():
                seen.setdefault(worker, set()).update(own)
        assert sum(map(len, seen.values())) == len(set().union(*seen.values())), seen
        if generation == 1:
            server.send(signal.SIGHUP)
            server.wait_for_log("Reloaded: generation 2 serves with 2 workers.")
            assert "WARNING" not in server.log
    assert server.stop() == 0
    while backends():
        # The server is told of a closed connection a moment later.
        pass


RAW = """
import json, os, psycopg

connection = psycopg.connect(host={host!r}, user="site", dbname="postgres", autocommit=True)

def application(environ, start_response):
    number = int(environ["PATH_INFO"][1:])
    backend, answer = connection.execute("SELECT pg_backend_pid(), %s::bigint", [number]).fetchone()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({{"worker": os.getpid(), "backend": backend, "answer": answer}}).encode()]
"""


def test_a_connection_that_nobody_closes_is_named_and_each_worker_has_one_of_its_own(
    project, serve, backends, postgresql
):
    pytest.importorskip("psycopg")
    folder = project(RAW.format(host=postgresql))
    server = serve("app", "--workers", 2, cwd=folder)
    server.wait_for_log("each worker imports it for itself")
    server.wait_for_log(f"a connection to {postgresql}/.s.PGSQL.5432 open .made by a library in C.")
    seen = {}
    while len(seen) < 2:
        seen.update(ask_in_parallel(server))
    assert set().union(*seen.values()) == backends()
    assert len(backends()) == 2


def test_with_preload_a_connection_that_nobody_closes_is_named(project, serve, postgresql):
    pytest.importorskip("psycopg")
    folder = project(RAW.format(host=postgresql))
    server = serve("app", "--workers", 2, "--preload", cwd=folder)
    server.wait_for_log("Forked workers share it and read each other's answers.")
    assert "each worker imports it for itself" not in server.log


EXPORTER = """
import os, threading

wanted = threading.Event()

def export():
    threading.Thread(target=wanted.wait, name="exporter", daemon=True).start()

{call}
LOADED_BY = os.getpid()

def application(environ, start_response):
    threads = [thread.name for thread in threading.enumerate()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %d %d" % (LOADED_BY, os.getpid(), "exporter" in threads)]
"""


def whoever_answers(server):
    loaded_by, pid, has_thread = map(int, server.get().text.split())
    return loaded_by == pid, bool(has_thread)


def test_a_thread_makes_each_worker_import_until_a_reload_brings_code_without_it(project, serve):
    folder = project(EXPORTER.format(call="export()"))
    server = serve("app", "--workers", 2, "--log-level", "debug", cwd=folder)
    server.wait_for_log(
        "The application cannot be forked after its import, for the reasons below: each worker imports"
    )
    server.wait_for_log(rf"a thread, 'exporter' \(started at {folder}/app.py:7 in export\), which still runs")
    assert whoever_answers(server) == (True, True)
    project(EXPORTER.format(call=""))
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 2")
    server.wait_for_log(r"Worker \d \(process \d+\) exited with 0", 2)
    assert whoever_answers(server) == (False, False)


@pytest.mark.parametrize(("flag", "found"), [("--preload", (False, False)), ("--no-preload", (True, True))])
def test_the_operator_decides(project, serve, flag, found):
    folder = project(EXPORTER.format(call="export()"))
    server = serve("app", flag, cwd=folder)
    assert whoever_answers(server) == found
    assert "each worker imports it" not in server.log
    assert ("'exporter'" in server.log) == (flag == "--preload")


LISTENS = """
import http.server, os, threading

metrics = http.server.HTTPServer(("127.0.0.1", {port}), http.server.BaseHTTPRequestHandler)
threading.Thread(target=metrics.serve_forever, name="metrics", daemon=True).start()
LOADED_BY = os.getpid()

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %d 0" % (LOADED_BY, os.getpid())]
"""


def test_what_listens_cannot_be_imported_by_each_worker(project, serve):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder = project(LISTENS.format(port=port))
    server = serve("app", "--workers", 2, cwd=folder)
    server.wait_for_log(rf"The import listens on 127.0.0.1:{port} \(made at {folder}/app.py:4 in <module>")
    assert whoever_answers(server) == (False, False)


def test_postgresql_is_not_installed_where_it_is(postgresql, tmp_path):
    for program in ("apt-get", "sudo"):
        (tmp_path / program).write_text(f"#!/bin/sh\necho {program} was called\nexit 1\n")
        (tmp_path / program).chmod(0o755)
    script = Path(__file__).parents[2] / "deploy" / "install-postgresql"
    path = f"{tmp_path}:{os.environ['PATH']}"
    done = subprocess.run([script], env={"PATH": path}, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
