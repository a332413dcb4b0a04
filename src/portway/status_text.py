"""The status of a server as people read it: pure functions of the answer to `status`.

What comes from clients and applications (paths, messages) is shown without anything that a terminal would
obey.
"""

from collections.abc import Iterator, Sequence
from typing import Any

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))
_COLUMNS = ("nr", "process", "state", "generation", "age", "requests", "busy", "queue", "memory")


def status_text(status: dict[str, Any]) -> str:
    """Return the whole status, in lines."""
    trial = f", {status['trial']} is on trial" if status["trial"] else ""
    workers = status["workers"]
    ready = sum(worker["state"] == "ready" for worker in workers)
    facts = [
        ("serves", status["application"]),
        ("listens on", ", ".join(status["listening"])),
        ("generation", f"{status['generation']}{trial}"),
        ("workers", f"{ready} ready, {status['wanted']} wanted"),
        ("requests", f"{status['totals']['requests']}, {status['totals']['errors']} failed"),
        ("up", duration(status["uptime"])),
        ("version", f"{status['version']}, {status['build']}"),
    ]
    lines = [f"running, process {status['pid']}, {status['state']}"]
    lines += [f"  {reason}" for reason in status["reasons"]]
    lines += [f"{name:11} {value}" for name, value in facts]
    if status["failure"] is not None:
        lines += ["", f"The last reload failed {duration(status['failure']['age'])} ago:"]
        lines += [f"  {line}" for line in status["failure"]["report"].split("\n")]
    if workers:
        lines += ["", *table([_COLUMNS, *map(_row, workers)])]
    return "\n".join(map(printable, lines))


def workers_text(status: dict[str, Any]) -> str:
    """Return what each worker and each of its busy threads is doing, in lines."""
    lines = []
    for worker in status["workers"]:
        waiting = f", {worker['queue']} requests wait" if worker["queue"] else ""
        lines.append(
            f"worker {worker['nr']} (process {worker['pid']}, {worker['state']}, "
            f"generation {worker['generation']}): {worker['busy']} of {worker['threads']} threads busy{waiting}"
        )
        longest_first = sorted(worker["doing"], key=lambda thread: -float(thread["seconds"]))
        lines += table(
            [
                (f"  thread {t['thread']}", f"{t['seconds']:.1f} s", f"{t['method']} {t['path']}")
                for t in longest_first
            ]
        )
    return "\n".join(map(printable, lines))


def duration(seconds: float) -> str:
    """Return a time as its two greatest units: "3 d 4 h", "12 min 5 s", "0 s"."""
    left = int(seconds)
    parts: list[str] = []
    for size, unit in _UNITS:
        if left >= size or parts:
            parts.append(f"{left // size} {unit}")
            left %= size
        if len(parts) == 2:
            break
    return " ".join(part for part in parts if part[0] != "0") or "0 s"


def size(bytes_: int | None) -> str:
    """Return a size of memory, "?" for an unknown one."""
    return "?" if bytes_ is None else f"{bytes_ / 1024**2:.1f} MiB"


def printable(text: str) -> str:
    """Return a line with escapes for what is not printable."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the rows with their cells below each other."""
    widths = [max(len(printable(cell)) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(
            f"{printable(cell):{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()


def _row(worker: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(worker["nr"]),
        str(worker["pid"] or "-"),
        worker["state"],
        str(worker["generation"]),
        duration(worker["age"]),
        str(worker["requests"]),
        f"{worker['busy']}/{worker['threads']}",
        str(worker["queue"]),
        size(worker["memory"]),
    )
