"""Tables of what costs grow with: from a results file of kind "costs", nothing is measured here."""

from collections.abc import Mapping
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.costs import IDLE_LIMIT, LINEAR, idle_costs, judge_growth
from benchmarks.report import align, fill, markdown
from benchmarks.results import Results


def _cell(point: Mapping[str, Any], metric: Mapping[str, str]) -> str:
    known = [value for value in point.get(metric["name"], []) if value is not None]
    if not known:
        return "failed" if point.get("failed") else "-"
    value = median(known) * float(metric.get("factor", 1))
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rows(curve: Mapping[str, Any]) -> list[list[str]]:
    metrics: list[Mapping[str, str]] = list(curve["metrics"])
    if any(sum(point.get("errors", [])) for points in curve["series"].values() for point in points):
        metrics.append({"name": "errors", "title": "errors"})
    rows = [["", curve["x"], *(metric["title"] for metric in metrics)]]
    for series, points in curve["series"].items():
        for point in points:
            rows.append([series, f"{point['x']:,}", *(_cell(point, metric) for metric in metrics)])
    return rows


def growth_rows(found: Results) -> list[list[str]]:
    """Return a row for each cost: where, what, its exponent, whether that is at most linear."""
    rows = [["curve", "series", "cost", "grows as n to the", "at most linear"]]
    for each in judge_growth(found):
        exponent = "-" if each.exponent is None else f"{each.exponent:.2f}"
        answer = "not measured" if each.fine is None else "yes" if each.fine else "no"
        rows.append([each.curve, each.series, each.metric, exponent, answer])
    return rows


def idle_rows(found: Results) -> list[list[str]]:
    """Return a row for each kind of idle connection: what one costs, whether it is little enough."""
    rows = [["idle connection", "bytes each", f"below {IDLE_LIMIT:,}"]]
    for series, cost in idle_costs(found).items():
        rows.append([series, f"{cost:,.0f}", "yes" if cost < IDLE_LIMIT else "no"])
    return rows


def tables(found: Results) -> str:
    """Return all of it as text for the terminal."""
    parts = []
    for curve in found["curves"].values():
        parts.append("\n".join([curve["title"], *align(_rows(curve))]))
    parts.append("\n".join(align(growth_rows(found), left=(0, 1, 2, 4))))
    if idle_costs(found):
        parts.append("\n".join(align(idle_rows(found), left=(0, 2))))
    return "\n\n".join(parts)


def markdown_tables(found: Results, plots: Mapping[str, str]) -> str:
    """Return the part of docs/explanation/performance.md. plots: the file of each curve, beside the page."""
    parts = []
    for name, curve in found["curves"].items():
        image = f"\n\n![{curve['title']}]({plots[name]})" if name in plots else ""
        parts.append(f"**{curve['title']}**{image}\n\n{markdown(_rows(curve))}")
    parts.append(
        f"**How each cost grows** (an exponent of up to {LINEAR} counts as linear)\n\n"
        + markdown(growth_rows(found), left=3)
    )
    if idle_costs(found):
        parts.append(markdown(idle_rows(found)))
    parts.append(fill(f"Measured {found['made'][:10]} on: {machine.one_line(found['machine'])}."))
    return "\n\n".join(parts) + "\n"
