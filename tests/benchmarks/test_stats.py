"""The arithmetic, on numbers small enough to check by hand."""

import pytest

from benchmarks import stats

ROUNDS = [
    {"portway": {"rate": 100.0, "p99": 0.010}, "fastpysgi": {"rate": 80.0}, "bjoern": {"rate": 50.0}},
    {"portway": {"rate": 10.0, "p99": 0.020}, "fastpysgi": {"rate": 20.0}, "bjoern": {"rate": 5.0}},
    {"portway": {"rate": 60.0, "p99": 0.030}, "fastpysgi": {"failed": "gone"}, "bjoern": {"rate": 20.0}},
]


def test_spread():
    assert stats.spread([3.0, 1.0, 2.0]) == stats.Spread(2.0, 1.0, 3.0, 3)
    assert stats.spread([4.0, 1.0]) == stats.Spread(2.5, 1.0, 4.0, 2)
    assert stats.spread([]) is None


def test_values_leave_out_rounds_that_failed():
    assert stats.values(ROUNDS, "fastpysgi", "rate") == [80.0, 20.0]
    assert stats.values(ROUNDS, "nobody", "rate") == []


def test_a_figure_that_is_not_known_is_none():
    assert stats.value({"rate": 1, "p99": None}, "p99") is None
    assert stats.value({"alone": {"p99": 0.5}}, "alone.p99") == 0.5
    assert stats.value({"alone": 3}, "alone.p99") is None
    assert stats.value(None, "rate") is None


def test_ratios_are_taken_within_rounds_with_the_best_of_the_others():
    # 100/80, 10/20, and 60/20, as one of the two has failed in the third round. The ratio of the medians
    # would be 60/50.
    assert stats.ratios(ROUNDS, "rate", "portway", ["fastpysgi", "bjoern"]) == [1.25, 0.5, 3.0]
    assert stats.ratios(ROUNDS, "rate", "portway", ["fastpysgi", "bjoern"], min) == [2.0, 2.0, 3.0]
    assert stats.ratios(ROUNDS, "rate", "portway", ["fastpysgi"]) == [1.25, 0.5]


def test_a_round_whose_divisor_is_zero_is_left_out():
    rounds = [{"portway": {"rate": 5.0}, "granian": {"rate": 0.0}}]
    assert stats.ratios(rounds, "rate", "portway", ["granian"]) == []
    assert (
        stats.ratios_within(
            [{"portway": {"rate": 1.0, "alone": {"rate": 0}}}], "portway", "rate", "alone.rate"
        )
        == []
    )


def test_ratios_of_two_figures_of_the_same_server():
    rounds = [{"portway": {"rate": 90.0, "alone": {"rate": 100.0}}}, {"portway": {"rate": 50.0}}]
    assert stats.ratios_within(rounds, "portway", "rate", "alone.rate") == [0.9]


@pytest.mark.parametrize("power", [0.0, 0.5, 1.0, 2.0])
def test_exponent_of_a_power(power):
    assert stats.exponent([(x, 7 * x**power) for x in (1, 10, 100, 1000)]) == pytest.approx(power, abs=1e-9)


def test_exponent_needs_two_sizes():
    assert stats.exponent([(1, 2)]) is None
    assert stats.exponent([(0, 2), (5, 3), (5, 4)]) is None
    assert stats.exponent([]) is None


def test_growth_sees_what_begins_late():
    points = [(1, 1), (2, 1), (4, 1), (8, 1), (16, 1), (32, 4), (64, 16)]
    assert stats.exponent(points) < 1
    assert stats.growth(reversed(points)) == pytest.approx(2)


def test_growth_is_that_of_all_points_where_the_last_are_flat():
    points = [(1, 1), (10, 100), (100, 10_000), (1000, 10_000), (10_000, 10_000)]
    assert stats.growth(points) == pytest.approx(stats.exponent(points))
