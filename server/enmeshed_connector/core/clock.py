"""Time as a collaborator: handed in, so that no test waits and no rule reads the wall clock by itself."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What rooms know of time."""

    def now(self) -> datetime:
        """Returns the present moment, aware and in UTC."""

    def monotonic(self) -> float:
        """Returns seconds that never run backwards; only differences mean something."""

    async def sleep(self, duration: timedelta) -> None:
        """Returns after the duration; at once when it is zero or negative."""


class SystemClock:
    """The clock of the machine."""

    def now(self) -> datetime:
        """Returns the present moment, aware and in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Returns seconds of the monotonic clock of the machine."""
        return time.monotonic()

    async def sleep(self, duration: timedelta) -> None:
        """Returns after the duration; at once when it is zero or negative."""
        await asyncio.sleep(max(duration.total_seconds(), 0))
