"""Upgrades (USR2): a new server beside the old one, on the same sockets; completed, taken back, and failed."""

import json
import os
import pty
import re
import signal
import socket
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.functional

ABOUT = """
import json
import os

VERSION = {version}


def application(environ, start_response):
    about = {{"version": VERSION, "pid": os.getpid(), "server": os.getppid(), "environ": dict(os.environ)}}
    body = json.dumps(about).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

FAST = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Length", "1")])
    return [b"{version}"]
"""


def about(server):
    return json.loads(server.get().text)


@pytest.fixture
def upgrade(launch, ended):
    """Return a function that has process `old` start another server, and returns its process id when it is ready.

    What was started so is ended after the test, before `launch` looks whether anything is left.
    """
    started = []

    def upgrade(server, old, ready=True):
        attempt = server.log.count(f"[{old}] [INFO] Upgrading:") + 1
        server.send(signal.SIGUSR2, old)
        new = int(server.wait_for_log(rf"\[{old}\] \[INFO\] Upgrading: process (\d+) is started", attempt)[1])
        started.append(new)
        if ready:
            server.wait_for_log(rf"\[{old}\] \[INFO\] The new server \(process {new}\) is ready")
        return new

    yield upgrade
    for pid in started:
        try:
            os.kill(pid, signal.SIGTERM)
        except ProcessLookupError:
            continue
        ended(pid)


def wait_for_version(server, number):
    """Ask until only this version answers; workers that are told to end may answer once more."""
    for _ in range(10_000):
        if {about(server)["version"] for _ in range(20)} == {number}:
            return
    raise AssertionError(server.log)


