"""The scoreboard: what one process writes another reads, and counters survive the workers that counted."""

import os

import pytest

from portway.observe.scoreboard import METHOD_BYTES, PATH_BYTES, Scoreboard, ThreadState, Totals, WorkerState


@pytest.fixture
def board():
    return Scoreboard(workers=8, threads=4)


def started(board, nr, *, threads=2, generation=1):
    board.open(nr)
    slot = board.worker(nr)
    slot.start(1000 + nr, generation, threads, 5_000)
    return slot


def in_a_child(work):
    """Run `work` in a forked process and wait for its end."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_a_new_scoreboard_has_no_workers_and_counted_nothing(board):
    snapshot = board.snapshot()
    assert snapshot.workers == ()
    assert snapshot.totals == Totals()


def test_what_a_worker_writes_is_read_by_its_parent(board):
    board.open(3)

    def work():
        slot = board.worker(3)
        slot.start(os.getpid(), 7, 2, 123)
        slot.beat(456)
        slot.set_state(WorkerState.READY)
        slot.set_load(11, 5)
        slot.set_free_threads(2)

    in_a_child(work)
    (worker,) = board.snapshot().workers
    assert (worker.nr, worker.generation, worker.state) == (3, 7, WorkerState.READY)
    assert worker.pid not in (0, os.getpid())
    assert (worker.started, worker.heartbeat) == (123, 456)
    assert (worker.connections, worker.queue, worker.free_threads) == (11, 5, 2)
    assert len(worker.threads) == 2
    assert board.heartbeat(3) == 456


def test_the_requests_of_one_worker_are_those_of_all_its_threads(board):
    first, second = started(board, 0), started(board, 1)
    for slot, thread, count in ((first, 0, 3), (first, 1, 2), (second, 0, 1)):
        for _ in range(count):
            slot.thread(thread).begin(1, 1_000, "GET", "/")
            slot.thread(thread).end(1_100, 0, False)
    first.add_file(10)
    first.add_refused()
    assert [board.requests(nr) for nr in (0, 1, 2)] == [5, 1, 0]
    board.retire(0)
    assert board.requests(0) == 0


def test_a_worker_begins_in_the_state_starting(board):
    started(board, 0)
    assert board.snapshot().workers[0].state is WorkerState.STARTING


def test_a_request_is_seen_while_it_runs_and_counted_when_it_ends(board):
    thread = started(board, 0).thread(1)
    thread.begin(77, 1_000, "POST", "/caf\xe9")
    figures = board.snapshot().workers[0].threads[1]
    assert figures.state is ThreadState.APPLICATION
    assert (figures.request_id, figures.start, figures.method, figures.path) == (77, 1000, "POST", "/caf\xe9")
    assert figures.requests == 0

    thread.end(1_250, 4096, False)
    snapshot = board.snapshot()
    assert snapshot.workers[0].threads[1].state is ThreadState.IDLE
    assert snapshot.workers[0].threads[1].requests == 1
    assert snapshot.totals == Totals(requests=1, bytes_sent=4096, busy=250)


def test_the_text_of_a_shorter_request_shows_nothing_of_the_one_before(board):
    thread = started(board, 0).thread(0)
    thread.begin(1, 0, "OPTIONS", "/a/long/path")
    thread.end(0, 0, False)
    thread.begin(2, 0, "GET", "/b")
    figures = board.snapshot().workers[0].threads[0]
    assert (figures.method, figures.path) == ("GET", "/b")


@pytest.mark.parametrize(("limit", "which"), [(METHOD_BYTES, "method"), (PATH_BYTES, "path")])
@pytest.mark.parametrize("over", [-1, 0, 1, 1000])
def test_long_text_is_cut_and_stays_in_its_slot(board, limit, which, over):
    slot = started(board, 0)
    first, second = slot.thread(0), slot.thread(1)
    second.begin(9, 9, "GET", "/neighbour")
    text = "x" * (limit + over)
    first.begin(1, 1, text if which == "method" else "GET", text if which == "path" else "/")
    figures = board.snapshot().workers[0].threads
    assert getattr(figures[0], which) == text[:limit]
    assert (figures[1].method, figures[1].path, figures[1].request_id) == ("GET", "/neighbour", 9)


def test_counters_of_leader_and_threads_are_summed_over_workers(board):
    for nr in (0, 5):
        slot = started(board, nr)
        slot.add_accepted()
        slot.add_accepted(3)
        slot.add_file(100)
        slot.add_refused()
        for index in (0, 1):
            slot.thread(index).begin(1, 10, "GET", "/")
            slot.thread(index).end(15, 7, index == 1)
    assert board.snapshot().totals == Totals(
        accepted=8, files=2, refused=2, requests=4, errors=2, bytes_sent=200 + 4 * 7, busy=20
    )


def test_a_retired_worker_is_gone_and_its_counts_stay(board):
    slot = started(board, 0)
    slot.add_accepted(2)
    slot.set_free_threads(2)
    slot.thread(1).begin(1, 10, "GET", "/")
    slot.thread(1).end(15, 7, True)
    before = board.snapshot().totals
    board.retire(0)
    assert board.snapshot().workers == ()
    assert board.snapshot().totals == before

    again = started(board, 0, generation=2)
    again.thread(1).begin(2, 20, "GET", "/again")
    again.thread(1).end(21, 3, False)
    snapshot = board.snapshot()
    assert snapshot.workers[0].generation == 2
    assert snapshot.workers[0].threads[1].requests == 1
    assert snapshot.totals == Totals(accepted=2, requests=2, errors=1, bytes_sent=10, busy=6)


def test_retiring_a_slot_that_nobody_took_changes_nothing(board):
    started(board, 1).add_accepted()
    board.retire(0)
    assert board.snapshot().totals == Totals(accepted=1)


def serving(board, nr, free, now=10**12):
    slot = started(board, nr)
    slot.beat(now)
    slot.set_state(WorkerState.READY)
    slot.set_free_threads(free)
    return slot


def test_free_threads_elsewhere_counts_other_workers_only(board):
    mine, other, third = serving(board, 0, 0), serving(board, 6, 0), serving(board, 3, 0)
    assert mine.free_threads_elsewhere(10**12) == 0
    mine.set_free_threads(4)
    assert mine.free_threads_elsewhere(10**12) == 0
    assert other.free_threads_elsewhere(10**12) == 4
    other.set_free_threads(1)
    third.set_free_threads(2)
    assert mine.free_threads_elsewhere(10**12) == 3
    board.retire(6)
    assert mine.free_threads_elsewhere(10**12) == 2


@pytest.mark.parametrize("state", [WorkerState.STARTING, WorkerState.DRAINING])
def test_free_threads_of_workers_that_do_not_accept_do_not_count(board, state):
    mine = serving(board, 0, 0)
    serving(board, 1, 2).set_state(state)
    assert mine.free_threads_elsewhere(10**12) == 0


def test_free_threads_of_a_worker_that_does_not_beat_do_not_count(board):
    mine, _silent = serving(board, 0, 0), serving(board, 1, 2, now=10**12)
    assert mine.free_threads_elsewhere(10**12 + 2_999_999_999) == 2
    assert mine.free_threads_elsewhere(10**12 + 3_000_000_000) == 0


def test_a_worker_that_lies_about_its_threads_cannot_make_a_reader_leave_the_slot(board):
    started(board, 0, threads=10_000)
    assert len(board.snapshot().workers[0].threads) == 4
    started(board, 1, threads=-3)
    assert board.snapshot().workers[1].threads == ()


def test_slots_outside_the_scoreboard_are_refused(board):
    for nr in (-1, 8):
        with pytest.raises(IndexError, match="made for 8"):
            board.worker(nr)
    for index in (-1, 4):
        with pytest.raises(IndexError, match="made for 4"):
            board.worker(0).thread(index)
    with pytest.raises(ValueError, match="at least one"):
        Scoreboard(workers=0, threads=1)


def test_the_last_thread_of_the_last_worker_has_its_whole_slot(board):
    slot = started(board, 7, threads=4)
    slot.thread(3).begin(1, 2, "M" * METHOD_BYTES, "p" * PATH_BYTES)
    assert board.snapshot().workers[0].threads[3].path == "p" * PATH_BYTES
