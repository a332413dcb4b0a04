"""Calls that the application marks as waiting, as clients see them: streams do not keep pages from their threads."""

import os

import pytest

HEALTH = ("--health-path", "/-/")


def request(path, *fields):
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: test", *fields, "", ""]).encode()


def threads_of(worker):
    return len(os.listdir(f"/proc/{worker.process.pid}/task"))


@pytest.mark.parametrize("threads", [1, 3])
def test_pages_are_answered_beside_streams_that_hang(start_worker, tmp_path, threads):
    flags = ("--threads", str(threads), "--max-io-threads", str(threads + 3))
    worker = start_worker("applications:routes", *flags, *HEALTH)
    release = tmp_path / "release"
    streams = [worker.client() for _ in range(threads + 3)]
    for stream in streams:
        stream.send(request(f"/io-bound?{release}"))
        worker.has_read()
    # More streams than threads, and the pages still have as many threads as before.
    page = worker.client()
    for number in range(20):
        assert page.get(f"/number/{number}")[2].startswith(b"%d " % number)
        assert worker.client().get("/new")[2] == b"GET /new"
    assert not any(stream.is_readable() for stream in streams)
    release.touch()
    assert [stream.response()[2] for stream in streams] == [b"1 1"] * len(streams)
    assert page.get("/after")[2] == b"GET /after"


def test_calls_that_are_not_marked_have_the_threads_that_they_had(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "1", "--max-queue", "1", *HEALTH)
    stream, blocked, waiting = worker.client(), worker.client(), worker.client()
    stream.send(request(f"/io-bound?{tmp_path / 'stream'}"))
    worker.has_read()
    blocked.send(request(f"/block?{tmp_path / 'block'}"))
    worker.has_read()
    # The stream has its own thread; the other call has the one that there is.
    waiting.send(request("/waited"))
    worker.has_read()
    assert worker.client().get("/refused")[0] == 503
    (tmp_path / "stream").touch()
    assert stream.response()[2] == b"1 1"
    # That the stream is over gives nobody else a thread.
    worker.has_read()
    assert not waiting.is_readable()
    (tmp_path / "block").touch()
    assert blocked.response()[2] == b"released"
    assert waiting.response()[2] == b"GET /waited"


def test_beyond_its_bound_a_stream_is_told_so_and_pages_wait(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "1", "--max-io-threads", "1", *HEALTH)
    release = tmp_path / "release"
    streams = [worker.client() for _ in range(2)]
    for stream in streams:
        stream.send(request(f"/io-bound?{release}"))
        worker.has_read()
    page = worker.client()
    page.send(request("/page"))
    worker.has_read()
    assert not page.is_readable()
    release.touch()
    assert sorted(stream.response()[2][:1] for stream in streams) == [b"0", b"1"]
    assert page.response()[2] == b"GET /page"


def test_without_extra_threads_a_mark_means_nothing(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "1", "--max-io-threads", "0", *HEALTH)
    before = threads_of(worker)
    stream, page = worker.client(), worker.client()
    stream.send(request(f"/io-bound?{tmp_path / 'release'}"))
    worker.has_read()
    page.send(request("/page"))
    worker.has_read()
    assert not page.is_readable()
    assert threads_of(worker) == before
    (tmp_path / "release").touch()
    assert stream.response()[2] == b"0 0"
    assert page.response()[2] == b"GET /page"


def test_a_worker_that_stops_does_not_wait_for_extra_threads_that_sleep(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "1", *HEALTH)
    stream = worker.client()
    stream.send(request(f"/io-bound?{tmp_path / 'release'}"))
    worker.has_read()
    assert worker.client().get("/page")[2] == b"GET /page"
    (tmp_path / "release").touch()
    assert stream.response()[2] == b"1 1"
    stream.leave()
    worker.signal(15)
    assert worker.wait() == 0


def test_pipelined_requests_behind_a_stream_are_answered_in_order(start_worker, tmp_path):
    worker = start_worker("applications:routes", "--threads", "1", *HEALTH)
    client, other = worker.client(), worker.client()
    client.send(request(f"/io-bound?{tmp_path / 'release'}") + request("/number/1") + request("/number/2"))
    worker.has_read()
    assert other.get("/number/3")[2].startswith(b"3 ")
    assert not client.is_readable()
    (tmp_path / "release").touch()
    assert client.response()[2] == b"1 1"
    assert client.response()[2].startswith(b"1 ")
    assert client.response()[2].startswith(b"2 ")
