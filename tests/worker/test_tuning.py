"""What a worker asks of the C library and the kernel: seen from outside, in the worker's process."""

import os

import pytest


def slack(worker):
    """Return the timer slack of each thread, in nanoseconds; the root of the machine alone may read it."""
    found = []
    for thread in os.listdir(f"/proc/{worker.process.pid}/task"):
        with open(f"/proc/{thread}/timerslack_ns") as file:
            found.append(int(file.read()))
    return found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may read the timer slack of another process")
def test_all_threads_wake_on_time(start_worker):
    worker = start_worker("applications:routes", "--threads", "3")
    assert worker.client().get("/")[0] == 200
    assert set(slack(worker)) == {1000}


def heap(worker):
    """Return the bytes that the worker has in memory."""
    with open(f"/proc/{worker.process.pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_memory_of_large_bodies_is_not_kept_for_ever(start_worker, eventually):
    worker = start_worker("applications:routes", "--threads", "1")
    client = worker.client()
    body = bytes(4_000_000)

    def echo():
        client.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        assert client.response()[2] == body

    for _ in range(5):
        echo()
    before = heap(worker)
    for _ in range(20):
        echo()
    assert heap(worker) < before + 20_000_000
