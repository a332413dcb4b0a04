"""What is measured of workers, and how often: against real processes and a real scoreboard."""

import logging
import os
import subprocess
import sys

import pytest

from portway.observe.scoreboard import Scoreboard
from portway.supervisor import gauge
from portway.supervisor.gauge import Gauge, read_pss
from portway.supervisor.recycling import NO_LIMITS, RecycleLimits

NOW = 1000.0
BY_REQUESTS = RecycleLimits(requests=10)
BY_MEMORY = RecycleLimits(memory=2**30)


@pytest.fixture
def board():
    """Return a scoreboard on which worker 0 has answered two requests in one thread and one in another."""
    board = Scoreboard(4, 2)
    board.open(0)
    slot = board.worker(0)
    slot.start(100, 1, 2, 0)
    for index in (0, 0, 1):
        thread = slot.thread(index)
        thread.begin(1, 0, "GET", "/")
        thread.end(1, 0, False)
    return board


@pytest.fixture
def process():
    """Return a process that holds 32 MiB of its own until its input ends."""
    program = "import sys; held = bytearray(b'x') * 2**25; print(flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        yield child
        child.stdin.close()


def test_requests_are_summed_over_threads(board, make):
    children = make("1R 1R", "1R", current=1)
    Gauge(board).look(children, BY_REQUESTS, NOW)
    assert [child.requests for child in children.workers.values()] == [3, 0]


def test_a_look_a_second(board, make):
    children = make("1R", "1R", current=1)
    looks = Gauge(board)
    looks.look(children, BY_REQUESTS, NOW)
    assert looks.next_look(BY_REQUESTS) == NOW + 1.0
    children.workers[0].requests = 0
    looks.look(children, BY_REQUESTS, NOW + 0.9)
    assert children.workers[0].requests == 0
    looks.look(children, BY_REQUESTS, NOW + 1.0)
    assert children.workers[0].requests == 3


def test_no_look_without_a_limit(board, make):
    children = make("1R", "1R", current=1)
    looks = Gauge(board, 0.0)
    for limits in (NO_LIMITS, RecycleLimits(lifetime=60.0)):
        assert looks.next_look(limits) is None
        looks.look(children, limits, NOW)
    assert children.workers[0].requests == 0
    assert looks.next_look(BY_MEMORY) is not None


@pytest.mark.parametrize("phase", ["A", "S", "D", "Q", "K"])
def test_only_those_that_serve_are_measured(board, make, phase):
    children = make(f"1{phase}", "1R", current=1)
    Gauge(board, 0.0).look(children, RecycleLimits(requests=1, memory=1), NOW)
    assert children.workers[0].requests == 0
    assert children.workers[0].memory == 0


def test_memory_is_measured_in_bytes(board, make, process):
    children = make("1R", "1R", current=1)
    children.workers[0].pid = process.pid
    Gauge(board, 0.0).look(children, BY_MEMORY, NOW)
    assert 2**25 < children.workers[0].memory < 2**28


def test_each_is_measured_every_ten_seconds_and_not_all_at_once(board, make, monkeypatch):
    measured = []
    monkeypatch.setattr(gauge, "read_pss", lambda pid: measured.append(pid) or 1)
    children = make(" ".join(["1R"] * 25), "1R", current=1)
    looks = Gauge(board)
    for second in range(30):
        before = len(measured)
        looks.look(children, BY_MEMORY, NOW + second)
        assert len(measured) - before <= 3
    for child in children.workers.values():
        assert measured.count(child.pid) in (2, 3)


def test_one_that_has_just_ended_is_left_out(board, make, process, caplog):
    process.stdin.close()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    with pytest.raises(ProcessLookupError):
        read_pss(process.pid)
    process.wait()
    with pytest.raises(ProcessLookupError):
        read_pss(process.pid)
    children = make("1R", "1R", current=1)
    children.workers[0].pid = process.pid
    Gauge(board, 0.0).look(children, BY_MEMORY, NOW)
    assert children.workers[0].memory == 0
    assert caplog.records == []


def test_where_the_system_does_not_tell_it_is_said_once(board, make, monkeypatch, caplog):
    def refuse(pid):
        raise PermissionError(13, "Permission denied", f"/proc/{pid}/smaps_rollup")

    monkeypatch.setattr(gauge, "read_pss", refuse)
    looks = Gauge(board, 0.0)
    with caplog.at_level(logging.WARNING, "portway.error"):
        for second in range(3):
            looks.look(make("1R 1R", "1R", current=1), BY_MEMORY, NOW + second)
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "max_rss has no effect: the memory of a worker cannot be read from /proc/100/smaps_rollup: Permission denied."
    )
