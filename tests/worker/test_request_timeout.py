"""The deadline of a request in the application: the answer, the log, RequestTimeout, and the others meanwhile."""

import re
import signal
import threading

import pytest

HEALTH = ("--health-path", "/-/")


def request(path):
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


@pytest.fixture
def worker(start_worker):
    return start_worker("hanging:application", "--threads", "2", "--timeout", "0.5", *HEALTH)


def notes(worker):
    return worker.client().get("/notes")[2].decode().split("\n")


@pytest.mark.parametrize("path", ["/loop", "/spin", "/lock?1.5", "/blocked?1.5"])
def test_a_call_that_hangs_is_answered_504_and_freed(worker, eventually, path):
    """Where it is blocked in C the exception waits for it there."""
    name = re.sub(r"\W.*", "", path[1:])
    client = worker.client()
    client.send(request(path))
    status, fields, body = client.response()
    assert (status, fields["connection"], body) == (504, "close", b"504 Gateway Timeout\n")
    assert client.rest() == b""
    eventually(lambda: notes(worker) == [f"{name}: RequestTimeout, False", f"{name}: finally"])
    # One of them is the thread that hung.
    assert {worker.client().get("/")[0] for _ in range(4)} == {200}


def test_the_log_tells_what_hung_where_and_for_how_long(worker):
    client = worker.client()
    client.send(request("/loop"))
    assert client.response()[0] == 504
    message = worker.wait_for_message("retire")
    assert "GET /loop took longer than its time (0." in message["reason"]
    found = re.search(
        r"GET /loop of 127\.0\.0\.1 has had its time: 0\.[5-9]\d\d s in the application, "
        r"after 0\.\d\d\d s in the queue\. The client was answered 504\. Its thread is here:\n((?:  .*\n)+)",
        worker.log,
    )
    assert found, worker.log
    assert "in sleep_in_steps" in found[1]
    # The server's own part is left out.
    assert "hanging.py" in found[1].split("\n")[0]


def test_others_are_served_meanwhile(start_worker, tmp_path):
    worker = start_worker("hanging:application", "--threads", "2", "--timeout", "0.5", *HEALTH)
    kept = worker.client()
    hung = worker.client()
    hung.send(request(f"/stubborn?{tmp_path / 'go'}"))
    while not hung.is_readable():
        assert kept.get("/")[0] == 200
    assert hung.response()[0] == 504
    # The thread is still in the call, and the other one serves on.
    for _ in range(20):
        assert kept.get("/")[0] == 200
    (tmp_path / "go").touch()
    while notes(worker) != ["stubborn: interrupted 1 times"]:
        assert kept.get("/")[0] == 200


def test_every_thread_may_hang_and_the_worker_still_answers(worker, eventually):
    clients = [worker.client() for _ in range(2)]
    for client in clients:
        client.send(request("/lock?3"))
    for client in clients:
        assert client.response()[0] == 504
    assert worker.client().get("/-/live")[0] == 200
    eventually(lambda: notes(worker).count("lock: finally") == 2)


def test_a_view_that_catches_all_errors_does_not_swallow_it(worker, eventually):
    client = worker.client()
    client.send(request("/swallow"))
    assert client.response()[0] == 504
    eventually(lambda: "Error handling request GET /swallow: RequestTimeout" in worker.log)
    assert notes(worker) == [""]


def test_a_stream_that_has_begun_is_reset(worker, eventually):
    client = worker.client()
    client.send(request("/stream"))
    with pytest.raises(ConnectionResetError):
        client.response()
    assert b"200 OK" in client.buffer or not client.buffer
    eventually(lambda: "GET /stream of 127.0.0.1 has had its time" in worker.log)
    assert "Its response had begun and was cut off" in worker.log
    eventually(lambda: notes(worker) == ["stream: finally"])


def test_a_client_of_http_1_0_can_tell_a_stream_that_was_cut_off(worker):
    """Its end is the connection's, which must not look like the response's."""
    client = worker.client()
    client.send(b"GET /stream HTTP/1.0\r\n\r\n")
    with pytest.raises(ConnectionResetError):
        client.rest()


