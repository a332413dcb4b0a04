"""The tables of RFC 9110 13: each row is one request for one representation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.files.conditional import decide, lists_tag, wanted_fields
from portway.http.date import format_date

NOW = 1_800_000_000.0
MODIFIED = 1_700_000_000
SIZE = 1000
SAME = format_date(MODIFIED).decode()
BEFORE = format_date(MODIFIED - 1).decode()
AFTER = format_date(MODIFIED + 1).decode()

PROCEED = (200, 0, SIZE)
NOT_MODIFIED = (304, 0, 0)
FAILED = (412, 0, 0)
PART = (206, 10, 10)
UNSATISFIABLE = (416, 0, 0)


def ask(method="GET", etag='"a"', now=NOW, **fields):
    wanted = wanted_fields([(name.replace("_", "-"), value) for name, value in fields.items()])
    return decide(method, wanted, etag, MODIFIED, SIZE, now)


# 8.8.3.2: the table of the RFC.
@pytest.mark.parametrize(
    ("one", "other", "strongly", "weakly"),
    [
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
        ('"1"', 'W/"1"', False, True),
    ],
)
def test_comparison(one, other, strongly, weakly):
    assert lists_tag(one, other, weak=False) is strongly
    assert lists_tag(one, other, weak=True) is weakly


@pytest.mark.parametrize(
    ("value", "listed"),
    [
        ('"a"', True),
        ('"b", "a"', True),
        ('"b","a"', True),
        ('"b" , "a"', True),
        (', ,"a",', True),
        ('"a", "b"', True),
        ('W/"a", "b"', True),
        # A comma, a space and W/ inside the quotes belong to the tag.
        ('"b, "a"', False),
        ('"x,"a"', False),
        ('"W/a"', False),
        ('" a"', False),
        # Not entity tags.
        ("a", False),
        ('"a', False),
        ('a"', False),
        ("", False),
        ('w/"a"', False),
        ('W"a"', False),
        ('W/ "a"', False),
        ('"b" "a"', False),
        ('"b";"a"', False),
        ('*, "a"', False),
        # What stands before a mistake counts.
        ('"a", oops', True),
    ],
)
def test_lists(value, listed):
    assert lists_tag(value, '"a"', weak=True) is listed


def test_a_tag_may_hold_a_comma_itself():
    assert lists_tag('"x", "a,b"', '"a,b"', weak=True)
    assert not lists_tag('"x", "a,b"', '"b"', weak=True)


def test_star_is_any_representation():
    assert lists_tag("*", '"a"', weak=False)
    assert lists_tag("*", 'W/"a"', weak=False)


@given(st.text(alphabet='"aW/, \t*b', max_size=30))
def test_strong_matches_are_weak_matches(value):
    if lists_tag(value, '"a"', weak=False):
        assert lists_tag(value, '"a"', weak=True)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, PROCEED),
        # 13.1.1 If-Match
        ({"if_match": '"a"'}, PROCEED),
        ({"if_match": "*"}, PROCEED),
        ({"if_match": '"b", "a"'}, PROCEED),
        ({"if_match": '"b"'}, FAILED),
        ({"if_match": 'W/"a"'}, FAILED),
        ({"if_match": "a"}, FAILED),
        # 13.1.2 If-None-Match
        ({"if_none_match": '"a"'}, NOT_MODIFIED),
        ({"if_none_match": 'W/"a"'}, NOT_MODIFIED),
        ({"if_none_match": "*"}, NOT_MODIFIED),
        ({"if_none_match": '"c", "b", "a"'}, NOT_MODIFIED),
        ({"if_none_match": '"b"'}, PROCEED),
        ({"if_none_match": "a"}, PROCEED),
        ({"if_none_match": ""}, PROCEED),
        # 13.1.3 If-Modified-Since
        ({"if_modified_since": SAME}, NOT_MODIFIED),
        ({"if_modified_since": AFTER}, NOT_MODIFIED),
        ({"if_modified_since": BEFORE}, PROCEED),
        ({"if_modified_since": "yesterday"}, PROCEED),
        ({"if_modified_since": f"{SAME}, {SAME}"}, PROCEED),
        # 13.1.4 If-Unmodified-Since
        ({"if_unmodified_since": SAME}, PROCEED),
        ({"if_unmodified_since": AFTER}, PROCEED),
        ({"if_unmodified_since": BEFORE}, FAILED),
        ({"if_unmodified_since": "yesterday"}, PROCEED),
        # 13.2.2, the order. If-Match makes If-Unmodified-Since void, If-None-Match makes If-Modified-Since
        # void.
        ({"if_match": '"a"', "if_unmodified_since": BEFORE}, PROCEED),
        ({"if_match": '"b"', "if_unmodified_since": AFTER}, FAILED),
        ({"if_none_match": '"b"', "if_modified_since": SAME}, PROCEED),
        ({"if_none_match": '"a"', "if_modified_since": BEFORE}, NOT_MODIFIED),
        ({"if_match": '"b"', "if_none_match": '"a"'}, FAILED),
        ({"if_match": '"a"', "if_none_match": '"a"'}, NOT_MODIFIED),
        ({"if_match": '"a"', "if_modified_since": SAME}, NOT_MODIFIED),
        ({"if_unmodified_since": BEFORE, "if_none_match": '"a"'}, FAILED),
        ({"if_unmodified_since": SAME, "if_modified_since": SAME}, NOT_MODIFIED),
    ],
)
def test_preconditions(method, fields, expected):
    assert ask(method, **fields) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"range": "bytes=10-19"}, PART),
        ({"range": "bytes=1000-"}, UNSATISFIABLE),
        ({"range": "bytes=19-10"}, PROCEED),
        ({"range": "bytes=0-1, 3-4"}, PROCEED),
        # 13.2.2: preconditions come before the range.
        ({"range": "bytes=10-19", "if_none_match": '"a"'}, NOT_MODIFIED),
        ({"range": "bytes=1000-", "if_none_match": '"a"'}, NOT_MODIFIED),
        ({"range": "bytes=10-19", "if_match": '"b"'}, FAILED),
        ({"range": "bytes=1000-", "if_unmodified_since": BEFORE}, FAILED),
        ({"range": "bytes=10-19", "if_match": '"a"'}, PART),
        # 13.1.5 If-Range: the same strong tag, or the same date; else the whole.
        ({"range": "bytes=10-19", "if_range": '"a"'}, PART),
        ({"range": "bytes=10-19", "if_range": '"b"'}, PROCEED),
        ({"range": "bytes=10-19", "if_range": 'W/"a"'}, PROCEED),
        ({"range": "bytes=10-19", "if_range": '"b", "a"'}, PROCEED),
        ({"range": "bytes=10-19", "if_range": "*"}, PROCEED),
        ({"range": "bytes=10-19", "if_range": SAME}, PART),
        ({"range": "bytes=10-19", "if_range": BEFORE}, PROCEED),
        ({"range": "bytes=10-19", "if_range": AFTER}, PROCEED),
        ({"range": "bytes=10-19", "if_range": "yesterday"}, PROCEED),
        # An unsatisfiable range of something else is no reason for a 416.
        ({"range": "bytes=1000-", "if_range": '"b"'}, PROCEED),
        ({"range": "bytes=1000-", "if_range": '"a"'}, UNSATISFIABLE),
        # If-Range without Range is ignored.
        ({"if_range": '"a"'}, PROCEED),
    ],
)
def test_ranges(fields, expected):
    assert ask(**fields) == expected
    # 14.2: Range is defined for GET alone. The preconditions stay.
    assert ask("HEAD", **fields) == (expected if expected in (NOT_MODIFIED, FAILED) else PROCEED)


def test_a_weak_tag_never_joins_ranges():
    assert ask(etag='W/"a"', range="bytes=10-19", if_range='W/"a"') == PROCEED
    assert ask(etag='W/"a"', range="bytes=10-19", if_range='"a"') == PROCEED
    assert ask(etag='W/"a"', range="bytes=10-19") == PART


def test_a_weak_tag_fails_if_match():
    assert ask(etag='W/"a"', if_match='"a"') == FAILED
    assert ask(etag='W/"a"', if_match="*") == PROCEED


def test_a_date_is_strong_only_when_its_second_is_over():
    fields = {"range": "bytes=10-19", "if_range": SAME}
    assert ask(now=MODIFIED + 0.9, **fields) == PROCEED
    assert ask(now=MODIFIED + 1.0, **fields) == PART


def test_fields_given_twice_are_one_list():
    fields = [("if-none-match", '"b"'), ("x", "y"), ("if-none-match", '"a"'), ("range", "bytes=0-1")]
    assert wanted_fields(fields) == {"if-none-match": '"b", "a"', "range": "bytes=0-1"}
    # Two ranges in two fields are two ranges; two dates are none.
    twice = wanted_fields([("range", "bytes=0-1"), ("range", "bytes=2-3"), ("if-modified-since", SAME)])
    assert (
        decide("GET", twice | {"if-modified-since": f"{SAME}, {SAME}"}, '"a"', MODIFIED, SIZE, NOW) == PROCEED
    )
