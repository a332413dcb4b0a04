"""How a worker ends: what runs is finished, what waits is answered, nothing is left."""

import signal
import socket

import pytest


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT])
def test_a_quick_stop(start_worker, number):
    worker = start_worker()
    idle = worker.client()
    idle.get("/")
    worker.signal(number)
    assert worker.wait() == 0
    assert idle.is_closed()


def test_a_drain_closes_idle_connections_and_exits(start_worker):
    worker = start_worker()
    kept, silent = worker.client(), worker.client()
    kept.get("/")
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert kept.is_closed()
    assert silent.is_closed()


@pytest.mark.parametrize("threads", ["1", "3"])
def test_a_drain_finishes_what_runs_and_what_waits(start_worker, tmp_path, threads):
    worker = start_worker("applications:routes", "--threads", threads)
    release = tmp_path / "release"
    clients = [worker.client() for _ in range(6)]
    for client in clients:
        client.send(f"GET /block?{release} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    # One more request tells that the others were read: nobody answers it but a worker that is not stuck.
    worker.signal(signal.SIGTERM)
    assert worker.process.poll() is None
    release.touch()
    for client in clients:
        status, _, body = client.response()
        assert (status, body) == (200, b"released")
    assert worker.wait() == 0


def test_a_drain_answers_what_is_in_the_backlog(start_worker, tmp_path, eventually):
    """Connections that were made, but not accepted because the worker is full, are served before it ends."""
    worker = start_worker("applications:routes", "--threads", "1", "--worker-connections", "1")
    release = tmp_path / "release"
    first = worker.client()
    first.send(f"GET /block?{release} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    waiting = [worker.client() for _ in range(5)]
    for client in waiting:
        client.send(b"GET /waited HTTP/1.1\r\nHost: test\r\n\r\n")
    worker.signal(signal.SIGTERM)
    release.touch()
    assert first.response()[2] == b"released"
    for client in waiting:
        assert client.response()[2] == b"GET /waited"
    assert worker.wait() == 0


def test_nobody_can_connect_to_a_drained_worker(start_worker):
    worker = start_worker()
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", worker.port))


def test_a_quick_stop_does_not_wait_for_the_application(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "2")
    client = worker.client()
    client.send(f"GET /block?{tmp_path / 'never'} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    assert worker.client().get("/")[0] == 200
    worker.signal(signal.SIGQUIT)
    assert worker.wait() == 0


def test_a_drain_ends_at_the_graceful_timeout(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "1", "--graceful-timeout", "0.2")
    client = worker.client()
    client.send(f"GET /block?{tmp_path / 'never'} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0


def test_a_worker_whose_supervisor_is_gone_stops(start_worker):
    worker = start_worker()
    # The life pipe is the standard input of the test's worker.
    worker.process.stdin.close()
    assert worker.wait() == 0
    assert "The supervisor is gone" in worker.log


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGWINCH, signal.SIGPIPE])
def test_signals_that_are_not_for_workers_do_nothing(start_worker, number):
    worker = start_worker()
    worker.signal(number)
    assert worker.client().get("/")[0] == 200
