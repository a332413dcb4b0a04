"""Portway as process 1, as in a container: whatever ends is reaped, and signals count."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.functional

#: Leaves processes behind: one whose parent ends first, and one that is a stranger's grandchild.
ORPHANS = """
import json
import os
import subprocess


def application(environ, start_response):
    if environ["PATH_INFO"] == "/orphans":
        subprocess.run(["sh", "-c", "sh -c 'sleep 0.01' & sh -c 'sleep 0.02 & sleep 0.03 &' &"])
    about = {"pid": os.getpid(), "parent": os.getppid()}
    body = json.dumps(about).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""


def zombies(pid):
    """Return the names of the dead children of a process that nobody has waited for."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            name, _, rest = Path(f"/proc/{child}/stat").read_text().rpartition(")")
        except FileNotFoundError:
            continue
        if rest.split()[0] == "Z":
            found.append(name)
    return found


@pytest.fixture
def container(launch, project):
    """Return a server that is process 1 of a namespace, its process id outside of it, and where it listens."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    if subprocess.run([*unshare, "true"], capture_output=True).returncode:
        pytest.skip("this user may not make a namespace")
    command = [
        *unshare,
        sys.executable,
        "-m",
        "portway",
        "--bind",
        "unix:sock",
        "--log-level",
        "debug",
        "app",
    ]
    server = launch("-c", f"import os; os.execvp('unshare', {command!r})", cwd=project(ORPHANS))
    server.wait_for_log(r"Stop with kill -TERM 1$")
    (inner,) = map(int, Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split())
    yield server, inner, project(ORPHANS) / "sock"
    # What started the namespace does not hand signals on.
    if server.process.poll() is None:
        os.kill(inner, signal.SIGTERM)
        server.wait()


def ask(sock, path="/"):
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(30)
        client.connect(str(sock))
        client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        with client.makefile("rb") as stream:
            return json.loads(stream.read().partition(b"\r\n\r\n")[2])


def test_no_zombie_remains_and_what_dies_is_replaced(container):
    server, inner, sock = container
    for _ in range(5):
        assert ask(sock, "/orphans")["parent"] == 1
    server.wait_for_log("which is none of ours, exited with 0", 5 * 4)
    for _ in range(1000):
        if not zombies(inner):
            break
        server.send(signal.SIGUSR1, inner)
    assert zombies(inner) == []
    children = Path(f"/proc/{inner}/task/{inner}/children").read_text().split()
    for pid in children:
        os.kill(int(pid), signal.SIGKILL)
    server.wait_for_log("The mold of generation 1 was killed by SIGKILL")
    server.wait_for_log(r"Worker \d \(process \d+\) was killed by SIGKILL", len(children) - 1)
    server.wait_for_log(r"Worker \d \(process \d+\) is ready", 2 * (len(children) - 1))
    assert ask(sock)["parent"] == 1
    assert zombies(inner) == []


def test_an_upgrade_is_refused_and_a_stop_is_heard(container):
    server, inner, sock = container
    server.send(signal.SIGUSR2, inner)
    server.wait_for_log(
        "Not upgraded: the first process of a container cannot be replaced. Start another container."
    )
    assert ask(sock)["parent"] == 1
    server.send(signal.SIGTERM, inner)
    assert server.wait() == 0
    server.wait_for_log("Stopped.")
