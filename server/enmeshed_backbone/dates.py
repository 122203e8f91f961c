"""Moments as the Backbone keeps and writes them: whole milliseconds since 1970, in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS

_BEGINNING_OF_TIME_MS = -62_135_596_800_000
END_OF_TIME_MS = 253_402_300_799_999
"""The last moment that has a text: 9999-12-31T23:59:59.999Z."""


def to_millis(moment: datetime) -> int:
    """Returns the milliseconds of an aware moment, cut and not rounded."""
    return (moment - _EPOCH) // _MILLISECOND


def to_moment(millis: int) -> datetime:
    """Returns the aware moment, in UTC."""
    return _EPOCH + timedelta(milliseconds=millis)


def network_text(millis: int) -> str:
    """Returns `yyyy-MM-ddTHH:mm:ss.fffZ`, the form of every timestamp in a result.

    Source: specification of the Consumer API, §1.1.
    """
    seconds, rest = divmod(millis, 1000)
    return f"{(_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]}.{rest:03d}Z"


def network_text_or_none(millis: int | None) -> str | None:
    """Returns the text of a moment that may be absent."""
    return None if millis is None else network_text(millis)


def round_trip_text(millis: int) -> str:
    """Returns the form of error bodies and external event payloads: the fraction without its trailing zeros, or none.

    Source: specification of the Consumer API, §1.1.
    """
    seconds, rest = divmod(millis, 1000)
    text = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19]
    return f"{text}.{rest:03d}".rstrip("0") + "Z" if rest else f"{text}Z"


def parse(text: str) -> int:
    """Returns the milliseconds of an ISO 8601 text; one without offset counts as UTC.

    Raises:
        ValueError: The text is no ISO 8601 moment, or one that falls outside the years 1 to 9999.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    millis = to_millis(moment)
    # An offset can move a moment out of the calendar, where it would have no text any more.
    if not _BEGINNING_OF_TIME_MS <= millis <= END_OF_TIME_MS:
        raise ValueError("The moment is outside of the years 1 to 9999.")
    return millis
