"""The access log has one line for each request, whatever became of it: method, path, status, bytes and times."""

import signal

import pytest


def request(path):
    return f"GET {path} HTTP/1.1\r\nHost: test\r\n\r\n".encode()


FORMAT = '%(m)s "%(U)s" %(s)s %(B)s %(L)s %({queue}x)s'
HEALTH = ("--health-path", "/-/")


@pytest.fixture
def start(start_worker, tmp_path, eventually):
    """Start a worker, with a function `lines(count)` that waits for lines of its access log, but for /-/live."""

    def start(*flags):
        path = tmp_path / "access.log"
        log = ("--access-logfile", str(path), "--access-logformat", FORMAT)
        worker = start_worker("hanging:application", *log, *HEALTH, *flags)

        def read():
            found = [line.replace('"', "").split(" ") for line in path.read_text().split("\n")[:-1]]
            return [
                (*line[:3], int(line[3]), float(line[4]), float(line[5]))
                for line in found
                if line[1] != "/-/live"
            ]

        def lines(count=None):
            if count is None:
                return read()
            eventually(lambda: len(read()) >= count)
            # One too many would be there with the next answer.
            with worker.client() as client:
                assert client.get("/-/live")[0] == 200
            found = read()
            assert len(found) == count, found
            return found

        worker.lines = lines
        return worker

    return start


@pytest.mark.parametrize(
    ("sent", "start_of_line"),
    [
        (b"GET /bad HTTP/1.1\r\nHost: test\r\nBad Name: x\r\n\r\n", ("GET", "/bad", "400")),
        (b"GET /fields HTTP/1.1\r\n" + b"X: y\r\n" * 200, ("GET", "/fields", "431")),
        (b"POST /up HTTP/1.1\r\nHost: test\r\nContent-Length: 99\r\n\r\n", ("POST", "/up", "413")),
        (
            b"POST /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n"
            + bytes(255)
            + b"\r\n",
            ("POST", "/up", "413"),
        ),
        (b"PUT /up HTTP/1.1\r\nHost: test\r\nExpect: magic\r\n\r\n", ("PUT", "/up", "417")),
        (b"GET /version HTTP/2.0\r\nHost: test\r\n\r\n", ("-", "", "505")),
        (b"GET /" + b"x" * 9000, ("-", "", "414")),
        (b"HEAD /bad HTTP/1.1\r\nHost: test\r\nBad Name: x\r\n\r\n", ("HEAD", "/bad", "400")),
    ],
)
def test_a_request_that_is_refused(start, sent, start_of_line):
    worker = start("--max-body", "50")
    client = worker.client()
    client.send(sent)
    answer = client.rest()
    body = answer.partition(b"\r\n\r\n")[2]
    assert f" {start_of_line[2]} ".encode() in answer
    assert (body == b"") == (start_of_line[0] == "HEAD")
    (line,) = worker.lines(1)
    assert line[:4] == (*start_of_line, len(body))
    assert line[5] == 0.0


