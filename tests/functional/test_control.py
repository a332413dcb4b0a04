"""A running server and `portwayctl`: every outcome of a reload, and what the status says of it."""

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from time import monotonic

import pytest

from portway import ctl

pytestmark = pytest.mark.functional

NOBODY = 65534

VERSION = """
import os

def application(environ, start_response):
    if environ["PATH_INFO"] == "/wait":
        with open(environ["QUERY_STRING"]) as gate:
            gate.read()
    if environ["PATH_INFO"] == "/die":
        os._exit(9)
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "1")])
    return [b"{version}"]
"""

BROKEN = "import nothing_of_this_name\n"


@pytest.fixture
def control(capsys):
    """Return a function that runs portwayctl and returns its exit status, what it printed, what it complained."""

    def control(server, *arguments):
        code = ctl.main(["--pid", str(server.folder / "portway.pid"), *map(str, arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    return control


@pytest.fixture
def status(control):
    """Return a function that asks for the status."""

    def status(server):
        code, out, _ = control(server, "status", "--json")
        assert code == 0
        return json.loads(out)

    return status


@pytest.fixture
def start(serve, project):
    """Return a function that starts a server of two workers with a pid file, and so with a control socket."""

    def start(*flags, source=None, config="", **more):
        folder = project(source or VERSION.format(version=1))
        project(config, "gunicorn.conf.py")
        return serve("app", "--workers", 2, "--pid", "portway.pid", *flags, cwd=folder, **more)

    return start


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


def files(folder):
    """Return the names of what is in a folder, without what Python itself puts there."""
    return {entry.name for entry in folder.iterdir()} - {"__pycache__"}


# Reloads.


def test_a_reload_that_succeeds(start, project, control, status):
    server = start()
    assert control(server, "reload") == (0, "Reloaded: generation 2 serves with 2 workers.\n", "")
    project(VERSION.format(version=2))
    assert control(server, "reload")[0] == 0
    found = status(server)
    assert (found["state"], found["generation"], found["failure"]) == ("ready", 3, None)
    # Who is told so may count on it; the workers of before may answer what they had begun to.
    server.wait_for_answer("2")


@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_broken_code_is_reported_and_makes_the_state_degraded(start, project, control, status, preload):
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
    project(VERSION.format(version=2))
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


def test_an_address_that_is_taken_is_reported(serve, project, control, status):
    folder = project(VERSION.format(version=1))
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


def test_a_worker_that_cannot_begin_is_reported(start, project, control, status):
    server = start("--no-preload")
    # The mold loads the application once to find out what is served beside it, the canary loads it again.
    project(
        "import pathlib\n"
        "seen = pathlib.Path('seen')\n"
        "if seen.exists():\n    raise RuntimeError('a second time')\n"
        "seen.touch()\n" + VERSION.format(version=2)
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
def test_a_worker_that_does_not_become_ready_is_reported(start, project, control, status, flags, source, why):
    good = "\n\ndef ready():\n    return True\n"
    server = start(*flags, source=VERSION.format(version=1) + good)
    project(source if "application" in source else VERSION.format(version=2) + "\n" + source)
    code, _, err = control(server, "reload")
    assert code == ctl.NOT_RELOADED
    assert err.startswith("portwayctl: Not reloaded, generation 1 keeps serving: ")
    assert why in err
    assert status(server)["state"] == "degraded"
    project(VERSION.format(version=3) + good)
    assert control(server, "reload")[0] == 0
    assert status(server)["state"] == "ready"


def test_a_reload_while_another_one_runs_answers_for_both(start, project, status, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start()
    project(f"open({str(gate)!r}).read()")
    first = Reload(server)
    with open(gate, "wb"):
        # The mold has opened the other end, and waits.
        found = status(server)
        assert (found["state"], found["generation"], found["trial"]) == ("reloading", 1, 2)
        project(VERSION.format(version=2))
        second = Reload(server)
        reloaded = (0, "Reloaded: generation 3 serves with 2 workers.\n", "")
        assert second.outcome() == reloaded
        assert first.outcome() == reloaded
    assert status(server)["state"] == "ready"


def test_a_refused_reload_does_not_disturb_the_one_that_runs(start, project, control, status, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start()
    project(f"open({str(gate)!r}).read()\n" + VERSION.format(version=2))
    first = Reload(server)
    with open(gate, "wb"):
        project("workers = = 1\n", "gunicorn.conf.py")
        assert control(server, "reload")[0] == ctl.NOT_RELOADED
    assert first.outcome()[0] == 0
    # What was refused came later, and is still to be mended.
    found = status(server)
    assert (found["state"], found["generation"]) == ("degraded", 2)


def test_who_does_not_wait_and_who_waits_in_vain(start, project, control, status, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start()
    project(f"open({str(gate)!r}).read()\n" + VERSION.format(version=2))
    code, _, err = control(server, "reload", "--timeout", "0.2")
    assert code == ctl.NOT_DONE
    assert "not done after 0.2 s" in err
    with open(gate, "wb"):
        pass
    server.wait_for_log("Reloaded: generation 2")
    assert status(server)["state"] == "ready"
    project(VERSION.format(version=3))
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


def test_a_server_that_starts_and_one_that_stops(start, status, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = start(source=f"open({str(gate)!r}).read()\n" + VERSION.format(version=1), ready=False)
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


# The socket.


def test_hostile_clients_disturb_neither_the_server_nor_a_reload(start, control, status):
    server = start()
    descriptors = len(os.listdir(f"/proc/{server.pid}/fd"))
    clients = []
    for number in range(60):
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(server.folder / "portway.ctl"))
        client.settimeout(30)
        try:
            client.sendall(
                [b"x" * 200_000, b'{"command": ', b"\xff\n" * 50, b'{"command": "status"}\n' * 500][
                    number % 4
                ]
            )
        except OSError:
            pass  # it was put out before it had said everything
        if number % 2:
            client.close()
        else:
            clients.append(client)
    assert server.get().text == "1"
    server.send(signal.SIGHUP)
    server.wait_for_log("Reloaded: generation 2")
    for client in clients:
        client.close()
    assert control(server, "reload")[0] == 0
    assert status(server)["generation"] == 3
    until = monotonic() + 30
    while len(os.listdir(f"/proc/{server.pid}/fd")) > descriptors:
        assert monotonic() < until, os.listdir(f"/proc/{server.pid}/fd")
        control(server, "status")


def test_the_socket_is_beside_the_pid_file_and_nobody_elses(start, project):
    server = start()
    path = server.folder / "portway.ctl"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    server.stop()
    assert not path.exists()
    assert files(server.folder) == {"app.py", "gunicorn.conf.py"}


def test_without_a_pid_file_there_is_no_socket(serve, project, capsys):
    folder = project(VERSION.format(version=1))
    server = serve("app", cwd=folder)
    assert files(folder) == {"app.py"}
    assert ctl.main(["--pid", str(server.pid), "status"]) == 0
    assert capsys.readouterr().out == f"running, process {server.pid}\n"
    assert ctl.main(["--pid", str(server.pid), "workers"]) == ctl.FAILED
    assert "has no control socket" in capsys.readouterr().err
    assert ctl.main(["--pid", str(server.pid), "reload"]) == 0
    assert "only the log" in capsys.readouterr().err
    server.wait_for_log("Reloaded: generation 2")


def test_in_the_folder_of_a_service(serve, tmp_path, capsys):
    server = serve("hello:application", RUNTIME_DIRECTORY=str(tmp_path))
    assert ctl.main(["--socket", str(tmp_path / "portway.ctl"), "status"]) == 0
    assert f"running, process {server.pid}, ready" in capsys.readouterr().out


def test_every_command_goes_over_the_socket(serve, tmp_path, capsys):
    path = tmp_path / "my.sock"
    server = serve("hello:application", "--control-socket", path, "--workers", 1)
    for command, line in (
        ("add-worker", "2 workers are wanted"),
        ("remove-worker", "1 worker is wanted"),
        ("reopen", "reopen was asked for by process"),
        ("stop", "Stopping;"),
    ):
        assert ctl.main(["--socket", str(path), command]) == 0
        server.wait_for_log(line)
    assert server.wait() == 0
    assert ctl.main(["--socket", str(path), "status"]) == ctl.NOT_RUNNING
    assert "the server does not run" in capsys.readouterr().err


def test_what_a_killed_server_leaves_is_no_server_and_in_nobodys_way(start, control):
    server = start()
    server.send(signal.SIGKILL)
    server.wait()
    server.wait_until_gone()
    assert (server.folder / "portway.ctl").exists()
    assert control(server, "status")[0] == ctl.NOT_RUNNING
    again = start()
    assert control(again, "status")[1].startswith(f"running, process {again.pid}, ready\n")


def test_a_socket_that_was_asked_for_and_cannot_be_is_an_error(serve, tmp_path):
    (tmp_path / "file").write_text("")
    server = serve("hello:application", "--control-socket", tmp_path / "file", ready=False)
    assert server.wait() == 1
    assert f"The control socket {tmp_path}/file cannot be opened: there is a file of this name" in server.log


def test_workers_do_not_have_the_socket(start, status):
    server = start()
    own = _sockets(server.pid)
    listening = {line.split()[6] for line in _unix_sockets() if line.endswith(f"{server.folder}/portway.ctl")}
    assert len(listening) == 1
    assert listening <= own
    for pid in server.children():
        assert not listening & _sockets(pid)


def _unix_sockets():
    return Path("/proc/net/unix").read_text().splitlines()


def _sockets(pid):
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        name = os.readlink(entry)
        if name.startswith("socket:"):
            found.add(name.removeprefix("socket:[").rstrip("]"))
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
@pytest.mark.parametrize(("mode", "allowed"), [("0600", False), ("0660", False), ("0666", True)])
def test_the_permissions_of_the_file_are_those_of_the_server(serve, mode, allowed):
    folder = tempfile.mkdtemp(dir="/tmp")
    os.chmod(folder, 0o755)
    try:
        path = f"{folder}/portway.ctl"
        serve("hello:application", "--control-socket", path, "--control-socket-mode", mode)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, path], capture_output=True, text=True, timeout=60, check=False
        )
        if allowed:
            assert done.returncode == 0
            assert done.stdout.startswith("running, process ")
        else:
            assert done.returncode == 1
            assert done.stderr == f"portwayctl: the control socket {path} belongs to another user; try sudo\n"
    finally:
        shutil.rmtree(folder)


AS_NOBODY = f"""
import os, sys
import portway.supervisor.gauge
from portway import ctl
# Nobody may not be able to read where Python is: what is imported late has to be there.
ctl.build_parser().parse_args(["--socket", "x", "status"])
os.setgroups([])
os.setgid({NOBODY})
os.setuid({NOBODY})
sys.exit(ctl.main(["--socket", sys.argv[1], "status"]))
"""
