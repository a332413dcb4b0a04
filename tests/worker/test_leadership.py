"""Who leads: the rules of portway.worker.leadership, step by step."""

import threading
from contextlib import contextmanager
from time import monotonic

import pytest

from portway.worker.leadership import Leadership, Seat

PATIENCE = 30.0
#: Averages that lie well on either side of what counts as a slow call.
FAST, SLOW = 0.0, 0.01


class World:
    """A Leadership with its seats; what it told the other workers is in `published`."""

    def __init__(self, threads, max_queue=100):
        self.seats = [Seat(index, False) for index in range(threads)]
        self.standby = Seat(threads, True)
        self.published = []
        self._hold = None
        self.leadership = Leadership(self.standby, max_queue, self._publish)

    def _publish(self, free):
        self.published.append(free)
        if self._hold is not None:
            held, release = self._hold
            self._hold = None
            held.set()
            assert release.wait(PATIENCE)

    @contextmanager
    def held_by(self, seat):
        """Have the thread of a seat that becomes idle stay within its step, which none may interrupt."""
        held, release = threading.Event(), threading.Event()
        self._hold = held, release
        thread = in_thread(self.leadership.next_exchange, seat)
        assert held.wait(PATIENCE)
        yield release
        release.set()
        assert ends(thread)

    def with_leader(self, idle=True):
        """Let seat 0 lead and the others be idle: the last of them is the one that ran last."""
        assert self.leadership.take_first(self.seats[0])
        if idle:
            for seat in self.seats[1:]:
                assert self.leadership.next_exchange(seat) is None
        return self.leadership

    def led_by_standby(self, idle=()):
        """Let the standby lead; the seats named are idle and the others are in the application."""
        leadership = self.with_leader(idle=False)
        leadership.hand_over(self.seats[0])
        assert leadership.leads(self.standby)
        for index in idle:
            assert leadership.next_exchange(self.seats[index]) is None
        return leadership


def in_thread(function, *arguments):
    thread = threading.Thread(target=function, args=arguments, daemon=True)
    thread.start()
    return thread


def ends(thread):
    thread.join(PATIENCE)
    return not thread.is_alive()


def falls_asleep(thread):
    """Wait until a thread sleeps, unlike one that wakes every millisecond to look; tell whether it does.

    A thread that the machine stopped for long looks the same, but nothing here fails because of that.
    """
    until = monotonic() + PATIENCE
    before = None
    while monotonic() < until:
        with open(f"/proc/self/task/{thread.native_id}/status") as file:
            switches = file.read().rpartition("voluntary_ctxt_switches:")[0].rpartition(":")[2]
        if switches == before:
            return True
        before = switches
        threading.Event().wait(0.03)
    return False


def was_woken(seat):
    """Tell whether a thread that waits on the seat goes on."""
    return ends(in_thread(seat.wait))


# The first leader.


def test_the_first_to_come_leads():
    world = World(3)
    assert world.leadership.leader is None
    assert world.leadership.take_first(world.seats[1])
    assert not world.leadership.take_first(world.seats[0])
    assert world.leadership.leads(world.seats[1])
    assert not world.leadership.leads(world.seats[0])
    assert world.leadership.free_threads() == 1


def test_there_is_one_first_leader_however_many_come_at_once(tiny_switch_interval):
    for _ in range(200):
        world = World(8)
        start = threading.Barrier(8)
        won = []

        def come(seat, world=world, start=start, won=won):
            start.wait(PATIENCE)
            if world.leadership.take_first(seat):
                won.append(seat)

        threads = [in_thread(come, seat) for seat in world.seats]
        assert all(ends(thread) for thread in threads)
        assert won == [world.leadership.leader]


# Handing over.


def test_the_idle_thread_that_ran_last_leads_next():
    world = World(4)
    leadership = world.with_leader()
    leadership.hand_over(world.seats[0])
    assert leadership.leader is world.seats[3]
    assert was_woken(world.seats[3])
    assert world.seats[3].take() is None
    # The others sleep on, and have their turn later.
    assert leadership.free_threads() == 3
    leadership.hand_over(world.seats[3])
    assert leadership.leader is world.seats[2]


def test_the_standby_leads_where_nobody_is_idle():
    world = World(1)
    leadership = world.with_leader()
    leadership.hand_over(world.seats[0])
    assert leadership.leader is world.standby
    assert leadership.free_threads() == 0
    assert world.published[-1] == 0


def test_only_a_leader_hands_over():
    world = World(3)
    leadership = world.with_leader()
    leadership.hand_over(world.seats[1])
    leadership.hand_over(world.standby)
    assert leadership.leader is world.seats[0]


def test_a_call_from_which_the_leader_handed_over_is_not_led_any_more():
    world = World(2)
    leadership = world.with_leader()
    leadership.enter_call()
    leadership.hand_over(world.seats[0])
    assert not leadership.leave_call(world.seats[0])
    assert leadership.leader is world.seats[1]


def test_a_leader_that_comes_back_from_a_call_still_leads():
    world = World(2)
    leadership = world.with_leader()
    for _ in range(3):
        leadership.enter_call()
        assert leadership.leave_call(world.seats[0])
    assert leadership.leader is world.seats[0]


