"""A worker and its clients: real sockets, a real process."""

import json
import re
import signal
import threading

import pytest


def test_hello_on_a_kept_alive_connection(start_worker):
    client = start_worker("applications:hello").client()
    for _ in range(3):
        status, fields, body = client.get("/")
        assert (status, body) == (200, b"Hello, world!")
        assert fields["server"] == "portway"
        assert "connection" not in fields
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", fields["date"])


def test_connection_close_is_honoured(start_worker):
    client = start_worker().client()
    status, fields, _ = client.get("/", "Connection: close")
    assert status == 200
    assert fields["connection"] == "close"
    assert client.is_closed()


def test_http_1_0_ends_the_connection_unless_it_asks_not_to(start_worker):
    worker = start_worker("applications:hello")
    client = worker.client()
    client.send(b"GET / HTTP/1.0\r\n\r\n")
    assert client.rest().endswith(b"\r\n\r\nHello, world!")
    client = worker.client()
    for _ in range(2):
        client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        status, fields, body = client.response()
        assert (status, body, fields["connection"]) == (200, b"Hello, world!", "keep-alive")


def test_a_head_that_comes_byte_by_byte(start_worker):
    client = start_worker().client()
    for byte in b"GET /slowly HTTP/1.1\r\nHost: test\r\n\r\n":
        client.send(bytes([byte]))
    assert client.response()[2] == b"GET /slowly"


@pytest.mark.parametrize("threads", [1, 4])
def test_pipelined_requests_are_answered_in_order(start_worker, threads):
    client = start_worker("applications:routes", "--threads", str(threads)).client()
    count = 500
    client.send(b"".join(b"GET /number/%d HTTP/1.1\r\nHost: test\r\n\r\n" % n for n in range(count)))
    answers = [client.response() for _ in range(count)]
    assert [int(body.split()[0]) for _, _, body in answers] == list(range(count))


def test_pipelined_requests_with_bodies(start_worker):
    client = start_worker().client()
    message = b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n\r\nabc%02d"
    client.send(b"".join(message % n for n in range(50)))
    assert [client.response()[2] for _ in range(50)] == [b"abc%02d" % n for n in range(50)]


def test_a_large_body_reaches_the_application_whole(start_worker):
    client = start_worker("applications:echo").client()
    body = bytes(range(256)) * 8192
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % len(body))
    sender = threading.Thread(target=client.send, args=(body,))
    sender.start()
    status, _, answer = client.response()
    sender.join()
    assert status == 200
    assert answer == body


def test_a_chunked_body_has_a_length_for_the_application(start_worker):
    client = start_worker("applications:echo").client()
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    client.send(b"4\r\ndefg\r\n0\r\n\r\n")
    assert client.response()[2] == b"abcdefg"


def test_expect_100_continue(start_worker):
    worker = start_worker("applications:echo", "--max-body", "1k")
    client = worker.client()
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert client.response()[0] == 100
    client.send(b"abc")
    assert client.response()[2] == b"abc"
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3000\r\n\r\n")
    assert client.response()[0] == 413


def test_a_body_over_the_limit_is_refused_in_such_a_way_that_the_client_can_read_why(start_worker):
    client = start_worker("applications:echo", "--max-body", "1m").client()
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 8000000\r\n\r\n")
    # The client goes on sending; an answer that a reset destroys would be no answer.
    client.send(bytes(4_000_000))
    status, fields, _ = client.response()
    assert status == 413
    assert fields["connection"] == "close"


