"""A run of the comparison: for each work all servers in turn, then again, round after round.

Every second round goes through the servers backwards, so that none is always measured right after the same
other. The results file is written after each work.
"""

import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import install_peers, machine, results
from benchmarks.load import Generator
from benchmarks.results import Results
from benchmarks.servers import Server
from benchmarks.stats import value
from benchmarks.work import Bench, Work

#: Seconds beside the measurement itself: start, check, a second of warming up, end.
_AROUND = 2.5


@dataclass(frozen=True, slots=True)
class Options:
    """What a run is asked for. seconds: of load for each measurement. output: the folder for its files."""

    servers: Sequence[Server]
    work: Sequence[Work]
    rounds: int
    seconds: int
    quick: bool
    load: str
    output: Path


def say(text: str) -> None:
    """Tell the operator how far it is, apart from the report on standard output."""
    print(text, file=sys.stderr, flush=True)


def versions(servers: Sequence[Server]) -> dict[str, dict[str, str]]:
    """Return what is known of each server: its version, or why it is missing."""
    failures = install_peers.remembered()
    known = {}
    for server in servers:
        version = server.version()
        if version:
            known[server.name] = {"title": server.title, "version": version}
            continue
        why = [reason for name, reason in failures.items() if server.name.startswith(name.split("_")[0])]
        known[server.name] = {"title": server.title, "missing": why[0] if why else "it is not installed"}
    return known


def order(servers: Sequence[Server], number: int) -> list[Server]:
    """Return the servers in the order of the round with this number."""
    return list(servers) if number % 2 == 0 else list(reversed(servers))


def begin(options: Options, kind: str, cores: machine.Cores, known: dict[str, dict[str, str]]) -> Results:
    """Return the head of a results file."""
    return {
        "kind": kind,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine.describe(cores),
        "options": {
            "rounds": options.rounds,
            "seconds": options.seconds,
            "quick": options.quick,
            "load": options.load,
        },
        "servers": known,
    }


def prepare(options: Options, folder: Path) -> tuple[Bench, machine.Cores]:
    """Pin this process, and with it all clients, to the load core; return what measures."""
    machine.raise_limits()
    cores = machine.choose_cores()
    os.sched_setaffinity(0, {cores.load})
    if not cores.apart:
        say("This machine has one core: servers and load share it, and ratios mean less.")
    return Bench(cores, Generator(options.load, cores.load, folder), options.seconds, options.quick), cores


def run(options: Options) -> tuple[Results, Path]:
    """Measure everything that was asked for; return the results and the file that they are in."""
    with tempfile.TemporaryDirectory(prefix="portway-bench-") as folder:
        bench, cores = prepare(options, Path(folder))
        known = versions(options.servers)
        found = begin(options, "bench", cores, known)
        found["work"] = {}
        path = options.output / f"{results.stem('bench', datetime.now())}.json"
        present = [server for server in options.servers if "version" in known[server.name]]
        _announce(options, present, known)
        try:
            for each in options.work:
                takers = [server for server in present if each.takes(server)]
                if not takers:
                    continue
                found["work"][each.name] = {
                    "title": each.title,
                    "headline": each.headline,
                    "unit": each.unit,
                    "better": each.better,
                    "rounds": _rounds(bench, each, takers, options.rounds),
                }
                results.write(found, path)
        finally:
            bench.close()
    return found, path


def _announce(options: Options, present: Sequence[Server], known: dict[str, dict[str, str]]) -> None:
    for server in known.values():
        if "missing" in server:
            say(f"{server['title']} is left out: {server['missing']}")
    count = sum(each.takes(server) for each in options.work for server in present) * options.rounds
    minutes = count * (options.seconds + (0.5 if options.quick else _AROUND)) / 60
    say(f"{count} measurements, about {minutes:.0f} minutes or more.")


def _rounds(bench: Bench, each: Work, servers: Sequence[Server], count: int) -> list[dict[str, Any]]:
    rounds: list[dict[str, Any]] = []
    for number in range(count):
        measured: dict[str, Any] = {}
        for server in order(servers, number):
            began = time.monotonic()
            measured[server.name] = bench.measure(each, server)
            headline = value(measured[server.name], each.headline)
            text = measured[server.name].get("failed") or f"{headline:,.6g} {each.unit}"
            say(
                f"{each.name} round {number + 1}/{count} {server.name}: {text} "
                f"({time.monotonic() - began:.1f} s)"
            )
        rounds.append(measured)
    return rounds
