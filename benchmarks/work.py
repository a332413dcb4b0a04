"""What is measured: each `Work` is an application, a way of asking, and the figures that come of it.

A `Bench` carries out one work on one server, from start to end of its processes, and returns a plain dict for
the results file. It decides nothing about rounds, ratios or reports.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import client, hangers, markup_site
from benchmarks.applications import DOWNLOAD
from benchmarks.load import Generator, Request, Sample
from benchmarks.machine import Cores
from benchmarks.markup_site import Site
from benchmarks.processes import Processes, ServerFailedError, free_port, without_paths
from benchmarks.servers import ROOT, Launch, Server

#: How many of each kind of hanging client: see benchmarks.hangers.
CROWD = {hangers.IDLE: 500, hangers.ONE_BYTE: 200, hangers.STALLED: 50, hangers.DEAF: 50}

#: Seconds that a server may take for its first answers.
CHECK = 15.0

#: What a browser sends; with Host it makes twenty fields.
BROWSER_FIELDS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.7,de;q=0.3",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Referer": "http://127.0.0.1/posts/",
    "DNT": "1",
    "Sec-GPC": "1",
    "Cookie": "session=6b1f0e5c2d; theme=dark; csrftoken=Zk3mQ0pV9aX2",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Priority": "u=0, i",
    "Pragma": "no-cache",
    "Cache-Control": "no-cache",
    "If-Modified-Since": "Mon, 05 Jan 2026 10:00:00 GMT",
    "If-None-Match": '"5f3c1b0a9e8d7c6b"',
    "X-Request-Id": "0f8fad5b-d9cb-469f-a165-70867728950e",
}


@dataclass(frozen=True, slots=True)
class Work:
    """One row of the comparison.

    measure: the method of Bench that does it. size: what the body must measure, -1 for any. servers: who
    takes part, () for all that run an application. fixed: Nginx's fixed answer takes part too. headline: the
    metric the table shows, with its unit; better: "higher" or "lower". pinned: the server has one core.
    """

    name: str
    title: str
    application: str = "benchmarks.applications:hello"
    request: Request = field(default_factory=Request)
    threads: int = 1
    workers: int = 1
    connections: int = 64
    size: int = 13
    measure: str = "load"
    servers: tuple[str, ...] = ()
    fixed: bool = False
    headline: str = "rate"
    unit: str = "requests/s"
    better: str = "higher"
    pinned: bool = True

    @property
    def needs_site(self) -> bool:
        """Tell whether the markup site is served."""
        return self.application == markup_site.APPLICATION

    def takes(self, server: Server) -> bool:
        """Tell whether the server takes part."""
        if server.runs == "fixed":
            return self.fixed
        return not self.servers or server.name in self.servers


_PAGE = Request(markup_site.PAGE)
_BIG_FOUR = ("portway", "gunicorn-gthread", "granian")
_APPS = "benchmarks.applications:"

WORK: tuple[Work, ...] = (
    Work("hello-1", "hello, 13 bytes, 1 thread", fixed=True),
    Work("hello-4", "hello, 13 bytes, 4 threads", threads=4, fixed=True),
    Work("hello-1000", "hello, 4 threads, 1,000 connections", threads=4, connections=1000, fixed=True),
    Work(
        "headers-4",
        "20 request and 10 response header fields, 4 threads",
        _APPS + "headers",
        Request(fields=BROWSER_FIELDS),
        threads=4,
    ),
    Work("markup-4", "markup post page, 4 threads", markup_site.APPLICATION, _PAGE, threads=4, size=-1),
    Work("sleep-8", "application that sleeps 5 ms, 8 threads", _APPS + "sleep", threads=8),
    Work(
        "upload-4",
        "1 MB upload, 4 threads, 16 connections",
        _APPS + "upload",
        Request(method="POST", body=1024 * 1024),
        threads=4,
        connections=16,
    ),
    Work(
        "download-4",
        "10 MB streamed download, 4 threads, 16 connections",
        _APPS + "download",
        threads=4,
        connections=16,
        size=DOWNLOAD,
    ),
    Work(
        "mixture-1",
        "hello, 1 thread, while 800 clients hang on",
        _APPS + "mixed",
        connections=64,
        measure="mixture",
    ),
    Work(
        "memory-1",
        "memory of a worker that serves markup, 4 threads",
        markup_site.APPLICATION,
        _PAGE,
        threads=4,
        size=-1,
        measure="memory",
        servers=_BIG_FOUR,
        headline="worker_pss",
        unit="bytes",
        better="lower",
    ),
    Work(
        "memory-4",
        "memory of all processes, 4 workers that serve markup, 4 threads each",
        markup_site.APPLICATION,
        _PAGE,
        threads=4,
        workers=4,
        size=-1,
        measure="memory",
        servers=_BIG_FOUR,
        headline="total_pss",
        unit="bytes",
        better="lower",
    ),
    Work(
        "start-2",
        "start to first response, markup, 2 workers, 4 threads each",
        markup_site.APPLICATION,
        _PAGE,
        threads=4,
        workers=2,
        size=-1,
        measure="start",
        servers=_BIG_FOUR,
        headline="first_response",
        unit="seconds",
        better="lower",
    ),
    Work(
        "instructions-1",
        "instructions in user space per hello request",
        measure="instructions",
        servers=("portway", "fastpysgi"),
        headline="instructions",
        unit="instructions",
        better="lower",
    ),
)

BY_NAME = {work.name: work for work in WORK}


@dataclass(slots=True)
class Bench:
    """Carries out work. quick: everything as short as it can be, to see that it works."""

    cores: Cores
    generator: Generator
    seconds: int
    quick: bool = False
    _site: Site | None = None
    _sites: "tempfile.TemporaryDirectory[str] | None" = None

    def close(self) -> None:
        """Remove what was prepared."""
        if self._sites is not None:
            self._sites.cleanup()

    def site(self) -> Site:
        """Return the markup site; it is prepared when it is first asked for. Raises SiteFailedError."""
        if self._site is None:
            self._sites = tempfile.TemporaryDirectory(prefix="portway-bench-")
            self._site = markup_site.prepare(Path(self._sites.name))
        return self._site

    def measure(self, work: Work, server: Server) -> dict[str, Any]:
        """Do one work on one server and return the figures, or {"failed": reason}."""
        # Kept apart, as each has a module of its own.
        from benchmarks.footprint import measure_memory, measure_start
        from benchmarks.instructions import measure_instructions

        ways: dict[str, Callable[[Bench, Work, Server], dict[str, Any]]] = {
            "load": Bench.load,
            "mixture": Bench._mixture,
            "memory": measure_memory,
            "start": measure_start,
            "instructions": measure_instructions,
        }
        try:
            return ways[work.measure](self, work, server)
        except Exception as error:  # a peer may fail in any way; the others are measured all the same
            return {"failed": without_paths(f"{type(error).__name__}: {error}")[:500]}

    def start(
        self,
        work: Work,
        server: Server,
        folder: Path,
        extra: int = 0,
        around: tuple[str, ...] = (),
        env: Mapping[str, str] | None = None,
    ) -> tuple[Processes, int]:
        """Start the server for the work; return its processes and port. It may not listen yet.

        extra: connections beyond those of the work. around: a command to run the server under. env: more
        variables for it.
        """
        site = self.site() if work.needs_site else None
        port = free_port()
        launch = Launch(
            work.application,
            port,
            work.threads if server.threaded else 1,
            work.connections + extra,
            folder,
            work.workers,
            {**(site.env if site else {}), **(env or {})},
        )
        return (
            Processes(
                [*around, *server.command(launch)],
                env=server.environment(launch),
                cwd=site.folder if site else folder,
                log=folder / "log",
                core=self.cores.server if work.pinned and self.cores.apart else None,
            ),
            port,
        )

    def check(self, work: Work, processes: Processes, port: int, count: int = 20) -> None:
        """Wait for the server, ask a few times and look at the answer. Raises ServerFailedError."""
        processes.wait_for_port(port)
        request = work.request
        raw = client.request_bytes(port, request.path, request.method, request.fields, request.body)
        try:
            reply = client.ask(port, raw, 1 if self.quick else count, patience=CHECK)
        except (OSError, client.ResponseError) as error:
            raise ServerFailedError(f"it does not answer ({error}): {processes.said()}") from error
        if reply.status != 200 or (work.size >= 0 and reply.size not in (work.size, -1)):
            raise ServerFailedError(f"it answered {reply.status} with {reply.size} bytes")

    def run_load(self, work: Work, port: int, seconds: int) -> Sample:
        """Make the work's load for so many seconds."""
        return self.generator.run(port, work.request, work.connections, seconds)

    def sample(self, work: Work, processes: Processes, port: int) -> dict[str, Any]:
        """Make the work's load and return what it showed, with the processor time that it cost the server."""
        before = sum(processes.cpu().values())
        sample = self.run_load(work, port, self.seconds)
        processes.check()
        used = sum(processes.cpu().values()) - before
        return {**sample.as_dict(), "cpu_each": used / sample.requests if sample.requests else None}

    def load(
        self, work: Work, server: Server, env: Mapping[str, str] | None = None, warm: bool = True
    ) -> dict[str, Any]:
        """Start the server, make the work's load, end it; return the sample. warm: a second before it."""
        with tempfile.TemporaryDirectory(prefix="portway-bench-") as folder:
            processes, port = self.start(work, server, Path(folder), env=env)
            with processes:
                self.check(work, processes, port)
                if warm and not self.quick:
                    self.run_load(work, port, 1)
                return self.sample(work, processes, port)

    def _mixture(self, work: Work, server: Server) -> dict[str, Any]:
        with tempfile.TemporaryDirectory(prefix="portway-bench-") as folder:
            processes, port = self.start(work, server, Path(folder), extra=sum(CROWD.values()))
            with processes:
                self.check(work, processes, port)
                if not self.quick:
                    self.run_load(work, port, 1)
                alone = self.sample(work, processes, port)
                with _crowd(port) as crowd:
                    # What it takes to get rid of the crowd's own requests is not what is measured.
                    if not self.quick:
                        self.run_load(work, port, 1)
                    sample = self.sample(work, processes, port)
                    counted = _dismiss(crowd)
                return {**sample, "alone": alone, "hanging": counted}


def _crowd(port: int) -> "subprocess.Popen[str]":
    """Start the hanging clients and wait until they hang."""
    numbers = [str(CROWD[kind]) for kind in hangers.KINDS]
    # Inherits the core of the benchmark, which is that of the load.
    crowd = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.hangers", str(port), *numbers],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert crowd.stdout is not None
    if crowd.stdout.readline() != "ready\n":
        crowd.kill()
        crowd.wait()
        raise ServerFailedError("the hanging clients could not connect")
    return crowd


def _dismiss(crowd: "subprocess.Popen[str]") -> dict[str, Any]:
    """End the hanging clients; return how many were open, and how often the server closed them."""
    assert crowd.stdin is not None
    assert crowd.stdout is not None
    crowd.stdin.close()
    counted: dict[str, Any] = json.loads(crowd.stdout.readline())
    crowd.wait()
    return counted
