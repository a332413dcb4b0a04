"""Makes load and measures it: wrk in a process of its own, or our own client where wrk is missing.

Both are closed loops: each connection has one request under way, and sends the next when the response is
there. So throughput is connections divided by latency, and a percentile says how long those who asked waited.
"""

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import client

#: Seconds after which a response counts as missing.
PATIENCE = 30


class LoadFailedError(Exception):
    """The load generator is missing or failed; it says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked, over and over. body: the number of bytes to send."""

    path: str = "/"
    method: str = "GET"
    fields: Mapping[str, str] = field(default_factory=dict)
    body: int = 0


@dataclass(frozen=True, slots=True)
class Sample:
    """What one run of load showed.

    rate: responses per second. p50, p99, slowest: seconds from request to response, None if there was no
    response. received: bytes. errors: how many of each kind (connect, read, write, timeout, status), only
    those that occurred.
    """

    rate: float
    p50: float | None
    p99: float | None
    slowest: float | None
    requests: int
    seconds: float
    received: int
    errors: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Return the sample for a results file."""
        return asdict(self)


# wrk calls done() once, after the measurement: nothing of this runs while it counts.
_SCRIPT = """\
wrk.method = "{method}"
{fields}
{body}
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{mark}{{"requests": %d, "microseconds": %d, "bytes": %d, ' ..
    '"p50": %.3f, "p99": %.3f, "slowest": %.3f, ' ..
    '"connect": %d, "read": %d, "write": %d, "timeout": %d, "status": %d}}\\n',
    summary.requests, summary.duration, summary.bytes,
    latency:percentile(50), latency:percentile(99), latency.max,
    e.connect, e.read, e.write, e.timeout, e.status))
end
"""
_MARK = "portway-bench: "
_ERRORS = ("connect", "read", "write", "timeout", "status")


def available() -> bool:
    """Tell whether wrk is installed."""
    return shutil.which("wrk") is not None


def _lua(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def wrk_script(request: Request) -> str:
    """Return the Lua program that has wrk send the request and print what it measured as JSON."""
    fields = "\n".join(f"wrk.headers[{_lua(k)}] = {_lua(v)}" for k, v in request.fields.items())
    body = f'wrk.body = string.rep("x", {request.body})' if request.body else ""
    return _SCRIPT.format(method=request.method, fields=fields, body=body, mark=_MARK)


def read_wrk(output: str) -> Sample:
    """Return the sample that wrk printed by our script. Raises LoadFailedError if there is none."""
    for line in reversed(output.splitlines()):
        if line.startswith(_MARK):
            said = json.loads(line.removeprefix(_MARK))
            break
    else:
        raise LoadFailedError(f"wrk said nothing that can be read: {output.strip()[-300:]}")
    seconds = said["microseconds"] / 1e6
    # wrk counts a response with an error status as a response; it is none for us.
    good = said["requests"] - said["status"]
    return Sample(
        rate=good / seconds if seconds else 0.0,
        p50=said["p50"] / 1e6 if good else None,
        p99=said["p99"] / 1e6 if good else None,
        slowest=said["slowest"] / 1e6 if good else None,
        requests=good,
        seconds=seconds,
        received=said["bytes"],
        errors={kind: said[kind] for kind in _ERRORS if said[kind]},
    )


@dataclass(frozen=True, slots=True)
class Generator:
    """Makes load from one core. kind: "wrk" or "own". folder: for the script."""

    kind: str
    core: int
    folder: Path

    def run(self, port: int, request: Request, connections: int, seconds: int) -> Sample:
        """Ask the server on the port for so long over so many connections. Raises LoadFailedError."""
        if self.kind == "own":
            raw = client.request_bytes(port, request.path, request.method, request.fields, request.body)
            return _sample_of_own(client.closed_loop(port, raw, connections, float(seconds)))
        script = self.folder / "load.lua"
        script.write_text(wrk_script(request))
        argv = ["taskset", "-c", str(self.core), "wrk", "--threads", "1", "--connections", str(connections)]
        argv += ["--duration", f"{seconds}s", "--timeout", f"{PATIENCE}s", "--script", str(script)]
        argv.append(f"http://127.0.0.1:{port}{request.path}")
        try:
            done = subprocess.run(
                argv, capture_output=True, text=True, timeout=seconds + 2 * PATIENCE, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise LoadFailedError("wrk did not end") from error
        if done.returncode:
            raise LoadFailedError(f"wrk failed: {(done.stdout + done.stderr).strip()[-300:]}")
        return read_wrk(done.stdout)


def _sample_of_own(loop: client.Loop) -> Sample:
    times = sorted(loop.times)
    return Sample(
        rate=len(times) / loop.seconds,
        p50=times[len(times) // 2] if times else None,
        p99=times[min(len(times) - 1, len(times) * 99 // 100)] if times else None,
        slowest=times[-1] if times else None,
        requests=len(times),
        seconds=loop.seconds,
        received=loop.received,
        errors=loop.errors,
    )
