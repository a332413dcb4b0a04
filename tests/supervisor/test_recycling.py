"""Which workers are replaced though nothing is wrong with them, and when: the decision, without a process."""

import pytest

from portway.settings.table import Settings
from portway.supervisor.children import LONGEST_WISH, Backoff, Phase
from portway.supervisor.plan import QUICK, Drain, Spawn, Stop, next_deadline, plan
from portway.supervisor.recycling import (
    NO_LIMITS,
    Recycle,
    RecycleLimits,
    choose,
    limits_of,
    next_expiry,
    why,
)

NOW = 1000.0
BY_REQUESTS = RecycleLimits(requests=1000)


def recycled(children, workers, limits, now=NOW):
    return [action.nr for action in choose(children, workers, limits, now)]


@pytest.fixture
def answered(make):
    """Return a function that makes workers, the first of which have answered so many requests each."""

    def answered(workers, *requests, molds="1R", current=1, **fields):
        children = make(workers, molds, current=current, **fields)
        for nr, count in enumerate(requests):
            children.workers[nr].requests = count
        return children

    return answered


# Who is due.


@pytest.mark.parametrize(
    ("requests", "jitter", "spread", "due"),
    [
        (999, 0, 0.0, False),
        (1000, 0, 0.0, True),
        (1001, 0, 0.999, True),
        (1049, 50, 0.999, False),
        (1050, 50, 0.999, True),
        (1000, 50, 0.0, True),
        (1024, 50, 0.5, False),
        (1025, 50, 0.5, True),
    ],
)
def test_requests(answered, requests, jitter, spread, due):
    children = answered("1R", requests)
    children.workers[0].spread = spread
    assert bool(why(children.workers[0], RecycleLimits(1000, jitter), NOW)) is due


@pytest.mark.parametrize(
    ("age", "spread", "due"), [(99.9, 0.0, False), (100.0, 0.0, True), (94.9, 0.5, False), (95.0, 0.5, True)]
)
def test_lifetime(make, age, spread, due):
    child = make("1R", "1R", current=1).workers[0]
    child.since, child.spread = NOW - age, spread
    assert bool(why(child, RecycleLimits(lifetime=100.0), NOW)) is due


@pytest.mark.parametrize(("memory", "due"), [(0, False), (2**26 - 1, False), (2**26, True)])
def test_memory(make, memory, due):
    child = make("1R", "1R", current=1).workers[0]
    child.memory = memory
    assert bool(why(child, RecycleLimits(memory=2**26), NOW)) is due


def test_the_reason_has_the_figure_and_the_limit(make):
    child = make("1R", "1R", current=1).workers[0]
    child.requests, child.memory, child.since, child.spread = 1003, 2**29 + 2**20, NOW - 7200, 0.5
    assert why(child, BY_REQUESTS, NOW) == "has answered 1,003 requests (max_requests 1,000)"
    with_jitter = "has answered 1,003 requests (max_requests 1,000 and 3 of jitter)"
    assert why(child, RecycleLimits(1000, jitter=6), NOW) == with_jitter
    assert why(child, RecycleLimits(lifetime=7200), NOW) == "has lived for 7,200 s (max_lifetime 7,200)"
    assert why(child, RecycleLimits(memory=2**29), NOW) == "takes 513.0 MiB of memory (max_rss 512m)"


def test_nobody_is_due_without_a_limit(answered):
    children = answered("1R 1R", 10**9, 10**9)
    for child in children.workers.values():
        child.since, child.memory = 0.0, 2**50
    assert recycled(children, 2, NO_LIMITS) == []
    assert next_expiry(children, NO_LIMITS) == []


def test_the_settings_are_the_limits():
    settings = Settings(max_requests=5, max_requests_jitter=2, max_lifetime=60, max_rss=2**30)
    assert limits_of(settings) == RecycleLimits(5, 2, 60, 2**30)
    assert limits_of(Settings()) == NO_LIMITS


