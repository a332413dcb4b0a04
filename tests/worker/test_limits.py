"""What a worker does at its limits: connections, descriptors, sizes. It says so, goes on, and recovers."""

import select
import signal
import threading

import pytest

HEALTH = ("--health-path", "/-/")


def request(path, *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *fields, "", ""]).encode()


def upload(path, size):
    return b"POST %s HTTP/1.1\r\nHost: test\r\nContent-Length: %d\r\n\r\n" % (path, size)


# Connections.


def test_at_the_limit_the_connection_that_was_idle_longest_makes_room(start_worker):
    worker = start_worker("applications:routes", "--worker-connections", "3")
    first, second, third = (worker.client() for _ in range(3))
    for client in (second, first, third, second):
        assert client.get("/idle")[0] == 200
    # In the order of their last requests: first, third, second.
    assert worker.client().get("/new")[2] == b"GET /new"
    assert first.is_closed()
    assert second.get("/still")[2] == b"GET /still"
    assert worker.client().get("/newer")[2] == b"GET /newer"
    assert third.is_closed()
    assert second.get("/still")[2] == b"GET /still"
    assert "closing idle ones for new ones" in worker.log


def test_at_the_limit_a_connection_whose_request_has_come_is_not_closed(start_worker):
    worker = start_worker("applications:routes", "--worker-connections", "2")
    oldest, idle = worker.client(), worker.client()
    for client in (oldest, idle):
        assert client.get("/idle")[0] == 200
    worker.signal(signal.SIGSTOP)
    new = worker.client()
    new.send(request("/new"))
    oldest.send(request("/again"))
    worker.signal(signal.SIGCONT)
    assert oldest.response()[2] == b"GET /again"
    assert new.response()[2] == b"GET /new"
    assert idle.is_closed()


@pytest.mark.parametrize("threads", [1, 2])
def test_at_the_limit_the_next_waits_until_a_connection_is_closed(start_worker, tmp_path, threads):
    worker = start_worker("applications:routes", "--threads", str(threads), "--worker-connections", "2")
    release = tmp_path / "release"
    busy = [worker.client() for _ in range(2)]
    for client in busy:
        client.send(request(f"/block?{release}", "Connection: close"))
    waiting = [worker.client() for _ in range(3)]
    for client in waiting:
        client.send(request("/waited", "Connection: close"))
    release.touch()
    for client in busy:
        assert client.response()[2] == b"released"
    for client in waiting:
        assert client.response()[2] == b"GET /waited"


def test_a_connection_that_becomes_idle_makes_room_for_one_that_waits(start_worker, tmp_path):
    """Nobody was idle when the new one came; its turn comes when somebody is, not when he leaves."""
    worker = start_worker("applications:routes", "--threads", "2", "--worker-connections", "2")
    release = tmp_path / "release"
    busy = [worker.client() for _ in range(2)]
    for client in busy:
        client.send(request(f"/block?{release}"))
    waiting = [worker.client() for _ in range(3)]
    for client in waiting:
        client.send(request("/waited"))
    release.touch()
    for client in busy:
        assert client.response()[2] == b"released"
    for client in waiting:
        assert client.response()[2] == b"GET /waited"


def test_a_worker_at_its_limit_does_not_spin(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "1", "--worker-connections", "2")
    release = tmp_path / "release"
    busy = [worker.client() for _ in range(2)]
    for client in busy:
        client.send(request(f"/block?{release}"))
    waiting = [worker.client() for _ in range(20)]
    for client in waiting:
        client.send(request("/waited", "Connection: close"))
    assert is_calm(worker)
    release.touch()
    assert [client.response()[2] for client in [*busy, *waiting]] == [b"released"] * 2 + [b"GET /waited"] * 20


def test_many_short_connections_at_the_limit(start_worker):
    """Threads close connections while the leader looks for one to evict: nothing is lost in between."""
    worker = start_worker("applications:routes", "--threads", "4", "--worker-connections", "8")
    wrong = []

    def visit(number):
        for n in range(60):
            client = worker.client()
            fields = ("Connection: close",) if (n + number) % 3 else ()
            # A kept-alive connection may be evicted as soon as it has had its response, but not before.
            answer = client.get(f"/number/{n}", *fields)[2]
            if not answer.startswith(b"%d " % n):
                wrong.append(answer)
            client.leave()

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(12)]
    for visitor in visitors:
        visitor.start()
    for visitor in visitors:
        visitor.join(60)
    assert not any(visitor.is_alive() for visitor in visitors)
    assert wrong == []
    assert "Traceback" not in worker.log


# Descriptors.


def is_calm(worker):
    """Tell whether it uses less than half a processor over a second; one that spins uses a whole one."""
    before = worker.cpu_seconds()
    select.select([], [], [], 1.0)
    return worker.cpu_seconds() - before < 0.5


@pytest.mark.parametrize("threads", [1, 4])
def test_without_descriptors_it_neither_spins_nor_dies_and_recovers(start_worker, threads):
    worker = start_worker("applications:routes", "--threads", str(threads), *HEALTH)
    kept = worker.client()
    assert kept.get("/before")[2] == b"GET /before"
    worker.limit_descriptors(worker.highest_descriptor() + 4)
    clients = [worker.client() for _ in range(12)]
    for client in clients:
        client.send(request("/asked"))
    assert [client.response()[2] for client in clients[:3]] == [b"GET /asked"] * 3
    assert is_calm(worker)
    assert "Cannot accept connections: Too many open files" in worker.log
    assert worker.log.count("Cannot accept connections") == 1
    # Who is in is served.
    for client in (kept, *clients[:3]):
        assert client.get("/during")[2] == b"GET /during"
    assert not any(client.is_readable() for client in clients[3:])
    for place in range(3, 12):
        clients[place - 3].leave()
        assert clients[place].response()[2] == b"GET /asked"
    assert kept.get("/after")[2] == b"GET /after"


