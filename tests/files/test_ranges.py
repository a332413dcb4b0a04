import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.files.ranges import UNSATISFIABLE, parse_range


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # RFC 9110 14.1.2: the examples, over 10,000 bytes.
        ("bytes=0-499", (0, 500)),
        ("bytes=500-999", (500, 500)),
        ("bytes=-500", (9500, 500)),
        ("bytes=9500-", (9500, 500)),
        ("bytes=0-0", (0, 1)),
        ("bytes=0-", (0, 10_000)),
        ("bytes=9999-9999", (9999, 1)),
        # A last position beyond the end is the end, a longer suffix is the whole.
        ("bytes=9990-20000", (9990, 10)),
        ("bytes=-20000", (0, 10_000)),
        ("bytes=0-" + "9" * 5000, (0, 10_000)),
        ("bytes=-" + "9" * 5000, (0, 10_000)),
        ("bytes=0000000000000000000000000005-0000000000000000000000000009", (5, 5)),
        # Range units are case-insensitive (14.1), lists may have empty members (5.6.1.2).
        ("Bytes=0-1", (0, 2)),
        ("bytes=0-1,", (0, 2)),
        ("bytes=, 0-1 ,", (0, 2)),
        # 416: the range lies outside.
        ("bytes=10000-", UNSATISFIABLE),
        ("bytes=10000-10001", UNSATISFIABLE),
        ("bytes=-0", UNSATISFIABLE),
        ("bytes=" + "9" * 5000 + "-", UNSATISFIABLE),
        # 14.1.1: an invalid range is ignored, and so is the whole set with it.
        ("bytes=500-499", None),
        ("bytes=-", None),
        ("bytes=", None),
        ("bytes=,", None),
        ("bytes", None),
        ("", None),
        ("bytes=1", None),
        ("bytes=a-b", None),
        ("bytes=0x1-2", None),
        ("bytes=1.0-2", None),
        ("bytes=+1-2", None),
        ("bytes=1-+2", None),
        ("bytes=--1", None),
        ("bytes=1--2", None),
        ("bytes=1-2-3", None),
        ("bytes=1 -2", None),
        ("bytes=1- 2", None),
        ("bytes =1-2", None),
        ("bytes:1-2", None),
        ("bytes=²-³", None),
        ("bytes=1_0-20", None),
        # 14.2: other units are ignored.
        ("items=0-5", None),
        ("seconds=1-2", None),
        # Several ranges: the whole is sent.
        ("bytes=0-1,5-6", None),
        ("bytes=0-0,-1", None),
        ("bytes=" + ",".join(f"{n}-{n}" for n in range(1000)), None),
    ],
)
def test_a_range_of_ten_thousand_bytes(value, expected):
    assert parse_range(value, 10_000) == expected


@pytest.mark.parametrize(("value", "expected"), [("bytes=0-", UNSATISFIABLE), ("bytes=0-5", UNSATISFIABLE)])
def test_nothing_of_an_empty_file_can_be_asked_for(value, expected):
    assert parse_range(value, 0) == expected


def test_the_end_of_an_empty_file_is_all_of_it():
    # Satisfiable by 14.1.2, but Content-Range cannot say "none of none": the whole, empty, is sent.
    assert parse_range("bytes=-5", 0) is None


SIZES = st.integers(min_value=0, max_value=10**12)
POSITIONS = st.integers(min_value=0, max_value=10**15)


@given(SIZES, POSITIONS, POSITIONS | st.none())
def test_positions(size, first, last):
    got = parse_range(f"bytes={first}-{'' if last is None else last}", size)
    if last is not None and last < first:
        assert got is None
    elif first >= size:
        assert got is UNSATISFIABLE
    else:
        end = size if last is None else min(last + 1, size)
        assert got == (first, end - first)


@given(SIZES, POSITIONS)
def test_suffixes(size, suffix):
    got = parse_range(f"bytes=-{suffix}", size)
    if suffix == 0:
        assert got is UNSATISFIABLE
    elif size == 0:
        assert got is None
    else:
        assert got == (max(0, size - suffix), min(suffix, size))


@given(st.text(alphabet="bytes=0123456789-, \tx²", max_size=30) | st.text(max_size=30), SIZES)
def test_no_text_raises_and_no_answer_is_outside(text, size):
    for value in (text, "bytes=" + text):
        got = parse_range(value, size)
        if isinstance(got, tuple):
            first, count = got
            assert first >= 0
            assert count > 0
            assert first + count <= size
