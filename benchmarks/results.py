"""Results files: JSON with every single measurement of a run, so that reports can be made again from it.

    {"kind": "bench", "made": ISO time, "machine": {...}, "options": {...},
     "servers": {name: {"title", "version"} | {"title", "missing": reason}},
     "work": {name: {"title", "headline", "unit", "better", "rounds": [{server: figures}, ...]}}}

A file of costs has "curves" in place of "work": see benchmarks.costs.
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
