"""Plots: drawn where matplotlib is installed, and done without where it is not."""

import sys

import pytest

from benchmarks import plots

COSTS = {
    "curves": {
        "bodies": {
            "title": "by size",
            "x": "bytes",
            "from_zero": True,
            "metrics": [
                {"name": "each", "title": "ms per request", "factor": "1000", "log": "yes"},
                {"name": "rate", "title": "requests/s"},
            ],
            "series": {
                "up": [
                    {"x": 0, "each": [0.1, 0.2], "rate": [5.0]},
                    {"x": 1024, "each": [0.3], "rate": [None]},
                ],
                "down": [{"x": 1024, "failed": ["gone"]}],
            },
        }
    }
}


@pytest.mark.parametrize(
    ("value", "step", "text"),
    [(0, 1000, "0"), (250, 1000, "250"), (20_000, 1000, "20k"), (1.5e6, 1000, "1.5M"), (65_536, 1024, "64k")],
)
def test_numbers_on_an_axis_are_short(value, step, text):
    assert plots.short(value, step) == text


def test_without_matplotlib_there_is_a_reason(monkeypatch, measured, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(plots.NoPlotsError, match="not installed"):
        plots.plot_bench(measured([{"portway": {"rate": 1.0}}]), tmp_path / "plot.svg")


def test_the_same_results_make_the_same_plot(measured, tmp_path):
    pytest.importorskip("matplotlib")
    found = measured([{"portway": {"rate": 10.0}, "granian": {"rate": 5.0}}, {"portway": {"rate": 12.0}}])
    for name in ("one.svg", "two.svg"):
        plots.plot_bench(found, tmp_path / name)
    text = (tmp_path / "one.svg").read_text()
    assert "Granian" in text
    assert "requests/s, higher is better" in text
    assert text == (tmp_path / "two.svg").read_text()


def test_each_curve_has_a_plot_of_its_own(tmp_path):
    pytest.importorskip("matplotlib")
    assert plots.plot_costs(COSTS, tmp_path, "costs-1") == [tmp_path / "costs-1-bodies.svg"]
    text = (tmp_path / "costs-1-bodies.svg").read_text()
    assert "ms per request" in text
    assert ">1k<" in text


def test_nothing_measured_is_not_drawn(measured, tmp_path):
    pytest.importorskip("matplotlib")
    plots.plot_bench(measured([{"portway": {"failed": "gone"}}]), tmp_path / "plot.svg")
    assert list(tmp_path.iterdir()) == []
