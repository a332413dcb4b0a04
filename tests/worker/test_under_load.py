"""A worker whose threads are all busy: what goes on all the same, what waits, and in which order."""

import re

import pytest

HEALTH = ("--health-path", "/-/")


def request(path, *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *fields, "", ""]).encode()


@pytest.fixture
def busy(start_worker, tmp_path):
    """busy(threads, *flags) -> a worker whose threads are all in the application.

    `release()` lets them go, `release(n)` one of them.
    """

    def make(threads, *flags):
        worker = start_worker("applications:routes", "--threads", str(threads), *HEALTH, *flags)
        worker.blocked = [worker.client() for _ in range(threads)]
        for n, client in enumerate(worker.blocked):
            client.send(request(f"/block?{tmp_path / f'release-{n}'}"))
            worker.has_read()

        def release(number=None):
            for n in range(threads) if number is None else [number]:
                (tmp_path / f"release-{n}").touch()

        worker.release = release
        return worker

    return make


def all_were_released(worker):
    return [client.response()[2] for client in worker.blocked] == [b"released"] * len(worker.blocked)


# What goes on.


@pytest.mark.parametrize("threads", [1, 4])
def test_files_and_health_are_answered_while_every_thread_is_busy(busy, tmp_path, threads):
    root = tmp_path / "root"
    root.mkdir()
    (root / "style.css").write_bytes(b"body {}")
    (root / "large.bin").write_bytes(bytes(range(256)) * 20_000)
    worker = busy(threads, "--static", f"/static/={root}")
    kept = worker.client()
    for client in (kept, worker.client(), kept):
        assert client.get("/-/live")[2] == b"ok\n"
        assert client.get("/static/style.css")[2] == b"body {}"
        assert client.get("/static/large.bin")[2] == bytes(range(256)) * 20_000
        assert client.get("/static/none")[0] == 404
    assert not any(client.is_readable() for client in worker.blocked)
    worker.release()
    assert all_were_released(worker)


@pytest.mark.parametrize("threads", [1, 4])
def test_connections_are_accepted_up_to_the_limit_while_every_thread_is_busy(busy, threads):
    worker = busy(threads, "--worker-connections", "60")
    clients = [worker.client() for _ in range(60 - threads - 1)]
    for client in clients:
        client.send(request("/waits"))
    worker.has_read()
    assert not any(client.is_readable() for client in clients)
    worker.release()
    assert all_were_released(worker)
    assert [client.response()[2] for client in clients] == [b"GET /waits"] * len(clients)


@pytest.mark.parametrize("threads", [1, 4])
def test_stalled_clients_are_timed_out_while_every_thread_is_busy(busy, threads):
    worker = busy(
        threads, "--head-timeout", "1", "--body-timeout", "1", "--write-timeout", "1", "--keep-alive", "1"
    )
    silent, head, body, idle = (worker.client() for _ in range(4))
    head.send(b"GET / HTTP/1.1\r\nHo")
    body.send(b"POST /echo HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nfour")
    assert idle.get("/-/live")[0] == 200
    assert silent.is_closed()
    assert head.response()[0] == 408
    assert body.response()[0] == 408
    assert idle.is_closed()
    assert worker.client().get("/-/live")[0] == 200
    assert not any(client.is_readable() for client in worker.blocked)
    worker.release()
    assert all_were_released(worker)


def test_two_hundred_clients_that_send_a_byte_at_a_time_hinder_nobody(start_worker):
    worker = start_worker("applications:routes", "--threads", "1", "--head-timeout", "60")
    crowd = [worker.client() for _ in range(200)]
    text = request("/slow")
    other = worker.client()
    for byte in range(len(text)):
        for client in crowd:
            client.send(text[byte : byte + 1])
        assert other.get(f"/number/{byte}")[2].startswith(b"%d " % byte)
    assert [client.response()[2] for client in crowd] == [b"GET /slow"] * 200


def test_clients_that_never_finish_a_request_are_sent_away(start_worker):
    worker = start_worker("applications:routes", "--threads", "1", "--head-timeout", "1")
    crowd = [worker.client() for _ in range(50)]
    for client in crowd:
        client.send(b"G")
    other = worker.client()
    while not all(client.is_readable() for client in crowd):
        # Bytes do not buy time: the head has a deadline, not each of its bytes.
        for client in crowd:
            try:
                client.send(b"E")
            except (BrokenPipeError, ConnectionResetError):
                pass
        assert other.get("/between")[2] == b"GET /between"


