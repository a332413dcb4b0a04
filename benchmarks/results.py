"""Results files: JSON with every single measurement of a run, so that reports can be made again from it.

    {"kind": "bench", "made": ISO time, "machine": {...}, "options": {...},
     "servers": {name: {"title", "version"} | {"title", "missing": reason}},
     "work": {name: {"title", "headline", "unit", "better", "rounds": [{server: figures}, ...]}}}

Where some kinds of work were measured again, their "rounds" are the later ones, and "measured_again" says when:
{name of the work: ISO time}. A file of costs has "curves" in place of "work": see benchmarks.costs.
"""

import json
import os
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.servers import ROOT

FOLDER = ROOT / "benchmarks" / "results"

Results = dict[str, Any]


class NoResultsError(Exception):
    """There is no results file to read."""


def stem(kind: str, made: datetime) -> str:
    """Return the name of a run's files, without their suffixes."""
    return f"{kind}-{made:%Y-%m-%d-%H%M}"


def write(results: Results, path: Path) -> None:
    """Write the file, whole or not at all: a run that is broken off leaves what it had before."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_text(json.dumps(results, indent=1) + "\n")
    os.replace(unfinished, path)


def read(path: Path) -> Results:
    """Read a results file. Raises NoResultsError."""
    try:
        loaded: Results = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise NoResultsError(f"{path} cannot be read: {error}") from error
    return loaded


def newest(kind: str, folder: Path = FOLDER) -> Path:
    """Return the newest results file of the kind. Raises NoResultsError if there is none."""
    found = sorted(folder.glob(f"{kind}-*.json"))
    if not found:
        raise NoResultsError(f"there is no {kind} file in {folder}; make one with: make {kind}")
    return found[-1]


def replace_work(bench: Results, later: Results) -> list[str]:
    """Put the work of a later run in the place of the same work of a comparison; return which work that was.

    For work that something else on the machine has disturbed. All servers of it are replaced, so that ratios are within
    one run still. Raises ValueError if a server of the first is missing in the later one.
    """
    for name, work in later["work"].items():
        measured = [
            {server for one in run["work"][name]["rounds"] for server in one} for run in (bench, later)
        ]
        if missing := sorted(measured[0] - measured[1]):
            raise ValueError(f"{name} was not measured again for {', '.join(missing)}")
        bench["work"][name] = work
        bench.setdefault("measured_again", {})[name] = later["made"]
    return list(later["work"])
