"""Clients that hang on: what each kind says, and how many there are when they are asked."""

import json
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from benchmarks import hangers

ROOT = Path(__file__).resolve().parents[2]


def test_what_they_say():
    assert hangers.what_it_says(hangers.IDLE, 0, 80) == b""
    assert hangers.what_it_says(hangers.IDLE, 1, 80).endswith(b"\r\n\r\n")
    assert hangers.what_it_says(hangers.ONE_BYTE, 0, 80) == b"G"
    stalled = hangers.what_it_says(hangers.STALLED, 0, 80)
    assert b"Content-Length: 1048576\r\n" in stalled
    assert len(stalled.partition(b"\r\n\r\n")[2]) == 8192
    assert hangers.what_it_says(hangers.DEAF, 0, 80).startswith(b"GET /big ")


@pytest.fixture
def crowd():
    """Return crowd(port, *counts) -> the process; it is ended."""
    started = []

    def start(port, *counts):
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.hangers", str(port), *map(str, counts)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.stdin.close()
        process.stdout.close()
        assert process.wait(20) == 0


def dismissed(process):
    process.stdin.close()
    return json.loads(process.stdout.readline())


def test_all_of_them_hang_on(listen, crowd):
    heard = []
    spoken = threading.Semaphore(0)

    def serve(connection, _number):
        data = connection.recv(65536)
        heard.append(data)
        spoken.release()
        if data.startswith(b"GET"):
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
            connection.sendall(b"x" * 1_000_000)
        while connection.recv(65536):
            pass

    listener = listen(serve)
    process = crowd(listener.port, 4, 3, 2, 1)
    assert process.stdout.readline() == "ready\n"
    # All but the two that say nothing.
    assert all(spoken.acquire(timeout=20) for _ in range(8))
    counted = dismissed(process)
    assert counted["open"] == {"idle": 4, "one-byte": 3, "stalled": 2, "deaf": 1}
    assert counted["closed"] == {"idle": 0, "one-byte": 0, "stalled": 0, "deaf": 0}
    assert sum(data == b"G" for data in heard) == 3
    assert sum(data.startswith(b"GET / ") for data in heard) == 2


def test_those_that_are_closed_come_again(listen, crowd):
    again = threading.Event()

    def serve(connection, number):
        connection.recv(1)
        if number > 1:
            again.set()
            while connection.recv(65536):
                pass

    listener = listen(serve)
    process = crowd(listener.port, 0, 1, 0, 0)
    assert process.stdout.readline() == "ready\n"
    assert again.wait(20)
    counted = dismissed(process)
    assert counted["closed"]["one-byte"] == 1
    assert counted["open"]["one-byte"] == 1


def test_who_cannot_connect_is_counted_as_not_there(crowd, monkeypatch):
    server = socket.create_server(("127.0.0.1", 0))
    port = server.getsockname()[1]
    server.close()
    monkeypatch.setattr(hangers, "READY", 0.2)
    few = hangers.Crowd(port, {hangers.IDLE: 2})
    few.connect_all()
    assert few.open() == {"idle": 0}
