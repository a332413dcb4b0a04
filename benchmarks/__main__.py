"""The command `python -m benchmarks`, which `make bench` and `make bench-costs` call; see --help."""

import argparse
import json
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from benchmarks import costs, costs_report, load, plots, report, results, run, servers, work
from benchmarks.results import NoResultsError, Results

_T = TypeVar("_T")
_PAGE = servers.ROOT / "docs" / "explanation" / "performance.md"
_README = servers.ROOT / "README.md"
_README_SECTION, _README_BEFORE = "## How fast", "## What it replaces"


def _chosen(text: str, known: "dict[str, _T] | Any", what: str) -> list[_T]:
    """Return the things that a comma list names. Raises argparse.ArgumentTypeError."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    wrong = [name for name in names if name not in known]
    if wrong or not names:
        allowed = ", ".join(known)
        raise argparse.ArgumentTypeError(f"unknown {what} {', '.join(wrong)!r}; known are {allowed}")
    return [known[name] for name in names]


def _bounded(low: int, high: int) -> Any:
    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"it must be between {low} and {high}")
        return number

    return parse


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measures Portway side by side with other servers."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    comparison = commands.add_parser("run", help="measure the servers side by side (the default)")
    growing = commands.add_parser("costs", help="measure what Portway's costs grow with")
    comparison.add_argument(
        "--servers",
        type=lambda text: _chosen(text, servers.BY_NAME, "servers"),
        default=list(servers.SERVERS),
        help=f"a comma list of: {', '.join(servers.BY_NAME)}",
    )
    comparison.add_argument(
        "--work",
        type=lambda text: _chosen(text, work.BY_NAME, "work"),
        default=list(work.WORK),
        help=f"a comma list of: {', '.join(work.BY_NAME)}",
    )
    growing.add_argument(
        "--curves",
        type=lambda text: _chosen(text, costs.BY_CURVE, "curves"),
        default=list(costs.CURVES),
        help=f"a comma list of: {', '.join(costs.BY_CURVE)}",
    )
    for each in (comparison, growing):
        each.add_argument("--rounds", type=_bounded(1, 50), default=3, help="how often all are measured (3)")
        each.add_argument(
            "--seconds", type=_bounded(1, 60), default=3, help="seconds of load for each measurement (3)"
        )
        each.add_argument("--quick", action="store_true", help="one round of one second: a try")
        each.add_argument("--load", choices=("wrk", "own"), default="wrk", help="the load generator (wrk)")
        each.add_argument(
            "--output", type=Path, default=results.FOLDER, help="the folder for results (benchmarks/results)"
        )
        each.add_argument("--no-plot", action="store_true", help="draw nothing")
    again = commands.add_parser(
        "again",
        help="replace the work of a results file by that of a later one, in which it was measured again",
    )
    again.add_argument("file", type=Path, help="the results file that is changed")
    again.add_argument("later", type=Path, help="the results file with the newer figures")
    for name, text in (
        ("show", "print the tables of a results file"),
        ("readme", "put the short table of a results file into README.md"),
        ("docs", "put the tables and plots of results files into docs/explanation/performance.md"),
    ):
        reading = commands.add_parser(name, help=text)
        reading.add_argument("file", type=Path, nargs="?", help="the results file; the newest without it")
        if name == "readme":
            reading.add_argument("--target", type=Path, default=_README)
        if name == "docs":
            reading.add_argument("--costs", type=Path, help="the file of costs; the newest without it")
            reading.add_argument("--target", type=Path, default=_PAGE)
    return parser


def _options(arguments: argparse.Namespace) -> run.Options:
    quick = arguments.quick
    return run.Options(
        getattr(arguments, "servers", ()),
        getattr(arguments, "work", ()),
        1 if quick else arguments.rounds,
        1 if quick else arguments.seconds,
        quick,
        arguments.load,
        arguments.output,
    )


def _draw(arguments: argparse.Namespace, found: Results, path: Path) -> None:
    if arguments.no_plot:
        return
    try:
        if found["kind"] == "bench":
            plots.plot_bench(found, path.with_suffix(".svg"))
        else:
            plots.plot_costs(found, path.parent, path.stem)
    except plots.NoPlotsError as error:
        run.say(str(error))


def _text(found: Results) -> str:
    if found["kind"] == "costs":
        return costs_report.tables(found)
    return f"{report.table(found)}\n\n{report.verdicts(found)}"


def _measure(arguments: argparse.Namespace) -> int:
    if arguments.load == "wrk" and not load.available():
        run.say("wrk is missing: run benchmarks/install-tools, or use --load own for a rough figure.")
        return 1
    options = _options(arguments)
    if arguments.command == "costs":
        found, path = costs.run_costs(options, arguments.curves)
    else:
        found, path = run.run(options)
    print(_text(found))
    _draw(arguments, found, path)
    run.say(f"The results are in {path}")
    return 0


def _write(arguments: argparse.Namespace) -> int:
    path = arguments.file or results.newest("bench")
    bench = results.read(path)
    if arguments.command == "readme":
        changed = report.write_between(
            arguments.target, "benchmarks", report.short_table(bench), _README_SECTION, _README_BEFORE
        )
    else:
        plot = _copy(path.with_suffix(".svg"), arguments.target, "comparison")
        changed = report.write_between(arguments.target, "benchmarks", report.full_tables(bench, plot))
        changed |= _write_costs(arguments)
    print(f"{arguments.target} {'has changed' if changed else 'was up to date'}")
    return 0


def _copy(plot: Path, page: Path, name: str) -> str:
    """Put a plot beside the page, as pages are built from their own folder; return its name there, or ""."""
    if not plot.exists():
        return ""
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    shutil.copyfile(plot, folder / f"{name}.svg")
    return f"{folder.name}/{name}.svg"


def _write_costs(arguments: argparse.Namespace) -> bool:
    try:
        path = arguments.costs or results.newest("costs")
    except NoResultsError as error:
        run.say(str(error))
        return False
    found = results.read(path)
    copies = {
        name: _copy(path.with_name(f"{path.stem}-{name}.svg"), arguments.target, name)
        for name in found["curves"]
    }
    shown = {name: copy for name, copy in copies.items() if copy}
    return report.write_between(arguments.target, "costs", costs_report.markdown_tables(found, shown))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status: 0 done, 1 something is missing, 2 a wrong argument."""
    # TERM unwinds like Ctrl-C, so that servers are ended.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    words = sys.argv[1:] if argv is None else list(argv)
    if not words or (words[0].startswith("-") and words[0] not in ("-h", "--help")):
        words.insert(0, "run")
    arguments = _parser().parse_args(words)
    try:
        if arguments.command == "show":
            print(_text(results.read(arguments.file or results.newest("bench"))))
            return 0
        if arguments.command == "again":
            found = results.read(arguments.file)
            replaced = results.replace_work(found, results.read(arguments.later))
            arguments.file.write_text(json.dumps(found, indent=1) + "\n")
            print(f"{arguments.file}: {', '.join(replaced)}")
            return 0
        if arguments.command in ("readme", "docs"):
            return _write(arguments)
        return _measure(arguments)
    except (NoResultsError, LookupError, OSError, ValueError) as error:
        run.say(f"benchmarks: {error}")
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


if __name__ == "__main__":
    sys.exit(main())
