"""The same thing is said once in a while."""

from portway.observe.seldom import EVERY, Seldom


def test_each_trouble_is_told_once_in_a_while():
    now = 5.0
    seldom = Seldom(clock=lambda: now)
    assert seldom.is_due("disk")
    assert not seldom.is_due("disk")
    assert seldom.is_due("memory")
    now += EVERY - 0.5
    assert not seldom.is_due("disk")
    now += 0.5
    assert seldom.is_due("disk")
    assert not seldom.is_due("disk")
