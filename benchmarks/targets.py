"""What Portway must reach, and whether a run of the benchmark shows that it does.

Each `Target` computes one figure from the rounds of a run: a median over the rounds of a ratio taken within
each. Pure functions of the results; nothing is measured here.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.stats import Round, ratios, ratios_within, values

#: The rounds of each work, by the work's name.
Rounds = Mapping[str, Sequence[Round]]

_OWN = "portway"
_FAST_C = ("fastpysgi", "bjoern")


@dataclass(frozen=True, slots=True)
class Target:
    """One thing to reach. figures: one number a round. limit: the bound; at_least: whether it is a lower one.

    unit: what is written after the number ("x" for a ratio).
    """

    work: str
    text: str
    figures: Callable[[Rounds], list[float]]
    limit: float
    at_least: bool
    unit: str = "x"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a target. reached: the figure; met: whether it is enough; None if not measured."""

    work: str
    text: str
    limit: float
    at_least: bool
    unit: str
    reached: float | None
    met: bool | None

    @property
    def answer(self) -> str:
        """Return yes, no, or that there is no figure."""
        return "not measured" if self.met is None else "yes" if self.met else "no"


def _of(
    work: str, metric: str, others: Sequence[str], best: Callable[[Any], float] = max
) -> Callable[[Rounds], list[float]]:
    return lambda rounds: ratios(rounds.get(work, ()), metric, _OWN, others, best)


def _within(work: str, metric: str, base: str) -> Callable[[Rounds], list[float]]:
    return lambda rounds: ratios_within(rounds.get(work, ()), _OWN, metric, base)


def _plain(work: str, metric: str) -> Callable[[Rounds], list[float]]:
    return lambda rounds: values(rounds.get(work, ()), _OWN, metric)


def _rate(work: str, whose: str, others: Sequence[str], limit: float) -> Target:
    return Target(work, f"rate, of {whose}", _of(work, "rate", others), limit, True)


def _cost(work: str, metric: str, what: str, others: Sequence[str], limit: float) -> Target:
    return Target(work, what, _of(work, metric, others, min), limit, False)


_GTHREAD, _GTHREAD_C, _GRANIAN = ("gunicorn-gthread",), ("gunicorn-gthread-c",), ("granian",)

TARGETS: tuple[Target, ...] = (
    _rate("hello-1", "the faster of FastPySGI and bjoern", _FAST_C, 0.95),
    _rate("hello-4", "the faster of FastPySGI and bjoern", _FAST_C, 0.9),
    _rate("hello-4", "Granian's", _GRANIAN, 1.3),
    _rate("hello-4", "Gunicorn gthread's", _GTHREAD, 10),
    _rate("hello-4", "Gunicorn gthread's, C parser", _GTHREAD_C, 10),
    _cost("hello-4", "p99", "p99, of FastPySGI's", ("fastpysgi",), 2),
    Target("sleep-8", "rate, 97 % of 1,600/s", _plain("sleep-8", "rate"), 0.97 * 1600, True, "/s"),
    _rate("markup-4", "Gunicorn gthread's", _GTHREAD, 1.6),
    _rate("markup-4", "Gunicorn gthread's, C parser", _GTHREAD_C, 1.6),
    _rate("markup-4", "Granian's", _GRANIAN, 1.1),
    _cost("markup-4", "p99", "p99, of Granian's", _GRANIAN, 1),
    Target("mixture-1", "rate, of that without them", _within("mixture-1", "rate", "alone.rate"), 0.9, True),
    Target("mixture-1", "p99, of that without them", _within("mixture-1", "p99", "alone.p99"), 2, False),
    _cost("memory-1", "worker_pss", "PSS of a worker, of Gunicorn gthread's", _GTHREAD, 1),
    _cost("start-2", "first_response", "time, of Gunicorn gthread's", _GTHREAD, 1),
    _cost("instructions-1", "instructions", "instructions, of FastPySGI's", ("fastpysgi",), 1.3),
)


def judge(rounds: Rounds, targets: Sequence[Target] = TARGETS) -> list[Verdict]:
    """Return a verdict for each target."""
    verdicts = []
    for target in targets:
        figures = target.figures(rounds)
        reached = median(figures) if figures else None
        met = None
        if reached is not None:
            met = reached >= target.limit if target.at_least else reached <= target.limit
        verdicts.append(
            Verdict(target.work, target.text, target.limit, target.at_least, target.unit, reached, met)
        )
    return verdicts
