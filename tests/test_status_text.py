"""The status as people read it."""

from typing import Any

import pytest

from portway.status_text import duration, printable, size, status_text, table, workers_text

WORKER = {
    "nr": 0,
    "pid": 5120,
    "state": "ready",
    "generation": 3,
    "age": 7860.5,
    "memory": 64277709,
    "requests": 31202,
    "connections": 3,
    "queue": 0,
    "threads": 4,
    "busy": 0,
    "doing": [],
}

STATUS: dict[str, Any] = {
    "state": "ready",
    "reasons": [],
    "pid": 4711,
    "version": "0.1.0",
    "build": "compiled, CPython 3.13.5",
    "uptime": 525600.0,
    "application": "mysite.wsgi",
    "listening": ["http://127.0.0.1:8000", "unix:/run/mysite.sock"],
    "generation": 3,
    "trial": 0,
    "wanted": 2,
    "failure": None,
    "totals": {"requests": 184220, "errors": 3},
    "workers": [WORKER],
}


def test_the_whole_status() -> None:
    starting = {**WORKER, "nr": 10, "pid": 0, "state": "asked", "memory": None, "threads": 0}
    status = {**STATUS, "trial": 4, "workers": [WORKER, starting]}
    assert status_text(status).splitlines() == [
        "running, process 4711, ready",
        "serves      mysite.wsgi",
        "listens on  http://127.0.0.1:8000, unix:/run/mysite.sock",
        "generation  3, 4 is on trial",
        "workers     1 ready, 2 wanted",
        "requests    184220, 3 failed",
        "up          6 d 2 h",
        "version     0.1.0, compiled, CPython 3.13.5",
        "",
        "nr  process  state  generation  age         requests  busy  queue  memory",
        "0   5120     ready  3           2 h 11 min  31202     0/4   0      61.3 MiB",
        "10  -        asked  3           2 h 11 min  31202     0/0   0      ?",
    ]


def test_a_degraded_server() -> None:
    failure = {
        "summary": "Not reloaded: x",
        "report": "Not reloaded: x\n  File\nHint: y",
        "at": 1,
        "age": 61.0,
    }
    status = {
        **STATUS,
        "state": "degraded",
        "reasons": ["Not reloaded: x"],
        "failure": failure,
        "workers": [],
    }
    lines = status_text(status).splitlines()
    assert lines[:2] == ["running, process 4711, degraded", "  Not reloaded: x"]
    assert lines[-5:] == [
        "",
        "The last reload failed 1 min 1 s ago:",
        "  Not reloaded: x",
        "    File",
        "  Hint: y",
    ]


def test_what_workers_do() -> None:
    doing = [
        {"thread": 0, "method": "GET", "path": "/", "seconds": 0.12},
        {"thread": 2, "method": "POST", "path": "/reports/2026", "seconds": 18.2},
    ]
    busy = {**WORKER, "busy": 2, "queue": 5, "doing": doing}
    assert workers_text({"workers": [busy, {**WORKER, "nr": 1}]}).splitlines() == [
        "worker 0 (process 5120, ready, generation 3): 2 of 4 threads busy, 5 requests wait",
        "  thread 2  18.2 s  POST /reports/2026",
        "  thread 0  0.1 s   GET /",
        "worker 1 (process 5120, ready, generation 3): 0 of 4 threads busy",
    ]


def test_a_client_cannot_write_to_the_terminal() -> None:
    doing = [{"thread": 0, "method": "GET", "path": "/\x1b[2J\x9b1m\r\n\u2028x\xe4", "seconds": 1}]
    text = workers_text({"workers": [{**WORKER, "doing": doing}]})
    assert text.splitlines()[1] == "  thread 0  1.0 s  GET /\\x1b[2J\\x9b1m\\r\\n\\u2028x\xe4"
    failure = {"summary": "", "report": "a\x1b]0;b\x07", "at": 1, "age": 1}
    assert "\x1b" not in status_text({**STATUS, "failure": failure})


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (0.9, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (3599, "59 min 59 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (3601, "1 h"),
        (86400 * 30 + 7200, "30 d 2 h"),
        (600, "10 min"),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_small_things() -> None:
    assert size(0) == "0.0 MiB"
    assert printable("a b\t") == "a b\\t"
    assert list(table([])) == []
