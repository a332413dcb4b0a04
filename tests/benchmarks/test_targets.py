"""What must be reached, on known rounds."""

import pytest

from benchmarks import targets, work


def verdict(rounds, name, words):
    found = [each for each in targets.judge({name: rounds}) if each.work == name and words in each.text]
    assert len(found) == 1, found
    return found[0]


def rates(**figures):
    return {name.replace("_", "-"): {"rate": value} for name, value in figures.items()}


def test_every_target_is_about_work_that_is_measured():
    assert {target.work for target in targets.TARGETS} <= set(work.BY_NAME)


def test_nothing_is_reached_by_measuring_nothing():
    for rounds in ({}, {"hello-1": []}, {"hello-1": [{"portway": {"failed": "gone"}}]}):
        assert {each.answer for each in targets.judge(rounds)} == {"not measured"}


@pytest.mark.parametrize(("own", "met"), [(94.0, False), (95.0, True), (140.0, True)])
def test_the_faster_of_two_counts(own, met):
    rounds = [rates(portway=own, fastpysgi=100.0, bjoern=10.0)]
    found = verdict(rounds, "hello-1", "FastPySGI and bjoern")
    assert found.reached == pytest.approx(own / 100)
    assert found.met is met
    assert found.answer == ("yes" if met else "no")


def test_the_median_of_the_ratios_counts():
    rounds = [
        rates(portway=100.0, granian=100.0),
        rates(portway=10.0, granian=5.0),
        rates(portway=13.0, granian=10.0),
    ]
    found = verdict(rounds, "hello-4", "Granian's")
    assert found.reached == pytest.approx(1.3)
    assert found.met


@pytest.mark.parametrize(("own", "met"), [(0.019, True), (0.021, False)])
def test_a_latency_may_not_be_above_its_bound(own, met):
    rounds = [{"portway": {"p99": own}, "fastpysgi": {"p99": 0.01}}]
    assert verdict(rounds, "hello-4", "p99").met is met


@pytest.mark.parametrize(("own", "met"), [(1551.0, False), (1552.0, True)])
def test_the_sleeping_application_has_a_rate_to_reach(own, met):
    found = verdict([rates(portway=own)] * 3, "sleep-8", "1,600/s")
    assert found.reached == own
    assert found.met is met


def test_the_mixture_is_compared_with_itself():
    rounds = [{"portway": {"rate": 89.0, "p99": 0.02, "alone": {"rate": 100.0, "p99": 0.01}}}]
    assert verdict(rounds, "mixture-1", "rate").met is False
    assert verdict(rounds, "mixture-1", "p99").met is True


@pytest.mark.parametrize(
    ("name", "metric", "other", "own", "theirs", "met"),
    [
        ("memory-1", "worker_pss", "gunicorn-gthread", 50, 50, True),
        ("memory-1", "worker_pss", "gunicorn-gthread", 51, 50, False),
        ("start-2", "first_response", "gunicorn-gthread", 1.1, 1.0, False),
        ("instructions-1", "instructions", "fastpysgi", 13_000, 10_000, True),
        ("instructions-1", "instructions", "fastpysgi", 13_001, 10_000, False),
    ],
)
def test_costs(name, metric, other, own, theirs, met):
    rounds = [{"portway": {metric: own}, other: {metric: theirs}}]
    (found,) = [each for each in targets.judge({name: rounds}) if each.work == name]
    assert found.met is met
