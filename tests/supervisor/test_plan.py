"""What the supervisor decides: tables of children, wishes and times, and what is to be done about them."""

import pytest

from portway.supervisor.children import Backoff, Failure, Phase
from portway.supervisor.plan import (
    FORK_LIMIT,
    QUICK,
    REPLACED,
    Abort,
    Drain,
    Drop,
    EndMold,
    Finish,
    GiveUp,
    Kill,
    KillMold,
    Promote,
    Quit,
    Spawn,
    StartMold,
    Stop,
    next_deadline,
    plan,
)

NOW = 1000.0
FAILED = Failure("load", "It does not import.")


def drain(nr):
    return Drain(nr, NOW + 30.0 + QUICK)


# fmt: off
FIRST_BOOT = {"candidate": 1}
STEADY = {"current": 1}
TRIAL = {"current": 1, "candidate": 2}
FAILED_TRIAL = {**TRIAL, "failure": FAILED}
END_1, END_2 = EndMold(1, NOW + QUICK), EndMold(2, NOW + QUICK)

# What there is (workers, molds, parts of the generations), and what is to be done where two workers are
# wanted.
SERVING = {
    # First boot.
    "nothing yet: the first mold": ("", "", {"reload_asked": True}, [StartMold(1, trial=True)]),
    "the mold imports: wait": ("", "1S", FIRST_BOOT, []),
    "the mold is ready: all workers at once": ("", "1R", FIRST_BOOT, [Spawn(0, 1), Spawn(1, 1)]),
    "all are asked for: wait": ("1A 1A", "1R", FIRST_BOOT, []),
    "some are ready: wait": ("1R 1S", "1R", FIRST_BOOT, []),
    "all are ready": ("1R 1R", "1R", FIRST_BOOT, [Promote(1)]),
    "one of them died: another": ("1R -", "1R", FIRST_BOOT, [Spawn(1, 1)]),
    "the boot failed": ("1R", "1R", {**FIRST_BOOT, "failure": FAILED}, [GiveUp(FAILED)]),
    "the boot failed, the mold is gone": ("", "", {**FIRST_BOOT, "failure": FAILED}, [GiveUp(FAILED)]),
    "a reload during first boot waits": ("1R 1S", "1R", {**FIRST_BOOT, "reload_asked": True}, []),
    # At rest.
    "all is well": ("1R 1R", "1R", STEADY, []),
    "one is missing": ("1R -", "1R", STEADY, [Spawn(1, 1)]),
    "the lower number is missing": ("- 1R", "1R", STEADY, [Spawn(0, 1)]),
    "both are missing": ("", "1R", STEADY, [Spawn(0, 1), Spawn(1, 1)]),
    "the missing one is asked for": ("1R 1A", "1R", STEADY, []),
    "the missing one starts": ("1R 1S", "1R", STEADY, []),
    "one that drains is replaced in another slot": ("1D 1R", "1R", STEADY, [Spawn(2, 1)]),
    "one that was killed keeps its slot": ("1K 1R", "1R", STEADY, [Spawn(2, 1)]),
    "no free slot: wait": ("1D 1D 1D 1D 1D 1D 1D 1R", "1R", STEADY, []),
    # More, or fewer.
    "one too many: the last one": ("1R 1R 1R", "1R", STEADY, [drain(2)]),
    "two too many": ("1R 1R 1R 1R", "1R", STEADY, [drain(3), drain(2)]),
    "rather one that serves nobody yet": ("1S 1R 1R", "1R", STEADY, [drain(0)]),
    "rather one of an older mold": (
        "1R 3R 3R", "3R", {"current": 3, "accepted": {1, 3}}, [drain(0)]),
    "one that is only asked for cannot be told": ("1R 1R 1A", "1R", STEADY, []),
    # The mold died.
    "a dead mold is replaced": ("1R 1R", "", STEADY, [StartMold(2, trial=False)]),
    "another is on its way": ("1R 1R", "2S", {**STEADY, "replacement": 2}, []),
    "no mold, no new workers": ("1R -", "2S", {**STEADY, "replacement": 2}, []),
    "it died again: wait": ("1R 1R", "", {**STEADY, "mold_backoff": Backoff(2, NOW, NOW + 1)}, []),
    "it died again, the pause is over": (
        "1R 1R", "", {**STEADY, "newest": 2, "mold_backoff": Backoff(2, NOW - 2, NOW - 1)},
        [StartMold(3, trial=False)]),
    "the new mold forks beside old workers": (
        "1R -", "2R", {"current": 2, "accepted": {1, 2}}, [Spawn(1, 2)]),
    "a mold that ends is not asked": ("1R -", "1Q", STEADY, []),
    # Reload.
    "a reload: a trial": ("1R 1R", "1R", {**STEADY, "reload_asked": True}, [StartMold(2, trial=True)]),
    "its mold imports": ("1R 1R", "1R 2S", TRIAL, []),
    "its first worker": ("1R 1R", "1R 2R", TRIAL, [Spawn(2, 2)]),
    "its first worker starts": ("1R 1R 2S", "1R 2R", TRIAL, []),
    "it is ready: the next one, and an old one leaves": (
        "1R 1R 2R", "1R 2R", TRIAL, [Spawn(3, 2), drain(1)]),
    "the next one starts": ("1R 1D 2R 2S", "1R 2R", TRIAL, []),
    "all new ones are ready": ("1R 1D 2R 2R", "1R 2R", TRIAL, [Promote(2)]),
    "promoted: the other old ones and their mold leave": (
        "1R 1D 2R 2R", "1R 2R", {"current": 2}, [END_1, drain(0)]),
    "promoted while an old one starts": ("1S - 2R 2R", "2R", {"current": 2}, [drain(0)]),
    "an old one dies, no new one is there": ("1R - 2S", "1R 2R", TRIAL, [Spawn(1, 1)]),
    "an old one dies, a new one is there": ("1R - 2R", "1R 2R", TRIAL, [Spawn(1, 2)]),
    "a mold that died waits for the trial": ("1R 1R", "2S", TRIAL, []),
    "a replacement comes too late": ("2R 2R", "2R 3S", {"current": 2}, [KillMold(3)]),
    # A trial that fails.
    "it fails at once": ("1R 1R", "1R", FAILED_TRIAL, [Drop(2, FAILED)]),
    "it fails half way": ("1R 1D 2R 2S", "1R 2R", FAILED_TRIAL, [Drop(2, FAILED)]),
    "dropped half way: first an old one comes": (
        "1R 1D 2R 2S", "1R 2R", STEADY, [END_2, Spawn(4, 1), drain(3)]),
    "the old one starts": ("1R - 2R - 1S", "1R", STEADY, []),
    "the old one is ready, the one of the trial leaves": ("1R - 2R - 1R", "1R", STEADY, [drain(2)]),
    "dropped while it imports": ("1R 1R", "1R 2S", STEADY, [KillMold(2)]),
    "a later reload takes its place": (
        "1R 1R 2S", "1R 2R", {**TRIAL, "reload_asked": True}, [Drop(2, REPLACED)]),
}


