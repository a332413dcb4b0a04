"""What becomes known about children, and what the supervisor makes of it; no process is needed for it."""

import pytest

from portway.supervisor.children import YOUNG, Backoff, Children, Failure, Phase

NOW = 1000.0
BROKEN = Failure("load", "It does not import.")


def booted(workers=2):
    """Return children of a first generation that was promoted, all through the doors."""
    children = Children()
    children.trial_started(1, 11, 0.0)
    children.mold_ready(1)
    for nr in range(workers):
        children.worker_asked(nr, 1, 0.0)
        children.worker_spawned(nr, 1, 100 + nr, 0.0)
        children.worker_ready(100 + nr, 1.0)
    children.promoted()
    return children


def test_a_new_server_wants_its_first_generation():
    children = Children()
    assert children.reload_asked
    assert (children.current, children.candidate, children.newest) == (0, 0, 0)


def test_first_boot():
    children = Children()
    children.trial_started(1, 11, NOW)
    assert (children.candidate, children.newest, children.reload_asked) == (1, 1, False)
    assert children.molds[1].phase is Phase.STARTING
    children.mold_ready(1)
    assert children.molds[1].phase is Phase.READY
    assert (children.candidate, children.current) == (1, 0)
    children.worker_asked(0, 1, NOW)
    assert children.workers[0].phase is Phase.ASKED
    child = children.worker_spawned(0, 1, 100, NOW + 1)
    assert child is children.workers[0]
    assert (child.phase, child.pid, child.since) == (Phase.STARTING, 100, NOW + 1)
    assert children.worker_ready(100, NOW + 2) is child
    assert child.phase is Phase.READY
    assert not children.is_current(child)
    children.promoted()
    assert (children.candidate, children.current) == (0, 1)
    assert children.is_current(child)


def test_live_workers_of_a_generation():
    children = booted(3)
    children.worker_told(1, Phase.DRAINING, NOW)
    assert [child.nr for child in children.live(1)] == [0, 2]
    assert children.live(2) == []


@pytest.mark.parametrize("asked_first", [True, False])
def test_a_worker_is_known_by_what_its_forking_says(asked_first):
    children = booted(1)
    if asked_first:
        children.worker_asked(1, 1, NOW)
    children.worker_spawned(1, 1, 101, NOW)
    assert children.find_worker(101) is children.workers[1]
    assert children.find_worker(999) is None


def test_a_second_worker_for_a_slot_is_refused():
    children = booted(1)
    assert children.worker_spawned(0, 1, 555, NOW) is None
    assert children.workers[0].pid == 100
    children.worker_asked(1, 1, NOW)
    assert children.worker_spawned(1, 2, 556, NOW) is None
    assert children.workers[1].pid == 0


def test_who_was_told_to_end_does_not_become_ready():
    children = booted(1)
    children.worker_asked(1, 1, NOW)
    children.worker_spawned(1, 1, 101, NOW)
    children.worker_told(1, Phase.DRAINING, NOW + 30)
    assert children.worker_ready(101, NOW) is None
    assert children.workers[1].phase is Phase.DRAINING
    assert children.worker_ready(999, NOW) is None


def test_the_death_of_an_old_worker_is_unexpected_and_no_crash():
    children = booted()
    death = children.reaped(100, "was killed by SIGKILL", NOW)
    assert (death.child.nr, death.expected, death.was_ready) == (0, False, True)
    assert 0 not in children.workers
    assert children.molds[1].backoff.failures == 0


@pytest.mark.parametrize("phase", [Phase.DRAINING, Phase.QUITTING, Phase.KILLED])
def test_the_death_of_one_that_was_told_is_expected(phase):
    children = booted()
    children.worker_told(0, phase, NOW)
    death = children.reaped(100, "exited with 0", 2.0)
    assert (death.expected, death.was_ready) == (True, False)
    assert children.molds[1].backoff.failures == 0


def test_the_death_of_a_young_worker_is_a_crash():
    children = booted()
    children.reaped(100, "exited with 1", YOUNG - 1)
    assert children.molds[1].backoff.failures == 1


def test_a_worker_that_dies_before_it_is_ready_is_a_crash_at_any_age():
    children = booted(1)
    children.worker_asked(1, 1, 1.0)
    children.worker_spawned(1, 1, 101, 2.0)
    children.reaped(101, "exited with 3", NOW)
    assert children.molds[1].backoff.failures == 1


def test_a_process_that_is_nobody_known():
    assert booted().reaped(4711, "exited with 0", NOW) is None


def test_a_worker_of_the_trial_that_does_not_boot_fails_it_with_its_own_words():
    children = booted()
    children.trial_started(2, 12, NOW)
    children.mold_ready(2)
    children.worker_asked(2, 2, NOW)
    children.worker_spawned(2, 2, 102, NOW)
    children.worker_failed(102, BROKEN)
    assert children.failure is None
    children.reaped(102, "exited with 4", NOW)
    assert children.failure is BROKEN


def test_without_words_the_failure_says_how_it_ended():
    children = booted()
    children.trial_started(2, 12, NOW)
    children.mold_ready(2)
    children.worker_asked(2, 2, NOW)
    children.worker_spawned(2, 2, 102, NOW)
    children.reaped(102, "was killed by SIGKILL", NOW)
    assert children.failure == Failure("boot", "Worker 2 was killed by SIGKILL before it was ready.")
    assert children.failure.exit_code == 3


def test_the_first_failure_of_a_trial_is_the_one_that_counts():
    children = booted()
    children.trial_started(2, 12, NOW)
    children.mold_failed(2, BROKEN)
    children.reaped(12, "exited with 4", NOW)
    children.spawn_failed(5, 2, Failure("boot", "later"), NOW)
    assert children.failure is BROKEN
    assert BROKEN.exit_code == 4


