"""What costs grow with: judged on known curves, and the tables of them."""

import pytest

from benchmarks import costs, costs_report


def curve(points, **more):
    return {
        "title": "by size",
        "x": "bytes",
        "metrics": [{"name": "each", "title": "ms", "factor": "1000"}],
        "grows": ["each"],
        "from_zero": False,
        "series": {"one": points},
        **more,
    }


def found(**curves):
    return {"kind": "costs", "made": "2026-01-05T10:00:00+00:00", "machine": {}, "curves": curves}


@pytest.mark.parametrize(
    ("power", "fine"), [(0.0, True), (1.0, True), (1.1, True), (1.2, False), (2.0, False)]
)
def test_growth_is_judged_by_the_medians_of_the_rounds(power, fine):
    # The last round is far off, as rounds on a shared machine are.
    points = [{"x": x, "each": [x**power, x**power, 1000.0]} for x in (1, 10, 100)]
    (judged,) = costs.judge_growth(found(bodies=curve(points)))
    assert (judged.curve, judged.series, judged.metric) == ("bodies", "one", "each")
    assert judged.exponent == pytest.approx(power)
    assert judged.fine is fine


def test_points_that_failed_are_left_out():
    points = [{"x": 1, "each": [1.0]}, {"x": 10, "failed": ["gone"]}, {"x": 100, "each": [None, 100.0]}]
    (judged,) = costs.judge_growth(found(bodies=curve(points)))
    assert judged.exponent == pytest.approx(1)
    rows = costs_report.tables(found(bodies=curve(points))).splitlines()
    assert any(row.split()[-2:] == ["10", "failed"] for row in rows)


def test_one_point_says_nothing_about_growth():
    (judged,) = costs.judge_growth(found(bodies=curve([{"x": 1, "each": [1.0]}])))
    assert (judged.exponent, judged.fine) == (None, None)
    assert "not measured" in costs_report.tables(found(bodies=curve([{"x": 1, "each": [1.0]}])))


def test_idle_connections_are_judged_at_their_largest_number():
    points = [{"x": 500, "each": [9000.0]}, {"x": 5000, "each": [4095.0, 4000.0, 4100.0]}]
    results = found(idle=curve(points))
    assert costs.idle_costs(results) == {"one": 4095.0}
    assert costs_report.idle_rows(results)[1:] == [["one", "4,095", "yes"]]
    points[-1]["each"] = [4096.0]
    assert costs_report.idle_rows(results)[1:] == [["one", "4,096", "no"]]


def test_errors_are_shown_where_there_are_any():
    points = [{"x": 1, "each": [0.5], "errors": [0.0]}]
    assert "errors" not in costs_report.tables(found(bodies=curve(points)))
    points[0]["errors"] = [2.0, 3.0, 3.0]
    (row,) = [
        line
        for line in costs_report.tables(found(bodies=curve(points))).splitlines()
        if line.startswith("one")
    ]
    assert row.split() == ["one", "1", "500", "3"]


def test_the_page_shows_the_plots_that_there_are():
    results = found(bodies=curve([{"x": 1, "each": [0.5]}]), idle=curve([{"x": 1, "each": [0.5]}]))
    results["machine"] = {
        "processor": "Abacus",
        "cores": 2,
        "kernel": "6.1",
        "python": "CPython 3.11",
        "wrk": "4",
    }
    text = costs_report.markdown_tables(results, {"bodies": "performance/bodies.svg"})
    assert "![by size](performance/bodies.svg)" in text
    assert text.count("![") == 1
    assert "| one | 1 | 500 |" in text


def test_every_curve_can_be_tried_quickly_and_judges_what_it_measures():
    for each in costs.CURVES:
        assert set(each.few) <= set(each.xs), each.name
        assert list(each.xs) == sorted(each.xs)
        assert each.grows
    assert costs.BY_CURVE["connections"].xs[-1] == 5000
    assert costs.BY_CURVE["bodies"].xs[-1] == 64 * 1024**2
    assert costs.BY_CURVE["static"].xs[-1] == 20_000
