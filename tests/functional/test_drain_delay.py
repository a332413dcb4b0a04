"""`--drain-delay`: the server says that it is going to stop before it does."""

import json
import os
import signal
import socket

import pytest

pytestmark = pytest.mark.functional


@pytest.fixture
def leaving(serve):
    """Return a function that starts a server and tells it to stop in an hour; every worker knows when it returns."""

    def leaving(*flags):
        server = serve("about", "--health-path", "/-/", "--drain-delay", 3600, *flags)
        assert server.get("/-/ready").status == 200
        server.send(signal.SIGTERM)
        server.wait_for_log(r"Stopping in 3600 s, not ready any more; then requests that run have 30 s\.")
        assert next(answer for answer in ask_for_ever(server, "/-/ready") if answer.status == 503)
        return server

    return leaving


def ask_for_ever(server, path):
    for _ in range(10_000):
        yield server.get(path)
    raise AssertionError(server.log)


def test_it_is_not_ready_but_serves_and_every_answer_says_close(leaving):
    server = leaving("--workers", 1)
    for _ in range(3):
        answer = server.get("/-/ready")
        assert (answer.status, answer.text, answer.headers["Connection"]) == (503, "draining\n", "close")
        for path in ("/-/live", "/", "/no/such/page"):
            answer = server.get(path)
            assert (answer.status, answer.headers["Connection"]) == (200, "close")
    assert server.process.poll() is None
    assert "Stopping;" not in server.log


def test_a_connection_that_is_kept_alive_is_answered_once_more(serve):
    server = serve("about", "--workers", 1, "--health-path", "/-/", "--drain-delay", 3600)
    with server.connect() as client:
        assert "Connection" not in server.get(client=client).headers
        server.send(signal.SIGTERM)
        assert next(answer for answer in ask_for_ever(server, "/-/ready") if answer.status == 503)
        answer = server.get(client=client)
        assert (answer.status, answer.headers["Connection"]) == (200, "close")


def test_a_worker_that_dies_meanwhile_is_replaced_and_knows_as_well(leaving):
    server = leaving("--workers", 1)
    pid = json.loads(server.get().text)["pid"]
    os.kill(pid, signal.SIGKILL)
    server.wait_for_log(rf"\(process {pid}\) was killed by SIGKILL.* Another takes its place")
    assert next(answer for answer in ask_for_ever(server, "/-/ready") if answer.status == 503)
    answer = server.get()
    assert json.loads(answer.text)["pid"] != pid
    assert answer.headers["Connection"] == "close"


def test_other_signals_are_refused_or_wait(leaving):
    server = leaving("--workers", 1)
    for number in (signal.SIGHUP, signal.SIGUSR2, signal.SIGWINCH):
        server.send(number)
    server.wait_for_log("Not upgraded: this server stops.")
    assert server.get().status == 200
    assert "Reloading" not in server.log
    assert "All workers end" not in server.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
def test_a_second_signal_is_quick(leaving, number):
    server = leaving()
    assert server.stop(number) == 0


def test_after_the_delay_the_server_stops_gracefully(serve, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    server = serve("about", "--workers", 1, "--drain-delay", 0.2)
    with server.connect() as client:
        client.sendall(f"GET /open{gate} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
        with open(gate, "wb") as opened:
            server.send(signal.SIGTERM)
            server.wait_for_log("Stopping in 0.2 s")
            server.wait_for_log("Stopping; requests that run have 30 s to finish.")
            opened.write(b"finished")
        with client.makefile("rb") as stream:
            answer = stream.read()
    assert b"\r\nConnection: close\r\n" in answer
    assert answer.endswith(b"finished")
    assert server.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", server.port))
