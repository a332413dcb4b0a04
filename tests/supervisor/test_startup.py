"""Starts that take too long: when they are interrupted, and what becomes of a process that is."""

import os
import signal
import time

import pytest

from portway.supervisor import report, startup
from portway.supervisor.children import Failure, Phase
from portway.supervisor.plan import (
    QUICK,
    AbortMold,
    AbortStart,
    Drop,
    Expire,
    ExpireMold,
    GiveUp,
    Kill,
    KillMold,
    Spawn,
    Stop,
    next_deadline,
    plan,
)
from portway.supervisor.startup import StartupTimeout

BEGUN = 999.0
LATE = BEGUN + 60.0
FAILED = Failure("boot", "It was not ready.")


@pytest.fixture
def wanted(want):
    """Return what is wanted with 60 s for a start, and other values by name."""
    return lambda workers=1, **fields: want(workers, **{"startup": 60.0, "trial_startup": 60.0, **fields})


# The decision.


def test_a_mold_is_interrupted_then_aborted_then_killed(make, wanted):
    children = make("1R", "1R 2S", current=1, candidate=2)
    assert plan(children, wanted(), LATE - 0.1) == []
    assert next_deadline(children, wanted(), LATE - 0.1) == LATE
    assert plan(children, wanted(), LATE) == [ExpireMold(2, 60.0, LATE + QUICK)]
    children.mold_expired(2, FAILED, LATE + QUICK)
    assert plan(children, wanted(), LATE + QUICK - 0.1) == []
    assert next_deadline(children, wanted(), LATE) == LATE + QUICK
    assert plan(children, wanted(), LATE + QUICK) == [AbortMold(2, LATE + 2 * QUICK)]
    children.mold_told(2, Phase.QUITTING, LATE + 2 * QUICK)
    assert plan(children, wanted(), LATE + 2 * QUICK - 0.1) == []
    assert plan(children, wanted(), LATE + 2 * QUICK) == [KillMold(2)]


def test_a_worker_is_interrupted_then_aborted_then_killed(make, wanted):
    children = make("1R 2S", "1R 2R", current=1, candidate=2)
    assert plan(children, wanted(), LATE - 0.1) == []
    assert next_deadline(children, wanted(), LATE - 0.1) == LATE
    assert plan(children, wanted(), LATE) == [Expire(1, 60.0, LATE + QUICK)]
    children.worker_expired(1, FAILED, LATE + QUICK)
    assert plan(children, wanted(), LATE) == []
    assert plan(children, wanted(), LATE + QUICK) == [AbortStart(1, LATE + 2 * QUICK)]
    children.worker_told(1, Phase.QUITTING, LATE + 2 * QUICK)
    # It counts as gone, and another one is tried.
    assert plan(children, wanted(), LATE + 2 * QUICK)[-1] == Kill(1)


def test_each_generation_has_its_own_time(make, wanted):
    children = make("1R 1S 2S", "1R 2R", current=1, candidate=2)
    assert plan(children, wanted(2, startup=10.0), BEGUN + 10.0)[-1] == Expire(1, 10.0, BEGUN + 10.0 + QUICK)
    assert plan(children, wanted(2, trial_startup=10.0), BEGUN + 10.0)[-1] == Expire(
        2, 10.0, BEGUN + 10.0 + QUICK
    )


@pytest.mark.parametrize("phase", ["S", "A"])
def test_for_ever(make, wanted, phase):
    children = make(f"1R 2{phase}", "1R 2R", current=1, candidate=2)
    children.workers[1].since = 10**9
    children.molds[2].phase = Phase.STARTING
    assert plan(children, wanted(startup=0.0, trial_startup=0.0), LATE) == []


def test_who_is_ready_is_not_interrupted(make, wanted):
    assert plan(make("1R", "1R", current=1), wanted(), LATE * 10) == []
    assert next_deadline(make("1R", "1R", current=1), wanted(), BEGUN) is None


