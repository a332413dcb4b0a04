"""The plan against an imitated world, in which processes start, become ready, fail and die in any order."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from portway.supervisor.children import LIVE, Children, Failure, Phase
from portway.supervisor.plan import (
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
    Wanted,
    next_deadline,
    plan,
)
from portway.supervisor.recycling import Recycle, RecycleLimits


class World:
    """Performs actions without any process, and holds the promises the plan makes at every step.

    `broken` generations do not import. Processes do what they are told when the test says so.
    """

    def __init__(self, workers):
        self.children = Children()
        self.wanted = Wanted(workers, workers, slots=4 * workers + 4, graceful_timeout=30.0, silence=30.0)
        self.now = 1000.0
        self.pids = iter(range(100, 10**6))
        self.broken = set()
        self.finished = False
        self.gave_up = False
        self.full_since_boot = False

    def settle(self):
        """Perform what the plan says until it has nothing to say."""
        for _ in range(50):
            actions = plan(self.children, self.wanted, self.now)
            if not actions or self.finished:
                return
            for action in actions:
                self.perform(action)
        raise AssertionError(f"the plan never ends: {actions}")

    def perform(self, action):
        children = self.children
        match action:
            case StartMold(generation, True):
                assert generation not in children.molds
                children.trial_started(generation, next(self.pids), self.now)
            case StartMold(generation, False):
                children.replacement_started(generation, next(self.pids), self.now)
            case Spawn(nr, generation):
                assert nr not in children.workers
                assert children.molds[generation].phase is Phase.READY
                children.worker_asked(nr, generation, self.now)
            case Recycle(nr, _):
                self.check_recycling(nr)
                children.worker_retires(nr, "it is due", self.now)
            case Drain(nr, kill_at):
                assert children.workers[nr].phase in LIVE
                children.worker_told(nr, Phase.DRAINING, kill_at)
            case Quit(nr, kill_at) | Abort(nr, kill_at, _):
                children.worker_told(nr, Phase.QUITTING, kill_at)
            case Kill(nr):
                assert children.workers[nr].phase not in LIVE
                children.worker_told(nr, Phase.KILLED, None)
            case EndMold(generation, kill_at):
                assert generation != children.current or self.wanted.stop is not Stop.NO
                children.mold_told(generation, Phase.QUITTING, kill_at)
            case KillMold(generation):
                children.mold_told(generation, Phase.KILLED, None)
            case Promote(generation):
                assert generation not in self.broken
                children.promoted()
            case Drop():
                assert children.current
                children.dropped()
            case GiveUp():
                assert not children.current
                self.gave_up = True
                self.wanted = replace(self.wanted, stop=Stop.QUICK)
            case Finish():
                assert not children.workers
                assert not children.molds
                self.finished = True
            case _:
                raise AssertionError(action)

    def check_recycling(self, nr):
        """Hold a recycling to its promises: not now if anything else is going on, and only a few at a time."""
        children, wanted = self.children, self.wanted
        assert wanted.stop is Stop.NO
        assert not children.candidate
        assert not children.reload_asked
        assert children.workers[nr].phase is Phase.READY
        assert self.ready() >= wanted.workers
        others = [child for child in children.workers.values() if child.retiring]
        if children.workers[nr].wish:
            others = [child for child in others if child.phase in LIVE]
        assert len(others) < max(1, wanted.workers // 10)

    # What processes do.

    def step(self, choice):
        """Let one process do the next thing it would do by itself; return whether there was one."""
        children = self.children
        todo = []
        for mold in children.molds.values():
            if mold.phase not in LIVE:
                todo.append(lambda mold=mold: children.reaped(mold.pid, "ended", self.now))
            elif mold.phase is Phase.STARTING and mold.generation in self.broken:
                todo.append(lambda mold=mold: self.fail_to_load(mold))
            elif mold.phase is Phase.STARTING:
                todo.append(lambda mold=mold: children.mold_ready(mold.generation))
        for child in children.workers.values():
            if child.phase is Phase.ASKED:
                todo.append(
                    lambda child=child: children.worker_spawned(
                        child.nr, child.generation, next(self.pids), self.now
                    )
                )
            elif child.phase is Phase.STARTING:
                todo.append(lambda child=child: children.worker_ready(child.pid, self.now))
            elif child.phase is not Phase.READY:
                todo.append(lambda child=child: children.reaped(child.pid, "ended", self.now))
        if not todo:
            return False
        todo[choice % len(todo)]()
        return True

    def fail_to_load(self, mold):
        self.children.mold_failed(mold.generation, Failure("load", "broken"))
        self.children.reaped(mold.pid, "exited with 4", self.now)

    def kill(self, choice):
        """Kill any process that exists."""
        pids = [mold.pid for mold in self.children.molds.values()]
        pids += [child.pid for child in self.children.workers.values() if child.pid]
        if pids:
            self.children.reaped(pids[choice % len(pids)], "was killed", self.now)

    def wear_out(self, how, choice):
        """Let a worker reach its limit, or ask to be replaced."""
        workers = [child for child in self.children.workers.values() if child.pid]
        if workers:
            child = workers[choice % len(workers)]
            if how == "wish":
                self.children.worker_wishes(child.pid, "hurt")
            else:
                child.requests = 1000

    def reload(self, broken):
        if broken:
            self.broken.add(self.children.newest + 1)
        self.children.reload_asked = True

    def ready(self):
        return sum(child.phase is Phase.READY for child in self.children.workers.values())

    def run_until_quiet(self):
        for turn in range(2000):
            self.settle()
            if self.finished:
                return
            if not self.step(turn):
                deadline = next_deadline(self.children, self.wanted, self.now)
                if deadline is None:
                    return
                assert deadline > self.now
                self.now = deadline
        raise AssertionError("it never comes to rest")


@given(workers=st.integers(1, 4), choices=st.lists(st.integers(0, 50), max_size=40))
def test_first_boot_and_reload_never_fall_below_full_strength(workers, choices):
    world = World(workers)
    world.run_until_quiet()
    assert world.ready() == workers
    world.reload(broken=False)
    for choice in choices:
        world.settle()
        assert world.ready() >= workers
        world.step(choice)
    world.run_until_quiet()
    assert world.ready() == workers
    assert world.children.current == 2
    assert set(world.children.molds) == {2}
    assert {child.generation for child in world.children.workers.values()} == {2}


@given(workers=st.integers(1, 4), choices=st.lists(st.integers(0, 50), max_size=40))
def test_a_reload_that_fails_leaves_everything_as_it_was(workers, choices):
    world = World(workers)
    world.run_until_quiet()
    before = {child.pid for child in world.children.workers.values()}
    world.reload(broken=True)
    for choice in choices:
        world.settle()
        world.step(choice)
    world.run_until_quiet()
    assert {child.pid for child in world.children.workers.values()} == before
    assert world.children.current == 1
    assert set(world.children.molds) == {1}


@given(workers=st.integers(1, 3))
def test_a_first_boot_that_fails_ends_with_nothing_left(workers):
    world = World(workers)
    world.broken.add(1)
    world.run_until_quiet()
    assert world.gave_up
    assert world.finished


@settings(max_examples=60)
@given(workers=st.integers(1, 25), choices=st.lists(st.integers(0, 200), max_size=200))
def test_recycling_never_falls_below_full_strength_and_replaces_everybody(workers, choices):
    world = World(workers)
    world.run_until_quiet()
    before = {child.pid for child in world.children.workers.values()}
    # Those that were there answer and answer, those that come do not.
    world.wanted = replace(world.wanted, recycle=RecycleLimits(requests=1000))
    for child in world.children.workers.values():
        child.requests = 1000
    most = max(1, workers // 10)
    for choice in choices:
        world.settle()
        assert world.ready() >= workers
        assert len(world.children.workers) <= workers + most
        assert sum(bool(child.retiring) for child in world.children.workers.values()) <= most
        world.step(choice)
    world.run_until_quiet()
    assert world.ready() == len(world.children.workers) == workers
    assert not before & {child.pid for child in world.children.workers.values()}


EVENTS = st.one_of(
    st.tuples(st.just("step"), st.integers(0, 50)),
    st.tuples(st.just("step"), st.integers(0, 50)),
    st.tuples(st.just("kill"), st.integers(0, 50)),
    st.tuples(st.just("reload"), st.booleans()),
    st.tuples(st.just("workers"), st.integers(1, 5)),
    st.tuples(st.just("wait"), st.floats(0.01, 100)),
    st.tuples(st.just("answer"), st.integers(0, 50)),
    st.tuples(st.just("wish"), st.integers(0, 50)),
)


@settings(max_examples=300)
@given(workers=st.integers(1, 4), events=st.lists(EVENTS, max_size=60), stop=st.sampled_from(Stop))
def test_whatever_happens_it_comes_to_rest_at_full_strength_or_ends(workers, events, stop):
    world = World(workers)
    world.wanted = replace(world.wanted, recycle=RecycleLimits(requests=1000))
    for event, value in events:
        world.settle()
        match event:
            case "step":
                world.step(value)
            case "kill":
                world.kill(value)
            case "reload":
                world.reload(broken=value)
            case "workers":
                world.wanted = replace(world.wanted, workers=value, trial_workers=value)
            case "wait":
                world.now += value
            case "answer" | "wish":
                world.wear_out(event, value)
    world.broken.clear()
    world.wanted = replace(world.wanted, stop=stop) if not world.gave_up else world.wanted
    world.run_until_quiet()
    if stop is not Stop.NO or world.gave_up:
        assert world.finished
    else:
        assert world.ready() == world.wanted.workers
        assert len(world.children.workers) == world.wanted.workers
        assert set(world.children.molds) == {world.children.current}
        assert all(map(world.children.is_current, world.children.workers.values()))