def test_files_and_uploads_without_descriptors(start_worker, tmp_path, eventually):
    root = tmp_path / "root"
    root.mkdir()
    (root / "large.bin").write_bytes(bytes(3_000_000))
    worker = start_worker("applications:routes", *HEALTH, "--static", f"/static/={root}")
    file, body, small, response = (worker.client(receive_buffer=4096) for _ in range(4))
    for client in (file, body, small, response):
        assert client.get("/before")[2] == b"GET /before"
    limit = worker.limit_descriptors(worker.highest_descriptor() + 1)
    # A body that needs a file of its own is refused; a small one does not.
    body.send(upload(b"/echo", 6_000_000) + bytes(5_000_000))
    assert body.response()[0] == 503
    small.send(upload(b"/echo", 3) + b"abc")
    assert small.response()[2] == b"abc"
    # The response does not fit into memory, and its client does not read: it is cut, so that it shows.
    response.send(request("/big?8000"))
    eventually(lambda: "Could not keep a response for a slow client" in worker.log)
    with pytest.raises((EOFError, ConnectionResetError)):
        response.response()
    worker.limit_descriptors(limit)
    assert file.get("/static/large.bin")[2] == bytes(3_000_000)
    assert worker.client().get("/after")[2] == b"GET /after"


def test_every_descriptor_comes_back(start_worker, tmp_path, eventually):
    root = tmp_path / "root"
    root.mkdir()
    (root / "large.bin").write_bytes(bytes(3_000_000))
    worker = start_worker("applications:routes", *HEALTH, "--static", f"/static/={root}", "--max-body", "1m")
    before = worker.descriptors()
    ways = [
        request("/answer"),
        request("/answer")[:20],
        request("/static/large.bin"),
        request("/static/large.bin", "Range: bytes=5-2000000"),
        request("/static/none"),
        request("/big?5000"),
        request("/raise"),
        request("/cut"),
        upload(b"/echo", 900_000) + bytes(900_000),
        upload(b"/echo", 900_000) + bytes(600_000),
        upload(b"/echo", 2_000_000) + bytes(10),
        b"NONSENSE\r\n\r\n",
    ]
    for reset in (False, True):
        for reads in (0, 1, 100_000):
            for way in ways:
                client = worker.client(receive_buffer=4096)
                client.send(way)
                client.sock.settimeout(0.01)
                try:
                    while reads and (data := client.sock.recv(reads)):
                        reads -= min(reads, len(data))
                except (TimeoutError, ConnectionResetError):
                    pass
                client.leave(reset)
    eventually(lambda: worker.descriptors() == before)


# Sizes.


@pytest.mark.parametrize("head", [b"Content-Length: 8000000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n"])
def test_a_body_over_the_limit_gets_an_answer_that_can_be_read(start_worker, head):
    """The client reads only when it has sent everything; the answer must not be lost to a reset."""
    worker = start_worker("applications:echo", "--max-body", "1m", "--threads", "1")
    client = worker.client()
    client.send(b"POST / HTTP/1.1\r\nHost: test\r\n" + head)
    chunk = b"8000\r\n" + bytes(0x8000) + b"\r\n" if b"chunked" in head else bytes(0x8000)
    for _ in range(8_000_000 // 0x8000):
        client.send(chunk)
    status, fields, _ = client.response()
    assert status == 413
    assert fields["connection"] == "close"
    assert worker.client().get("/")[0] == 200


def test_a_client_that_never_stops_sending_after_its_refusal_is_cut(start_worker):
    worker = start_worker("applications:echo", "--max-body", "1k")
    client = worker.client()
    client.send(upload(b"/", 1 << 40))
    assert client.response()[0] == 413
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        client.send(bytes(600_000_000))


def test_without_keep_alive_every_response_ends_its_connection(start_worker):
    worker = start_worker("applications:routes", "--keep-alive", "0", *HEALTH)
    for path in ("/one", "/-/live"):
        client = worker.client()
        status, fields, _ = client.get(path)
        assert (status, fields["connection"]) == (200, "close")
        assert client.is_closed()


def test_a_head_in_the_smallest_pieces_does_not_take_more_than_its_limit(start_worker):
    worker = start_worker("applications:routes", "--limit-request-head", "2048")
    client = worker.client()
    client.send(b"GET / HTTP/1.1\r\nHost: test\r\n")
    sent = 0
    while not client.is_readable():
        assert sent < 1_000_000
        client.send(b"X-%d: %d\r\n" % (sent, sent))
        sent += 10
    assert client.response()[0] == 431


def test_the_backlog_is_taken_in_the_order_of_arrival(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "1", "--worker-connections", "1")
    notes = tmp_path / "notes"
    release = tmp_path / "release"
    first = worker.client()
    first.send(request(f"/block?{release}", "Connection: close"))
    waiting = [worker.client() for _ in range(10)]
    for n, client in enumerate(waiting):
        client.send(request(f"/note/{n}?{notes}", "Connection: close"))
    release.touch()
    assert first.response()[2] == b"released"
    assert [client.response()[2] for client in waiting] == [b"noted"] * 10
    assert notes.read_text().split() == [str(n) for n in range(10)]
