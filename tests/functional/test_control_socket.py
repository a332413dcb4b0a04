"""The control socket of a running server: where it is, who may use it, and what it bears."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from time import monotonic

import pytest

from portway import ctl

pytestmark = pytest.mark.functional

NOBODY = 65534


def files(folder):
    """Return the names of what is in a folder, without what Python itself puts there."""
    return {entry.name for entry in folder.iterdir()} - {"__pycache__"}


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


def test_without_a_pid_file_there_is_no_socket(serve, project, capsys, version):
    folder = project(version(1))
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
