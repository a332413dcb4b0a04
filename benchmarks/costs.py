"""What Portway's costs grow with: throughput, latency, memory and start time along one quantity at a time.

A `Curve` is measured point by point, all of its points in turn and then again, round after round. Whatever
costs something may grow at most in proportion to that quantity: `judge_growth` tells from the results.
"""

import socket
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import client, markup_site, results
from benchmarks.footprint import time_to_response
from benchmarks.load import Request
from benchmarks.processes import busiest, without_paths
from benchmarks.results import Results
from benchmarks.run import Options, begin, prepare, say, versions
from benchmarks.servers import BY_NAME
from benchmarks.stats import growth
from benchmarks.work import Bench, Work

_APPS = "benchmarks.applications:"
_PORTWAY = BY_NAME["portway"]
#: The exponent up to which growth counts as linear; the rest is noise.
LINEAR = 1.15
#: What an idle connection may cost at most in memory. Bytes.
IDLE_LIMIT = 4096
KIB, MIB = 1024, 1024 * 1024

Figures = dict[str, float | None]
Measure = Callable[[Bench, str, int], Figures]


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve. x: the quantity; xs: where it is measured; few: where in a quick run. series: names.

    metrics: what is drawn: name, title, and for the axis factor and log. grows: metrics whose growth is
    judged; what is better when larger is not among them.
    """

    name: str
    title: str
    x: str
    xs: tuple[int, ...]
    few: tuple[int, ...]
    series: tuple[str, ...]
    metrics: tuple[Mapping[str, str], ...]
    grows: tuple[str, ...]
    measure: Measure
    from_zero: bool = False


_RATE = {"name": "rate", "title": "requests/s"}
_P99 = {"name": "p99", "title": "p99, ms", "factor": "1000"}
_THROUGHPUT = {"name": "bytes_per_second", "title": "MiB/s", "factor": str(1 / MIB)}
_EACH = {"name": "each", "title": "ms per request", "factor": "1000", "log": "yes"}


def _sampled(found: Mapping[str, Any], connections: int) -> Figures:
    """Return rate and p99, the seconds that a request takes (each) and that it adds (per_request), errors."""
    rate = found["rate"]
    return {
        "rate": rate,
        "p99": found["p99"],
        "each": connections / rate if rate else None,
        "per_request": 1 / rate if rate else None,
        "errors": float(sum(found["errors"].values())),
    }


def _connections(bench: Bench, series: str, x: int) -> Figures:
    found = bench.load(Work("", "", threads=4, connections=x), _PORTWAY)
    return _sampled(found, x)


_KINDS = {"fast": "hello", "sleeps 5 ms": "sleep", "computes 1 ms": "compute"}


def _threads(bench: Bench, series: str, x: int) -> Figures:
    asked = Work("", "", _APPS + _KINDS[series], threads=x)
    found = bench.load(asked, _PORTWAY)
    return _sampled(found, asked.connections)


def _workers(bench: Bench, series: str, x: int) -> Figures:
    # One core would hold all of them back, so they may use the load generator's too.
    if series == "markup page":
        asked = Work("", "", markup_site.APPLICATION, Request(markup_site.PAGE), 4, x, size=-1, pinned=False)
    else:
        asked = Work("", "", _APPS + _KINDS[series], threads=4, workers=x, pinned=False)
    found = bench.load(asked, _PORTWAY)
    return _sampled(found, asked.connections)


#: Clients at once where bodies are large.
_FEW_CLIENTS = 4


def _bodies(bench: Bench, series: str, x: int) -> Figures:
    if series == "upload":
        request, application, size = Request("/", "POST", body=x), _APPS + "upload", 13
    else:
        request, application, size = Request(f"/{x}"), _APPS + "download", x
    asked = Work("", "", application, request, threads=4, connections=_FEW_CLIENTS, size=size)
    found = bench.load(asked, _PORTWAY, warm=False)
    return {**_sampled(found, _FEW_CLIENTS), "bytes_per_second": found["rate"] * x}


@contextmanager
def _static_files(count: int) -> Iterator[Path]:
    """Make so many small files, a hundred in a folder, each with a content of its own."""
    with tempfile.TemporaryDirectory(prefix="portway-bench-") as name:
        root = Path(name)
        for number in range(count):
            folder = root / str(number // 100)
            if number % 100 == 0:
                folder.mkdir()
            (folder / f"file-{number}.css").write_text(f".rule-{number} {{ order: {number}; }}\n" * 20)
        yield root


def _static(bench: Bench, series: str, x: int) -> Figures:
    asked = Work("", "", request=Request("/static/0/file-0.css"), threads=4, size=-1)
    with _static_files(x) as root, tempfile.TemporaryDirectory(prefix="portway-bench-") as folder:
        env = {"PORTWAY_CMD_ARGS": f"--static /static={root}"}
        processes, port = bench.start(asked, _PORTWAY, Path(folder), env=env)
        with processes:
            raw = client.request_bytes(port, asked.request.path)
            started = time_to_response(processes, port, raw)
            sample = bench.run_load(asked, port, bench.seconds)
            memory = sum(processes.pss().values())
    return {
        "start": started,
        "memory": float(memory),
        "rate": sample.rate,
        "p99": sample.p99,
        "errors": float(sum(sample.errors.values())),
    }


def _idle(bench: Bench, series: str, x: int) -> Figures:
    """Return the memory of a worker with so many idle connections, above what it was without them."""
    asked = Work("", "", threads=4, connections=x)
    with tempfile.TemporaryDirectory(prefix="portway-bench-") as folder, ExitStack() as stack:
        processes, port = bench.start(asked, _PORTWAY, Path(folder), extra=64)
        with processes:
            bench.check(asked, processes, port)
            before = processes.cpu()
            raw = client.request_bytes(port)
            # So that what the first requests leave behind is not put down to the idle ones.
            client.closed_loop(port, raw, 64, 5.0, 5000)
            worker = busiest(before, processes.cpu())
            empty = processes.pss()[worker]
            for _ in range(x):
                connection = stack.enter_context(
                    socket.create_connection(("127.0.0.1", port), timeout=client.PATIENCE)
                )
                if series == "after a response":
                    client.ask(port, raw, 1, connection)
            # The last one to connect is the last to be accepted: its answer says that all others are in.
            last = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=client.PATIENCE))
            client.ask(port, raw, 1, last)
            full = processes.pss()[worker]
            processes.check()
    return {"memory": float(max(full - empty, 1)), "each": (full - empty) / x}


CURVES: tuple[Curve, ...] = (
    Curve(
        "connections",
        "hello, 4 threads, by the number of connections",
        "connections",
        (1, 4, 16, 64, 256, 1000, 2500, 5000),
        (1, 64, 1000),
        ("hello",),
        (_RATE, {**_P99, "log": "yes"}),
        ("p99", "per_request"),
        _connections,
    ),
    Curve(
        "threads",
        "64 connections, by the number of threads",
        "threads",
        (1, 2, 4, 8, 16, 32),
        (1, 4),
        tuple(_KINDS),
        ({**_RATE, "log": "yes"}, {**_P99, "log": "yes"}),
        ("p99", "per_request"),
        _threads,
    ),
    Curve(
        "workers",
        "64 connections, 4 threads, by the number of workers, which share all cores with the load generator",
        "workers",
        (1, 2, 3, 4),
        (1, 2),
        ("fast", "computes 1 ms", "markup page"),
        ({**_RATE, "log": "yes"}, {**_P99, "log": "yes"}),
        ("p99", "per_request"),
        _workers,
    ),
    Curve(
        "bodies",
        "4 threads, 4 connections, by the size of the body",
        "bytes",
        (0, KIB, 16 * KIB, 64 * KIB, 256 * KIB, MIB, 4 * MIB, 16 * MIB, 64 * MIB),
        (0, 64 * KIB, 4 * MIB),
        ("upload", "download"),
        (_EACH, {**_P99, "log": "yes"}, _THROUGHPUT),
        ("each", "p99"),
        _bodies,
        from_zero=True,
    ),
    Curve(
        "static",
        "a site with static files, by their number",
        "files",
        (10, 100, 1000, 5000, 20_000),
        (10, 100),
        ("static files",),
        (
            {"name": "start", "title": "start to first response, s"},
            {"name": "memory", "title": "memory of all processes, MiB", "factor": str(1 / MIB)},
            _RATE,
            _P99,
        ),
        ("start", "memory", "p99"),
        _static,
    ),
    Curve(
        "idle",
        "memory of a worker with idle connections, above that of one without",
        "idle connections",
        (500, 1000, 2500, 5000),
        (500,),
        ("after a response", "nothing sent"),
        (
            {"name": "memory", "title": "MiB", "factor": str(1 / MIB)},
            {"name": "each", "title": "bytes per connection"},
        ),
        ("memory",),
        _idle,
    ),
)

BY_CURVE = {curve.name: curve for curve in CURVES}


@dataclass(frozen=True, slots=True)
class Growth:
    """How a cost grows. exponent: 1 is in proportion, None if it is not known; fine: no faster than that."""

    curve: str
    series: str
    metric: str
    exponent: float | None
    fine: bool | None = field(default=None)


def judge_growth(found: Results) -> list[Growth]:
    """Return for each cost of each curve how fast it grows, by the medians of its rounds."""
    judged = []
    for name, curve in found["curves"].items():
        for series, points in curve["series"].items():
            for metric in curve["grows"]:
                medians = [
                    (float(point["x"]), median(known))
                    for point in points
                    if (known := [v for v in point.get(metric, []) if v is not None])
                ]
                exponent = growth(medians)
                fine = None if exponent is None else exponent <= LINEAR
                judged.append(Growth(name, series, metric, exponent, fine))
    return judged


def idle_costs(found: Results) -> dict[str, float]:
    """Return the bytes that an idle connection costs, by kind, at the largest number of them."""
    curve = found["curves"].get("idle")
    if curve is None:
        return {}
    return {
        series: median(points[-1]["each"])
        for series, points in curve["series"].items()
        if points and points[-1].get("each")
    }


def run_costs(options: Options, curves: Sequence[Curve]) -> tuple[Results, Path]:
    """Measure the curves; return the results and the file that they are in."""
    with tempfile.TemporaryDirectory(prefix="portway-bench-") as folder:
        bench, cores = prepare(options, Path(folder))
        found = begin(options, "costs", cores, versions([_PORTWAY]))
        found["curves"] = {}
        path = options.output / f"{results.stem('costs', datetime.now())}.json"
        try:
            for curve in curves:
                found["curves"][curve.name] = _measure(bench, curve, options)
                results.write(found, path)
        finally:
            bench.close()
    return found, path


def _measure(bench: Bench, curve: Curve, options: Options) -> dict[str, Any]:
    xs = curve.few if options.quick else curve.xs
    series: dict[str, list[dict[str, Any]]] = {name: [{"x": x} for x in xs] for name in curve.series}
    for number in range(options.rounds):
        for name, points in series.items():
            for point in points:
                _add_point(bench, curve, name, point)
                say(f"{curve.name} round {number + 1}/{options.rounds} {name}: {_last(point)}")
    return {
        "title": curve.title,
        "x": curve.x,
        "metrics": [dict(metric) for metric in curve.metrics],
        "grows": list(curve.grows),
        "from_zero": curve.from_zero,
        "series": series,
    }


def _add_point(bench: Bench, curve: Curve, series: str, point: dict[str, Any]) -> None:
    try:
        figures = curve.measure(bench, series, point["x"])
    except Exception as error:  # the other points are measured all the same
        point.setdefault("failed", []).append(without_paths(f"{type(error).__name__}: {error}")[:300])
        return
    for metric, value in figures.items():
        point.setdefault(metric, []).append(value)


def _last(point: Mapping[str, Any]) -> str:
    newest = {name: found[-1] for name, found in point.items() if isinstance(found, list)}
    shown = [f"{name} {value:.4g}" for name, value in newest.items() if isinstance(value, (int, float))]
    return f"{point['x']}: {', '.join(shown) or newest.get('failed', 'nothing')}"