def test_what_is_published_is_the_number_of_free_threads():
    world = World(3)
    leadership = world.with_leader()
    assert world.published[-1] == leadership.free_threads() == 3
    leadership.hand_over(world.seats[0])
    assert world.published[-1] == leadership.free_threads() == 2
    leadership.hand_over(world.seats[2])
    leadership.hand_over(world.seats[1])
    assert world.published[-1] == leadership.free_threads() == 0
    leadership.next_exchange(world.seats[1])
    assert world.published[-1] == leadership.free_threads() == 1


# The watch.


def watching(world):
    return in_thread(world.leadership.watch)


def test_the_watch_takes_the_leadership_from_a_slow_call():
    world = World(2)
    leadership = world.with_leader()
    leadership.enter_call()
    assert ends(watching(world))
    assert leadership.leader is world.standby
    assert not leadership.leave_call(world.seats[0])
    # The thread whose call was slow is an ordinary application thread now.
    assert leadership.next_exchange(world.seats[0]) is None
    assert leadership.free_threads() == 2


def test_the_watch_does_not_take_the_leadership_from_fast_calls():
    # A busy machine may stop the leader for a millisecond in a call, and then the watch is right to
    # take the leadership. It does not do that each time.
    for _ in range(5):
        world = World(1)
        leadership = world.with_leader()
        seat = world.seats[0]
        watch = watching(world)
        until = monotonic() + 0.2
        kept = True
        while kept and monotonic() < until:
            leadership.enter_call()
            kept = leadership.leave_call(seat)
        leadership.stop(lambda: None)
        assert ends(watch)
        if kept:
            return
    raise AssertionError("fast calls lost the leadership five times")


def test_the_watch_does_not_take_the_leadership_from_a_leader_that_reads():
    world = World(1)
    leadership = world.with_leader()
    watch = watching(world)
    # It looks a number of times, sees no call, and sleeps.
    assert falls_asleep(watch)
    assert leadership.leader is world.seats[0]
    leadership.stop(lambda: None)
    assert ends(watch)


def test_a_call_wakes_the_watch():
    world = World(1)
    leadership = world.with_leader()
    watch = watching(world)
    assert falls_asleep(watch)
    leadership.enter_call()
    assert ends(watch)
    assert leadership.leader is world.standby


def test_the_watch_sleeps_and_wakes_again_and_again():
    world = World(2)
    leadership = world.with_leader()
    for _ in range(3):
        watch = watching(world)
        assert falls_asleep(watch)
        leadership.enter_call()
        assert ends(watch)
        leader = world.seats[0]
        assert not leadership.leave_call(leader)
        assert leadership.next_exchange(leader) is None
        leadership.average = FAST
        assert leadership.offer("exchange")
        taken = world.seats[0] if leadership.leads(world.seats[0]) else world.seats[1]
        assert was_woken(taken)
        assert taken.take() == "exchange"
        # For the next round seat 0 leads.
        if taken is not world.seats[0]:
            leadership.hand_over(taken)
            assert was_woken(world.seats[0])


def test_a_call_that_begins_while_the_watch_falls_asleep_is_watched():
    world = World(2)
    leadership = world.with_leader(idle=False)
    watch = watching(world)
    with world.held_by(world.seats[1]) as release:
        # By now the watch has seen no call often enough, and waits for the lock to go to sleep.
        release.wait(0.15)
        leadership.enter_call()
    assert ends(watch)
    assert leadership.leader is world.standby


def test_a_leader_that_was_told_that_it_leads_is_not_robbed_afterwards():
    """The watch and the end of a slow call compete for the lock; the second sees what the first did."""
    kept = lost = 0
    for round_ in range(40):
        world = World(2)
        leadership = world.with_leader(idle=False)
        answers = []
        leadership.enter_call()
        with world.held_by(world.seats[1]) as release:
            # A lock that is let go is taken by whoever has waited longest; mostly.
            first = round_ % 2
            watch = watching(world) if first else None
            release.wait(0.004 * first)
            back = in_thread(lambda: answers.append(leadership.leave_call(world.seats[0])))  # noqa: B023
            watch = watch or watching(world)
            release.wait(0.004)
        assert ends(back)
        if answers == [True]:
            kept += 1
            assert falls_asleep(watch)
            assert leadership.leader is world.seats[0]
            leadership.stop(lambda: None)
        else:
            lost += 1
        assert ends(watch)
        if not leadership.stopping:
            assert leadership.leader is world.standby
    print(f"kept {kept} times, lost {lost} times")


def test_handing_over_to_a_standby_that_sleeps_wakes_it():
    world = World(1)
    leadership = world.with_leader()
    watch = watching(world)
    assert falls_asleep(watch)
    leadership.hand_over(world.seats[0])
    assert ends(watch)
    assert leadership.leads(world.standby)


# Offers of the standby.


def test_an_offer_hands_the_leadership_over_where_calls_are_fast():
    world = World(3)
    leadership = world.led_by_standby(idle=(1, 2))
    leadership.average = FAST
    assert leadership.offer("exchange")
    assert leadership.leader is world.seats[2]
    assert was_woken(world.seats[2])
    assert world.seats[2].take() == "exchange"
    assert world.seats[2].take() is None
    assert leadership.free_threads() == 2