@pytest.mark.parametrize("threads", [2, 4])
def test_a_thread_that_computes_does_not_keep_the_others_from_their_answers(start_worker, threads):
    """It never gives the interpreter away; the interpreter takes turns all the same."""
    worker = start_worker("applications:routes", "--threads", str(threads), *HEALTH)
    computing = worker.client()
    computing.send(request("/compute"))
    others = worker.client()
    for n in range(20):
        assert others.get(f"/number/{n}")[2].startswith(b"%d " % n)
        assert worker.client().get("/-/live")[0] == 200
    assert not computing.is_readable()
    assert others.get("/open-gate")[2] == b"open"
    assert computing.response()[2] == b"computed"


def test_health_is_answered_while_the_only_thread_computes(start_worker):
    worker = start_worker("applications:routes", "--threads", "1", "--timeout", "1", *HEALTH)
    computing = worker.client()
    computing.send(request("/compute"))
    for _ in range(10):
        assert worker.client().get("/-/live")[0] == 200
    assert computing.response()[0] == 504


# What waits.


@pytest.mark.parametrize("threads", [1, 3])
def test_requests_that_wait_are_served_first_come_first_served(busy, tmp_path, threads):
    worker = busy(threads)
    notes = tmp_path / "notes"
    clients = [worker.client() for _ in range(20)]
    for n, client in enumerate(clients):
        client.send(request(f"/note/{n}?{notes}"))
        worker.has_read()
    # One thread takes them all, so the order in which they are taken shows.
    worker.release(threads - 1)
    assert [client.response()[2] for client in clients] == [b"noted"] * 20
    assert [int(line) for line in notes.read_text().split()] == list(range(20))
    worker.release()
    assert all_were_released(worker)


@pytest.mark.parametrize("threads", [1, 2])
def test_requests_beyond_the_queue_are_refused_at_once_and_told_to_come_again(busy, threads):
    worker = busy(threads, "--max-queue", "3")
    waiting = [worker.client() for _ in range(3)]
    for client in waiting:
        client.send(request("/waited"))
        worker.has_read()
    for _ in range(5):
        refused = worker.client()
        status, fields, _ = refused.get("/refused")
        assert status == 503
        assert fields["retry-after"] == "1"
        assert fields["connection"] == "close"
        assert refused.is_closed()
    assert worker.log.count("max_queue") == 1
    assert worker.client().get("/-/live")[0] == 200
    worker.release()
    assert all_were_released(worker)
    assert [client.response()[2] for client in waiting] == [b"GET /waited"] * 3
    assert worker.client().get("/again")[2] == b"GET /again"


def test_a_pipelining_client_does_not_keep_the_thread_from_those_who_wait(busy, tmp_path):
    worker = busy(1)
    notes = tmp_path / "notes"
    greedy, modest = worker.client(), worker.client()
    greedy.send(b"".join(request(f"/note/greedy?{notes}") for _ in range(200)))
    worker.has_read()
    modest.send(request(f"/note/modest?{notes}"))
    worker.has_read()
    worker.release()
    assert modest.response()[2] == b"noted"
    assert [greedy.response()[2] for _ in range(200)] == [b"noted"] * 200
    order = notes.read_text().split()
    assert order.count("greedy") == 200
    assert order.index("modest") < 50


# Clients that leave.


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("threads", [1, 4])
def test_the_application_is_never_called_for_a_client_that_left_the_queue(busy, tmp_path, threads, reset):
    worker = busy(threads)
    notes = tmp_path / "notes"
    before = worker.descriptors()
    leaving, staying = [worker.client() for _ in range(5)], worker.client()
    for client in leaving:
        client.send(request(f"/note/left?{notes}"))
    staying.send(request(f"/note/stayed?{notes}"))
    worker.has_read()
    for client in leaving:
        client.leave(reset)
    worker.has_read()
    worker.release()
    assert all_were_released(worker)
    assert staying.response()[2] == b"noted"
    worker.client().get("/after")
    assert notes.read_text() == "stayed\n"
    assert worker.descriptors() <= before + 2


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("threads", [1, 4])
def test_close_is_called_for_a_client_that_left_while_the_application_ran(
    start_worker, tmp_path, eventually, threads, reset
):
    worker = start_worker("applications:routes", "--threads", str(threads), *HEALTH)
    note = tmp_path / "note"
    client = worker.client()
    client.send(request(f"/closing?{note}"))
    worker.has_read()
    client.leave(reset)
    worker.has_read()
    (tmp_path / "note.go").touch()
    eventually(note.exists)
    eventually(lambda: note.read_text() == "closed in its thread\n")
    assert worker.client().get("/next")[2] == b"GET /next"
    assert note.read_text() == "closed in its thread\n"