def ask(path):
    """Return a whole response from a Unix socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(path))
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        with client.makefile("rb") as stream:
            return stream.read()


def descriptors(pid):
    found = {}
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found[int(name)] = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
    return found


@pytest.fixture
def bind(request, tmp_path):
    """Return where to listen, for each kind of address."""
    return "127.0.0.1:0" if request.param == "tcp" else f"unix:{tmp_path / 'site.sock'}"


kinds = pytest.mark.parametrize("bind", ["tcp", "unix"], indirect=True)


@kinds
@pytest.mark.parametrize("preload", ["--preload", "--no-preload"])
def test_upgrades_under_load_lose_no_request(serve, project, load, bind, preload, ended, tmp_path, upgrade):
    folder = project(FAST.format(version=1))
    flags = ["--bind", bind, "--workers", 2, "--threads", 2, "--pid", tmp_path / "pid"]
    server = serve("app", preload, *flags, cwd=folder)
    old = server.pid
    with load(server, clients=8) as clients:
        for number in (2, 3):
            clients.wait_for(200)
            project(FAST.format(version=number))
            new = upgrade(server, old)
            clients.wait_for(200)
            server.send(signal.SIGTERM, old)
            server.wait_for_log(rf"Process {old} has ended: this server \(process {new}\) takes its place")
            old = new
        clients.wait_for(200)
    assert not clients.failures
    assert clients.bodies == {b"1", b"2", b"3"}
    server.wait_for_answer("3")
    assert (tmp_path / "pid").read_text() == f"{old}\n"
    assert os.listdir(tmp_path / "project").count("pid.2") == 0
    server.send(signal.SIGTERM, old)
    ended(old)
    server.wait_until_gone()
    assert not (tmp_path / "site.sock").exists()
    assert not (tmp_path / "pid").exists()


def kinds_of_descriptors(pid):
    """Return what a process has open, without what tells one socket or pipe from another."""
    return sorted(re.sub(r"\d+", "", target) for target in descriptors(pid).values())


def test_the_new_server_inherits_nothing_but_the_sockets(serve, project, ended, upgrade):
    server = serve("app", "--workers", 1, cwd=project(ABOUT.format(version=1)))
    before = kinds_of_descriptors(server.pid)
    with server.connect() as client:
        # The connection is open and counted, and the only one there ever was.
        worker_before = kinds_of_descriptors(json.loads(server.get(client=client).text)["pid"])
    new = upgrade(server, server.pid)
    assert kinds_of_descriptors(server.pid) == kinds_of_descriptors(new) == sorted([*before, "socket:[]"])
    server.send(signal.SIGTERM)
    server.wait_for_log("takes its place")
    ended(server.pid)
    assert kinds_of_descriptors(new) == before
    with server.connect() as client:
        answer = json.loads(server.get(client=client).text)
        assert answer["server"] == new
        assert kinds_of_descriptors(answer["pid"]) == worker_before
    assert "PORTWAY_INHERITS" not in answer["environ"]


def test_both_write_their_pid_files(serve, project, tmp_path, ended, upgrade):
    pid_file, second = tmp_path / "pid", tmp_path / "pid.2"
    server = serve("app", "--pid", pid_file, cwd=project(ABOUT.format(version=1)))
    new = upgrade(server, server.pid)
    assert pid_file.read_text() == f"{server.pid}\n"
    assert second.read_text() == f"{new}\n"
    assert (tmp_path / "pid.ctl").is_socket()
    assert (tmp_path / "pid.2.ctl").is_socket()
    # A reload of either changes nothing about that.
    for pid in (server.pid, new):
        server.send(signal.SIGHUP, pid)
        server.wait_for_log(rf"\[{pid}\] \[INFO\] Reloaded")
    assert pid_file.read_text() == f"{server.pid}\n"
    assert second.read_text() == f"{new}\n"
    server.send(signal.SIGQUIT)
    server.wait_for_log("takes its place")
    assert pid_file.read_text() == f"{new}\n"
    assert not second.exists()
    assert (tmp_path / "pid.ctl").is_socket()
    assert not (tmp_path / "pid.2.ctl").exists()


@kinds
def test_an_upgrade_is_taken_back(serve, project, bind, tmp_path, load, ended, upgrade):
    folder = project(ABOUT.format(version=1))
    server = serve("app", "--workers", 2, "--pid", tmp_path / "pid", "--bind", bind, cwd=folder)
    with load(server) as clients:
        project(ABOUT.format(version=2))
        new = upgrade(server, server.pid)
        server.send(signal.SIGWINCH)
        server.wait_for_log("All workers end; HUP brings them back.")
        wait_for_version(server, 2)
        clients.wait_for(50)
        server.send(signal.SIGHUP)
        server.wait_for_log("2 workers are wanted.")
        wait_for_version(server, 1)
        server.send(signal.SIGTERM, new)
        server.wait_for_log(rf"The new server \(process {new}\) exited with 0; this one keeps serving.")
        clients.wait_for(50)
    assert not clients.failures
    # What is on disk by now was not loaded by the old server.
    assert {about(server)["version"] for _ in range(20)} == {1}
    assert (tmp_path / "pid").read_text() == f"{server.pid}\n"
    assert not (tmp_path / "pid.2").exists()
    assert server.stop() == 0


def test_workers_that_rest_are_brought_back_one_by_one(serve, project, upgrade):
    server = serve("app", "--workers", 2, "--log-level", "debug", cwd=project(ABOUT.format(version=1)))
    upgrade(server, server.pid)
    server.send(signal.SIGWINCH)
    server.wait_for_log(rf"\[{server.pid}\] \[DEBUG\] Worker \d \(process \d+\) exited with 0", 2)
    server.send(signal.SIGTTOU)
    server.send(signal.SIGTTIN)
    server.wait_for_log("1 worker is wanted.")
    server.wait_for_log(rf"\[{server.pid}\] \[DEBUG\] Worker 0 \(process \d+\) is ready", 2)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_that_rest_come_back_when_the_new_server_ends(serve, project, number, upgrade):
    server = serve("app", "--workers", 2, cwd=project(ABOUT.format(version=1)))
    new = upgrade(server, server.pid)
    server.send(signal.SIGWINCH)
    server.wait_for_log("All workers end")
    server.send(number, new)
    server.wait_for_log(rf"The new server \(process {new}\) .*; this one keeps serving.")
    server.wait_for_log("2 workers are wanted.")
    while about(server)["server"] != server.pid:
        pass
    assert server.stop() == 0


BROKEN = "import nothing_of_this_name\n"


@kinds
def test_a_new_server_that_does_not_start_changes_nothing(
    serve, project, bind, tmp_path, load, ended, upgrade
):
    folder = project(FAST.format(version=1))
    server = serve("app", "--pid", tmp_path / "pid", "--bind", bind, cwd=folder)
    with load(server) as clients:
        project(BROKEN)
        for count in (1, 2):
            server.send(signal.SIGUSR2)
            pattern = (
                r"Not upgraded, this server keeps serving: process \d+ exited with 4 before it was ready."
            )
            server.wait_for_log(pattern, count)
        clients.wait_for(50)
    assert not clients.failures
    assert server.log.count("Not upgraded") == 2
    files = {"pid", "pid.ctl", "project"} | ({"site.sock"} if bind.startswith("unix") else set())
    assert set(os.listdir(tmp_path)) == files
    project(FAST.format(version=2))
    upgrade(server, server.pid)
    server.send(signal.SIGTERM)
    server.wait_for_log("takes its place")
    server.wait_for_answer("2")


def test_one_upgrade_at_a_time(serve, project, tmp_path, upgrade):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = serve("app", cwd=project(FAST.format(version=1)))
    project(f"open({str(gate)!r}).read()" + FAST.format(version=2))
    new = upgrade(server, server.pid, ready=False)
    with open(gate, "wb"):
        # The new server imports the application.
        server.send(signal.SIGUSR2)
        server.wait_for_log(
            rf"Not upgraded: an upgrade runs already\..*kill -TERM {server.pid}\).*kill -TERM {new}\)"
        )
        server.send(signal.SIGUSR2, new)
        server.wait_for_log(rf"\[{new}\] \[ERROR\] Not upgraded: this server is not ready yet.")
        assert server.get().text == "1"
    server.wait_for_log(rf"The new server \(process {new}\) is ready")
    server.send(signal.SIGUSR2, new)
    server.wait_for_log(
        rf"\[{new}\] \[ERROR\] Not upgraded: process {server.pid}, whose place this server takes, still"
    )
    assert server.log.count("Upgrading:") == 1


def test_clients_wait_where_the_old_server_is_ended_too_early(serve, project, tmp_path, ended, upgrade):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = serve("app", cwd=project(FAST.format(version=1)))
    project(f"open({str(gate)!r}).read()" + FAST.format(version=2))
    upgrade(server, server.pid, ready=False)
    with open(gate, "wb"):
        server.send(signal.SIGTERM)
        ended(server.pid)
        client = server.connect()
    assert server.get(client=client).text == "2"
    client.close()


@kinds
def test_an_old_supervisor_that_is_killed_is_succeeded(serve, project, bind, tmp_path, ended, upgrade):
    folder = project(ABOUT.format(version=1))
    server = serve("app", "--pid", tmp_path / "pid", "--bind", bind, cwd=folder)
    new = upgrade(server, server.pid)
    server.send(signal.SIGKILL)
    server.wait_for_log("takes its place")
    while about(server)["server"] != new:
        pass
    assert (tmp_path / "pid").read_text() == f"{new}\n"
    assert not (tmp_path / "pid.2").exists()
    server.send(signal.SIGTERM, new)
    server.wait_until_gone()
    assert os.listdir(tmp_path) == ["project"]


def test_settings_are_read_again_and_sockets_that_are_not_named_are_closed(
    launch, project, tmp_path, ended, upgrade
):
    folder = project(FAST.format(version=1))
    first, second, third = (tmp_path / name for name in ("first", "second", "third"))
    config = "bind = ['unix:{}', 'unix:{}']\nworkers = {}\n"
    project(config.format(first, second, 1), "gunicorn.conf.py")
    # The fixture `serve` would say where to listen.
    server = launch("-m", "portway", "app", cwd=folder)
    server.wait_for_log("Stop with")
    project(config.format(second, third, 3), "gunicorn.conf.py")
    new = upgrade(server, server.pid)
    server.wait_for_log(rf"\[{new}\] \[INFO\] Listening on unix:{second}, unix:{third}")
    server.send(signal.SIGTERM)
    ended(server.pid)
    server.wait_for_log("takes its place")
    for path in (second, third):
        assert ask(path).endswith(b"\r\n\r\n1")
    with socket.socket(socket.AF_UNIX) as client:
        # Its file was left for the new server, which had no use for it.
        assert client.connect_ex(str(first)) != 0
    server.send(signal.SIGTERM, new)
    server.wait_until_gone()
    assert not second.exists()
    assert not third.exists()


FROM_MANAGER = """
import os
import sys

