"""A full disk: logs, request bodies and the pid file cannot be written, and the server serves and says so once."""

import os
import resource
import signal
import subprocess

import pytest

pytestmark = pytest.mark.functional

#: More than is kept in memory of all bodies together with the others that come at the same time.
LARGE = 6 << 20

COUNT = """
def application(environ, start_response):
    size = str(len(environ["wsgi.input"].read())).encode()
    start_response("200 OK", [("Content-Length", str(len(size)))])
    return [size]
"""


@pytest.fixture
def full_disk(tmp_path):
    """Return a folder on a file system of its own that has no room left."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("this user may not mount a file system")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def fill(folder):
    with open(folder / "filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 4096)
        except OSError:
            pass


def test_an_access_log_that_cannot_be_written_is_told_once(serve):
    server = serve("hello", "--workers", 1, "--access-logfile", "/dev/full")
    for _ in range(20):
        assert server.get().status == 200
    server.wait_for_log(r"\[ERROR\] The log /dev/full cannot be written: No space left on device\.")
    assert server.stop() == 0
    assert server.log.count("cannot be written") == 1


def test_an_error_log_that_cannot_be_written_is_told_on_standard_error(launch, project):
    server = launch(
        *("-m", "portway", "--bind", "127.0.0.1:0", "--error-logfile", "/dev/full", "app"), cwd=project(COUNT)
    )
    server.wait_for_log(r"^portway: The log /dev/full cannot be written: No space left on device\.")
    server.send(signal.SIGHUP)
    assert server.stop() == 0
    assert server.log.count("cannot be written") == 1


def test_logs_on_a_disk_that_becomes_full_and_has_room_again(serve, full_disk):
    access, error = full_disk / "access", full_disk / "error"
    server = serve("hello", "--workers", 1, "--access-logfile", access, ready=True)
    assert server.get("/before").status == 200
    fill(full_disk)
    for _ in range(200):
        assert server.get("/x" * 100).status == 200
    server.wait_for_log(rf"\[ERROR\] The log {access} cannot be written: No space left on device\.")
    # Neither a rotation nor a reload needs room.
    for number in (signal.SIGUSR1, signal.SIGHUP):
        server.send(number)
    server.wait_for_log("Reloaded: generation 2")
    assert server.get("/full").status == 200
    (full_disk / "filler").unlink()
    assert server.get("/after").status == 200
    assert server.stop() == 0
    assert "GET /after" in access.read_text()
    assert not error.exists()


def test_bodies_that_cannot_be_kept_are_refused_and_told_once(serve, project):
    server = serve("app", "--workers", 1, "--log-level", "debug", cwd=project(COUNT))
    worker = server.wait_for_log(r"Worker 0 \(process (\d+)\) is ready")[1]
    hard = resource.prlimit(int(worker), resource.RLIMIT_FSIZE)[1]
    resource.prlimit(int(worker), resource.RLIMIT_FSIZE, (65536, hard))
    for _ in range(3):
        assert server.get("/", "POST", b"x" * LARGE).status == 503
        assert server.get("/", "POST", b"small").text == "5"
    server.wait_for_log(
        r"Could not keep a request's body on disk: .*File too large\. Such requests are answered 503\."
    )
    resource.prlimit(int(worker), resource.RLIMIT_FSIZE, (hard, hard))
    assert server.get("/", "POST", b"x" * LARGE).text == str(LARGE)
    assert server.log.count("on disk") == 1


def test_a_pid_file_that_cannot_be_written(serve, project, full_disk, tmp_path):
    folder = project(COUNT)
    pid_file, elsewhere = full_disk / "pid", tmp_path / "pid"
    project(f"pidfile = {str(elsewhere)!r}\n", "gunicorn.conf.py")
    server = serve("app", "--workers", 1, "--no-control-socket", cwd=folder)
    fill(full_disk)
    project(f"pidfile = {str(pid_file)!r}\n", "gunicorn.conf.py")
    server.send(signal.SIGHUP)
    server.wait_for_log(rf"\[ERROR\] The pid file {pid_file} cannot be written: No space left on device\.")
    server.wait_for_log("Reloaded: generation 2")
    assert server.get("/", "POST", b"three").text == "5"
    # The one that was there before still names the server, and nothing is left where there was no room.
    assert elsewhere.read_text() == f"{server.pid}\n"
    assert os.listdir(full_disk) == ["filler"]
    assert server.stop() == 0
    assert not elsewhere.exists()
