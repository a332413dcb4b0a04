"""HTTP's date format. A pure function: this package knows no clock, the time is an argument."""

from datetime import UTC, datetime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_date(epoch_seconds: int) -> bytes:
    """Return seconds since 1970 as an IMF-fixdate, `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).

    Names of days and months are English whatever the locale. Raises ValueError or OverflowError outside the
    years 1 to 9999.
    """
    when = datetime.fromtimestamp(epoch_seconds, UTC)
    return (
        f"{_DAYS[when.weekday()]}, {when.day:02} {_MONTHS[when.month - 1]} {when.year:04}"
        f" {when.hour:02}:{when.minute:02}:{when.second:02} GMT"
    ).encode()
