"""How long to wait before something that failed is tried again, and how what is tried again and again is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any

from enmeshed_connector.core.clock import Clock

_CANCEL_AGAIN_SECONDS = 5.0


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


async def pause(clock: Clock, duration: timedelta) -> None:
    """Waits before something that failed is tried again.

    Raises:
        CancelledError: This task was cancelled. That may have been lost before: a clean-up that fails raises its own
            error in the place of the cancellation, and whoever takes that for a passing failure would go on for ever.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
    await clock.sleep(duration)


async def end(tasks: Collection[asyncio.Task[Any]]) -> None:
    """Cancels tasks and returns when all have ended, however they did.

    Cancels more than once, as one cancellation can be lost: in a clean-up that fails, or in `asyncio.wait_for` of
    Python 3.11, which a driver uses. Being cancelled itself, it still waits for them.
    """
    pending = {task for task in tasks if not task.done()}
    was_cancelled = False
    while pending:
        for task in pending:
            task.cancel()
        try:
            _, pending = await asyncio.wait(pending, timeout=_CANCEL_AGAIN_SECONDS)
        except asyncio.CancelledError:
            was_cancelled = True
            pending = {task for task in pending if not task.done()}
    if was_cancelled:
        raise asyncio.CancelledError
