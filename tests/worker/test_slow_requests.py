"""The slow-request log: where a request is while it runs, and how it ended."""

import re
import signal

REPORT = r"GET (/\S+) of 127\.0\.0\.1 is slow: (\d+\.\d+) s in the application so far, after \d+\.\d+ s in the queue"


def request(path):
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


def reports(worker):
    return [(path, float(seconds)) for path, seconds in re.findall(REPORT, worker.log)]


def test_a_slow_request_is_reported_while_it_runs_after_ever_longer_times(start_worker, tmp_path, eventually):
    worker = start_worker("hanging:application", "--slow-request", "0.3")
    client = worker.client()
    client.send(request(f"/stubborn?{tmp_path / 'go'}"))
    eventually(lambda: len(reports(worker)) == 3)
    assert not client.is_readable()
    assert {path for path, _ in reports(worker)} == {"/stubborn"}
    for (_, seconds), least in zip(reports(worker), (0.3, 0.6, 1.2), strict=True):
        assert seconds >= least
    assert worker.log.count("in stubborn") == 3
    assert "has ended" not in worker.log
    (tmp_path / "go").touch()
    assert client.response()[2] == b"late"
    eventually(lambda: "GET /stubborn of 127.0.0.1 was slow: it has ended after 1." in worker.log)
    assert len(reports(worker)) == 3


def test_a_request_whose_client_has_gone_is_reported_too(start_worker, tmp_path, eventually):
    worker = start_worker("hanging:application", "--slow-request", "0.3", "--threads", "1")
    client = worker.client()
    client.send(request(f"/stubborn?{tmp_path / 'go'}"))
    eventually(lambda: len(reports(worker)) == 1)
    client.leave(reset=True)
    eventually(lambda: "in the queue; the client has gone. Its thread is here" in worker.log)
    (tmp_path / "go").touch()
    eventually(lambda: "was slow: it has ended" in worker.log)


def test_quick_requests_and_those_behind_a_slow_one_are_not_reported(start_worker, tmp_path, eventually):
    worker = start_worker("hanging:application", "--slow-request", "0.3", "--threads", "1")
    client, other = worker.client(), worker.client()
    assert other.get("/quick")[0] == 200
    client.send(request(f"/stubborn?{tmp_path / 'go'}"))
    other.send(request("/waits"))
    eventually(lambda: len(reports(worker)) == 2)
    (tmp_path / "go").touch()
    assert client.response()[0] == 200
    assert other.response()[0] == 200
    eventually(lambda: worker.log.count("was slow: it has ended") == 1)
    assert {path for path, _ in reports(worker)} == {"/stubborn"}


def test_the_end_of_a_slow_request_is_logged_also_when_the_worker_ends_with_it(
    start_worker, tmp_path, eventually
):
    worker = start_worker("hanging:application", "--slow-request", "0.3", "--threads", "1")
    client = worker.client()
    client.send(request(f"/stubborn?{tmp_path / 'go'}"))
    eventually(lambda: len(reports(worker)) == 1)
    worker.signal(signal.SIGTERM)
    (tmp_path / "go").touch()
    assert client.response()[0] == 200
    assert worker.wait() == 0
    assert worker.log.count("was slow: it has ended") == 1


def test_it_is_off_by_default(start_worker):
    worker = start_worker("hanging:application")
    assert worker.client().get("/sleep?0.8")[0] == 200
    assert "is slow" not in worker.log