def test_an_offer_keeps_the_leadership_where_calls_are_slow():
    world = World(3)
    leadership = world.led_by_standby(idle=(1, 2))
    leadership.average = SLOW
    assert leadership.expects_slow_call()
    assert not leadership.offer("exchange")
    assert leadership.leader is world.standby
    assert was_woken(world.seats[2])
    assert world.seats[2].take() == "exchange"
    assert leadership.free_threads() == 1


@pytest.mark.parametrize("average", [FAST, SLOW])
def test_an_offer_where_nobody_is_idle_is_queued(average):
    world = World(1)
    leadership = world.led_by_standby()
    leadership.average = average
    assert not leadership.offer("exchange")
    assert leadership.leader is world.standby
    assert leadership.queue_length() == 1
    assert leadership.next_exchange(world.seats[0]) == "exchange"
    assert leadership.queue_length() == 0


# The queue.


def test_the_queue_is_first_come_first_served():
    world = World(2)
    leadership = world.led_by_standby()
    for number in range(10):
        assert not leadership.offer(number)
    assert [leadership.next_exchange(world.seats[n % 2]) for n in range(10)] == list(range(10))
    assert leadership.next_exchange(world.seats[0]) is None


def test_a_request_that_is_put_back_waits_behind_the_others():
    world = World(1)
    leadership = world.led_by_standby()
    leadership.offer("second")
    leadership.requeue("first again")
    assert leadership.next_exchange(world.seats[0]) == "second"
    assert leadership.next_exchange(world.seats[0]) == "first again"


def test_the_queue_is_full_at_its_length_and_only_where_nobody_is_idle():
    world = World(1, max_queue=2)
    leadership = world.led_by_standby()
    assert not leadership.queue_is_full()
    leadership.offer(1)
    assert not leadership.queue_is_full()
    leadership.offer(2)
    assert leadership.queue_is_full()
    leadership.next_exchange(world.seats[0])
    assert not leadership.queue_is_full()
    leadership.next_exchange(world.seats[0])
    leadership.next_exchange(world.seats[0])
    assert not leadership.queue_is_full()


# The average.


def test_one_very_slow_call_says_little_about_the_next():
    world = World(1)
    leadership = world.with_leader()
    leadership.note_call_time(3600.0)
    assert leadership.average <= 0.001
    for _ in range(100):
        leadership.note_call_time(0.0)
    assert not leadership.expects_slow_call()


def test_calls_that_go_on_being_slow_are_expected_to_be_slow_and_forgotten_when_they_are_not():
    world = World(1)
    leadership = world.with_leader()
    assert not leadership.expects_slow_call()
    for _ in range(10):
        leadership.note_call_time(0.005)
    assert leadership.expects_slow_call()
    for _ in range(30):
        leadership.note_call_time(0.0001)
    assert not leadership.expects_slow_call()


# Stopping.


def test_stopping_wakes_everybody():
    world = World(4)
    leadership = world.with_leader()
    waiting = [in_thread(seat.wait) for seat in world.seats[1:]]
    watch = watching(world)
    interrupted = threading.Event()
    leadership.stop(interrupted.set)
    assert leadership.stopping
    assert interrupted.is_set()
    assert all(ends(thread) for thread in [*waiting, watch])


def test_stopping_wakes_a_watch_that_sleeps():
    world = World(1)
    watch = watching(world)
    leadership = world.with_leader()
    assert falls_asleep(watch)
    leadership.stop(lambda: None)
    assert ends(watch)


def test_nothing_is_begun_when_stopping():
    world = World(1)
    leadership = world.led_by_standby()
    leadership.offer("exchange")
    leadership.stop(lambda: None)
    assert leadership.next_exchange(world.seats[0]) is None


# What leaves the queue without running.


class Waiting:
    """What stands for a request in the queue: since when it waits."""

    def __init__(self, ready):
        self.ready = ready


def test_those_that_became_ready_before_a_time_are_overdue():
    world = World(1)
    leadership = world.led_by_standby()
    requests = [Waiting(ready) for ready in (1.0, 2.0, 3.0)]
    for one in requests:
        leadership.offer(one)
    assert leadership.take_overdue(1.0) == []
    assert leadership.take_overdue(2.5) == requests[:2]
    assert leadership.take_overdue(2.5) == []
    assert leadership.next_exchange(world.seats[0]) is requests[2]
    assert leadership.take_overdue(9.0) == []


def test_a_request_is_withdrawn_once_and_only_while_it_waits():
    world = World(1)
    leadership = world.led_by_standby()
    requests = [Waiting(1.0) for _ in range(3)]
    for one in requests:
        leadership.offer(one)
    assert leadership.withdraw(requests[1])
    assert not leadership.withdraw(requests[1])
    assert leadership.next_exchange(world.seats[0]) is requests[0]
    assert not leadership.withdraw(requests[0])
    assert leadership.next_exchange(world.seats[0]) is requests[2]
    assert leadership.queue_length() == 0
