"""How long to wait before something that failed is tried again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta


class Backoff:
    """Waits that double from the first to the longest, each with jitter, until `reset`."""

    def __init__(
        self,
        random: Callable[[int], bytes],
        *,
        first: timedelta = timedelta(milliseconds=500),
        longest: timedelta = timedelta(seconds=60),
    ) -> None:
        """Takes the random source of the jitter, and the bounds."""
        self._random = random
        self._first = first
        self._longest = longest
        self._next = first

    def reset(self) -> None:
        """Begins again with the first wait: it worked."""
        self._next = self._first

    def next(self) -> timedelta:
        """Returns how long to wait now: between half and all of the present step."""
        wait = self._next
        self._next = min(self._next * 2, self._longest)
        share = 0.5 + int.from_bytes(self._random(2), "big") / 0x1FFFE
        return wait * share
