"""Reload: new code without a lost request, broken code without any effect."""

import os
import signal

import pytest

pytestmark = pytest.mark.functional

VERSION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "{size}")])
    return [b"{version}"]
"""

BROKEN = "import nothing_of_this_name\n"


def version(number):
    return VERSION.format(version=number, size=len(str(number)))


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_reloads_under_load_lose_no_request(serve, project, load, preload):
    folder = project(version(1))
    server = serve("app", preload, "--workers", 2, "--threads", 2, cwd=folder)
    with load(server, clients=8) as clients:
        for number in range(2, 6):
            clients.wait_for(100)
            project(version(number))
            server.send(signal.SIGHUP)
            server.wait_for_log(f"Reloaded: generation {number} serves with 2 workers.")
        clients.wait_for(100)
    assert not clients.failures
    assert clients.bodies == {b"1", b"2", b"3", b"4", b"5"}
    server.wait_for_answer("5")


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_broken_code_leaves_the_old_generation_at_full_strength(serve, project, load, preload):
    folder = project(version(1))
    server = serve("app", preload, "--workers", 2, "--log-level", "debug", cwd=folder)
    before = server.children()
    with load(server) as clients:
        project(BROKEN)
        server.send(signal.SIGHUP)
        server.wait_for_log("Not reloaded, generation 1 keeps serving:")
        server.wait_for_log("Hint: if 'nothing_of_this_name' is a package, install it")
        clients.wait_for(100)
    assert not clients.failures
    assert clients.bodies == {b"1"}
    assert sorted(server.children()) == sorted(before)
    if preload == "--preload":
        # A worker that is replaced comes from the mold and has never seen the broken code.
        victim = int(server.wait_for_log(r"Worker 0 \(process (\d+)\) is ready")[1])
        os.kill(victim, signal.SIGKILL)
        server.wait_for_log(r"Worker 0 \(process \d+\) is ready", 2)
        assert server.get().text == "1"
    project(version(2))
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 3 serves with 2 workers.")
    server.wait_for_answer("2")


def test_a_configuration_file_with_an_error_changes_nothing(serve, project):
    folder = project(version(1))
    project("workers = 1\n", "gunicorn.conf.py")
    server = serve("app", cwd=folder)
    assert len(server.children()) == 2
    project("workers = = 1\n", "gunicorn.conf.py")
    server.send(signal.SIGHUP)
    server.wait_for_log("Not reloaded, generation 1 keeps serving:.*gunicorn.conf.py")
    assert server.get().text == "1"
    project("workers = 3\n", "gunicorn.conf.py")
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 2 serves with 3 workers.")


def test_a_release_that_a_link_points_to_is_found_anew(serve, project, tmp_path):
    for number in (1, 2):
        project(version(number), f"releases/{number}/app.py")
    current = tmp_path / "project" / "current"
    current.symlink_to(tmp_path / "project" / "releases" / "1")
    server = serve("app", "--chdir", current)
    assert server.get().text == "1"
    beside = current.with_name("next")
    beside.symlink_to(tmp_path / "project" / "releases" / "2")
    os.replace(beside, current)
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 2")
    server.wait_for_answer("2")


THREAD = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()\n"


@pytest.mark.parametrize("flag", ["--preload", "--no-preload", None])
def test_changes_reload_in_development(serve, project, flag):
    # Without a flag, a thread keeps the application from being forked after its import.
    folder = project(version(1) if flag else version(1) + THREAD)
    server = serve("app", "--reload", "--workers", 1, *([flag] if flag else []), cwd=folder)
    project(version(2))
    server.wait_for_log("Reloaded: generation 2")
    server.wait_for_answer("2")
    project(BROKEN)
    server.wait_for_log("Not reloaded, generation 2 keeps serving")
    server.wait_for_answer("2")
    project(version(3))
    server.wait_for_log("Reloaded: generation 4")
    server.wait_for_answer("3")


def test_a_reload_that_hangs_gives_way_to_the_next(serve, project, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    folder = project(version(1))
    server = serve("app", cwd=folder)
    project(f"open({str(gate)!r}).read()")
    server.send(signal.SIGHUP)
    with open(gate, "wb"):
        # The mold has opened the other end, and waits.
        project(version(2))
        server.send(signal.SIGHUP)
        server.wait_for_log("Not reloaded, generation 1 keeps serving: A later reload took its place.")
        server.wait_for_log("Reloaded: generation 3")
    server.wait_for_answer("2")
