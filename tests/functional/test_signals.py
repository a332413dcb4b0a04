"""Signals to the running server: stopping while requests run or wait, logs, the number of workers."""

import json
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

pytestmark = pytest.mark.functional


@pytest.fixture
def gate(tmp_path):
    """Return a FIFO's path: a request for /open/PATH is in the application until `opened` writes to it."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def begin(server, path):
    """Send a request and return the connection that its answer will come on."""
    client = server.connect()
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    return client


def rest(client):
    """Return what comes until the server closes the connection."""
    with client, client.makefile("rb") as stream:
        return stream.read()


def test_a_request_that_runs_is_answered_before_the_end(serve, gate):
    server = serve("about", "--workers", 1, "--threads", 1)
    idle = server.connect()
    server.get(client=idle)
    client = begin(server, f"/open{gate}")
    with open(gate, "wb") as opened:
        # The application has opened the other end: the request runs.
        server.send(signal.SIGTERM)
        server.wait_for_log("Stopping; requests that run have 30 s to finish.")
        # A kept connection is closed as soon as the worker knows.
        assert rest(idle) == b""
        opened.write(b"finished")
    answer = rest(client)
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    # The application was called before the signal, the head was composed after it.
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"\r\n\r\nfinished")
    assert server.wait() == 0


def test_requests_in_the_accept_queue_are_answered_before_the_end(serve, gate):
    server = serve("about", "--workers", 1, "--threads", 1)
    pid = json.loads(server.get().text)["pid"]
    # A worker that is stopped accepts nothing, so these wait in the backlog.
    os.kill(pid, signal.SIGSTOP)
    clients = [begin(server, "/") for _ in range(10)]
    server.send(signal.SIGTERM)
    server.wait_for_log("Stopping")
    os.kill(pid, signal.SIGCONT)
    for client in clients:
        assert rest(client).startswith(b"HTTP/1.1 200 OK\r\n")
    assert server.wait() == 0


def test_a_kept_connection_is_closed_by_the_end(serve):
    server = serve("hello")
    with server.connect() as client:
        assert server.get(client=client).status == 200
        server.send(signal.SIGTERM)
        assert client.recv(100) == b""
    assert server.wait() == 0


def test_new_connections_are_refused_while_a_request_finishes(serve, gate):
    server = serve("about", "--workers", 1)
    client = begin(server, f"/open{gate}")
    with open(gate, "wb") as opened:
        server.send(signal.SIGTERM)
        server.wait_for_log("Stopping")
        wait_until_refused(server)
        opened.write(b"finished")
    assert rest(client).endswith(b"finished")
    assert server.wait() == 0


def wait_until_refused(server):
    for _ in range(10_000):
        try:
            server.connect().close()
        except ConnectionResetError:
            # It came at the very moment that the socket was closed.
            continue
        except ConnectionRefusedError:
            return
    raise AssertionError("somebody listens still")


def test_a_request_that_takes_too_long_is_given_up(serve, gate):
    server = serve("about", "--workers", 1, "--graceful-timeout", 1)
    client = begin(server, f"/open{gate}")
    with open(gate, "wb"):
        assert server.stop() == 0
        assert rest(client) == b""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop_does_not_wait_for_requests(serve, gate, number):
    server = serve("about", "--workers", 2, "--graceful-timeout", 3600)
    client = begin(server, f"/open{gate}")
    with open(gate, "wb"):
        assert server.stop(number) == 0
        assert rest(client) == b""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_makes_a_graceful_stop_quick(serve, gate, number):
    server = serve("about", "--graceful-timeout", 3600)
    client = begin(server, f"/open{gate}")
    with open(gate, "wb"):
        server.send(signal.SIGTERM)
        server.wait_for_log("Stopping;")
        assert server.stop(number) == 0
        assert rest(client) == b""


def test_ctrl_c_reaches_all_processes_and_says_nothing_bad(serve):
    server = serve("hello", "--workers", 3)
    os.killpg(server.pid, signal.SIGINT)
    assert server.wait() == 0
    assert "ERROR" not in server.log
    assert "Traceback" not in server.log


def test_workers_more_and_less_while_requests_come(serve, load):
    server = serve("hello", "--workers", 1, "--log-level", "debug")
    with load(server) as clients:
        for count in (2, 3):
            server.send(signal.SIGTTIN)
            server.wait_for_log(f"{count} workers are wanted.")
            server.wait_for_log(rf"Worker {count - 1} \(process \d+\) is ready")
            clients.wait_for(50)
        for count in (2, 1):
            server.send(signal.SIGTTOU)
            server.wait_for_log(rf"Worker {count} \(process \d+\) exited with 0")
            clients.wait_for(50)
    assert not clients.failures
    assert len(server.children()) == 2


def test_access_and_error_logs_are_reopened(serve, tmp_path):
    access, error = tmp_path / "access.log", tmp_path / "error.log"
    pid_file = tmp_path / "pid"
    sock = tmp_path / "site.sock"
    flags = [
        "--access-logfile",
        access,
        "--error-logfile",
        error,
        "--pid",
        pid_file,
        "--bind",
        f"unix:{sock}",
    ]
    server = serve("about", "--workers", 2, *flags, ready=False)
    server.url = f"unix:{sock}"
    wait_for(lambda: error.exists() and "Stop with" in error.read_text())
    assert server.get("/before").status == 200
    wait_for(lambda: "GET /before" in access.read_text())
    access.rename(tmp_path / "access.log.1")
    error.rename(tmp_path / "error.log.1")
    server.send(signal.SIGUSR1)
    for pid in (server.pid, *server.children()):
        wait_for(lambda pid=pid: {str(access), str(error)} <= links(pid))
    pids = set()
    while len(pids) < 2:
        pids.add(json.loads(server.get("/after").text)["pid"])
    wait_for(lambda: "GET /after" in access.read_text())
    assert "GET /after" not in (tmp_path / "access.log.1").read_text()
    # Who is forked after the rotation writes to the new files as well.
    os.kill(pids.pop(), signal.SIGKILL)
    wait_for(lambda: "was killed by SIGKILL" in error.read_text())
    wait_for(lambda: len(server.children()) == 3)
    for pid in server.children():
        assert str(tmp_path / "access.log.1") not in links(pid)
    assert server.stop() == 0
    assert "Stopped." in error.read_text()


def links(pid):
    found = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            found.add(os.readlink(f"/proc/{pid}/fd/{name}"))
        except FileNotFoundError:
            pass
    return found


def wait_for(condition):
    """Wait for what no event tells of: the contents of a file, another process's descriptors."""
    given_up = threading.Event()
    timer = threading.Timer(30, given_up.set)
    timer.start()
    try:
        while not condition():
            assert not given_up.wait(0.01)
    finally:
        timer.cancel()


def test_a_unix_socket_goes_with_the_server(serve, tmp_path):
    sock = tmp_path / "site.sock"
    server = serve("hello", "--bind", f"unix:{sock}")
    assert server.get().text == "Hello, world!"
    server.send(signal.SIGKILL)
    server.wait()
    server.wait_until_gone()
    assert sock.exists()
    again = serve("hello", "--bind", f"unix:{sock}")
    assert again.get().text == "Hello, world!"
    assert again.stop() == 0
    assert not sock.exists()


def test_a_stopped_server_leaves_no_listener(serve):
    server = serve("hello")
    server.stop()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
    assert not Path(f"/proc/{server.pid}").exists()
