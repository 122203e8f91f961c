"""When and how often a call is repeated: pure rules, no waiting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

RandomSource = Callable[[int], bytes]
"""Returns this many random bytes."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How a failing call is repeated, where a repeat is safe."""

    attempts: int = 4
    """How often a call is tried at most, the first time included."""
    first_delay: timedelta = timedelta(milliseconds=200)
    """The longest wait before the first repeat; each further one doubles it."""
    longest_delay: timedelta = timedelta(seconds=5)
    """No wait is longer; an answer that asks for a longer one is not waited for, but raised."""

    def delay(self, attempt: int, random: RandomSource) -> timedelta:
        """Returns how long to wait after this attempt, counted from 1: anything from half the step to the whole."""
        step = min(self.first_delay * float(2 ** min(attempt - 1, 30)), self.longest_delay)
        return step * (0.5 + 0.5 * fraction(random))


class RetryBudget:
    """Keeps repeats a small part of all calls, so that an ailing Backbone does not get many times the usual load.

    Every first attempt adds a tenth of a repeat, up to ten; every repeat takes one. The budget starts full.
    """

    CAPACITY = 10.0
    SHARE = 0.1

    def __init__(self) -> None:
        self._tokens = self.CAPACITY

    def earn(self) -> None:
        """Counts a first attempt."""
        self._tokens = min(self._tokens + self.SHARE, self.CAPACITY)

    def spend(self) -> bool:
        """Takes one repeat, or returns False when none is left."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


def fraction(random: RandomSource) -> float:
    """Returns a number from 0 to just below 1, from the random source."""
    return int.from_bytes(random(6), "big") / 2**48
