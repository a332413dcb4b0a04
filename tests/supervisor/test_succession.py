"""The parts of an upgrade that need no second server: the command, the pid file, what is held back, numbers."""

import json
import os
import socket
import subprocess
import sys

import pytest

from portway.net.addresses import parse_address
from portway.net.listeners import BindError, inherit_listener
from portway.observe.scoreboard import Scoreboard
from portway.settings.control_socket import second
from portway.settings.table import Origin, Settings
from portway.supervisor.command import Command
from portway.supervisor.notify import Notifier
from portway.supervisor.pidfile import PidFile, PidFileError
from portway.supervisor.strength import Strength
from portway.supervisor.succession import VARIABLE, take_inheritance


@pytest.fixture
def words(monkeypatch):
    """Return a function that sets how the interpreter was started."""
    return lambda *words: monkeypatch.setattr(sys, "orig_argv", [*map(str, words)])


def make_script(path, head, mode=0o755):
    path.write_text(f"{head}\nimport sys\n")
    path.chmod(mode)
    return path


@pytest.mark.parametrize("head", ["#!{}", '#!/bin/sh\n\'\'\'exec\' "{}" "$0" "$@"'])
def test_a_script_is_started_by_its_name(words, tmp_path, head):
    script = make_script(tmp_path / "portway", head.format(sys.executable))
    words(sys.executable, script, "app")
    command = Command.of_this_process(None)
    assert (command.program, command.arguments) == (str(script), (str(script), "app"))
    assert command.directory == os.getcwd()


@pytest.mark.parametrize(("mode", "interpreter"), [(0o644, sys.executable), (0o755, "/another/python")])
def test_an_interpreter_that_was_named_is_named_again(words, tmp_path, mode, interpreter):
    script = make_script(tmp_path / "portway", f"#!{interpreter}", mode)
    words(sys.executable, script, "app")
    command = Command.of_this_process(None)
    assert (command.program, command.arguments) == (sys.executable, (sys.executable, str(script), "app"))


@pytest.mark.parametrize("rest", [["-m", "portway", "app"], ["-c", "pass"], ["missing.py"], []])
def test_other_ways_to_start(words, rest):
    words("python3", *rest)
    command = Command.of_this_process(Origin(("app",), {"NAME": "value"}, "/"))
    assert (command.program, command.arguments) == (sys.executable, ("python3", *rest))
    assert (command.directory, command.environ) == ("/", {"NAME": "value"})


def test_a_process_becomes_the_command(tmp_path):
    pid = os.fork()
    if pid == 0:
        program = "import os; open('out', 'w').write(os.environ['ONE'] + os.environ['TWO'])"
        Command(sys.executable, ("python", "-c", program), str(tmp_path), {"ONE": "1", "TWO": "0"}).run(
            TWO="2"
        )
    assert os.waitpid(pid, 0)[1] == 0
    assert (tmp_path / "out").read_text() == "12"


def test_an_inheritance_that_is_not_there_or_for_another_process():
    assert take_inheritance({}) is None
    environ = {VARIABLE: json.dumps({"pid": os.getppid(), "old": 1, "link": 3, "listeners": []})}
    assert take_inheritance(environ) is None
    assert environ == {}


def test_an_inheritance_is_taken_out_of_the_environment():
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, socket.create_server(("127.0.0.1", 0)) as opened:
        numbers = theirs.detach(), os.dup(opened.fileno())
        for number in numbers:
            os.set_inheritable(number, True)
        said = {"pid": os.getpid(), "old": 7, "link": numbers[0], "listeners": [["127.0.0.1:0", numbers[1]]]}
        environ = {VARIABLE: json.dumps(said), "OTHER": "1"}
        predecessor = take_inheritance(environ)
        assert environ == {"OTHER": "1"}
        assert predecessor.pid == 7
        (listener,) = predecessor.listeners
        assert listener.port == opened.getsockname()[1]
        assert not os.get_inheritable(numbers[0])
        assert not os.get_inheritable(numbers[1])
        predecessor.close_unused([])
        assert listener.socket.fileno() == -1
        predecessor.link.close()


def test_the_file_of_a_shared_socket_stays(tmp_path):
    path = tmp_path / "sock"
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(str(path))
        with pytest.raises(BindError, match="it is not listening"):
            inherit_listener(parse_address(f"unix:{path}"), opened.fileno())
        opened.listen()
        listener = inherit_listener(parse_address(f"unix:{path}"), os.dup(opened.fileno()))
    listener.close()
    listener.remove()
    assert path.exists()
    listener.shared = False
    listener.remove()
    assert not path.exists()


def test_a_pid_file_is_left_to_another_process_in_one_step(tmp_path):
    path, pid_file = tmp_path / "pid", PidFile()
    pid_file.use(str(path))
    pid_file.leave_to(os.getppid())
    assert path.read_text() == f"{os.getppid()}\n"
    pid_file.remove()
    assert path.exists()
    with pytest.raises(PidFileError):
        pid_file.use(str(path))
    # Whoever is known to have ended counts as dead, even if its parent does not know yet.
    pid_file.use(str(path), gone=os.getppid())
    assert path.read_text() == f"{os.getpid()}\n"
    path.write_text("1\n")
    pid_file.leave_to(os.getppid())
    assert path.read_text() == "1\n"


def test_a_process_that_nobody_has_waited_for_is_gone_for_its_successor(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    path, pid_file = tmp_path / "pid", PidFile()
    path.write_text(f"{child.pid}\n")
    with pytest.raises(PidFileError):
        pid_file.use(str(path))
    pid_file.use(str(path), gone=child.pid)
    pid_file.remove()
    child.wait()


@pytest.mark.parametrize(
    ("held", "sent"),
    [
        ([], b"MAINPID=1"),
        ([["READY=1", "STATUS=a"], ["STATUS=b"]], b"MAINPID=1\nREADY=1\nSTATUS=b"),
        ([["RELOADING=1", "MONOTONIC_USEC=5"], ["READY=1"]], b"MAINPID=1\nREADY=1"),
        ([["STOPPING=1"]], b"MAINPID=1\nSTOPPING=1"),
    ],
)
def test_what_is_held_back_from_the_service_manager(tmp_path, held, sent):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(10)
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        notifier.hold()
        for lines in held:
            notifier.send(*lines)
        notifier.release("MAINPID=1")
        assert sorted(manager.recv(1000).split(b"\n")) == sorted(sent.split(b"\n"))
        notifier.send("STATUS=now")
        assert manager.recv(1000) == b"STATUS=now"


def test_the_second_control_socket():
    assert second("/run/site.ctl", "/run/site.pid") == "/run/site.pid.2.ctl"
    assert second("/run/other.ctl", "/run/site.pid") == "/run/other.ctl.2"
    assert second("/run/other.ctl", None) == "/run/other.ctl.2"


def test_workers_rest_and_come_back():
    strength = Strength(Settings(workers=3), Scoreboard(16, 4))
    assert not strength.at_rest
    strength.wake()
    assert strength.workers == 3
    strength.rest()
    strength.rest()
    strength.change(-1)
    assert strength.at_rest
    assert (strength.workers, strength.trial) == (0, 0)
    strength.wake()
    assert (strength.workers, strength.trial) == (3, 3)
    strength.rest()
    strength.change(1)
    assert (strength.workers, strength.trial) == (1, 1)
    assert not strength.at_rest
