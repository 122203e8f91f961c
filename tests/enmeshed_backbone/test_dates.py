"""Moments and their two texts."""

from __future__ import annotations

import pytest

from enmeshed_backbone import dates


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("2026-11-24T06:00:00.123Z", "2026-11-24T06:00:00.123Z"),
        ("2026-11-24T06:00:00.123999Z", "2026-11-24T06:00:00.123Z"),
        ("2026-11-24T06:00:00+02:00", "2026-11-24T04:00:00.000Z"),
        ("2026-11-24T06:00:00", "2026-11-24T06:00:00.000Z"),
        ("2026-11-24", "2026-11-24T00:00:00.000Z"),
        ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"),
    ],
)
def test_a_moment_is_read_tolerantly_and_written_in_utc_with_milliseconds(text: str, written: str) -> None:
    assert dates.network_text(dates.parse(text)) == written


@pytest.mark.parametrize(
    "text",
    [
        *("", "soon", "2026-13-01", "2026-11-24T25:00:00Z", "0000-01-01T00:00:00Z"),
        *("9999-12-31T23:59:59.999-00:01", "0001-01-01T00:00:00+00:01"),
    ],
)
def test_another_text_is_no_moment(text: str) -> None:
    with pytest.raises(ValueError):
        dates.parse(text)


@pytest.mark.parametrize(
    ("millis", "text"),
    [(0, "1970-01-01T00:00:00Z"), (120, "1970-01-01T00:00:00.12Z"), (1_001, "1970-01-01T00:00:01.001Z")],
)
def test_the_round_trip_form_has_no_trailing_zeros(millis: int, text: str) -> None:
    assert dates.round_trip_text(millis) == text
