"""Who leads when many threads come and go at once: never two, and no request lost or run twice."""

import os
import random
import threading
from collections import deque
from time import monotonic

import pytest

from portway.worker.leadership import Leadership, Seat

PATIENCE = 30.0


class Work:
    """What stands for a request: it counts who runs it, and whether more run at once than may."""

    def __init__(self, number, worker, duration):
        self.number = number
        # Whether it says that it mostly waits.
        self.marks = False
        self.worker = worker
        self.duration = duration
        self.runs = 0

    def run(self, seat):
        worker = self.worker
        with worker.lock:
            self.runs += 1
            worker.running += 1
            worker.most = max(worker.most, worker.running)
        if self.marks:
            with worker.lock:
                # First off the books, because from then on another one may run.
                worker.running -= 1
                worker.waiting_calls += 1
                worker.most_waiting = max(worker.most_waiting, worker.waiting_calls)
            worker.leadership.mark(seat)
        if self.duration:
            worker.pause.wait(self.duration)
        with worker.lock:
            if self.marks:
                worker.waiting_calls -= 1
            else:
                worker.running -= 1
            worker.done += 1
            if worker.done == worker.count:
                worker.finished.set()


class Toy:
    """The way of portway.worker.loop and process through a Leadership, without sockets.

    What only the leader may do is done in `_read`, which notices a second thread in it.
    """

    def __init__(self, threads, durations, max_extra=0, linger=0.001):
        self.lock = threading.Lock()
        self.pause = threading.Event()
        self.finished = threading.Event()
        self.running = self.most = self.done = 0
        self.waiting_calls = self.most_waiting = 0
        self.linger = linger
        self.extras = []
        self.reading = 0
        self.violations = []
        self.count = len(durations)
        self.works = [Work(number, self, duration) for number, duration in enumerate(durations)]
        self.waiting = deque(self.works)
        self.seats = [Seat(index, index == threads) for index in range(threads + 1)]
        self.leadership = Leadership(self.seats[-1], 1 << 30, lambda free: None, max_extra, self._start)
        self.wake = threading.Event()

    def run(self):
        roles = [(self._serve, seat) for seat in self.seats[:-1]] + [(self._stand_by, self.seats[-1])]
        threads = [threading.Thread(target=role, args=(seat,), daemon=True) for role, seat in roles]
        for thread in threads:
            thread.start()
        finished = self.finished.wait(PATIENCE)
        self.leadership.stop(self.wake.set)
        for thread in [*threads, *self.extras]:
            thread.join(PATIENCE)
        return finished and not any(thread.is_alive() for thread in [*threads, *self.extras])

    def _start(self, seat):
        thread = threading.Thread(target=self._serve_extra, args=(seat,), daemon=True)
        self.extras.append(thread)
        thread.start()
        return True

    def _serve_extra(self, seat):
        leadership = self.leadership
        while not leadership.stopping:
            work = leadership.next_exchange(seat)
            if work is not None:
                work.run(seat)
            elif not leadership.stopping:
                while not seat.wait_for(self.linger):
                    if leadership.retire(seat):
                        return
                self._woken(seat)

    def _serve(self, seat):
        leadership = self.leadership
        if leadership.take_first(seat):
            self._lead(seat)
        while not leadership.stopping:
            work = leadership.next_exchange(seat)
            if work is not None:
                work.run(seat)
            elif not leadership.stopping:
                seat.wait()
                self._woken(seat)

    def _woken(self, seat):
        work = seat.take()
        if self.leadership.leads(seat):
            if work is not None:
                self._dispatch(seat, work)
            self._lead(seat)
        elif work is not None:
            work.run(seat)

    def _stand_by(self, seat):
        while not self.leadership.stopping:
            self.leadership.watch()
            if self.leadership.leads(seat):
                self._lead(seat)

    def _lead(self, seat):
        leadership = self.leadership
        while leadership.leader is seat:
            if leadership.stopping:
                return
            work = self._read(seat)
            if work is None:
                self.wake.wait(0.001)
            else:
                self._dispatch(seat, work)

    def _read(self, seat):
        self.reading += 1
        if self.reading != 1 or not self.leadership.leads(seat):
            self.violations.append(seat.index)
        work = self.waiting.popleft() if self.waiting else None
        # Room for somebody else to step in.
        for _ in range(3):
            if self.reading != 1:
                self.violations.append(seat.index)
        self.reading -= 1
        return work

    def _dispatch(self, seat, work):
        leadership = self.leadership
        if seat.is_standby:
            leadership.offer(work)
        elif leadership.expects_slow_call():
            leadership.hand_over(seat)
            self._call(seat, work)
        else:
            leadership.enter_call()
            self._call(seat, work)
            leadership.leave_call(seat)

    def _call(self, seat, work):
        began = monotonic()
        work.run(seat)
        self.leadership.note_call_time(monotonic() - began)


@pytest.fixture
def seeded():
    seed = os.environ.get("PORTWAY_SEED", "leadership")
    print(f"PORTWAY_SEED={seed}")
    return random.Random(seed)


def durations(dice, count):
    """Return how long each of many requests takes: nothing, most of them, and up to five milliseconds."""
    return [dice.choice((0, 0, 0, 0.0001, 0.002, 0.005 * dice.random())) for _ in range(count)]


@pytest.mark.parametrize("threads", [1, 2, 4, 16])
@pytest.mark.parametrize("kind", ["fast", "mixed", "slow"])
def test_never_two_leaders_nothing_lost_and_nothing_twice(tiny_switch_interval, seeded, threads, kind):
    times = {"fast": [0] * 4000, "mixed": durations(seeded, 600), "slow": [0.002] * 200}[kind]
    toy = Toy(threads, times)
    assert toy.run(), f"{toy.done} of {toy.count} done, {toy.leadership.queue_length()} in the queue"
    assert toy.violations == []
    assert [work.runs for work in toy.works] == [1] * toy.count
    assert toy.most <= threads


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("max_extra", [1, 3, 16])
@pytest.mark.parametrize("linger", [0.0001, 5.0])
def test_calls_that_wait_have_threads_of_their_own_and_the_others_no_more_than_before(
    tiny_switch_interval, seeded, threads, max_extra, linger
):
    toy = Toy(threads, durations(seeded, 500), max_extra, linger)
    for work in toy.works:
        work.marks = seeded.random() < 0.3
    assert toy.run(), f"{toy.done} of {toy.count} done, {toy.leadership.queue_length()} in the queue"
    assert toy.violations == []
    assert [work.runs for work in toy.works] == [1] * toy.count
    # A call is counted as waiting a moment before the leadership knows, and until a moment before it has forgotten.
    assert toy.most <= threads
    assert toy.most + toy.most_waiting <= 2 * (threads + max_extra)


def test_a_thread_for_each_call_that_waits_and_still_one_for_the_others():
    toy = Toy(1, [0.05] * 4 + [0] * 50, 4)
    for work in toy.works[:4]:
        work.marks = True
    assert toy.run()
    assert toy.most == 1
    assert toy.most_waiting == 4


def test_all_threads_are_used_when_calls_are_slow():
    toy = Toy(4, [0.02] * 60)
    assert toy.run()
    assert toy.most == 4
