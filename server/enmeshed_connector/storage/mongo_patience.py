"""How a database that went away is waited for: again and again, up to a budget of time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

from pymongo.errors import DuplicateKeyError, PyMongoError

from ..core.clock import Clock
from .mongo_connection import is_transient, storage_error

T = TypeVar("T")

FIRST_WAIT = timedelta(milliseconds=20)
_LONGEST_WAIT = timedelta(seconds=1)


class Patience:
    """Repeats what is safe to repeat."""

    def __init__(self, clock: Clock, budget: timedelta) -> None:
        """Takes the clock, and how long an outage may last."""
        self._clock = clock
        self._budget = budget

    def deadline(self) -> float:
        """Returns the moment of the monotonic clock at which something that begins now is given up."""
        return self._clock.monotonic() + self._budget.total_seconds()

    def is_over(self, deadline: float) -> bool:
        """Tells whether a deadline has passed."""
        return self._clock.monotonic() >= deadline

    async def wait(self, wait: timedelta) -> timedelta:
        """Waits before the next attempt, and returns how long to wait before the one after it."""
        await self._clock.sleep(wait)
        return min(wait * 2, _LONGEST_WAIT)

    async def persistently(self, work: Callable[[], Awaitable[T]], *, deadline: float | None = None) -> T:
        """Runs something that is safe to repeat until the database answers, within the budget for outages.

        Raises:
            StorageUnavailable: The database stayed away, or answered with an error.
        """
        if deadline is None:
            deadline = self.deadline()
        wait = FIRST_WAIT
        while True:
            try:
                return await work()
            except DuplicateKeyError:
                # Made by the attempt before, or by another process.
                continue
            except PyMongoError as error:
                if not is_transient(error) or self.is_over(deadline):
                    raise storage_error(error) from error
            wait = await self.wait(wait)
