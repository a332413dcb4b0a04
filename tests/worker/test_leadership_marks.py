"""Calls that are marked as waiting: how many threads may be in the application, step by step."""

import threading

import pytest

from portway.worker.leadership import Leadership, Seat

PATIENCE = 30.0


class World:
    """A Leadership whose extra threads are only noted in `started`, and do what the test says."""

    def __init__(self, threads, max_extra, starts=True):
        self.seats = [Seat(index, False) for index in range(threads)]
        self.started = []
        self.starts = starts
        self.leadership = Leadership(
            Seat(threads, True), 100, lambda free: None, max_extra, start=self._start
        )
        # The standby leads, and every thread is in a call.
        assert self.leadership.take_first(self.seats[0])
        self.leadership.hand_over(self.seats[0])

    def _start(self, seat):
        self.started.append(seat)
        return self.starts

    def offer(self, *requests):
        for request in requests:
            assert not self.leadership.offer(request)


def was_woken(seat):
    thread = threading.Thread(target=seat.wait, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return not thread.is_alive()


def is_asleep(seat):
    return not seat.wait_for(0)


def test_without_extra_threads_a_mark_says_no_and_changes_nothing():
    world = World(1, 0)
    assert not world.leadership.mark(world.seats[0])
    world.offer("one")
    assert world.started == []
    assert world.leadership.next_exchange(world.seats[0]) == "one"


def test_a_thread_is_started_when_a_request_needs_it_and_not_before():
    world = World(1, 2)
    assert world.leadership.mark(world.seats[0])
    assert world.started == []
    world.offer("one")
    assert [seat.is_extra for seat in world.started] == [True]
    assert world.leadership.next_exchange(world.started[0]) == "one"
    # One call is marked: one thread more, and not a second.
    world.offer("two")
    assert len(world.started) == 1
    assert world.leadership.queue_length() == 1


def test_a_thread_is_started_at_once_for_a_request_that_waits_already():
    world = World(1, 2)
    world.offer("one", "two")
    assert world.leadership.mark(world.seats[0])
    assert len(world.started) == 1


def test_to_mark_a_call_again_changes_nothing():
    world = World(1, 4)
    for _ in range(3):
        assert world.leadership.mark(world.seats[0])
    world.offer("one", "two")
    assert len(world.started) == 1


def test_no_thread_is_started_while_one_is_idle():
    world = World(2, 2)
    assert world.leadership.next_exchange(world.seats[1]) is None
    assert world.leadership.mark(world.seats[0])
    world.leadership.offer("one")
    assert world.started == []
    assert world.seats[1].take() == "one"


def test_there_are_no_more_extra_threads_than_there_may_be():
    world = World(3, 2)
    assert [world.leadership.mark(seat) for seat in world.seats] == [True, True, False]
    world.offer("one", "two", "three")
    assert len(world.started) == 2


def test_a_leader_that_marks_its_call_hands_the_leadership_over():
    world = World(1, 1)
    leadership = world.leadership
    assert leadership.next_exchange(world.seats[0]) is None
    leadership.average = 0.0
    assert leadership.offer("one")
    assert leadership.leader is world.seats[0]
    leadership.enter_call()
    assert leadership.mark(world.seats[0])
    assert leadership.leader is leadership.standby
    assert not leadership.leave_call(world.seats[0])


def test_when_a_marked_call_ends_an_idle_extra_thread_is_parked():
    world = World(1, 1)
    world.leadership.mark(world.seats[0])
    world.offer("one")
    extra = world.started[0]
    assert world.leadership.next_exchange(extra) == "one"
    assert world.leadership.next_exchange(extra) is None
    assert world.leadership.free_threads() == 1
    # The stream is over: the thread goes on, and the extra one is not given anything any more.
    assert world.leadership.next_exchange(world.seats[0]) is None
    assert world.leadership.free_threads() == 1
    world.leadership.offer("two")
    assert world.seats[0].take() == "two"
    assert is_asleep(extra)


def test_when_a_marked_call_ends_while_the_extra_thread_is_busy_its_own_thread_is_parked():
    world = World(1, 1)
    world.leadership.mark(world.seats[0])
    world.offer("one", "two")
    extra = world.started[0]
    assert world.leadership.next_exchange(extra) == "one"
    assert world.leadership.next_exchange(world.seats[0]) is None
    assert world.leadership.free_threads() == 0
    assert world.leadership.queue_length() == 1
    # As soon as the extra one is done it gives its place back.
    assert world.leadership.next_exchange(extra) is None
    assert was_woken(world.seats[0])
    assert world.leadership.next_exchange(world.seats[0]) == "two"
    assert is_asleep(extra)


def test_a_parked_thread_is_used_again_before_another_is_started():
    world = World(1, 1)
    leadership = world.leadership
    for round_ in range(3):
        leadership.mark(world.seats[0])
        world.offer(f"request {round_}")
        assert len(world.started) == 1
        extra = world.started[0]
        if round_:
            assert was_woken(extra)
        assert leadership.next_exchange(extra) == f"request {round_}"
        assert leadership.next_exchange(extra) is None
        assert leadership.next_exchange(world.seats[0]) is None
        # The next round begins in a call again.
        leadership.offer("a call")
        if leadership.leader is world.seats[0]:
            leadership.hand_over(world.seats[0])
        assert was_woken(world.seats[0])
        assert world.seats[0].take() == "a call"


def test_a_thread_ends_only_while_it_is_parked_and_its_seat_is_used_again():
    world = World(1, 1)
    leadership = world.leadership
    leadership.mark(world.seats[0])
    world.offer("one")
    extra = world.started[0]
    leadership.next_exchange(extra)
    assert leadership.next_exchange(extra) is None
    assert not leadership.retire(extra)
    leadership.next_exchange(world.seats[0])
    assert leadership.retire(extra)
    assert not leadership.retire(extra)
    leadership.offer("a call")
    leadership.mark(world.seats[0])
    world.offer("two")
    assert world.started == [extra, extra]


def test_where_no_thread_can_be_started_the_request_waits_as_without_a_mark():
    world = World(1, 1, starts=False)
    world.leadership.mark(world.seats[0])
    world.offer("one")
    assert len(world.started) == 1
    assert world.leadership.next_exchange(world.seats[0]) == "one"
    assert world.leadership.next_exchange(world.seats[0]) is None
    assert world.leadership.free_threads() == 1


@pytest.mark.parametrize("parked", [False, True])
def test_stop_wakes_extra_threads(parked):
    world = World(1, 1)
    leadership = world.leadership
    leadership.mark(world.seats[0])
    world.offer("one")
    extra = world.started[0]
    leadership.next_exchange(extra)
    assert leadership.next_exchange(extra) is None
    if parked:
        leadership.next_exchange(world.seats[0])
    leadership.stop(lambda: None)
    assert was_woken(extra)
    assert leadership.next_exchange(extra) is None