@pytest.mark.parametrize("phase", [Phase.STARTING, Phase.READY, Phase.KILLED])
def test_a_trial_without_its_mold_fails(phase):
    children = booted()
    children.trial_started(2, 12, NOW)
    children.mold_told(2, phase, None)
    children.reaped(12, "was killed by SIGKILL", NOW)
    assert children.failure.summary == "The mold was killed by SIGKILL."


def test_dropping_a_trial_leaves_what_was():
    children = booted()
    children.trial_started(2, 12, NOW)
    children.mold_failed(2, BROKEN)
    children.reaped(12, "exited with 4", NOW)
    children.dropped()
    assert (children.current, children.candidate, children.failure) == (1, 0, None)
    assert children.newest == 2
    assert [child.nr for child in children.live(1)] == [0, 1]


def test_a_fork_that_fails_frees_the_slot_and_is_a_crash():
    children = booted(1)
    children.worker_asked(1, 1, NOW)
    children.spawn_failed(1, 1, Failure("boot", "fork: no memory"), NOW)
    assert 1 not in children.workers
    assert children.molds[1].backoff.failures == 1


def test_a_fork_that_fails_says_nothing_about_a_worker_that_lives():
    children = booted(1)
    children.spawn_failed(0, 1, Failure("boot", "fork: no memory"), NOW)
    assert children.workers[0].phase is Phase.READY


def test_a_dead_mold_takes_what_it_had_not_begun_with_it():
    children = booted(1)
    children.worker_asked(1, 1, NOW)
    death = children.reaped(11, "was killed by SIGKILL", NOW)
    assert not death.expected
    assert 1 not in children.molds
    assert list(children.workers) == [0]
    assert children.mold_backoff.failures == 1


def test_a_mold_that_was_told_to_end_is_no_failure():
    children = booted(1)
    children.mold_told(1, Phase.QUITTING, NOW)
    assert children.reaped(11, "exited with 0", NOW).expected
    assert children.mold_backoff.failures == 0


def test_the_replacement_of_a_mold_leaves_the_workers_up_to_date():
    children = booted(2)
    children.reaped(11, "was killed by SIGKILL", NOW)
    children.replacement_started(2, 12, NOW)
    assert (children.current, children.replacement) == (1, 2)
    children.mold_ready(2)
    assert (children.current, children.replacement) == (2, 0)
    assert all(map(children.is_current, children.workers.values()))
    children.worker_asked(2, 2, NOW)
    assert children.is_current(children.workers[2])


def test_a_replacement_that_fails_is_tried_again_later_and_later():
    children = booted(2)
    children.reaped(11, "was killed by SIGKILL", NOW)
    children.replacement_started(2, 12, NOW)
    children.mold_failed(2, BROKEN)
    death = children.reaped(12, "exited with 4", NOW + 1)
    assert death.child.failure is BROKEN
    assert (children.current, children.replacement) == (1, 0)
    assert (children.mold_backoff.failures, children.mold_backoff.retry_at) == (2, NOW + 2)


def test_a_leftover_of_a_dropped_generation_does_not_become_up_to_date_by_a_replacement():
    children = booted(1)
    children.trial_started(2, 12, NOW)
    children.mold_ready(2)
    children.worker_asked(5, 2, NOW)
    children.worker_spawned(5, 2, 105, NOW)
    children.worker_ready(105, NOW)
    children.dropped()
    children.reaped(11, "was killed by SIGKILL", NOW)
    children.replacement_started(3, 13, NOW)
    children.mold_ready(3)
    assert children.is_current(children.workers[0])
    assert not children.is_current(children.workers[5])


def test_a_promotion_forgets_the_troubles_of_the_generation_before():
    children = booted(1)
    children.reaped(11, "was killed by SIGKILL", NOW)
    children.trial_started(2, 12, NOW)
    children.mold_ready(2)
    children.promoted()
    assert children.mold_backoff == Backoff()
    assert not children.is_current(children.workers[0])


def test_signs_of_life_only_go_forward():
    children = booted(1)
    children.worker_beat(0, 5.0)
    children.worker_beat(0, 4.0)
    assert children.workers[0].beat == 5.0


def test_pauses_grow_from_nothing_to_a_minute():
    backoff, now, pauses = Backoff(), NOW, []
    for _ in range(9):
        begun = now
        now += 0.1
        backoff.note(begun, now)
        pauses.append(round(backoff.retry_at - now, 3))
        now = backoff.retry_at
    assert pauses == [0, 1, 2, 4, 8, 16, 32, 60, 60]


def test_workers_that_die_together_are_one_failure():
    backoff = Backoff()
    for moment in (0.0, 0.001, 0.3):
        backoff.note(NOW - 1, NOW + moment)
    assert (backoff.failures, backoff.retry_at) == (1, NOW)


def test_a_quiet_time_ends_the_row():
    backoff = Backoff()
    backoff.note(NOW, NOW + 1)
    backoff.note(NOW + 1, NOW + 2)
    assert backoff.failures == 2
    backoff.note(backoff.retry_at + YOUNG, NOW + 50)
    assert backoff.failures == 3
    begun = backoff.retry_at + YOUNG + 0.1
    backoff.note(begun, begun + 1)
    assert (backoff.failures, backoff.retry_at) == (1, begun + 1)


def test_the_repr_says_what_is_going_on():
    children = booted(2)
    assert repr(children) == "<Children generation 1, 2 workers, 1 molds>"
    children.trial_started(2, 12, NOW)
    assert repr(children) == "<Children generation 1, 2 workers, 2 molds, trying 2>"
