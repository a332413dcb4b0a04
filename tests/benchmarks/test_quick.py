"""The whole program, as short as it can be: real servers, a results file, a report that adds up."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import load

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.functional


def benchmarks(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("kind", ["own", "wrk"])
def test_portway_and_gunicorn_say_hello(kind, tmp_path):
    if kind == "wrk" and not load.available():
        pytest.skip("wrk is not installed")
    names = "portway,gunicorn-gthread"
    done = benchmarks(
        "--quick", "--servers", names, "--work", "hello-1", "--load", kind, "--no-plot", "--output", tmp_path
    )
    assert done.returncode == 0, done.stderr
    (path,) = tmp_path.iterdir()
    found = json.loads(path.read_text())
    assert found["options"] == {"rounds": 1, "seconds": 1, "quick": True, "load": kind}
    (only,) = found["work"]["hello-1"]["rounds"]
    assert set(only) == {"portway", "gunicorn-gthread"}
    for measured in only.values():
        assert "failed" not in measured, measured
        assert measured["requests"] > 0
        assert measured["rate"] * measured["seconds"] == pytest.approx(measured["requests"])
        assert measured["errors"] == {}
    ratio = only["gunicorn-gthread"]["rate"] / only["portway"]["rate"]
    (row,) = [line for line in done.stdout.splitlines() if line.startswith("Gunicorn gthread")]
    assert f"{ratio:.2f} x" in row
    assert "hello-1" in done.stdout
    assert "not measured" in done.stdout
    shown = benchmarks("show", path)
    assert shown.stdout == done.stdout


def test_a_readme_gets_its_table(tmp_path, measured):
    path = tmp_path / "bench-2026-01-05-1000.json"
    rounds = [{"portway": {"rate": 3000.0}, "granian": {"rate": 1500.0}}]
    path.write_text(json.dumps(measured(rounds, name="hello-4")))
    readme = tmp_path / "README.md"
    readme.write_text("# It\n")
    done = benchmarks("readme", path, "--target", readme)
    assert done.returncode == 0, done.stderr
    assert "| 13 bytes, 4 threads | 3,000 | failed | 1,500 | failed |" in readme.read_text()
    assert "was up to date" in benchmarks("readme", path, "--target", readme).stdout


def test_a_page_gets_tables_and_plots(tmp_path, measured):
    bench, costs = tmp_path / "bench-2026-01-05-1000.json", tmp_path / "costs-2026-01-05-1000.json"
    bench.write_text(json.dumps(measured([{"portway": {"rate": 3000.0}}])))
    bench.with_suffix(".svg").write_text("<svg/>")
    curve = {"title": "by size", "x": "bytes", "metrics": [], "grows": [], "series": {"one": [{"x": 1}]}}
    found = {**measured([]), "kind": "costs", "curves": {"bodies": curve, "idle": curve}}
    costs.write_text(json.dumps(found))
    (tmp_path / "costs-2026-01-05-1000-idle.svg").write_text("<svg/>")
    page = tmp_path / "performance.md"
    marks = [f"<!-- {name}: {end} -->" for name in ("benchmarks", "costs") for end in ("begin", "end")]
    page.write_text("\n".join(marks))
    done = benchmarks("docs", bench, "--costs", costs, "--target", page)
    assert done.returncode == 0, done.stderr
    text = page.read_text()
    assert [mark for mark in marks if mark in text] == marks
    assert "| Portway | 3,000 |" in text
    assert "(performance/comparison.svg)" in text
    assert "(performance/idle.svg)" in text
    assert "bodies.svg" not in text
    assert sorted(path.name for path in (tmp_path / "performance").iterdir()) == [
        "comparison.svg",
        "idle.svg",
    ]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--servers", "apache"], "unknown servers 'apache'; known are portway,"),
        (["--work", ""], "known are hello-1,"),
        (["--rounds", "0"], "it must be between 1 and 50"),
        (["--seconds", "3600"], "it must be between 1 and 60"),
        (["costs", "--curves", "steepest"], "known are connections,"),
    ],
)
def test_a_wrong_argument_says_what_is_allowed(arguments, says):
    done = benchmarks(*arguments)
    assert done.returncode == 2
    assert says in done.stderr


def test_a_results_file_that_is_not_there(tmp_path):
    done = benchmarks("show", tmp_path / "nothing.json")
    assert done.returncode == 1
    assert "cannot be read" in done.stderr
