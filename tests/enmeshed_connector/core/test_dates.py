from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enmeshed_connector.core.dates import format_date, parse_date, truncate_to_milliseconds
from enmeshed_connector.core.malformed import MalformedValue, WrongForm, WrongType
from tests.support.json_strategies import any_text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2025-01-02", "2025-01-02T00:00:00.000Z"),
        ("2025-01", "2025-01-01T00:00:00.000Z"),
        ("2025", "2025-01-01T00:00:00.000Z"),
        ("2025-01-02T03", "2025-01-02T03:00:00.000Z"),
        ("2025-01-02T03:04Z", "2025-01-02T03:04:00.000Z"),
        ("2025-01-02T03:04:05.1", "2025-01-02T03:04:05.100Z"),
        ("2025-01-02T03:04:05,1234Z", "2025-01-02T03:04:05.123Z"),
        ("2025-01-02T03:04:05.999999999Z", "2025-01-02T03:04:05.999Z"),
        ("2025-01-02T03:04:05+02:00", "2025-01-02T01:04:05.000Z"),
        ("2025-01-02T00:04:05-0230", "2025-01-02T02:34:05.000Z"),
        ("2025-01-01T00:30:00+01", "2024-12-31T23:30:00.000Z"),
        ("2024-060", "2024-02-29T00:00:00.000Z"),
        ("2025-W01-1", "2024-12-30T00:00:00.000Z"),
        ("2025-01-02T24:00:00Z", "2025-01-03T00:00:00.000Z"),
        ("9999-12-31T00:00:00.000Z", "9999-12-31T00:00:00.000Z"),
        ("0001-01-01", "0001-01-01T00:00:00.000Z"),
    ],
)
def test_dates_are_read_in_every_precision_and_written_in_one(text: str, written: str) -> None:
    assert format_date(parse_date(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2025-02-30",
        "2025-13-01",
        "2025-366",
        "2025-W54-1",
        "2025-01-02T25:00:00Z",
        "2025-01-02T24:00:01Z",
        "2025-01-02T03:60:00Z",
        "2025-01-02T03:04:60.000Z",
        "0000-01-01",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "9999-12-31T24:00:00Z",
        "2025-01-02T03:04:05.Z",
        "2025-01-02T03:04:05.000z ",
        "2025-01-02T03:04:05.000Z\n",
        "2025-01-02 03:04:05",
        "٢٠٢٥-01-02",
        "2025-01-02T03:04:05+25:00",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(WrongForm) as raised:
        parse_date(text, "createdAt")
    assert raised.value.field == "createdAt"


def test_what_is_not_text_is_refused() -> None:
    values: list[Any] = [None, 0, 1.5, b"2025-01-02", {}]
    for value in values:
        with pytest.raises(WrongType):
            parse_date(value)


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_moment_comes_back_cut_to_milliseconds(moment: datetime) -> None:
    text = format_date(moment)
    assert len(text) == 24
    assert parse_date(text) == truncate_to_milliseconds(moment)
    assert format_date(parse_date(text)) == text


@given(
    st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1)),
    st.integers(-23 * 60, 23 * 60),
)
def test_the_zone_of_a_moment_does_not_matter(naive: datetime, minutes: int) -> None:
    moment = naive.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    assert parse_date(format_date(moment)) == truncate_to_milliseconds(moment)
    assert parse_date(moment.isoformat()) == truncate_to_milliseconds(moment)


@given(st.one_of(any_text, st.text("0123456789-:TZ+.,W", max_size=30)))
def test_any_text_is_a_date_or_refused(text: str) -> None:
    try:
        moment = parse_date(text)
    except MalformedValue:
        return
    assert parse_date(format_date(moment)) == moment


def test_a_moment_without_zone_is_a_programming_error() -> None:
    with pytest.raises(ValueError):
        format_date(datetime(2025, 1, 2))
