"""What takes other servers down, one test each: all of them can be shown with one command against one of these servers.

Gunicorn, Granian, Waitress, Cheroot, FastPySGI, uWSGI each have some of these accidents; the comment above a test
says what happens there. None of the tests measures time: where another server makes a client wait, the one that is
in the way here stays in the way until the client has its answer.

More of each kind is beside: clients in tests/worker/test_under_load.py, reloads in test_reload.py, recycling in
test_recycling.py, the end in test_signals.py, the protocol in tests/http/corpus, and everything at once under load in
tests/endurance.
"""

import json
import os
import signal

import pytest

pytestmark = pytest.mark.functional

#: One thread in all, and clients get all the time in the world: whoever holds a thread holds it for good.
ONE_THREAD = (
    *("--workers", "1", "--threads", "1", "--timeout", "0"),
    *("--head-timeout", "3600", "--body-timeout", "3600", "--write-timeout", "3600"),
)

LARGE = 30 * 1024 * 1024

APPLICATION = f"""
import io, json, os

def application(environ, start_response):
    path = environ["PATH_INFO"]
    fields = [("Content-Type", "application/octet-stream")]
    if path == "/large":
        start_response("200 OK", [*fields, ("Content-Length", "{LARGE}")])
        return [bytes({LARGE})]
    if path == "/file":
        start_response("200 OK", [*fields, ("Content-Length", "{LARGE}")])
        with open("large", "wb") as file:
            file.truncate({LARGE})
        return environ["wsgi.file_wrapper"](open("large", "rb"))
    if path.startswith("/open/"):
        with open("/" + path.removeprefix("/open/"), "rb") as gate:
            gate.read()
    about = {{
        "pid": os.getpid(),
        "length": environ.get("CONTENT_LENGTH"),
        "body": environ["wsgi.input"].read().decode(),
        "forwarded_for": environ.get("HTTP_X_FORWARDED_FOR"),
        "address": environ["REMOTE_ADDR"],
        "multiprocess": environ["wsgi.multiprocess"],
        "file_wrapper": callable(environ["wsgi.file_wrapper"]),
        "secret": "secret-of-the-process" in map(str, environ.values()),
    }}
    write = start_response("200 OK", fields)
    about["write"] = callable(write)
    return [json.dumps(about).encode()]
"""


def about(server, path="/", **request):
    """Ask the application what it saw."""
    return json.loads(server.get(path, **request).text)


def send(server, data):
    """Open a connection, send a part of something, and keep the connection."""
    client = server.connect()
    client.sendall(data)
    return client


# Gunicorn: nobody else is served. Cheroot: nobody for ten seconds.
def test_clients_that_send_one_byte_and_stall(serve, project):
    server = serve("app", *ONE_THREAD, cwd=project(APPLICATION))
    stalled = [send(server, b"G") for _ in range(50)]
    for _ in range(3):
        assert about(server)["write"]
    for client in stalled:
        # They were not cut off for it either: they may go on.
        client.sendall(b"ET / HTTP/1.0\r\n\r\n")
        assert client.recv(15) == b"HTTP/1.1 200 OK"
        client.close()


# Gunicorn: its thread waits for the client.
@pytest.mark.parametrize("path", ["/large", "/file"])
def test_a_client_that_asks_for_thirty_megabytes_and_never_reads(serve, project, path):
    server = serve("app", *ONE_THREAD, cwd=project(APPLICATION))
    client = send(server, f"GET {path} HTTP/1.0\r\n\r\n".encode())
    for _ in range(3):
        assert about(server)["write"]
    with client, client.makefile("rb") as response:
        # It was only slow.
        assert len(response.read().partition(b"\r\n\r\n")[2]) == LARGE