@pytest.mark.parametrize("reset", [False, True])
def test_clients_that_leave_their_streams_end_them(start_worker, tmp_path, eventually, reset):
    """Below and above the high-water mark, where the application's thread waits for the client."""
    worker = start_worker("applications:routes", "--threads", "3", *HEALTH)
    at_once, waiting = worker.client(receive_buffer=4096), worker.client(receive_buffer=4096)
    notes = [tmp_path / name for name in ("at-once", "waiting")]
    at_once.send(request(f"/stream?{notes[0]}"))
    waiting.send(request(f"/stream?{notes[1]}"))
    assert worker.client().get("/others")[2] == b"GET /others"
    at_once.leave(reset)
    # The other reads so much that its stream went to the high-water mark more than once.
    for _ in range(2500):
        assert waiting.sock.recv(16384)
    waiting.leave(reset)
    for note in notes:
        eventually(lambda: note.exists() and note.read_text() == "closed")  # noqa: B023
    assert worker.client().get("/next")[2] == b"GET /next"


# Applications that do not return.


@pytest.mark.parametrize("threads", [1, 3])
def test_a_call_beyond_the_timeout_is_answered_504_with_its_stack_in_the_log(
    start_worker, tmp_path, eventually, threads
):
    worker = start_worker("applications:routes", "--threads", str(threads), "--timeout", "1", *HEALTH)
    release = tmp_path / "release"
    stuck = worker.client()
    stuck.send(request(f"/block?{release}"))
    if threads > 1:
        assert worker.client().get("/others")[2] == b"GET /others"
    status, fields, _ = stuck.response()
    assert status == 504
    assert fields["connection"] == "close"
    assert stuck.is_closed()
    # The client comes first.
    eventually(lambda: "in wait_for_file" in worker.log)
    assert re.search(r"GET /block of 127\.0\.0\.1 has had its time: 1\.\d+ s in the application", worker.log)
    assert worker.client().get("/-/live")[0] == 200
    release.touch()
    # The thread has come back, and its late answer reached nobody.
    assert worker.client().get("/next")[2] == b"GET /next"


def test_the_answers_before_a_call_beyond_the_timeout_are_not_lost(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "1", "--timeout", "1")
    client = worker.client()
    client.send(
        request("/one") + request("/two") + request(f"/block?{tmp_path / 'never'}") + request("/four")
    )
    assert client.response()[2] == b"GET /one"
    assert client.response()[2] == b"GET /two"
    assert client.response()[0] == 504
    assert client.is_closed()


def test_a_response_that_began_before_the_timeout_is_cut(start_worker, tmp_path, eventually):
    worker = start_worker("applications:begins_and_blocks", "--threads", "1", "--timeout", "1", *HEALTH)
    client = worker.client()
    client.send(request(f"/?{tmp_path / 'never'}"))
    with pytest.raises((EOFError, ConnectionResetError)):
        client.response()
    eventually(lambda: "was cut off" in worker.log)
    assert worker.client().get("/-/live")[0] == 200


def test_the_time_in_the_queue_does_not_count_for_the_timeout(busy):
    worker = busy(1, "--timeout", "2")
    waiting = worker.client()
    waiting.send(request("/sleep?0.5"))
    assert worker.blocked[0].response()[0] == 504
    worker.release()
    assert waiting.response()[2] == b"slept"


@pytest.mark.parametrize("threads", [1, 3])
def test_an_answer_does_not_wait_for_the_slow_one_behind_it_on_its_connection(
    start_worker, tmp_path, threads
):
    worker = start_worker("applications:routes", "--threads", str(threads))
    release = tmp_path / "release"
    client = worker.client()
    client.send(request("/one") + request("/two") + request(f"/block?{release}") + request("/four"))
    assert client.response()[2] == b"GET /one"
    assert client.response()[2] == b"GET /two"
    release.touch()
    assert client.response()[2] == b"released"
    assert client.response()[2] == b"GET /four"


def test_a_stream_is_not_held_back_by_the_request_behind_it(start_worker, tmp_path):
    worker = start_worker("applications:begins_and_blocks", "--threads", "2")
    release = tmp_path / "release"
    client = worker.client()
    client.send(request(f"/?{release}") * 2)
    while b"first piece" not in client.buffer:
        client._more()
    release.touch()
    for _ in range(2):
        assert client.response()[2] == b"first piecesecond piece"