@pytest.mark.parametrize(
    ("bad", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/2.0\r\nHost: test\r\n\r\n", 505),
        (b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: test\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: test\r\nX: " + b"x" * 9000 + b"\r\n\r\n", 431),
        (b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (b"GET / HTTP/1.1\r\nHost: test\r\nExpect: cake\r\n\r\n", 417),
    ],
)
def test_a_bad_request_gets_a_short_page_and_a_line_in_the_log(start_worker, bad, status):
    worker = start_worker()
    client = worker.client()
    client.send(bad)
    answer, fields, body = client.response()
    assert answer == status
    assert fields["connection"] == "close"
    assert len(body) < 100
    assert f"Refused a request of 127.0.0.1: {status}," in worker.log
    assert worker.client().get("/")[0] == 200


def test_a_request_behind_a_bad_one_is_not_read(start_worker):
    client = start_worker().client()
    client.send(
        b"GET /first HTTP/1.1\r\nHost: test\r\n\r\nBAD\r\n\r\nGET /third HTTP/1.1\r\nHost: test\r\n\r\n"
    )
    assert client.response()[2] == b"GET /first"
    assert client.response()[0] == 400
    assert client.is_closed()


def test_head_has_the_fields_and_no_body(start_worker):
    client = start_worker("applications:hello").client()
    status, fields, body = client.get("/", method="HEAD")
    assert (status, fields["content-length"], body) == (200, "13", b"")
    assert client.get("/")[2] == b"Hello, world!"


@pytest.mark.parametrize("path", ["/exit", "/raise"])
def test_an_application_that_raises_answers_500_and_the_worker_goes_on(start_worker, path):
    worker = start_worker()
    client = worker.client()
    status, _, body = client.get(path)
    assert status == 500
    assert b"on purpose" not in body
    assert client.get("/next")[2] == b"GET /next"
    assert path in worker.log
    assert worker.process.poll() is None


def test_a_body_shorter_than_announced_cannot_be_taken_for_whole(start_worker):
    worker = start_worker()
    client = worker.client()
    client.send(b"GET /cut HTTP/1.1\r\nHost: test\r\n\r\n")
    with pytest.raises((EOFError, ConnectionResetError)):
        client.response()
    assert worker.client().get("/")[0] == 200


def test_a_streamed_response_is_chunked_and_whole(start_worker):
    client = start_worker().client()
    status, fields, body = client.get("/big?2000")
    assert status == 200
    assert fields["transfer-encoding"] == "chunked"
    assert body == b"".join(b"%07d\n" % n * 128 for n in range(2000))


def test_a_client_that_leaves_a_stream_ends_it(start_worker, tmp_path, eventually):
    worker = start_worker("applications:routes", "--threads", "1")
    client = worker.client()
    ended = tmp_path / "ended"
    client.send(f"GET /stream?{ended} HTTP/1.1\r\nHost: test\r\n\r\n".encode())
    client.sock.recv(1000)
    client.sock.close()
    eventually(ended.exists)
    assert worker.client().get("/")[0] == 200


def test_a_slow_reader_costs_no_thread(start_worker):
    """The response is in the outbox, in memory and on disk; the only thread serves others."""
    worker = start_worker("applications:routes", "--threads", "1")
    slow = worker.client(receive_buffer=4096)
    slow.send(b"GET /big?8000 HTTP/1.1\r\nHost: test\r\n\r\n")
    assert worker.client().get("/")[0] == 200
    assert slow.response()[2] == b"".join(b"%07d\n" % n * 128 for n in range(8000))


def test_a_response_above_the_high_water_mark_waits_for_its_reader_and_others_are_served(start_worker):
    worker = start_worker("applications:routes", "--threads", "2")
    slow = worker.client(receive_buffer=4096)
    slow.send(b"GET /big?40000 HTTP/1.1\r\nHost: test\r\n\r\n")
    others = worker.client()
    for n in range(20):
        assert others.get(f"/number/{n}")[0] == 200
    assert len(slow.response()[2]) == 40000 * 1024


def test_half_closed_clients_get_their_response(start_worker):
    client = start_worker().client()
    client.send(b"GET /half HTTP/1.1\r\nHost: test\r\n\r\n")
    client.sock.shutdown(1)
    assert client.response()[2] == b"GET /half"
    assert client.is_closed()


def test_the_forwarded_address_counts_from_a_trusted_peer_only(start_worker):
    fields = ("X-Forwarded-For: 192.0.2.7", "X-Forwarded-Proto: https")
    trusting = start_worker("applications:routes", "--forwarded-allow-ips", "127.0.0.1")
    assert trusting.client().get("/who", *fields)[2] == b"192.0.2.7 https"
    strict = start_worker("applications:routes", "--forwarded-allow-ips", "192.0.2.1")
    assert strict.client().get("/who", *fields)[2] == b"127.0.0.1 http"


def test_a_path_outside_the_script_name_is_not_found(start_worker):
    worker = start_worker("applications:routes", "--script-name", "/app")
    client = worker.client()
    assert client.get("/app/page")[2] == b"GET /page"
    assert client.get("/other")[0] == 404


def test_the_access_log_has_a_line_for_every_answer(start_worker, tmp_path, eventually):
    log = tmp_path / "access.log"
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.txt").write_text("file")
    worker = start_worker(
        "applications:routes",
        "--access-logfile",
        str(log),
        "--access-logformat",
        "%(m)s %(U)s %(s)s %(B)s",
        "--static",
        f"/static/={tmp_path / 'root'}",
    )
    client = worker.client()
    client.get("/one")
    client.get("/static/a.txt")
    client.get("/raise")
    client.send(b"GET / HTTP/9.9\r\n\r\n")
    client.response()
    client.is_closed()
    lines = eventually(lambda: len(log.read_text().splitlines()) == 4 and log.read_text().splitlines())
    assert lines[0] == "GET /one 200 8"
    assert lines[1] == "GET /static/a.txt 200 4"
    assert lines[2].startswith("GET /raise 500 ")
    assert lines[3].split()[-2] == "505"


def test_usr1_opens_the_log_again(start_worker, tmp_path, eventually):
    log = tmp_path / "access.log"
    worker = start_worker("applications:routes", "--access-logfile", str(log))
    client = worker.client()
    client.get("/before")
    log.rename(tmp_path / "access.log.1")
    worker.signal(signal.SIGUSR1)
    eventually(log.exists)
    client.get("/after")
    # The line is written when the client has its answer already.
    eventually(lambda: "/after" in log.read_text())
    assert "/before" in (tmp_path / "access.log.1").read_text()


def test_what_the_worker_prints_is_its_messages(start_worker):
    worker = start_worker("applications:hello")
    assert all(json.loads(line) for line in worker.lines)


def test_the_access_log_of_files_names_the_client_behind_a_trusted_proxy(start_worker, tmp_path, eventually):
    log = tmp_path / "access.log"
    (tmp_path / "a.txt").write_text("file")
    worker = start_worker(
        "applications:routes",
        "--access-logfile",
        str(log),
        "--access-logformat",
        "%(h)s %(U)s",
        "--static",
        f"/static/={tmp_path}",
    )
    client = worker.client()
    client.get("/static/a.txt", "X-Forwarded-For: 192.0.2.7")
    client.get("/page", "X-Forwarded-For: 192.0.2.8")
    lines = ["192.0.2.7 /static/a.txt", "192.0.2.8 /page"]
    eventually(lambda: log.read_text().splitlines() == lines)


def test_without_keep_alive_every_response_says_close(start_worker):
    client = start_worker("applications:hello", "--keep-alive", "0").client()
    assert client.get("/")[1]["connection"] == "close"
    assert client.is_closed()