# Gunicorn, Granian: the thread waits for the rest.
@pytest.mark.parametrize("framing", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_an_upload_that_stalls(serve, project, framing):
    server = serve("app", *ONE_THREAD, cwd=project(APPLICATION))
    head = f"POST / HTTP/1.1\r\nHost: test\r\n{framing}\r\n\r\n".encode()
    with send(server, head + (b"abc" if "Length" in framing else b"3\r\nabc")):
        for _ in range(3):
            assert about(server)["write"]


# Gunicorn: ten of twenty requests wait until the busy worker is free, while the other one idles.
def test_a_busy_worker_takes_no_request_from_an_idle_one(serve, project, tmp_path):
    server = serve("app", "--workers", 2, "--threads", 1, cwd=project(APPLICATION))
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    busy = send(server, f"GET /open{gate} HTTP/1.0\r\n\r\n".encode())
    with open(gate, "wb"):
        # The application has opened the other end: one worker is busy until this block ends.
        assert len({about(server)["pid"] for _ in range(20)}) == 1
    with busy, busy.makefile("rb") as response:
        assert response.read().startswith(b"HTTP/1.1 200 OK\r\n")


# Gunicorn, Granian: the whole server exits, and connections are refused.
@pytest.mark.parametrize(
    "source", ["raise SystemExit(1)", "1/0", "def application(:", "application = None", ""]
)
def test_a_reload_of_code_that_cannot_be_imported(serve, project, source):
    server = serve("app", "--workers", 2, cwd=project(APPLICATION))
    project(source)
    server.send(signal.SIGHUP)
    server.wait_for_log("Not reloaded, generation 1 keeps serving:")
    assert about(server)["write"]
    project(APPLICATION)
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 3")
    assert server.stop() == 0


# Gunicorn: the master exits.
@pytest.mark.parametrize(
    "text", ["workers = = 2", "workers = 'many'", "import nothing_of_this_name", "no_setting = 1)"]
)
def test_a_reload_of_a_configuration_file_with_an_error(serve, project, text):
    folder = project(APPLICATION)
    project("workers = 2\n", "gunicorn.conf.py")
    server = serve("app", cwd=folder)
    project(text, "gunicorn.conf.py")
    server.send(signal.SIGHUP)
    server.wait_for_log("Not reloaded, generation 1 keeps serving: .*gunicorn.conf.py")
    assert about(server)["write"]
    assert len(server.children()) == 3
    assert server.stop() == 0


# Gunicorn: the whole server exits.
@pytest.mark.parametrize("preload", [(), ("--no-preload",)])
def test_a_worker_that_is_recycled_while_the_code_on_disk_is_broken(serve, project, load, preload):
    flags = ["--workers", 2, "--max-requests", 50]
    server = serve("app", *preload, *flags, cwd=project(APPLICATION))
    project("def half_of_a_release(")
    with load(server, clients=4) as clients:
        # With preload the new worker has the code of the old one; without, the old one serves on.
        server.wait_for_log("to be tried again|is tried again|replaced by process|did not boot")
        clients.wait_for(300)
    assert not clients.failures
    assert server.stop() == 0


# Gunicorn: each of them gets a reset.
def test_requests_in_the_accept_queue_when_the_server_is_told_to_end(serve, project):
    server = serve("app", "--workers", 1, "--threads", 1, cwd=project(APPLICATION))
    worker = about(server)["pid"]
    # A worker that is stopped accepts nothing.
    os.kill(worker, signal.SIGSTOP)
    waiting = [send(server, b"GET / HTTP/1.0\r\n\r\n") for _ in range(3)]
    server.send(signal.SIGTERM)
    server.wait_for_log("Stopping")
    os.kill(worker, signal.SIGCONT)
    for client in waiting:
        with client, client.makefile("rb") as response:
            assert response.read().startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.wait() == 0


# Gunicorn, Granian, Cheroot: no length, and so an empty body for Django.
def test_a_chunked_body_has_a_length(serve, project):
    server = serve("app", cwd=project(APPLICATION))
    head = b"POST / HTTP/1.1\r\nHost: test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    with send(server, head + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n") as client, client.makefile("rb") as response:
        seen = json.loads(response.read().partition(b"\r\n\r\n")[2])
    assert (seen["length"], seen["body"]) == ("3", "abc")


# Granian, Cheroot: the application sees 6.6.6.6.
@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.1"])
def test_an_underscore_does_not_make_a_field_a_trusted_one(serve, project, trusted):
    server = serve("app", "--forwarded-allow-ips", trusted, cwd=project(APPLICATION))
    seen = about(server, headers={"X_Forwarded_For": "6.6.6.6", "X-Forwarded-For": "1.1.1.1"})
    assert "6.6.6.6" not in (seen["forwarded_for"] or "")
    assert seen["address"] == ("1.1.1.1" if trusted == "127.0.0.1" else "127.0.0.1")


# Granian: start_response returns None, no file_wrapper, multiprocess False, and all of os.environ in environ.
def test_what_pep_3333_promises_to_applications(serve, project):
    server = serve("app", "--workers", 2, cwd=project(APPLICATION), DATABASE_PASSWORD="secret-of-the-process")
    seen = about(server)
    assert (seen["write"], seen["file_wrapper"], seen["multiprocess"], seen["secret"]) == (
        True,
        True,
        True,
        False,
    )


# Gunicorn: a thread and a socket on disk in the master, by default, which read-only containers have suffered from.
def test_nothing_is_written_and_no_thread_is_started_unless_asked_for(serve, project, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    folder = project(APPLICATION)
    places = dict.fromkeys(
        ("HOME", "TMPDIR", "XDG_RUNTIME_DIR", "XDG_STATE_HOME", "XDG_CACHE_HOME"), str(empty)
    )
    server = serve("app", "--workers", 2, cwd=folder, PYTHONDONTWRITEBYTECODE="1", **places)
    assert about(server)["write"]
    for pid in [server.pid, *server.children()]:
        files = [os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")]
        assert [file for file in files if file.startswith("/") and not file.startswith("/dev/")] == []
    assert os.listdir(f"/proc/{server.pid}/task") == [str(server.pid)]
    assert (os.listdir(empty), os.listdir(folder)) == ([], ["app.py"])


# Gunicorn until 26.1: a child of the application's with the exit code 3 ends the server, as one that could not boot.
def test_an_orphan_with_the_exit_code_of_a_worker_that_could_not_boot(serve, project):
    source = (
        "import os\n"
        "def application(environ, start_response):\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        "            os._exit(3)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "    start_response('200 OK', [('Content-Length', '0')])\n"
        "    return []\n"
    )
    server = serve("app", "--workers", 1, "--threads", 1, "--log-level", "debug", cwd=project(source))
    for count in (1, 2, 3):
        assert server.get().status == 200
        server.wait_for_log("which is none of ours, exited with 3", count)
    assert server.stop() == 0
