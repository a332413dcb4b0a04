"""A worker whose queue does not move: what waits too long is refused, and who has left is forgotten."""

import pytest

HEALTH = ("--health-path", "/-/")


def request(path, *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *fields, "", ""]).encode()


@pytest.fixture
def busy(start_worker, tmp_path):
    """busy(*flags) -> a worker whose only thread is in the application until `release()`."""

    def make(*flags):
        worker = start_worker("applications:routes", "--threads", "1", *HEALTH, *flags)
        worker.blocked = worker.client()
        worker.blocked.send(request(f"/block?{tmp_path / 'release'}"))
        worker.has_read()
        worker.release = (tmp_path / "release").touch
        return worker

    return make


def test_requests_that_waited_too_long_are_refused_while_the_thread_is_still_busy(busy, tmp_path):
    worker = busy("--max-queue-time", "0.3", "--access-logfile", str(tmp_path / "access"))
    notes = tmp_path / "notes"
    waiting = [worker.client() for _ in range(3)]
    for client in waiting:
        client.send(request(f"/note/late?{notes}"))
    for client in waiting:
        status, fields, _ = client.response()
        assert (status, fields["retry-after"], fields["connection"]) == (503, "1", "close")
        assert client.is_closed()
    assert not worker.blocked.is_readable()
    assert worker.log.count("max_queue_time") == 1
    worker.release()
    assert worker.blocked.response()[2] == b"released"
    assert worker.client().get("/after")[2] == b"GET /after"
    assert not notes.exists()
    assert (tmp_path / "access").read_text().count('" 503 ') == 3


def test_only_those_that_waited_too_long_are_refused(busy, tmp_path):
    worker = busy("--max-queue-time", "1")
    early = worker.client()
    early.send(request("/early"))
    assert early.response()[0] == 503
    late = worker.client()
    late.send(request("/late"))
    worker.has_read()
    worker.release()
    assert late.response()[2] == b"GET /late"


def test_a_body_that_waited_too_long_is_let_go_of(busy):
    worker = busy("--max-queue-time", "0.3")
    before = worker.descriptors()
    client = worker.client()
    # More than is kept in memory: it waits in a temporary file.
    client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 1000000\r\n\r\n" + bytes(1_000_000))
    assert client.response()[0] == 503
    assert client.is_closed()
    assert worker.descriptors() <= before
    worker.release()
    assert worker.blocked.response()[0] == 200


def test_without_a_limit_a_request_waits_as_long_as_it_takes(busy):
    worker = busy("--max-queue-time", "0", "--head-timeout", "1")
    waiting, stalled = worker.client(), worker.client()
    waiting.send(request("/waited"))
    # A deadline of the same sweep, which is over after a while in which the limit could have acted.
    stalled.send(b"G")
    assert stalled.response()[0] == 408
    assert not waiting.is_readable()
    worker.release()
    assert waiting.response()[2] == b"GET /waited"


@pytest.mark.parametrize("reset", [False, True])
def test_a_client_that_leaves_gives_its_place_in_the_queue_to_another(busy, tmp_path, reset):
    worker = busy("--max-queue", "1")
    notes = tmp_path / "notes"
    leaving = worker.client()
    leaving.send(request(f"/note/left?{notes}"))
    worker.has_read()
    assert worker.client().get("/refused")[0] == 503
    leaving.leave(reset)
    worker.has_read()
    staying = worker.client()
    staying.send(request(f"/note/stayed?{notes}"))
    worker.has_read()
    worker.release()
    assert staying.response()[2] == b"noted"
    assert worker.blocked.response()[2] == b"released"
    assert notes.read_text() == "stayed\n"


def test_the_connections_of_clients_that_left_the_queue_are_closed_at_once(busy, eventually):
    worker = busy()
    before = worker.descriptors()
    clients = [worker.client() for _ in range(10)]
    for client in clients:
        client.send(request("/waited"))
    worker.has_read()
    for client in clients:
        client.leave()
    eventually(lambda: worker.descriptors() <= before)
    assert not worker.blocked.is_readable()
    worker.release()
    assert worker.blocked.response()[2] == b"released"


def test_clients_that_left_the_queue_are_in_the_access_log(busy, tmp_path, eventually):
    access = tmp_path / "access"
    worker = busy("--access-logfile", str(access))
    leaving = worker.client()
    leaving.send(request("/left"))
    worker.has_read()
    leaving.leave()
    eventually(lambda: '"GET /left HTTP/1.1" 499 ' in access.read_text())
    worker.release()
    assert worker.blocked.response()[2] == b"released"
    assert access.read_text().count("/left") == 1
