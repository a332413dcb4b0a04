"""Plots of results files, as SVG. matplotlib is needed for them alone; without it there are no plots."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.results import Results
from benchmarks.servers import BY_NAME
from benchmarks.stats import spread, values

#: Colours that stay apart for those who see few, and on paper.
_OWN, _OTHER, _YARDSTICK = "#0b6e4f", "#8a99a8", "#d9dde1"
_LINES = ("#0b6e4f", "#c8553d", "#3d5a80", "#b08900")


class NoPlotsError(Exception):
    """matplotlib is not installed."""


def _pyplot() -> Any:
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise NoPlotsError("matplotlib is not installed, so there is no plot") from error
    matplotlib.use("svg")
    # The same results make the same file, and text stays text.
    matplotlib.rcParams.update({"svg.hashsalt": "portway", "svg.fonttype": "none", "font.size": 8})
    from matplotlib import pyplot

    return pyplot


def _save(pyplot: Any, figure: Any, path: Path) -> None:
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    pyplot.close(figure)


def short(value: float, step: int = 1000) -> str:
    """Write a number for an axis: 250, 20k, 1M; with a step of 1024: 16k for 16,384."""
    for size, letter in ((step**2, "M"), (step, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def plot_bench(results: Results, path: Path) -> None:
    """Draw a bar for each server and kind of work: the median, with a line from minimum to maximum."""
    pyplot = _pyplot()
    drawn = [
        work
        for work in results["work"].values()
        if any(values(work["rounds"], server, work["headline"]) for server in BY_NAME)
    ]
    if not drawn:
        return
    columns = 2 if len(drawn) > 1 else 1
    lines = -(-len(drawn) // columns)
    figure, grid = pyplot.subplots(lines, columns, figsize=(5.2 * columns, 2.9 * lines), squeeze=False)
    for axes, work in zip(grid.flat, drawn, strict=False):
        _bars(axes, work)
    for axes in grid.flat[len(drawn) :]:
        axes.axis("off")
    figure.tight_layout()
    _save(pyplot, figure, path)


def _bars(axes: Any, work: dict[str, Any]) -> None:
    names, medians, lows, highs, colours = [], [], [], [], []
    unit, factor = ("MiB", 1 / 2**20) if work["unit"] == "bytes" else (work["unit"], 1.0)
    for name, server in BY_NAME.items():
        found = spread(value * factor for value in values(work["rounds"], name, work["headline"]))
        if found is None:
            continue
        names.append(server.title.replace("`", ""))
        medians.append(found.median)
        lows.append(found.median - found.low)
        highs.append(found.high - found.median)
        colours.append(_OWN if name == "portway" else _YARDSTICK if server.runs == "fixed" else _OTHER)
    axes.barh(names, medians, xerr=[lows, highs], color=colours, error_kw={"lw": 0.8, "ecolor": "#333"})
    axes.invert_yaxis()
    axes.set_title(work["title"], fontsize=8)
    axes.set_xlabel(f"{unit}, {work['better']} is better")
    axes.xaxis.set_major_formatter(lambda value, _: short(value))
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def plot_costs(results: Results, folder: Path, stem: str) -> list[Path]:
    """Draw one file for each curve, with an axes for each of its metrics; return the files."""
    pyplot = _pyplot()
    paths = []
    for name, curve in results["curves"].items():
        metrics: Sequence[dict[str, str]] = curve["metrics"]
        figure, grid = pyplot.subplots(1, len(metrics), figsize=(4.6 * len(metrics), 3.2), squeeze=False)
        for axes, metric in zip(grid.flat, metrics, strict=True):
            _lines(axes, curve, metric)
        figure.suptitle(curve["title"], fontsize=9)
        figure.tight_layout()
        path = folder / f"{stem}-{name}.svg"
        _save(pyplot, figure, path)
        paths.append(path)
    return paths


def _lines(axes: Any, curve: dict[str, Any], metric: dict[str, str]) -> None:
    largest = 0.0
    for colour, (name, points) in zip(_LINES * 3, curve["series"].items(), strict=False):
        drawn = [
            (point["x"], metric_values)
            for point in points
            if (metric_values := [v for v in point.get(metric["name"], []) if v is not None])
        ]
        if not drawn:
            continue
        xs = [x for x, _ in drawn]
        factor = float(metric.get("factor", 1))
        ys = [median(found) * factor for _, found in drawn]
        axes.plot(xs, ys, marker="o", markersize=3, color=colour, label=name)
        low, high = ([min(f) * factor for _, f in drawn], [max(f) * factor for _, f in drawn])
        axes.fill_between(xs, low, high, color=colour, alpha=0.15, lw=0)
        largest = max([largest, *high])
    ticks = sorted({point["x"] for points in curve["series"].values() for point in points})
    if curve.get("from_zero"):
        # Linear up to the first size that is not 0, logarithmic from there.
        axes.set_xscale("symlog", linthresh=next((tick for tick in ticks if tick), 1))
    else:
        axes.set_xscale("log")
    axes.set_xticks(ticks, [short(tick, 1024 if curve["x"] == "bytes" else 1000) for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel(curve["x"])
    axes.yaxis.set_major_formatter(lambda value, _: short(value))
    axes.set_ylabel(metric["title"])
    if metric.get("log") == "yes":
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: short(value))
        axes.yaxis.set_minor_formatter(lambda value, _: "")
    elif largest:
        axes.set_ylim(0, largest * 1.1)
    if len(curve["series"]) > 1:
        axes.legend(frameon=False)
    axes.grid(alpha=0.25)