@pytest.mark.parametrize(("workers", "molds", "parts", "actions"), SERVING.values(), ids=SERVING)
def test_serving(make, want, workers, molds, parts, actions):
    assert plan(make(workers, molds, **parts), want(2), NOW) == actions


@pytest.mark.parametrize(
    ("workers", "trial_workers", "actions"),
    [
        ("1R 1R 2R", 1, [Promote(2)]),
        ("1D 1D 2R 2R", 3, [Spawn(4, 2)]),
        ("1D 1D 2R 2R 2R", 3, [Promote(2)]),
        ("1R 1D 2R", 3, [Spawn(3, 2)]),
    ],
)
def test_a_reload_may_change_how_many_workers_there_are(make, want, workers, trial_workers, actions):
    assert plan(make(workers, "1R 2R", **TRIAL), want(2, trial_workers=trial_workers), NOW) == actions
# fmt: on


@pytest.mark.parametrize(
    ("stop", "workers", "molds", "actions"),
    [
        (Stop.GRACEFUL, "1R 1S", "1R", [drain(0), drain(1), EndMold(1, NOW + QUICK)]),
        (Stop.GRACEFUL, "1R 2R", "1R 2S", [drain(0), drain(1), EndMold(1, NOW + QUICK), KillMold(2)]),
        (Stop.GRACEFUL, "1D 1Q 1K", "1Q", []),
        (Stop.GRACEFUL, "1A", "1R", [EndMold(1, NOW + QUICK)]),
        (Stop.GRACEFUL, "", "1Q", []),
        (Stop.GRACEFUL, "", "", [Finish()]),
        (Stop.QUICK, "1R 1S", "1R", [Quit(0, NOW + QUICK), Quit(1, NOW + QUICK), EndMold(1, NOW + QUICK)]),
        (Stop.QUICK, "1D 1Q 1K", "1K", [Quit(0, NOW + QUICK)]),
        (Stop.QUICK, "1A", "1Q", []),
        (Stop.QUICK, "", "1S", [KillMold(1)]),
        (Stop.QUICK, "", "", [Finish()]),
    ],
)
def test_stopping(make, want, stop, workers, molds, actions):
    for fields in ({"current": 1}, {"candidate": 1}, {"candidate": 1, "failure": FAILED}):
        assert plan(make(workers, molds, **fields), want(2, stop), NOW) == actions


