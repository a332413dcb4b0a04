"""What a server weighs and how long it takes to come up, serving the markup site.

Memory is the proportional set size that the kernel reports (smaps_rollup): a page that three processes share
counts a third in each. So the figure of one worker depends on who shares its pages, and the sum over all
processes is reported beside it.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from benchmarks import client
from benchmarks.processes import START, Processes, ServerFailedError, busiest
from benchmarks.servers import Server

if TYPE_CHECKING:
    from benchmarks.work import Bench, Work

#: Requests for each worker before the memory is read: each thread has its database connection and caches then.
REQUESTS = 1000
#: Clients at once, so that all threads are used.
CLIENTS = 16
#: Starts within a round, of which the median counts; one before them leaves compiled files behind.
STARTS = 5


def measure_memory(bench: "Bench", work: "Work", server: Server) -> dict[str, Any]:
    """Serve a fixed number of requests; return the memory of a worker and of all processes, in bytes."""
    with tempfile.TemporaryDirectory(prefix="portway-bench-") as folder:
        processes, port = bench.start(work, server, Path(folder))
        with processes:
            bench.check(work, processes, port)
            before = processes.cpu()
            raw = client.request_bytes(port, work.request.path)
            count = REQUESTS // 10 if bench.quick else REQUESTS * work.workers
            client.closed_loop(port, raw, CLIENTS * work.workers, START * 4, count)
            after = processes.cpu()
            weighed = processes.pss()
            processes.check()
    if not weighed:
        raise ServerFailedError("the memory of its processes cannot be read")
    used = {pid: seconds - before.get(pid, 0.0) for pid, seconds in after.items() if pid in weighed}
    workers = sorted(used, key=lambda pid: used[pid], reverse=True)[: work.workers]
    if work.workers == 1:
        workers = [busiest(before, after)]
    return {
        "worker_pss": sum(weighed[pid] for pid in workers) / len(workers),
        "total_pss": sum(weighed.values()),
        "processes": len(weighed),
        "requests": count,
    }


def measure_start(bench: "Bench", work: "Work", server: Server) -> dict[str, Any]:
    """Start several times; return the median of the seconds until the first response was complete."""
    times = [_start_once(bench, work, server) for _ in range(1 + (1 if bench.quick else STARTS))]
    return {"first_response": median(times[1:]), "times": times[1:]}


def _start_once(bench: "Bench", work: "Work", server: Server) -> float:
    with tempfile.TemporaryDirectory(prefix="portway-bench-") as folder:
        processes, port = bench.start(work, server, Path(folder))
        with processes:
            return time_to_response(processes, port, client.request_bytes(port, work.request.path))


def time_to_response(processes: Processes, port: int, raw: bytes) -> float:
    """Return the seconds from the start of the processes to the end of the first response of status 200."""
    until = processes.started + START
    while True:
        try:
            reply = client.ask(port, raw)
        except (ConnectionError, client.ResponseError):
            processes.check()
            if time.perf_counter() > until:
                raise ServerFailedError(f"no response after {START:g} s: {processes.said()}") from None
            time.sleep(0.002)
            continue
        if reply.status != 200:
            raise ServerFailedError(f"the first response has status {reply.status}")
        return time.perf_counter() - processes.started