def test_without_a_timeout_calls_take_what_they_take(start_worker):
    worker = start_worker("hanging:application", "--timeout", "0")
    assert worker.client().get("/sleep?1.2")[2] == b"slept"
    before, after, elsewhere, _ = worker.client().get("/extend?60")[2].decode().split()
    assert (before, elsewhere) == ("inf", "RuntimeError")
    assert 50 < float(after) <= 60


@pytest.mark.parametrize("query", ["20", "clear"])
def test_the_application_can_extend_its_deadline(worker, query):
    before, after, elsewhere, at_last = worker.client().get(f"/extend?{query}")[2].decode().split()
    assert 0.0 < float(before) <= 0.5
    assert elsewhere == "RuntimeError"
    if query == "clear":
        assert (after, at_last) == ("inf", "inf")
    else:
        assert 15 < float(after) <= 20
        assert 10 < float(at_last) < float(after)


def test_a_deadline_that_is_set_where_there_was_none_holds(start_worker):
    worker = start_worker("hanging:application", "--timeout", "0")
    assert worker.client().get("/extend?0.3")[0] == 504


def test_the_next_request_has_a_deadline_of_its_own(worker):
    client = worker.client()
    assert client.get("/extend?clear")[0] == 200
    assert client.get("/loop")[0] == 504


def test_the_head_of_a_504_is_all_that_HEAD_gets(worker):
    client = worker.client()
    client.send(b"HEAD /loop HTTP/1.1\r\nHost: test\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\n")


def test_a_drain_ends_in_time_and_names_what_keeps_it(start_worker, tmp_path):
    worker = start_worker("hanging:application", "--timeout", "0.5", "--graceful-timeout", "1", *HEALTH)
    client = worker.client()
    client.send(request(f"/stubborn?{tmp_path / 'never'}"))
    assert client.response()[0] == 504
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    assert re.search(
        r"GET /stubborn of 127\.0\.0\.1 is left unfinished after \d\.\d+ s in the application\. "
        r"Its thread is here:\n(  .*\n)+.*in stubborn",
        worker.log,
    ), worker.log


def test_calls_that_end_around_their_deadline_disturb_nobody(start_worker, tmp_path, eventually):
    """Most of these end within some milliseconds of it, before or after; RequestTimeout comes to nobody else."""
    worker = start_worker(
        *("hanging:application", "--threads", "8", "--timeout", "0.1"),
        # So that the deadlines are looked at fifty times a second.
        *("--slow-request", "0.04", "--access-logfile", str(tmp_path / "access.log")),
    )
    answers = []

    def ask(number):
        client = worker.client()
        for turn in range(40):
            milliseconds = 85 + (number * 7 + turn * 3) % 40
            try:
                status, _, body = client.get(f"/race?{milliseconds}")
            except (EOFError, ConnectionResetError) as error:
                answers.append(repr(error))
                client = worker.client()
                continue
            answers.append((status, body))
            if status == 504:
                client.sock.close()
                client = worker.client()

    askers = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join(100)
    assert len(answers) == 320
    assert set(answers) == {(200, b"raced"), (504, b"504 Gateway Timeout\n")}
    # The application has noted every exception that it saw, and when in its call.
    seen = [note for note in notes(worker) if note]
    assert len(seen) <= answers.count((504, b"504 Gateway Timeout\n"))
    assert {name for name, _ in map(str.split, seen)} == {"RequestTimeout"}
    assert min(float(seconds) for _, seconds in map(str.split, seen)) >= 0.1
    assert "CRITICAL" not in worker.log
    expected = {"GET /race: RequestTimeout"}
    assert set(re.findall(r"Error handling request (.*)", worker.log)) <= expected
    assert worker.log.count("of 127.0.0.1 has had its time") == answers.count((504, b"504 Gateway Timeout\n"))
    assert {worker.client().get("/")[0] for _ in range(16)} == {200}
