"""Places in the log as text, the wake-up of waiting readers, and what retention removes."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from .errors import PositionInvalid, PositionTruncated
from .port import Position, Retention

START = Position(0, 0)
"""Before everything."""

LOG_ID_BYTES = 8
"""How long the random id of a log is; it tells tokens of one log from those of another."""

_FORMAT = 1
_BODY = struct.Struct(f">B{LOG_ID_BYTES}sQI")
_CHECK_BYTES = 4


def encode_token(log_id: bytes, position: Position) -> str:
    """Returns a position as opaque text: 34 letters, digits, `-` and `_`."""
    body = _BODY.pack(_FORMAT, log_id, position.entry, position.index)
    return base64.urlsafe_b64encode(body + _check(body)).rstrip(b"=").decode("ascii")


def decode_token(log_id: bytes, token: str) -> Position:
    """Returns the position that a token stands for.

    Raises:
        PositionInvalid: It was altered, or is a token of another log.
    """
    try:
        data = base64.b64decode(token.encode("ascii") + b"=" * (-len(token) % 4), altchars=b"-_", validate=True)
        body, check = data[:-_CHECK_BYTES], data[-_CHECK_BYTES:]
        version, token_log, entry, index = _BODY.unpack(body)
    except (UnicodeEncodeError, binascii.Error, struct.error):
        raise PositionInvalid("this is no resume token") from None
    if version != _FORMAT or not hmac.compare_digest(check, _check(body)):
        raise PositionInvalid("this is no resume token")
    if token != encode_token(token_log, Position(entry, index)):
        # Its last character holds bits that say nothing; nobody but us makes tokens, and we leave them out.
        raise PositionInvalid("this is no resume token")
    if token_log != log_id:
        raise PositionInvalid("this resume token belongs to another log")
    return Position(entry, index)


def check_place(after: Position, oldest: Position, head_entry: int, log_id: bytes) -> None:
    """Checks that a log can be read from a place.

    Raises:
        PositionTruncated: It lies before the oldest place.
        PositionInvalid: It lies behind everything that was written.
    """
    if after < oldest:
        raise PositionTruncated(
            "events after this position were removed by retention", facts={"oldest": encode_token(log_id, oldest)}
        )
    if after.entry > head_entry:
        raise PositionInvalid("this position is ahead of the log")


class Notifier:
    """Wakes readers of the log; only a hint, the log is the truth."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def current(self) -> asyncio.Event:
        """Returns the event that the next `notify` sets. Take it before looking at the log, never after."""
        return self._event

    def notify(self) -> None:
        """Wakes everyone who waits."""
        self._event.set()
        self._event = asyncio.Event()


async def wait_for_event(event: asyncio.Event, timeout: timedelta) -> None:
    """Returns when the event is set or the time is over."""
    try:
        async with asyncio.timeout(timeout.total_seconds()):
            await event.wait()
    except TimeoutError:
        return


@dataclass(frozen=True)
class StoredEntry:
    """What retention needs to know of an entry that has events."""

    entry: int
    recorded_at: datetime
    events: int

    @property
    def end(self) -> Position:
        """The place after its last event."""
        return Position(self.entry, self.events)


def trim_boundary(
    entries: Iterable[StoredEntry],
    total_events: int,
    cursors: Mapping[str, Position],
    retention: Retention,
    now: datetime,
) -> Position | None:
    """Returns the place up to which events go, None when all stay.

    Args:
        entries: Entries with events, oldest first; read no further than needed.
        total_events: The number of events in all of them.
        cursors: The named cursors.
        retention: What is kept.
        now: The present.
    """
    boundary: Position | None = None
    remaining = total_events
    needed_after = min(cursors.values(), default=None)
    for stored in entries:
        age = now - stored.recorded_at
        is_past = age > retention.max_age or remaining > retention.max_events
        is_past_cap = (retention.hard_cap_age is not None and age > retention.hard_cap_age) or (
            retention.hard_cap_events is not None and remaining > retention.hard_cap_events
        )
        is_needed = needed_after is not None and needed_after < stored.end
        if not is_past_cap and (is_needed or not is_past):
            break
        boundary = stored.end
        remaining -= stored.events
    return boundary


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES).digest()