os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.executable, [sys.executable, "-m", "portway", "app"])
"""


def test_sockets_of_the_service_manager_stay(launch, project, ended, upgrade):
    with socket.create_server(("127.0.0.1", 0)) as opened:
        url = f"http://127.0.0.1:{opened.getsockname()[1]}"
        opened.set_inheritable(True)
        server = launch(
            "-c",
            FROM_MANAGER,
            opened.fileno(),
            cwd=project(FAST.format(version=1)),
            pass_fds=[opened.fileno()],
        )
    server.wait_for_log(f"Listening on {url}$")
    server.wait_for_log("Stop with")
    old = server.pid
    for _ in range(2):
        new = upgrade(server, old)
        server.wait_for_log(rf"\[{new}\] \[INFO\] Listening on {url}$")
        server.send(signal.SIGTERM, old)
        server.wait_for_log(rf"this server \(process {new}\) takes its place")
        old = new


def test_the_service_manager_is_told_of_its_main_process(serve, project, tmp_path, ended, upgrade):
    folder = project(FAST.format(version=1))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        server = serve("app", "--workers", 1, cwd=folder, NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert manager.recv(4096).startswith(b"READY=1\n")
        project(BROKEN)
        server.send(signal.SIGUSR2)
        server.wait_for_log("Not upgraded")
        project(FAST.format(version=2))
        new = upgrade(server, server.pid)
        # Nothing so far: the main process has not changed.
        server.send(signal.SIGTERM)
        assert manager.recv(4096) == f"MAINPID={new}".encode()
        assert manager.recv(4096) == f"MAINPID={new}\nREADY=1\nSTATUS=Generation 1, 1 workers".encode()
        server.send(signal.SIGTERM, new)
        assert manager.recv(4096).startswith(b"STOPPING=1\n")


@pytest.fixture
def environment(tmp_path):
    """Return a function that makes a virtual environment with a script `portway`; returns the script's path."""

    def make(folder):
        bin = tmp_path / folder / "bin"
        bin.mkdir(parents=True)
        (bin / "python").symlink_to(os.path.realpath(sys.executable))
        base = Path(os.path.realpath(sys.executable)).parent
        (bin.parent / "pyvenv.cfg").write_text(f"home = {base}\ninclude-system-site-packages = false\n")
        script = bin / "portway"
        script.write_text(f"#!{bin}/python\nimport sys\nfrom portway.cli import main\nsys.exit(main())\n")
        script.chmod(0o755)
        return script

    return make


