"""The arithmetic of the reports: medians, spreads, and ratios that are taken within a round.

A machine that others use too is slower in one minute than in the next. Two figures of the same round were
measured within minutes of each other, so their ratio means something where their values do not: ratios are
taken within each round, and the median of the ratios is reported, never the ratio of medians. Pure functions.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

#: One round: for each server what was measured, or {"failed": reason}.
Round = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some values, and the smallest and largest of them."""

    median: float
    low: float
    high: float
    count: int


def spread(values: Iterable[float]) -> Spread | None:
    """Return median, minimum and maximum, None of no values."""
    known = list(values)
    return Spread(median(known), min(known), max(known), len(known)) if known else None


def value(measured: Mapping[str, Any] | None, metric: str) -> float | None:
    """Return a figure by its name, which may be dotted ("alone.p99"); None if it was not measured."""
    found: Any = measured
    for part in metric.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return None if found is None else float(found)


def values(rounds: Sequence[Round], server: str, metric: str) -> list[float]:
    """Return a server's figure from each round that has one."""
    return [found for each in rounds if (found := value(each.get(server), metric)) is not None]


def ratios(
    rounds: Sequence[Round],
    metric: str,
    server: str,
    others: Sequence[str],
    best: Callable[[Iterable[float]], float] = max,
) -> list[float]:
    """Return for each round the server's figure divided by the best of the others' in the same round.

    Rounds in which the server or all of the others have no figure, or the divisor is 0, are left out.
    """
    found = []
    for each in rounds:
        own = value(each.get(server), metric)
        theirs = [v for other in others if (v := value(each.get(other), metric)) is not None]
        if own is not None and theirs and best(theirs) > 0:
            found.append(own / best(theirs))
    return found


def ratios_within(rounds: Sequence[Round], server: str, metric: str, base: str) -> list[float]:
    """Return for each round the server's figure divided by another figure of its own."""
    found = []
    for each in rounds:
        own, divisor = value(each.get(server), metric), value(each.get(server), base)
        if own is not None and divisor:
            found.append(own / divisor)
    return found


def exponent(points: Sequence[tuple[float, float]]) -> float | None:
    """Return b of the line cost = a * size ** b that fits best, None where there are too few points.

    1 is linear growth, 0 is none. Least squares of the logarithms; points at or below zero are left out.
    """
    logs = [(math.log(x), math.log(y)) for x, y in points if x > 0 and y > 0]
    if len({x for x, _ in logs}) < 2:
        return None
    mean_x = sum(x for x, _ in logs) / len(logs)
    mean_y = sum(y for _, y in logs) / len(logs)
    above = sum((x - mean_x) * (y - mean_y) for x, y in logs)
    return above / sum((x - mean_x) ** 2 for x, _ in logs)


def growth(points: Sequence[tuple[float, float]]) -> float | None:
    """Return the exponent of all points or of the three largest, whichever is worse.

    A cost that begins to grow late would be hidden by the many cheap points before.
    """
    ordered = sorted(points)
    found = [b for part in (ordered, ordered[-3:]) if (b := exponent(part)) is not None]
    return max(found) if found else None
