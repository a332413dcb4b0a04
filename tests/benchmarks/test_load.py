"""What is read from wrk, and the program that it is given."""

import json
import os
import socket

import pytest

from benchmarks import load

SAID = {
    "requests": 1000,
    "microseconds": 2_000_000,
    "bytes": 5000,
    "p50": 1500,
    "p99": 9000,
    "slowest": 20_000,
    "connect": 0,
    "read": 3,
    "write": 0,
    "timeout": 0,
    "status": 0,
}


def output(**changes):
    return f"Running 2s test\n  some table\n\nportway-bench: {json.dumps({**SAID, **changes})}\n"


def test_what_wrk_says_is_in_seconds():
    sample = load.read_wrk(output())
    assert sample.rate == 500.0
    assert (sample.p50, sample.p99, sample.slowest) == (0.0015, 0.009, 0.02)
    assert (sample.requests, sample.seconds, sample.received) == (1000, 2.0, 5000)
    assert sample.errors == {"read": 3}


def test_an_error_status_is_no_response():
    sample = load.read_wrk(output(status=400))
    assert (sample.rate, sample.requests) == (300.0, 600)
    assert sample.errors == {"read": 3, "status": 400}


def test_who_answers_nothing_has_no_latency():
    sample = load.read_wrk(output(requests=0, p50=0, p99=0, slowest=0))
    assert (sample.rate, sample.p50, sample.p99, sample.slowest) == (0.0, None, None, None)


def test_output_without_figures_is_a_failure():
    with pytest.raises(load.LoadFailedError, match="unable to connect"):
        load.read_wrk("unable to connect to 127.0.0.1\n")


def test_the_script_carries_the_request():
    script = load.wrk_script(load.Request("/", "POST", {"If-None-Match": '"a\\b"'}, 1024))
    assert 'wrk.method = "POST"' in script
    assert 'wrk.headers["If-None-Match"] = "\\"a\\\\b\\""' in script
    assert 'string.rep("x", 1024)' in script


def answer(connection, _number):
    data = b""
    while True:
        while b"\r\n\r\n" not in data:
            more = connection.recv(65536)
            if not more:
                return
            data += more
        head, _, data = data.partition(b"\r\n\r\n")
        left = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0] or 0) - len(data)
        while left > 0:
            left -= len(connection.recv(65536))
        data = b""
        status = b"503 Busy" if b"X-Fail: 1" in head else b"200 OK"
        connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n\r\nok")


@pytest.mark.parametrize("kind", ["own", "wrk"])
def test_both_generators_ask_what_they_are_told(kind, listen, tmp_path):
    if kind == "wrk" and not load.available():
        pytest.skip("wrk is not installed")
    core = min(os.sched_getaffinity(0))
    generator = load.Generator(kind, core, tmp_path)
    listener = listen(answer)
    sample = generator.run(listener.port, load.Request("/", "POST", {"X-A": "b"}, 100), 3, 1)
    assert sample.requests > 0
    assert sample.rate == pytest.approx(sample.requests / sample.seconds)
    assert 0 < sample.p50 <= sample.p99 <= sample.slowest
    assert sample.errors == {}
    failing = generator.run(listener.port, load.Request(fields={"X-Fail": "1"}), 1, 1)
    assert failing.requests == 0
    assert failing.errors["status"] > 0


def test_a_server_that_is_not_there_is_a_failure(tmp_path):
    if not load.available():
        pytest.skip("wrk is not installed")
    port = socket.create_server(("127.0.0.1", 0))
    number = port.getsockname()[1]
    port.close()
    generator = load.Generator("wrk", min(os.sched_getaffinity(0)), tmp_path)
    with pytest.raises(load.LoadFailedError):
        generator.run(number, load.Request(), 1, 1)
