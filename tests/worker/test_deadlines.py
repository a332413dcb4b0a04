"""The deadlines of a connection: who stalls is sent away, who goes on is not, however long it takes."""

import select
import signal
import threading
from time import monotonic

import pytest

HEALTH = ("--health-path", "/-/")
SHORT = ("--head-timeout", "1", "--body-timeout", "1", "--write-timeout", "1", "--keep-alive", "1")


def request(path, *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *fields, "", ""]).encode()


def trickle(client, pieces, pause=0.25):
    """Send pieces with pauses; stop when the server says something."""
    for piece in pieces:
        try:
            client.send(piece)
        except (BrokenPipeError, ConnectionResetError):
            return
        if select.select([client.sock], [], [], pause)[0]:
            return


@pytest.fixture(params=["1", "4"])
def worker(start_worker, request):
    return start_worker("applications:routes", "--threads", request.param, *SHORT, *HEALTH)


# Heads.


def test_a_client_that_says_nothing_is_closed(worker):
    client = worker.client()
    assert client.rest() == b""


def test_a_head_that_does_not_end_is_answered_408(worker):
    client = worker.client()
    trickle(client, [b"GET /slow HTTP/1.1\r\n", *[b"X-%d: x\r\n" % n for n in range(40)]])
    status, fields, _ = client.response()
    assert (status, fields["connection"]) == (408, "close")
    assert client.is_closed()


def test_the_head_of_a_later_request_has_a_deadline_too(worker):
    client = worker.client()
    assert client.get("/first")[0] == 200
    trickle(client, [b"GET /slow HTTP/1.1\r\n", *[b"X-%d: x\r\n" % n for n in range(40)]])
    assert client.response()[0] == 408


def test_a_head_behind_a_pipelined_request_has_a_deadline_too(worker):
    client = worker.client()
    client.send(request("/first") + b"GET /slow HTTP/1.1\r\nHo")
    assert client.response()[2] == b"GET /first"
    assert client.response()[0] == 408


def test_a_slow_application_does_not_cost_the_client_its_time(start_worker):
    """The head of the second request begins while the first is in the application; its time begins then."""
    worker = start_worker("applications:routes", *SHORT)
    client = worker.client()
    client.send(request("/sleep?1.5") + b"GET /second HTTP/1.1\r\n")
    assert client.response()[2] == b"slept"
    client.send(b"Host: test\r\n\r\n")
    assert client.response()[2] == b"GET /second"


# Bodies.


@pytest.mark.parametrize(
    "head", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nffff\r\n"]
)
def test_a_body_that_stops_is_answered_408(worker, head):
    client = worker.client()
    client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\n" + head + b"some")
    status, fields, _ = client.response()
    assert (status, fields["connection"]) == (408, "close")


def test_a_body_below_the_minimum_rate_is_answered_408(worker):
    """A byte now and then is no pause, and still would hold the connection for days."""
    client = worker.client()
    client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 100000\r\n\r\n")
    trickle(client, [b"x"] * 100)
    assert client.response()[0] == 408


def test_a_slow_body_above_the_minimum_rate_arrives(worker):
    """It takes longer than the deadline for a pause; it does not pause."""
    client = worker.client()
    pieces = [b"%04d" % n * 250 for n in range(8)]
    began = monotonic()
    client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 8000\r\n\r\n")
    trickle(client, pieces)
    assert client.response()[2] == b"".join(pieces)
    assert monotonic() - began > 1.25


def test_a_client_that_waits_for_100_continue_and_then_sends_nothing_is_answered_408(worker):
    client = worker.client()
    client.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
    assert client.response()[0] == 100
    assert client.response()[0] == 408


# Between requests.


def test_an_idle_connection_is_closed(worker):
    client = worker.client()
    assert client.get("/once")[0] == 200
    assert client.is_closed()


def test_a_request_that_has_come_is_answered_even_if_its_connection_has_been_idle_too_long(worker):
    """A worker that had no time to look must not close what it has not read."""
    client = worker.client()
    assert client.get("/once")[0] == 200
    worker.signal(signal.SIGSTOP)
    client.send(request("/again"))
    select.select([client.sock], [], [], 1.5)
    worker.signal(signal.SIGCONT)
    assert client.response()[0] == 200
    assert client.is_closed()


def test_a_connection_that_is_used_is_kept(worker):
    client = worker.client()
    began = monotonic()
    while monotonic() - began < 2.5:
        assert client.get("/again")[0] == 200
        select.select([], [], [], 0.4)


