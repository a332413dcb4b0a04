"""Applications that hang while they are imported: a clear end at first boot, no effect at a reload."""

import signal

import pytest

pytestmark = pytest.mark.functional

SERVES = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "1")])
    return [b"1"]
"""

SLEEPS = """
import time

def wait_for_the_database():
    time.sleep(1000)

wait_for_the_database()
"""

#: Nothing interrupts this: it holds the interpreter's lock in C code that looks for no signals.
COMPUTES = "application = sum(range(10**14))\n"


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_at_first_boot_the_server_says_where_it_hangs_and_exits(serve, project, preload):
    server = serve("app", preload, "--startup-timeout", 1, cwd=project(SLEEPS), ready=False)
    assert server.wait() == 3
    assert (
        "The server cannot start: The application could not be loaded in time: it took longer than "
        "startup_timeout (1 s). It was here:" in server.log
    )
    assert "in wait_for_the_database" in server.log
    assert "Hint: where that is not a mistake, --startup-timeout SECONDS gives it longer" in server.log


def test_what_cannot_be_interrupted_writes_its_stacks_and_ends(serve, project):
    server = serve("app", "--startup-timeout", 1, cwd=project(COMPUTES), ready=False)
    assert server.wait() == 3
    assert "The mold of generation 1 cannot be interrupted. Its stacks follow." in server.log
    assert 'app.py", line 1 in <module>' in server.log
    assert (
        "The server cannot start: The application was not loaded within 1 s (startup_timeout)." in server.log
    )


#: Cannot be forked because of its thread, so another process imports it again; that import hangs.
HANGS_THE_SECOND_TIME = """
import os, threading, time

try:
    os.mkdir("imported")
except FileExistsError:
    time.sleep(1000)
threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
"""


def test_the_time_of_a_mold_that_takes_over_is_bounded_too(serve, project):
    server = serve("app", "--startup-timeout", 3, cwd=project(HANGS_THE_SECOND_TIME + SERVES), ready=False)
    assert server.wait() == 3
    assert "The application cannot be forked after its import" in server.log
    assert 'app.py", line 7, in <module>' in server.log
    assert "startup_timeout (3 s)" in server.log


@pytest.mark.parametrize("source", [SLEEPS, COMPUTES], ids=["sleeps", "computes"])
def test_at_a_reload_the_old_generation_keeps_serving(serve, project, load, source):
    folder = project(SERVES)
    server = serve("app", "--workers", 2, "--startup-timeout", 2, cwd=folder)
    with load(server, clients=2) as clients:
        project(source)
        server.send(signal.SIGHUP)
        server.wait_for_log("Not reloaded, generation 1 keeps serving: The application .*startup_timeout")
        clients.wait_for(50)
        project(SERVES)
        server.send(signal.SIGHUP)
        server.wait_for_log("Reloaded: generation 3 serves with 2 workers.")
        clients.wait_for(50)
    assert not clients.failures


def test_for_as_long_as_it_takes(serve, project):
    folder = project("import time\ntime.sleep(0.5)\n" + SERVES)
    assert serve("app", "--startup-timeout", 0, cwd=folder).get().text == "1"