def test_a_head_or_a_body_that_does_not_come(start):
    worker = start("--head-timeout", "1", "--body-timeout", "1")
    client = worker.client()
    client.send(b"GET /head HTTP/1.1\r\nHos")
    assert client.response()[0] == 408
    (line,) = worker.lines(1)
    assert line[:4] == ("GET", "/head", "408", len(b"408 Request Timeout\n"))
    assert line[4] >= 1.0
    client = worker.client()
    client.send(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")
    assert client.response()[0] == 408
    line = worker.lines(2)[1]
    assert line[:3] == ("POST", "/body", "408")
    assert line[4] >= 1.0


def test_a_client_that_leaves_before_its_request_is_there(start):
    worker = start()
    client = worker.client()
    client.send(b"POST /body HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab")
    worker.has_read()
    client.leave(reset=True)
    (line,) = worker.lines(1)
    assert line[:4] == ("POST", "/body", "499", 0)


def test_a_client_that_only_looks_whether_there_is_a_server_has_no_line(start):
    worker = start()
    worker.client().leave(reset=True)
    worker.client().leave()
    assert worker.lines(0) == []


def test_a_client_that_leaves_before_its_answer(start, tmp_path):
    """In the application, and in the queue behind it."""
    worker = start("--threads", "1")
    first, second = worker.client(), worker.client()
    first.send(request(f"/stubborn?{tmp_path / 'go'}"))
    worker.has_read()
    second.send(request("/waits"))
    worker.has_read()
    second.leave(reset=True)
    (line,) = worker.lines(1)
    assert line[:4] == ("GET", "/waits", "499", 0)
    # All of its time was in the queue.
    assert line[4] == pytest.approx(line[5], abs=0.05)
    first.leave(reset=True)
    worker.has_read()
    (tmp_path / "go").touch()
    assert worker.lines(2)[1][:4] == ("GET", "/stubborn", "499", 0)


def test_a_request_that_has_its_answer_is_logged_with_its_time_in_the_queue(start, tmp_path):
    worker = start("--threads", "1")
    first, second = worker.client(), worker.client()
    first.send(request("/sleep?0.5"))
    worker.has_read()
    second.send(request("/next"))
    assert first.response()[0] == second.response()[0] == 200
    one, other = sorted(worker.lines(2), key=lambda line: line[1] == "/next")
    assert one[:3] == ("GET", "/sleep", "200")
    assert one[5] < 0.4 < one[4]
    assert other[:3] == ("GET", "/next", "200")
    assert 0.0 < other[5] <= other[4]


def test_a_request_beyond_the_queue(start, tmp_path):
    worker = start("--threads", "1", "--max-queue", "1")
    clients = [worker.client() for _ in range(3)]
    clients[0].send(request(f"/stubborn?{tmp_path / 'go'}"))
    worker.has_read()
    clients[1].send(request("/waits"))
    worker.has_read()
    clients[2].send(request("/beyond"))
    assert clients[2].response()[0] == 503
    (line,) = worker.lines(1)
    assert line[:4] == ("GET", "/beyond", "503", len(b"503 Service Unavailable\n"))
    (tmp_path / "go").touch()


def test_a_file_and_health_take_their_time(start, tmp_path):
    (tmp_path / "site.css").write_text("p {}")
    worker = start("--static", f"/static/={tmp_path}")
    assert worker.client().get("/static/site.css")[0] == 200
    assert worker.client().get("/-/ready")[0] == 200
    file, health = worker.lines(2)
    assert file[:4] == ("GET", "/static/site.css", "200", 4)
    assert health[:4] == ("GET", "/-/ready", "200", 3)
    assert file[4] > 0
    assert health[4] > 0


def test_a_request_that_takes_too_long(start, tmp_path, eventually):
    """It has its line when the client has the answer, and no other when its thread comes back."""
    worker = start("--threads", "2", "--timeout", "0.5")
    client = worker.client()
    client.send(request(f"/stubborn?{tmp_path / 'go'}"))
    assert client.response()[0] == 504
    (line,) = worker.lines(1)
    assert line[:4] == ("GET", "/stubborn", "504", len(b"504 Gateway Timeout\n"))
    assert line[4] >= 0.5
    (tmp_path / "go").touch()
    eventually(lambda: b"stubborn" in worker.client().get("/notes")[2])
    assert sum(line[1] == "/stubborn" for line in worker.lines()) == 1


def test_a_stream_that_is_cut_off(start):
    worker = start("--timeout", "0.5")
    client = worker.client()
    client.send(request("/stream"))
    with pytest.raises(ConnectionResetError):
        client.response()
    (line,) = worker.lines(1)
    assert line[:4] == ("GET", "/stream", "200", len(b"first piece"))
    assert line[4] >= 0.5


@pytest.mark.parametrize(("timeout", "status"), [("0", "503"), ("0.5", "504")])
def test_what_a_worker_leaves_unfinished(start, tmp_path, eventually, timeout, status):
    worker = start("--threads", "1", "--timeout", timeout, "--graceful-timeout", "1")
    log = tmp_path / "access.log"
    clients = [worker.client(), worker.client()]
    clients[0].send(request(f"/stubborn?{tmp_path / 'never'}"))
    worker.has_read()
    clients[1].send(request("/waits"))
    worker.has_read()
    if status == "504":
        assert clients[0].response()[0] == 504
    worker.signal(signal.SIGTERM)
    assert worker.wait() == 0
    lines = [line.split(" ")[1:3] for line in log.read_text().split("\n")[:-1] if "/-/live" not in line]
    assert sorted(lines) == [['"/stubborn"', status], ['"/waits"', "503"]]
