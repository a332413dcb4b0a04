"""The state of a server, of what is known about its children and its last reload."""

import pytest

from portway.supervisor.children import YOUNG, Backoff, Failure
from portway.supervisor.reloads import Trouble
from portway.supervisor.state import State, reasons, state_of

NOW = 1000.0
TROUBLE = Trouble("Not reloaded, generation 1 keeps serving:", Failure("load", "It is broken."), 0.0, 1)


@pytest.mark.parametrize(
    ("children", "trouble", "stopping", "state"),
    [
        ({"molds": "1S", "candidate": 1}, None, False, State.STARTING),
        ({"molds": "1S", "candidate": 1}, TROUBLE, False, State.STARTING),
        ({"workers": "1R 1R", "molds": "1R", "current": 1}, None, False, State.READY),
        ({"workers": "1R 1R", "molds": "1R", "current": 1}, TROUBLE, False, State.DEGRADED),
        ({"workers": "1R", "molds": "1R 2S", "current": 1, "candidate": 2}, None, False, State.RELOADING),
        ({"workers": "1R", "molds": "1R 2S", "current": 1, "candidate": 2}, TROUBLE, False, State.RELOADING),
        ({"workers": "1R", "molds": "1R", "current": 1, "reload_asked": True}, None, False, State.RELOADING),
        ({"workers": "1D", "molds": "1Q", "current": 1}, TROUBLE, True, State.DRAINING),
        ({"molds": "1S", "candidate": 1}, None, True, State.DRAINING),
    ],
)
def test_states(make, children, trouble, stopping, state):
    assert state_of(make(**children), trouble, stopping, NOW) is state


def test_a_server_without_workers_on_purpose(make):
    children = make("1D", molds="1R", current=1)
    assert state_of(children, TROUBLE, False, NOW, wanted=0) is State.RESTING
    assert state_of(children, TROUBLE, True, NOW, wanted=0) is State.DRAINING


@pytest.mark.parametrize(
    ("failures", "later", "degraded"),
    [
        (0, 0.0, False),
        (1, 0.0, False),  # anybody may crash once
        (2, 0.0, True),
        (2, YOUNG - 0.001, True),
        (2, YOUNG, False),  # the one after lives for long enough
        (9, 0.0, True),
    ],
)
def test_a_crash_loop(make, failures, later, degraded):
    children = make("1R", molds="1R", current=1)
    children.molds[1].backoff = Backoff(failures, failed_at=NOW - 1, retry_at=NOW)
    assert bool(reasons(children, None, NOW + later)) is degraded
    assert (state_of(children, None, False, NOW + later) is State.DEGRADED) is degraded


def test_a_crash_loop_of_another_generation_does_not_count(make):
    children = make("2R", molds="1Q 2R", current=2)
    children.molds[1].backoff = Backoff(9, failed_at=NOW, retry_at=NOW)
    assert reasons(children, None, NOW) == []


def test_a_mold_that_is_gone(make):
    children = make("1R", current=1)
    children.mold_backoff = Backoff(1, failed_at=NOW, retry_at=NOW)
    (reason,) = reasons(children, None, NOW)
    assert "no new one is ready" in reason
    children = make("1R", molds="2R", current=2)
    children.mold_backoff = Backoff(1, failed_at=NOW, retry_at=NOW)
    assert reasons(children, None, NOW) == []


def test_the_worst_stands_first(make):
    children = make("1R", molds="1R", current=1)
    children.molds[1].backoff = Backoff(3, failed_at=NOW, retry_at=NOW)
    found = reasons(children, TROUBLE, NOW)
    assert found == [
        "Workers end soon after they start, 3 times in a row; the log says how.",
        "Not reloaded, generation 1 keeps serving: It is broken.",
    ]