def test_who_is_ready_at_the_last_moment_stays(make, wanted):
    children = make("1S", "1R", current=1)
    children.worker_expired(0, FAILED, LATE + QUICK)
    children.molds[1].phase = Phase.STARTING
    children.mold_expired(1, FAILED, LATE + QUICK)
    children.worker_ready(100, LATE)
    children.mold_ready(1)
    assert plan(children, wanted(), LATE + 100) == []
    assert children.reaped(100, "was killed by SIGKILL", LATE + 100).was_ready


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.QUITTING])
@pytest.mark.parametrize("said", [None, Failure("boot", "It was in line 3.")])
def test_the_mold_of_a_trial_that_is_late_ends_the_trial(make, wanted, phase, said):
    for current, verdict in ((1, Drop), (0, GiveUp)):
        children = make("1R" if current else "", "1R 2S" if current else "2S", current=current, candidate=2)
        children.mold_expired(2, FAILED, LATE + QUICK)
        children.mold_told(2, phase, LATE + QUICK)
        if said:
            children.mold_failed(2, said)
        children.reaped(12, "ended", LATE)
        (action,) = plan(children, wanted(), LATE)
        assert isinstance(action, verdict)
        assert action.failure == (said or FAILED)
        assert action.failure.exit_code == 3


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.QUITTING])
def test_the_worker_of_a_trial_that_is_late_ends_the_trial(make, wanted, phase):
    children = make("1R 2S", "1R 2R", current=1, candidate=2)
    children.worker_expired(1, FAILED, LATE + QUICK)
    children.worker_told(1, phase, LATE + QUICK)
    death = children.reaped(101, "was killed by SIGABRT", LATE)
    assert not death.expected
    assert plan(children, wanted(), LATE) == [Drop(2, FAILED)]


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.QUITTING])
def test_a_worker_of_the_serving_generation_that_is_late_is_tried_again_later(make, wanted, phase):
    children = make("1R 1S", "1R", current=1)
    for now in (LATE, LATE + 1):
        children.worker_expired(1, FAILED, now + QUICK)
        children.worker_told(1, phase, now + QUICK)
        assert not children.reaped(101, "was killed by SIGABRT", now).expected
        children.worker_asked(1, 1, now)
        children.worker_spawned(1, 1, 101, now)
    assert children.molds[1].backoff.failures == 2


def test_a_mold_in_the_place_of_a_dead_one_that_is_late_is_tried_again_later(make, wanted):
    children = make("1R", "2S", current=1, replacement=2)
    assert plan(children, wanted(), LATE) == [ExpireMold(2, 60.0, LATE + QUICK)]
    children.mold_expired(2, FAILED, LATE + QUICK)
    children.mold_told(2, Phase.QUITTING, LATE + QUICK)
    children.reaped(12, "was killed by SIGABRT", LATE)
    assert children.mold_backoff.failures == 1
    assert children.replacement == 0


def test_nobody_is_interrupted_while_the_server_stops(make, wanted):
    children = make("1D 1Q", "1Q", current=1)
    assert plan(children, wanted(stop=Stop.GRACEFUL), LATE) == []


def test_an_interrupted_replacement_leaves_the_slot_to_another(make, wanted):
    children = make("1R 1Q", "1R", current=1)
    assert plan(children, wanted(2), BEGUN) == [Spawn(2, 1)]


# The interruption.


@pytest.fixture
def starting():
    """Begin a start of this process, and end it after the test."""
    before = signal.getsignal(startup.EXPIRE)
    startup.begin(60)
    yield
    startup.end()
    signal.signal(startup.EXPIRE, before)


def interrupt():
    os.kill(os.getpid(), startup.EXPIRE)
    time.sleep(60)


def test_the_signal_raises_where_the_process_is(starting):
    with pytest.raises(StartupTimeout, match=r"^it took longer than startup_timeout \(60 s\)$"):
        interrupt()


def test_the_signal_does_nothing_after_the_start(starting):
    startup.end()
    os.kill(os.getpid(), startup.EXPIRE)
    assert startup.find(ValueError()) is None


def test_the_report_has_the_place_and_not_the_handler(starting):
    try:
        try:
            interrupt()
        except BaseException as error:
            raise RuntimeError("wrapped") from error
    except RuntimeError as error:
        failure = report.describe(error)
    assert failure.stage == "boot"
    assert failure.summary == (
        "The application could not be loaded in time: it took longer than startup_timeout (60 s). It was here:"
    )
    assert failure.details[-2].endswith("in interrupt")
    assert "in _expire" not in "".join(failure.details)
    assert "--startup-timeout" in failure.hint
