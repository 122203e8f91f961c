"""Dates of the network: `YYYY-MM-DDThh:mm:ss.SSSZ`, always UTC, always milliseconds.

Source: `spec/crypto.md` section 6, `spec/content.md` section 2.3.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone

from .malformed import WrongForm, WrongType

_DATE = re.compile(
    r"(?P<year>\d{4})(?:-(?P<month>\d\d)(?:-(?P<day>\d\d))?|-(?P<ordinal>\d{3})|-W(?P<week>\d\d)(?:-(?P<weekday>[1-7]))?)?"
    r"(?:T(?P<hour>\d\d)(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<fraction>\d{1,30}))?)?)?"
    r"(?P<zone>[Zz]|(?P<sign>[+-])(?P<zone_hour>\d\d)(?::?(?P<zone_minute>\d\d))?)?)?\Z",
    re.ASCII,
)
_CANONICAL = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\Z", re.ASCII)


def parse_date(text: str, field: str = "date") -> datetime:
    """Returns the moment, aware and in UTC, cut to whole milliseconds.

    Args:
        text: ISO 8601 with extended separators: calendar, ordinal or week date, time of any precision, offset. Without
            an offset it is UTC, without a time it is midnight.
        field: The path of the value, for the error.

    Raises:
        WrongType: The value is not text.
        WrongForm: It is not such a date, or there is no such day or time within the years 1 to 9999.
    """
    if not isinstance(text, str):
        raise WrongType(field, "must be a date, as text")
    try:
        if _CANONICAL.match(text):
            return datetime.fromisoformat(text)
        match = _DATE.match(text)
        if match is None:
            raise WrongForm(field, "must be a date as in 2026-01-31T12:00:00.000Z")
        return _moment(match)
    except (ValueError, OverflowError):
        raise WrongForm(field, "must be a date that exists, within the years 1 to 9999") from None


def format_date(moment: datetime) -> str:
    """Returns the network's text of a moment; what is finer than a millisecond is cut, not rounded.

    Raises:
        ValueError: The moment is not aware: it would mean another time on another machine.
    """
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone has no place in the network")
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")[:-6] + "Z"


def truncate_to_milliseconds(moment: datetime) -> datetime:
    """Returns the moment without what the network's text does not carry."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _moment(match: re.Match[str]) -> datetime:
    day = _day(match)
    hour, minute, second = (int(match[name] or 0) for name in ("hour", "minute", "second"))
    microsecond = int((match["fraction"] or "0")[:3].ljust(3, "0")) * 1000
    zone = UTC
    if match["sign"]:
        offset = timedelta(hours=int(match["zone_hour"]), minutes=int(match["zone_minute"] or 0))
        zone = timezone(-offset if match["sign"] == "-" else offset)
    extra = timedelta()
    if hour == 24 and minute == second == microsecond == 0:
        hour, extra = 0, timedelta(days=1)
    moment = datetime(day.year, day.month, day.day, hour, minute, second, microsecond, zone) + extra
    return moment.astimezone(UTC)


def _day(match: re.Match[str]) -> date:
    year = int(match["year"])
    if match["ordinal"]:
        day = date(year, 1, 1) + timedelta(days=int(match["ordinal"]) - 1)
        if day.year != year:
            raise ValueError("no such day of the year")
        return day
    if match["week"]:
        return date.fromisocalendar(year, int(match["week"]), int(match["weekday"] or 1))
    return date(year, int(match["month"] or 1), int(match["day"] or 1))