PREFIX = """
import sys


def application(environ, start_response):
    start_response("200 OK", [("Content-Length", str(len(sys.prefix)))])
    return [sys.prefix.encode()]
"""


@pytest.mark.parametrize("by_name", [True, False])
def test_a_virtual_environment_that_was_replaced_is_used(
    launch, project, environment, tmp_path, by_name, upgrade
):
    first, second = environment("releases/1"), environment("releases/2")
    current = tmp_path / "current"
    current.symlink_to(first.parents[1])
    words = [current / "bin" / "portway"] if by_name else [current / "bin" / "python", "-m", "portway"]
    words = [*map(str, words), "app", "--bind", f"unix:{tmp_path}/sock", "--workers", "1"]
    server = launch(
        "-c",
        f"import os; os.execv({words[0]!r}, {words!r})",
        cwd=project(PREFIX),
        PYTHONPATH=os.pathsep.join(path for path in sys.path if path),
    )
    server.wait_for_log("Stop with")
    beside = tmp_path / "beside"
    beside.symlink_to(second.parents[1])
    os.replace(beside, current)
    new = upgrade(server, server.pid)
    server.send(signal.SIGTERM)
    server.wait_for_log("takes its place")
    assert ask(tmp_path / "sock").endswith(str(second.parents[1] if by_name else current).encode())
    current.unlink()
    server.send(signal.SIGUSR2, new)
    server.wait_for_log(rf"Not upgraded, this server keeps serving: {words[0]}: No such file or directory\.")


# Whoever leads a session and opens a terminal has it from then on, and is what it shows.
IN_TERMINAL = """
import os
import sys

os.open(sys.argv[1], os.O_RDWR)
os.execv(sys.executable, [sys.executable, "-m", "portway", "--bind", "127.0.0.1:0", "--workers", "1", "app"])
"""


def test_a_terminal_that_is_resized_ends_no_worker(launch, project, upgrade):
    ours, theirs = pty.openpty()
    try:
        server = launch("-c", IN_TERMINAL, os.ttyname(theirs), cwd=project(FAST.format(version=1)))
        server.wait_for_log("Stop with")
        server.send(signal.SIGWINCH)
        server.send(signal.SIGTTIN)
        server.wait_for_log("2 workers are wanted.")
        assert "All workers end" not in server.log
        upgrade(server, server.pid)
        server.send(signal.SIGWINCH)
        server.wait_for_log("All workers end")
    finally:
        os.close(ours)
        os.close(theirs)
