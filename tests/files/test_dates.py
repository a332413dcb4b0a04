import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.files.dates import parse_date
from portway.http.date import format_date

NOW = 1_800_000_000.0  # January 2027
EXAMPLE = 784_111_777  # the example of RFC 9110 5.6.7


@pytest.mark.parametrize(
    "text",
    ["Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"],
)
def test_the_three_forms(text):
    assert parse_date(text, NOW) == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "1994-11-06T08:49:37Z",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Abc 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_date(text):
    assert parse_date(text, NOW) is None


def test_a_leap_second_is_allowed():
    assert parse_date("Sat, 31 Dec 2016 23:59:60 GMT", NOW) == parse_date(
        "Sat, 31 Dec 2016 23:59:59 GMT", NOW
    )


@pytest.mark.parametrize(
    ("digits", "year"), [("76", 2076), ("77", 2077), ("78", 1978), ("00", 2000), ("94", 1994)]
)
def test_two_digits_are_never_more_than_fifty_years_ahead(digits, year):
    expected = parse_date(f"Sun, 06 Nov {year} 08:49:37 GMT", NOW)
    assert expected is not None
    assert parse_date(f"Sunday, 06-Nov-{digits} 08:49:37 GMT", NOW) == expected


@given(st.integers(min_value=0, max_value=4_000_000_000))
def test_what_we_send_comes_back(seconds):
    assert parse_date(format_date(seconds).decode(), NOW) == seconds


@given(st.text(max_size=60))
def test_no_text_raises(text):
    parse_date(text, NOW)
