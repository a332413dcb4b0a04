"""A running server and `portwayctl`: every outcome of a reload, and what the status says of it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest

from portway import ctl

pytestmark = pytest.mark.functional

BROKEN = "import nothing_of_this_name\n"


class Reload(threading.Thread):
    """A portwayctl of its own that waits for the outcome of a reload."""

    def __init__(self, server, *flags):
        super().__init__()
        self._argv = [sys.executable, "-c", "import sys; from portway.ctl import main; sys.exit(main())"]
        self._argv += ["--pid", str(server.folder / "portway.pid"), "reload", *flags]
        self.start()

    def run(self):
        self.done = subprocess.run(self._argv, capture_output=True, text=True, timeout=60, check=False)

    def outcome(self):
        """Wait for it; return the exit status, what was printed and what was complained."""
        self.join(60)
        return self.done.returncode, self.done.stdout, self.done.stderr


# Reloads.


def test_a_reload_that_succeeds(start, project, control, status, version):
    server = start()
    assert control(server, "reload") == (0, "Reloaded: generation 2 serves with 2 workers.\n", "")
    project(version(2))
    assert control(server, "reload")[0] == 0
    found = status(server)
    assert (found["state"], found["generation"], found["failure"]) == ("ready", 3, None)
    # Who is told so may count on it; the workers of before may answer what they had begun to.
    server.wait_for_answer("2")


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_broken_code_is_reported_and_makes_the_state_degraded(
    start, project, control, status, preload, version
):
    server = start(preload)
    project(BROKEN)
    code, out, err = control(server, "reload")
    assert (code, out) == (ctl.NOT_RELOADED, "")
    assert err.startswith("portwayctl: Not reloaded, generation 1 keeps serving: Importing 'app' failed")
    assert "    import nothing_of_this_name\n" in err
    assert "Hint: " in err
    found = status(server)
    assert found["state"] == "degraded"
    assert found["reasons"] == [found["failure"]["summary"]]
    assert found["failure"]["summary"].startswith("Not reloaded, generation 1 keeps serving: Importing")
    assert found["failure"]["report"] == err.removeprefix("portwayctl: ").rstrip("\n")
    assert 0 <= found["failure"]["age"] < 60
    assert server.get().text == "1"
    text = control(server, "status")[1]
    assert f"running, process {server.pid}, degraded\n" in text
    assert "The last reload failed" in text
    project(version(2))
    assert control(server, "reload")[0] == 0
    assert status(server)["state"] == "ready"


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("workers = = 1\n", "gunicorn.conf.py:1: SyntaxError"),
        ("workers = 'many'\n", "workers = 'many': it must be a whole number"),
        ("threads = 1024\n", "threads = 1024 needs a restart"),
        ("errorlog = '/dev/full/log'\n", "there is no folder"),
        ("raise ValueError('mine')\n", "ValueError: mine"),
        ("import sys; sys.exit(7)\n", "SystemExit: 7"),
    ],
)
def test_a_broken_configuration_file_is_reported(start, project, control, status, config, why):
    server = start()
    before = server.children()
    project(config, "gunicorn.conf.py")
    code, _, err = control(server, "reload")
    assert code == ctl.NOT_RELOADED
    assert err.startswith("portwayctl: Not reloaded, generation 1 keeps serving: ")
    assert why in err
    # That is known at once, so those are told, too, who do not want to wait.
    assert control(server, "reload", "--no-wait")[0] == ctl.NOT_RELOADED
    assert status(server)["state"] == "degraded"
    assert server.children() == before
    project("", "gunicorn.conf.py")
    assert control(server, "reload")[0] == 0
    assert status(server)["state"] == "ready"


def test_an_address_that_is_taken_is_reported(serve, project, control, status, version):
    folder = project(version(1))
    project("bind = '127.0.0.1:0'\n", "gunicorn.conf.py")
    # The address is the file's: a flag would win over what is written into it later.
    server = serve("app", "--pid", "portway.pid", cwd=folder, bind=False)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        project(f"bind = ['127.0.0.1:0', '127.0.0.1:{port}']\n", "gunicorn.conf.py")
        code, _, err = control(server, "reload")
        assert code == ctl.NOT_RELOADED
        assert f"Cannot listen on 127.0.0.1:{port}: the address is in use" in err
        assert status(server)["state"] == "degraded"
    assert control(server, "reload")[0] == 0
    found = status(server)
    assert found["state"] == "ready"
    assert f"http://127.0.0.1:{port}" in found["listening"]


def test_a_worker_that_cannot_begin_is_reported(start, project, control, status, version):
    server = start("--no-preload")
    # The mold loads the application once to find out what is served beside it, the canary loads it again.
    project(
        "import pathlib\n"
        "seen = pathlib.Path('seen')\n"
        "if seen.exists():\n    raise RuntimeError('a second time')\n"
        "seen.touch()\n" + version(2)
    )
    code, _, err = control(server, "reload")
    assert code == ctl.NOT_RELOADED
    assert "a second time" in err
    found = status(server)
    assert (found["state"], found["generation"]) == ("degraded", 1)
    assert server.get().text == "1"


@pytest.mark.parametrize(
    ("flags", "source", "why"),
    [
        (("--warmup", "/"), "def application(environ, start_response):\n    1 / 0\n", "ZeroDivisionError"),
        (("--ready-check", "app:ready"), "def ready():\n    return False\n", "app:ready"),
        (("--startup-timeout", "1"), "import time\nwhile True:\n    time.sleep(1)\n", "startup_timeout"),
    ],
)
def test_a_worker_that_does_not_become_ready_is_reported(
    start, project, control, status, flags, source, why, version
):
    good = "\n\ndef ready():\n    return True\n"
    server = start(*flags, source=version(1) + good)
    project(source if "application" in source else version(2) + "\n" + source)
    code, _, err = control(server, "reload")
    assert code == ctl.NOT_RELOADED
    assert err.startswith("portwayctl: Not reloaded, generation 1 keeps serving: ")
    assert why in err
    assert status(server)["state"] == "degraded"
    project(version(3) + good)
    assert control(server, "reload")[0] == 0
    assert status(server)["state"] == "ready"


def test_a_reload_while_another_one_runs_answers_for_both(start, project, status, tmp_path, version):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start()
    project(f"open({str(gate)!r}).read()")
    first = Reload(server)
    with open(gate, "wb"):
        # The mold has opened the other end, and waits.
        found = status(server)
        assert (found["state"], found["generation"], found["trial"]) == ("reloading", 1, 2)
        project(version(2))
        second = Reload(server)
        reloaded = (0, "Reloaded: generation 3 serves with 2 workers.\n", "")
        assert second.outcome() == reloaded
        assert first.outcome() == reloaded
    assert status(server)["state"] == "ready"


def test_a_refused_reload_does_not_disturb_the_one_that_runs(
    start, project, control, status, tmp_path, version
):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start()
    project(f"open({str(gate)!r}).read()\n" + version(2))
    first = Reload(server)
    with open(gate, "wb"):
        project("workers = = 1\n", "gunicorn.conf.py")
        assert control(server, "reload")[0] == ctl.NOT_RELOADED
    assert first.outcome()[0] == 0
    # What was refused came later, and is still to be mended.
    found = status(server)
    assert (found["state"], found["generation"]) == ("degraded", 2)


def test_who_does_not_wait_and_who_waits_in_vain(start, project, control, status, tmp_path, version):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start()
    project(f"open({str(gate)!r}).read()\n" + version(2))
    code, _, err = control(server, "reload", "--timeout", "0.2")
    assert code == ctl.NOT_DONE
    assert "not done after 0.2 s" in err
    with open(gate, "wb"):
        pass
    server.wait_for_log("Reloaded: generation 2")
    assert status(server)["state"] == "ready"
    project(version(3))
    assert control(server, "reload", "--no-wait") == (0, "", "")
    server.wait_for_log("Reloaded: generation 3")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_stop_ends_the_wait_for_a_reload(start, project, tmp_path, number):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start()
    project(f"open({str(gate)!r}).read()")
    waits = Reload(server)
    with open(gate, "wb"):
        assert server.stop(number) == 0
    assert waits.outcome() == (ctl.NOT_RELOADED, "", "portwayctl: Not reloaded: The server is stopping.\n")


def test_a_server_that_is_killed_ends_the_wait_for_a_reload(start, project, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start()
    project(f"open({str(gate)!r}).read()")
    waits = Reload(server)
    with open(gate, "wb"):
        server.send(signal.SIGKILL)
        server.wait()
    code, _, err = waits.outcome()
    assert code == ctl.FAILED
    assert "has ended" in err


# The status.


def test_the_status_tells_what_there_is(start, control, status):
    server = start("--threads", 3)
    before = server.get()
    found = status(server)
    assert (found["state"], found["pid"], found["wanted"]) == ("ready", server.pid, 2)
    assert found["application"] == "app"
    assert found["listening"] == [server.url]
    assert found["totals"]["requests"] == 1
    assert before.text == "1"
    assert {worker["pid"] for worker in found["workers"]} < set(server.children())
    for worker in found["workers"]:
        assert (worker["state"], worker["generation"], worker["threads"]) == ("ready", 1, 3)
        assert (worker["busy"], worker["queue"], worker["doing"]) == (0, 0, [])
        assert worker["memory"] > 100_000
        assert 0 <= worker["age"] < 600
    assert sum(worker["requests"] for worker in found["workers"]) == 1
    text = control(server, "status")[1]
    assert text.startswith(f"running, process {server.pid}, ready\n")
    assert text.count(" MiB\n") == 2


def test_what_each_thread_is_doing(start, control, status, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start()
    client = server.connect()
    client.sendall(f"GET /wait?{gate} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    with open(gate, "wb"):
        (busy,) = [worker for worker in status(server)["workers"] if worker["busy"]]
        (doing,) = busy["doing"]
        assert (busy["busy"], doing["method"], doing["path"]) == (1, "GET", "/wait")
        assert doing["seconds"] >= 0
        code, out, _ = control(server, "workers")
        assert code == 0
        assert f"worker {busy['nr']} (process {busy['pid']}, ready, generation 1): 1 of 4 threads busy" in out
        assert "  GET /wait\n" in out
        assert json.loads(control(server, "workers", "--json")[1])[busy["nr"]]["doing"][0]["path"] == "/wait"
    assert client.recv(1000).endswith(b"1")
    client.close()


def test_a_server_that_starts_and_one_that_stops(start, status, tmp_path, version):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start(source=f"open({str(gate)!r}).read()\n" + version(1), ready=False)
    with open(gate, "wb"):
        found = status(server)
        assert (found["state"], found["generation"], found["trial"]) == ("starting", 0, 1)
    server.wait_until_ready()
    client = server.connect()
    client.sendall(f"GET /wait?{gate} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    with open(gate, "wb"):
        server.send(signal.SIGTERM)
        server.wait_for_log("Stopping;")
        assert status(server)["state"] == "draining"
    assert client.recv(1000).endswith(b"1")
    client.close()
    assert server.wait() == 0


def test_a_crash_loop_makes_the_state_degraded(start, status):
    server = start("--workers", 1)
    for count in (1, 2):
        client = server.connect()
        client.sendall(b"GET /die HTTP/1.1\r\nHost: a\r\n\r\n")
        assert client.recv(100) == b""
        client.close()
        server.wait_for_log("exited with 9", count)
    found = status(server)
    assert found["state"] == "degraded"
    assert found["reasons"] == ["Workers end soon after they start, 2 times in a row; the log says how."]


def test_a_server_at_rest(start, control, status):
    server = start()
    server.send(signal.SIGWINCH)
    server.wait_for_log("All workers end")
    found = status(server)
    assert (found["state"], found["wanted"]) == ("resting", 0)
    # As by the signal, what was there before comes back.
    assert control(server, "reload") == (0, "", "")
    server.wait_for_log("2 workers are wanted")
    assert server.get().text == "1"
    assert status(server)["state"] == "ready"
