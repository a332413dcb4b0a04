"""Counts the instructions that a request costs in user space, by callgrind.

The server runs under valgrind twice, with different numbers of requests over one kept-alive connection; the
difference of the counts divided by the difference of the numbers is what a request costs, without the start.
Unlike times, these figures hardly depend on who else uses the machine.
"""

import re
import shutil
import socket
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import client
from benchmarks.processes import ServerFailedError, busiest
from benchmarks.servers import Server

if TYPE_CHECKING:
    from benchmarks.work import Bench, Work

FEW, MANY = 1000, 5000
#: Seconds for a start and for an end under valgrind, which takes fifty times as long as without it.
SLOW_START, SLOW_STOP = 300.0, 120.0


def measure_instructions(bench: "Bench", work: "Work", server: Server) -> dict[str, Any]:
    """Return the instructions of one request, and the counts that it was computed from."""
    if shutil.which("valgrind") is None:
        raise ServerFailedError("valgrind is not installed")
    few, many = (FEW // 10, MANY // 10) if bench.quick else (FEW, MANY)
    counts = {number: count(bench, work, server, number) for number in (few, many)}
    return {
        "instructions": (counts[many] - counts[few]) / (many - few),
        "counts": {str(number): counted for number, counted in counts.items()},
    }


def count(bench: "Bench", work: "Work", server: Server, requests: int) -> int:
    """Return the instructions that the process which serves executes in its whole life."""
    with tempfile.TemporaryDirectory(prefix="portway-bench-") as name:
        folder = Path(name)
        # Python's own hash seeds differ from run to run, and with them the order of sets and dicts.
        around = (
            *("env", "PYTHONHASHSEED=0", "valgrind", "--tool=callgrind", "--trace-children=yes"),
            *(f"--callgrind-out-file={folder}/count.%p", f"--log-file={folder}/valgrind.%p"),
        )
        processes, port = bench.start(work, server, folder, around=around)
        with processes:
            processes.wait_for_port(port, SLOW_START, every=0.1)
            raw = client.request_bytes(port, work.request.path)
            with socket.create_connection(("127.0.0.1", port), timeout=SLOW_START) as connection:
                client.ask(port, raw, 1, connection)
                before = processes.cpu()
                client.ask(port, raw, requests, connection)
                after = processes.cpu()
            processes.check()
            pid = busiest(before, after)
            processes.stop(seconds=SLOW_STOP)
        return read_total(folder / f"count.{pid}")


def read_total(path: Path) -> int:
    """Return the total of a file that callgrind wrote. Raises ServerFailedError if it has none."""
    try:
        text = path.read_text("utf-8", "replace")
    except OSError:
        raise ServerFailedError("callgrind wrote nothing: the process did not end by itself") from None
    found = re.findall(r"^(?:summary|totals): (\d+)", text, re.MULTILINE)
    if not found:
        raise ServerFailedError(f"{path.name} has no total")
    return max(int(number) for number in found)