def test_empty_lines_do_not_keep_an_idle_connection_open(worker):
    """A few are allowed before a request line; for ever they are not."""
    client = worker.client()
    assert client.get("/once")[0] == 200
    trickle(client, [b"\r\n"] * 60)
    answer = client.rest()
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")


# Responses.


def test_a_client_that_does_not_read_its_response_is_closed(worker, eventually):
    before = worker.descriptors()
    client = worker.client(receive_buffer=4096)
    client.send(request("/big?20000"))
    eventually(lambda: "did not read" in worker.log)
    eventually(lambda: worker.descriptors() == before)
    with pytest.raises((EOFError, ConnectionResetError)):
        client.response()


def test_a_client_that_reads_too_slowly_is_closed(worker, eventually):
    """It takes a few bytes now and then: no pause is long, and the response would take a day."""
    client = worker.client(receive_buffer=2048)
    client.send(request("/big?3000"))
    until = monotonic() + 30
    while "did not read" not in worker.log:
        assert monotonic() < until
        client.sock.recv(50)
        select.select([], [], [], 0.1)


@pytest.mark.parametrize("timeout", ["0", "30"])
def test_a_client_that_goes_on_reading_gets_all_of_its_response(start_worker, timeout):
    """It takes longer than the deadline; it does not stop for so long."""
    worker = start_worker("applications:routes", *SHORT, "--timeout", timeout)
    client = worker.client(receive_buffer=8192)
    client.send(request("/big?6000"))
    began = monotonic()
    while monotonic() - began < 2.5:
        client.buffer += client.sock.recv(20_000)
        select.select([], [], [], 0.02)
    assert client.response()[2] == b"".join(b"%07d\n" % n * 128 for n in range(6000))


def test_responses_to_pipelined_requests_are_whole_however_slowly_they_are_read(start_worker):
    """Each of them fills the outbox anew, and has the time that a response has."""
    worker = start_worker("applications:routes", "--threads", "1", *SHORT, "--timeout", "0")
    client = worker.client(receive_buffer=131072)
    client.send(request("/big?8000") * 3)
    while len(client.buffer) < 20_000_000:
        client.buffer += client.sock.recv(100_000)
        select.select([], [], [], 0.01)
    for _ in range(3):
        assert client.response()[2] == b"".join(b"%07d\n" % n * 128 for n in range(8000))


def test_a_file_that_is_not_read_ends_its_connection(start_worker, tmp_path, eventually):
    (tmp_path / "large.bin").write_bytes(bytes(20_000_000))
    worker = start_worker("applications:routes", *SHORT, "--static", f"/static/={tmp_path}")
    before = worker.descriptors()
    client = worker.client(receive_buffer=4096)
    client.send(request("/static/large.bin"))
    eventually(lambda: worker.descriptors() == before + 2)
    eventually(lambda: worker.descriptors() == before)
    with pytest.raises((EOFError, ConnectionResetError)):
        client.response()


def test_an_application_that_waits_for_its_client_is_let_go(start_worker, tmp_path, eventually):
    """Above the high-water mark the application's thread waits; the write deadline ends that."""
    worker = start_worker("applications:routes", "--threads", "1", *SHORT, "--timeout", "0")
    ended = tmp_path / "ended"
    client = worker.client(receive_buffer=4096)
    client.send(request(f"/stream?{ended}"))
    eventually(ended.exists)
    eventually(lambda: ended.read_text() == "closed")
    assert worker.client().get("/next")[2] == b"GET /next"


# The application's time.


def test_calls_that_end_just_at_the_timeout_get_one_answer_each(start_worker):
    """Either the application's or the 504, whole, and nothing behind it, also when both come at once."""
    worker = start_worker("applications:routes", "--threads", "16", "--timeout", "1")
    answers = []

    def ask(number):
        # The deadlines are looked at four times a second, so the moment is not known; many moments are tried.
        client = worker.client()
        client.send(request(f"/sleep?{1.0 + number % 32 * 0.01}"))
        try:
            status, _, body = client.response()
        except (EOFError, ConnectionResetError) as error:
            answers.append(repr(error))
            return
        rest = client.rest() if status == 504 else b""
        if status == 200:
            if client.get("/next")[2] != b"GET /next":
                rest = b"?"
            answers.append((200, body, rest))
        else:
            answers.append((status, rest))

    for _ in range(3):
        askers = [threading.Thread(target=ask, args=(number,)) for number in range(16 * 2)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(60)
    assert len(answers) == 96
    assert set(answers) <= {(200, b"slept", b""), (504, b"")}
    print({answer: answers.count(answer) for answer in set(answers)})
