"""Children in every state, written short."""

import pytest

from portway.supervisor.children import Child, Children, Mold, Phase
from portway.supervisor.plan import Stop, Wanted

PHASES = {
    "A": Phase.ASKED,
    "S": Phase.STARTING,
    "R": Phase.READY,
    "D": Phase.DRAINING,
    "Q": Phase.QUITTING,
    "K": Phase.KILLED,
}


@pytest.fixture
def make():
    """Return a function that makes Children: `make("1R 1R 1D", molds="1R", current=1)`.

    Each worker is its generation and the first letter of its phase, and has the slot of its place in the
    list ("-" leaves one free); its process id is 100 more. Molds have the process id of their generation plus
    10. All of them began at 999.0.
    """

    def make(workers="", molds="", current=0, candidate=0, **fields):
        children = Children()
        children.reload_asked = False
        children.current = current
        children.accepted = frozenset({current}) if current else frozenset()
        children.candidate = candidate
        for nr, text in enumerate(workers.split()):
            if text != "-":
                phase = PHASES[text[-1]]
                child = Child(nr, int(text[:-1]), 999.0, phase, pid=0 if phase is Phase.ASKED else 100 + nr)
                children.workers[nr] = child
        for text in molds.split():
            generation = int(text[:-1])
            children.molds[generation] = Mold(generation, 10 + generation, 999.0, PHASES[text[-1]])
        children.newest = max([current, candidate, *children.molds], default=0)
        for name, value in fields.items():
            setattr(children, name, value)
        return children

    return make


@pytest.fixture
def want():
    """Return a function that makes a Wanted of so many workers."""

    def want(workers=2, stop=Stop.NO, **fields):
        values = {
            "trial_workers": workers,
            "slots": 8,
            "graceful_timeout": 30.0,
            "silence": 30.0,
            **fields,
        }
        return Wanted(workers=workers, stop=stop, **values)

    return want