def test_a_crash_loop_pauses_and_goes_on(make, want):
    children = make("1R -", "1R", current=1)
    children.molds[1].backoff = Backoff(3, NOW - 1, NOW + 1)
    assert plan(children, want(2), NOW) == []
    assert next_deadline(children, want(2), NOW) == NOW + 1
    assert plan(children, want(2), NOW + 1) == [Spawn(1, 1)]


def test_a_crash_loop_does_not_delay_the_reload_that_repairs_it(make, want):
    children = make("- -", "1R 2R", current=1, candidate=2)
    children.molds[1].backoff = Backoff(9, NOW - 1, NOW + 60)
    assert plan(children, want(2), NOW) == [Spawn(0, 2)]


@pytest.mark.parametrize("phase", ["D", "Q"])
def test_who_was_told_to_end_is_killed_when_the_time_is_over(make, want, phase):
    children = make(f"1R 1R 1{phase}", "1R", current=1)
    children.workers[2].kill_at = NOW
    assert plan(children, want(2), NOW - 0.1) == []
    assert next_deadline(children, want(2), NOW - 0.1) == NOW
    assert plan(children, want(2), NOW) == [Kill(2)]
    children.worker_told(2, Phase.KILLED, None)
    assert plan(children, want(2), NOW + 100) == []


def test_a_mold_that_does_not_end_is_killed(make, want):
    children = make("2R 2R", "1Q 2R", current=2)
    children.molds[1].kill_at = NOW
    assert plan(children, want(2), NOW - 0.1) == []
    assert plan(children, want(2), NOW) == [KillMold(1)]


@pytest.mark.parametrize("phase", ["R", "D"])
def test_a_worker_without_a_sign_of_life_is_aborted(make, want, phase):
    children = make(f"1R 1{phase}", "1R", current=1)
    wanted = want(2 if phase == "R" else 1)
    children.workers[1].beat = NOW - 29
    assert plan(children, wanted, NOW) == []
    assert next_deadline(children, wanted, NOW) == NOW + 1
    children.workers[1].beat = NOW - 31
    assert plan(children, wanted, NOW) == [Abort(1, NOW + QUICK, 31)]


@pytest.mark.parametrize("phase", ["S", "R", "D"])
def test_a_worker_that_never_gave_a_sign_of_life_is_not_judged_by_it(make, want, phase):
    children = make(f"1R 1{phase}", "1R", current=1)
    assert plan(children, want(2 if phase != "D" else 1), NOW) == []


def test_an_aborted_worker_is_not_aborted_twice(make, want):
    children = make("1R 1R 1Q", "1R", current=1)
    children.workers[2].beat = NOW - 100
    children.workers[2].kill_at = NOW + 1
    assert plan(children, want(2), NOW) == []
    assert plan(children, want(2), NOW + 1) == [Kill(2)]


def test_silence_while_stopping_is_noticed_as_well(make, want):
    children = make("1D", "", current=1)
    children.workers[0].beat = NOW - 40
    assert plan(children, want(2, Stop.GRACEFUL), NOW) == [Abort(0, NOW + QUICK, 40)]


def test_a_mold_that_does_not_fork_is_killed(make, want):
    children = make("1R 1A", "1R", current=1)
    children.workers[1].since = NOW
    assert plan(children, want(2), NOW + FORK_LIMIT - 0.1) == []
    assert next_deadline(children, want(2), NOW) == NOW + FORK_LIMIT
    (action,) = plan(children, want(2), NOW + FORK_LIMIT)
    assert action == KillMold(1, "it did not fork a worker within 30 s")


def test_leaving_workers_are_told_once(make, want):
    children = make("1R 1R 1D", "1R", current=1)
    assert plan(children, want(2), NOW) == []


def test_no_deadline_where_nothing_is_due(make, want):
    assert next_deadline(make("1R 1R", "1R", current=1), want(2), NOW) is None


def test_the_earliest_deadline_counts_and_past_ones_do_not(make, want):
    children = make("1D 1D 1R", "1Q 2R", current=2)
    children.workers[0].kill_at = NOW - 5
    children.workers[1].kill_at = NOW + 7
    children.molds[1].kill_at = NOW + 9
    assert next_deadline(children, want(2), NOW) == NOW + 7
    children.molds[1].kill_at = NOW + 3
    assert next_deadline(children, want(2), NOW) == NOW + 3