def test_who_asks_is_replaced_without_a_limit(make):
    children = make("1R 1R", "1R", current=1)
    children.worker_wishes(101, "a request could\nnot be ended")
    (action,) = choose(children, 2, NO_LIMITS, NOW)
    assert action == Recycle(1, "asks for it (a request could not be ended)")


@pytest.mark.parametrize(("reason", "kept"), [("", "without a reason"), ("x" * 500, "x" * LONGEST_WISH)])
def test_the_reason_of_a_worker_is_a_short_line(make, reason, kept):
    children = make("1R", "1R", current=1)
    children.worker_wishes(100, reason)
    assert children.workers[0].wish == kept


def test_the_wish_of_a_process_that_is_unknown_is_ignored(make):
    children = make("1R", "1R", current=1)
    children.worker_wishes(4711, "why not")
    assert children.workers[0].wish == ""


# How many at a time.


@pytest.mark.parametrize(
    ("workers", "most"), [(1, 1), (2, 1), (9, 1), (10, 1), (19, 1), (20, 2), (29, 2), (30, 3)]
)
def test_a_tenth_of_the_workers_and_at_least_one(answered, workers, most):
    children = answered(" ".join(["1R"] * workers), *[2000] * workers)
    assert len(recycled(children, workers, BY_REQUESTS)) == most


def test_the_oldest_first(answered):
    children = answered("1R 1R 1R", 1000, 5000, 2000)
    children.workers[2].since = 10.0
    assert recycled(children, 3, BY_REQUESTS) == [2]


def test_who_asks_before_the_others(answered):
    children = answered("1R 1R 1R", 5000, 0, 5000)
    children.worker_wishes(101, "hurt")
    assert recycled(children, 3, BY_REQUESTS) == [1]


@pytest.mark.parametrize("phase", ["R", "D", "Q", "K"])
def test_the_next_waits_until_the_one_before_has_ended(answered, phase):
    children = answered(f"1{phase} 1R 1R", 2000, 2000)
    children.worker_retires(0, "it is due", NOW)
    assert recycled(children, 2, BY_REQUESTS) == []
    children.reaped(100, "ended", NOW)
    children.worker_asked(3, 1, NOW)
    children.worker_spawned(3, 1, 103, NOW)
    children.worker_ready(103, NOW)
    assert recycled(children, 3, BY_REQUESTS) == [1]


def test_who_asks_does_not_wait_for_those_that_drain(answered):
    children = answered("1D 1R 1R", 2000, 2000)
    children.worker_retires(0, "it is due", NOW)
    children.worker_wishes(102, "hurt")
    assert recycled(children, 2, BY_REQUESTS) == [2]
    children.worker_retires(2, "asks for it", NOW)
    children.worker_wishes(101, "hurt")
    assert recycled(children, 2, BY_REQUESTS) == []


# When not.


@pytest.mark.parametrize(
    ("workers", "molds", "fields"),
    [
        ("1R 1R", "1R 2S", {"candidate": 2}),
        ("1R 1R 2R", "1R 2R", {"candidate": 2}),
        ("1R 1R", "1R", {"reload_asked": True}),
        ("1R 1R", "", {}),
        ("1R 1R", "1S", {}),
        ("1R 1R", "1Q", {}),
        ("1R", "1R", {}),
        ("1R 1S", "1R", {}),
        ("1R 1D", "1R", {}),
        ("1R 1R 1R", "1R", {}),
        ("1R 1R 1S", "1R", {}),
    ],
    ids=[
        "a reload imports",
        "a generation is on trial",
        "a reload is asked for",
        "the mold is dead",
        "the mold imports",
        "the mold ends",
        "one is missing",
        "one starts",
        "one drains and was not replaced yet",
        "one too many",
        "one too many starts",
    ],
)
def test_not_now(answered, workers, molds, fields):
    children = answered(workers, 2000, molds=molds, **fields)
    children.worker_wishes(100, "hurt")
    assert recycled(children, 2, BY_REQUESTS) == []


