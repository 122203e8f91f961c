"""The clock of the Backbone: real time, plus what a developer moved it forward."""

from __future__ import annotations

from datetime import timedelta

from enmeshed_connector.core.clock import Clock

from . import dates


class AdjustableClock:
    """Gives the time of another clock plus an offset that only grows.

    Args:
        base: What the offset is added to.
        offset: How far it was moved before; kept by the store, so that a restart does not turn time back.
    """

    def __init__(self, base: Clock, offset: timedelta = timedelta(0)) -> None:
        self._base = base
        self._offset = offset

    @property
    def offset(self) -> timedelta:
        """How far this clock is ahead of the machine's."""
        return self._offset

    def now_ms(self) -> int:
        """Returns the present moment in milliseconds since 1970."""
        return dates.to_millis(self._base.now() + self._offset)

    def monotonic(self) -> float:
        """Returns seconds that never run backwards, without the offset; for durations of requests."""
        return self._base.monotonic()

    def advance(self, by: timedelta) -> None:
        """Moves the clock forward.

        Raises:
            ValueError: The duration is negative: what has expired must not come back.
        """
        if by < timedelta(0):
            raise ValueError("The clock only moves forward.")
        self._offset += by
