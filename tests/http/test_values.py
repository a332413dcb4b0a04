"""The small values of portway.http: dates, errors, events, tables."""

import pickle
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portway.http import grammar
from portway.http.date import format_date
from portway.http.errors import LocalProtocolError, ProtocolError, RemoteProtocolError, quoted
from portway.http.events import CONNECTION_CLOSED, END_OF_MESSAGE, NEED_DATA, PAUSED, Event


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, b"Thu, 01 Jan 1970 00:00:00 GMT"),
        (784111777, b"Sun, 06 Nov 1994 08:49:37 GMT"),
        (951782400, b"Tue, 29 Feb 2000 00:00:00 GMT"),
        (4107542399, b"Sun, 28 Feb 2100 23:59:59 GMT"),
        (-1, b"Wed, 31 Dec 1969 23:59:59 GMT"),
        (-62135596800, b"Mon, 01 Jan 0001 00:00:00 GMT"),
    ],
)
def test_dates(seconds: int, text: bytes) -> None:
    assert format_date(seconds) == text


@given(st.integers(0, 253402300799))
def test_dates_as_the_standard_library_has_them(seconds: int) -> None:
    assert format_date(seconds) == formatdate(seconds, usegmt=True).encode()


def test_errors_know_their_status() -> None:
    remote = RemoteProtocolError(431, "too much")
    local = LocalProtocolError("too little")
    assert (remote.status, remote.reason, str(remote)) == (431, "too much", "431 too much")
    assert (local.status, local.reason, str(local)) == (500, "too little", "500 too little")
    assert isinstance(remote, ProtocolError)
    assert isinstance(local, ProtocolError)


@pytest.mark.parametrize("error", [RemoteProtocolError(400, "a"), LocalProtocolError("b")])
def test_errors_survive_a_pipe(error: ProtocolError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.status, copy.reason) == (type(error), error.status, error.reason)


@given(st.one_of(st.binary(), st.text()))
def test_quoted_is_short_and_printable(data: bytes | str) -> None:
    text = quoted(data)
    assert text.isascii()
    assert text.isprintable()
    assert len(text) <= 40 * 10 + 5


def test_events_are_told_apart() -> None:
    assert len({END_OF_MESSAGE, NEED_DATA, PAUSED, CONNECTION_CLOSED}) == len(Event)
    assert [repr(event) for event in Event] == ["END_OF_MESSAGE", "NEED_DATA", "PAUSED", "CONNECTION_CLOSED"]


def test_tables_by_the_letter_of_the_grammar() -> None:
    tchar = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    assert set(grammar.members(grammar.TOKEN)) == set(tchar)
    assert set(grammar.members(grammar.VALUE)) == set(range(256)) - set(range(32)) - {127} | {9}
    assert set(grammar.members(grammar.TARGET)) == set(range(33, 256)) - {127, ord("#")}
    assert all(
        len(table) == 256 for table in (grammar.TOKEN, grammar.VALUE, grammar.TARGET, grammar.REG_NAME)
    )
