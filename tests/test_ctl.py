"""The `portwayctl` command without a control socket: the signal of each command, and what is said when nobody
gets it. tests/functional/test_control.py has it with a server that has a socket.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from portway import ctl

# Says "ready", then the name of each signal it gets.
SERVER = """
import signal, sys
wanted = {signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGTTIN, signal.SIGTTOU}
signal.pthread_sigmask(signal.SIG_BLOCK, wanted)
print("ready", flush=True)
while True:
    print(signal.Signals(signal.sigwait(wanted)).name, flush=True)
"""


@pytest.fixture
def server() -> Iterator[subprocess.Popen[str]]:
    """A process that stands for the server."""
    process = subprocess.Popen([sys.executable, "-c", SERVER], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def pid_file(server: subprocess.Popen[str], tmp_path: Path) -> Path:
    path = tmp_path / "portway.pid"
    path.write_text(f"{server.pid}\n")
    return path


@pytest.fixture
def gone() -> int:
    """The process id of nobody."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("reload", "SIGHUP"),
        ("stop", "SIGTERM"),
        ("quit", "SIGQUIT"),
        ("reopen", "SIGUSR1"),
        ("add-worker", "SIGTTIN"),
        ("remove-worker", "SIGTTOU"),
    ],
)
def test_each_command_sends_its_signal(
    server: subprocess.Popen[str], pid_file: Path, command: str, name: str
) -> None:
    assert server.stdout is not None
    assert ctl.main(["--pid", str(pid_file), command]) == 0
    assert server.stdout.readline() == f"{name}\n"
    assert ctl.main([command, "-p", str(server.pid)]) == 0
    assert server.stdout.readline() == f"{name}\n"


def test_status_of_a_server_that_runs(
    server: subprocess.Popen[str], pid_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl.main(["--pid", str(pid_file), "status"]) == 0
    assert capsys.readouterr().out == f"running, process {server.pid}\n"
    assert server.poll() is None


def test_a_server_that_does_not_run(gone: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["--pid", str(gone), "status"]) == 3
    assert ctl.main(["--pid", str(gone), "stop"]) == 1
    assert capsys.readouterr().err == f"portwayctl: process {gone} does not run\n" * 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "holds no process id"),
        ("x", "holds no process id"),
        ("-5", "holds no process id"),
        ("0", "no process id"),
    ],
)
def test_a_pid_file_with_something_else_in_it(
    tmp_path: Path, text: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.pid").write_text(text)
    assert ctl.main(["--pid", str(tmp_path / "x.pid"), "stop"]) == 1
    assert told in capsys.readouterr().err


def test_a_pid_file_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["--pid", str(tmp_path / "x.pid"), "stop"]) == 1
    assert ctl.main(["--pid", str(tmp_path / "x.pid"), "status"]) == 3
    assert ctl.main(["--pid", str(tmp_path), "stop"]) == 1
    assert "there is no pid file" in capsys.readouterr().err


@pytest.mark.parametrize("pid", ["0", "1", "99999999999999999999"])
def test_process_ids_that_are_no_servers(pid: str, capsys: pytest.CaptureFixture[str]) -> None:
    """0 would be this process's whole group and 1 is init."""
    assert ctl.main(["--pid", pid, "quit"]) == 1
    assert "no server's process id" in capsys.readouterr().err


def test_a_server_of_another_user(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(pid: int, number: int) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "kill", refuse)
    assert ctl.main(["--pid", "4711", "status"]) == 0
    assert ctl.main(["--pid", "4711", "stop"]) == 1
    out, err = capsys.readouterr()
    assert out == "running, process 4711 (of another user)\n"
    assert err == "portwayctl: process 4711 belongs to another user; try sudo\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["stop"],
        ["--pid", "4711"],
        ["--pid", "4711", "dance"],
        ["--frob"],
        ["--pid", "4711", "--socket", "x", "status"],
        ["--pid", "4711", "--timeout", "-1", "reload"],
        ["--pid", "4711", "--timeout", "nan", "reload"],
        ["--pid", "4711", "--timeout", "x", "reload"],
    ],
)
def test_a_wrong_command_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(arguments) == 2
    assert "portwayctl: error: " in capsys.readouterr().err


def test_help_tells_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert ctl.main(["--help"]) == 0
    out = capsys.readouterr().out
    for command in ctl.COMMANDS:
        assert f"  {command} " in out


def test_commands_send_signals_that_the_supervisor_knows() -> None:
    assert {number for number, _ in ctl.COMMANDS.values() if number} == {
        signal.SIGHUP,
        signal.SIGTERM,
        signal.SIGQUIT,
        signal.SIGUSR1,
        signal.SIGTTIN,
        signal.SIGTTOU,
    }


def test_a_socket_of_another_server_is_not_used(
    server: subprocess.Popen[str], pid_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pid file names one process, the socket beside it is another's: the file has the last word."""
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(pid_file.with_suffix(".ctl")))
        other.listen()
        assert ctl.main(["--pid", str(pid_file), "status"]) == 0
    assert capsys.readouterr().out == f"running, process {server.pid}\n"
    # And what a killed one has left behind is nobody's.
    assert ctl.main(["--pid", str(pid_file), "status"]) == 0
    assert capsys.readouterr().out == f"running, process {server.pid}\n"


def test_without_a_socket_the_outcome_of_a_reload_is_not_known(
    server: subprocess.Popen[str], pid_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl.main(["--pid", str(pid_file), "reload"]) == 0
    assert "only the log tells the outcome" in capsys.readouterr().err
    assert ctl.main(["--pid", str(pid_file), "reload", "--no-wait"]) == 0
    assert capsys.readouterr().err == ""
    assert ctl.main(["--pid", str(pid_file), "workers"]) == 1
    assert "no control socket that can be found" in capsys.readouterr().err


def test_the_status_in_json(
    server: subprocess.Popen[str], pid_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ctl.main(["--pid", str(pid_file), "--json", "status"]) == 0
    assert json.loads(capsys.readouterr().out) == {"pid": server.pid}


def test_the_first_process_of_a_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There the server may be process 1, and its pid file says so."""
    sent = []
    monkeypatch.setattr(os, "kill", lambda pid, number: sent.append((pid, number)))
    (tmp_path / "x.pid").write_text("1\n")
    assert ctl.main(["--pid", str(tmp_path / "x.pid"), "stop"]) == 0
    assert sent == [(1, signal.SIGTERM)]


def test_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(pid: int, number: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "kill", interrupt)
    assert ctl.main(["--pid", "4711", "status"]) == 130