def test_not_in_a_crash_loop(answered):
    children = answered("1R 1R", 2000)
    children.molds[1].backoff = Backoff(3, NOW - 1, NOW + 1)
    assert recycled(children, 2, BY_REQUESTS) == []
    assert recycled(children, 2, BY_REQUESTS, NOW + 1) == [0]


@pytest.mark.parametrize("stop", [Stop.GRACEFUL, Stop.QUICK])
def test_not_while_stopping(answered, want, stop):
    children = answered("1R 1R", 2000)
    actions = plan(children, want(2, stop, recycle=BY_REQUESTS), NOW)
    assert not any(isinstance(action, Recycle) for action in actions)


def test_not_before_a_stop(make, want):
    children = make("1R 1R", "1R", current=1)
    children.worker_wishes(100, "hurt")
    children.workers[1].since = 0.0
    assert plan(children, want(2, recycle=None), NOW) == []
    assert next_deadline(children, want(2, recycle=None), NOW) is None


def test_a_worker_of_a_generation_that_ends_is_not_chosen(answered):
    children = answered("1R 2R 2R", 5000, molds="2R", current=2)
    assert recycled(children, 2, BY_REQUESTS) == []


# What becomes of it.


def test_the_replacement_is_ready_before_the_old_one_drains(answered, want):
    wanted = want(2, recycle=BY_REQUESTS)
    children = answered("1R 1R", 2000)
    assert plan(children, wanted, NOW) == [Recycle(0, why(children.workers[0], BY_REQUESTS, NOW))]
    children.worker_retires(0, "it is due", NOW)
    assert plan(children, wanted, NOW) == [Spawn(2, 1)]
    children.worker_asked(2, 1, NOW)
    assert plan(children, wanted, NOW) == []
    children.worker_spawned(2, 1, 102, NOW)
    assert plan(children, wanted, NOW) == []
    children.worker_ready(102, NOW)
    assert plan(children, wanted, NOW) == [Drain(0, NOW + 30.0 + QUICK)]
    assert children.successor(children.workers[0]) is children.workers[2]
    children.worker_told(0, Phase.DRAINING, NOW + 32.0)
    assert plan(children, wanted, NOW) == []


def test_a_replacement_that_fails_backs_off_and_the_old_one_stays(answered, want):
    wanted = want(2, recycle=BY_REQUESTS)
    children = answered("1R 1R", 2000)
    children.worker_retires(0, "it is due", NOW)
    now = NOW
    for pause in (0.0, 1.0, 2.0, 4.0):
        assert plan(children, wanted, now) == [Spawn(2, 1)]
        children.worker_asked(2, 1, now)
        children.worker_spawned(2, 1, 102, now)
        children.reaped(102, "exited with 3", now)
        assert children.workers[0].phase is Phase.READY
        if pause:
            assert plan(children, wanted, now) == []
            assert next_deadline(children, wanted, now) == now + pause
        now += pause


def test_the_lifetime_is_a_deadline(make, want):
    children = make("1R 1R 1D", "1R", current=1)
    children.workers[0].since = 950.0
    children.workers[2].since = 940.0
    wanted = want(2, recycle=RecycleLimits(lifetime=100.0))
    assert next_deadline(children, wanted, NOW) == 1050.0
    assert plan(children, wanted, 1049.0) == []
    assert [action.nr for action in plan(children, wanted, 1050.0)] == [0]


def test_each_successor_is_named_once(make):
    children = make("1R 1R 1R 1R", "1R", current=1)
    for nr in (0, 1):
        children.worker_retires(nr, "it is due", 999.0 if nr else 998.0)
    children.workers[0].since = children.workers[1].since = 10.0
    first, second = (children.successor(children.workers[nr]) for nr in (0, 1))
    assert {first.nr, second.nr} == {2, 3}
    assert children.successor(children.workers[0]) is first
    children.worker_retires(2, "it is due", NOW)
    assert children.successor(children.workers[2]) is None
