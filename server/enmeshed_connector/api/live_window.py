"""The newest events of an account in memory, read once from the log for all live subscribers.

The log is the truth. The window only spares each subscriber from reading what another has just read: one task follows
the head of the log while there is a subscriber, and a subscriber that is slower than the window goes back to the log.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

import structlog

from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.storage import Log, LogEvent, Position, PositionTruncated

_READ_LIMIT: Final = 500
_WAIT: Final = timedelta(seconds=30)
_BACKOFF: Final = timedelta(seconds=1)
# What an entry takes besides its rendered forms, roughly: the decoded JSON of a small event.
_ENTRY_BYTES: Final = 2048

logger = structlog.get_logger("enmeshed_connector.api")


@dataclass(eq=False)
class WindowEntry:
    """One event, with the forms in which subscribers have asked for it so far."""

    event: LogEvent
    rendered: dict[object, bytes] = field(default_factory=dict)


class LiveWindow:
    """The newest events of one account. Bounded in events and in bytes; the oldest go first."""

    def __init__(self, log: Log, clock: Clock, *, max_events: int = 4096, max_bytes: int = 16 * 1024 * 1024) -> None:
        """Takes the log; follows it from the first `attach` to the last `detach`.

        Args:
            log: The log of the account.
            clock: For waiting after failures.
            max_events: How many events are kept.
            max_bytes: How much their rendered forms may take, roughly.
        """
        self._log = log
        self._clock = clock
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._bytes = 0
        self._entries: deque[WindowEntry] = deque()
        self._start: Position | None = None
        self._end: Position | None = None
        self._wakes: dict[object, Callable[[], None]] = {}
        self._follower: asyncio.Task[None] | None = None

    def attach(self, wake: Callable[[], None]) -> object:
        """Adds a subscriber; returns what `detach` takes.

        Args:
            wake: Called when there may be something new.
        """
        token = object()
        self._wakes[token] = wake
        if self._follower is None:
            self._follower = asyncio.create_task(self._follow(), name="live-window")
        return token

    async def detach(self, token: object) -> None:
        """Removes a subscriber; the last one stops the follower."""
        self._wakes.pop(token, None)
        if not self._wakes:
            await self.close()

    async def close(self) -> None:
        """Stops following and forgets everything. Safe to repeat."""
        follower, self._follower = self._follower, None
        if follower is not None:
            follower.cancel()
            await asyncio.gather(follower, return_exceptions=True)
        if self._follower is None:
            self._clear()

    @property
    def has_begun(self) -> bool:
        """Whether the follower knows where the window begins."""
        return self._start is not None

    def covers(self, position: Position) -> bool:
        """Tells whether everything after a place is in the window, or will be."""
        return self._start is not None and self._start <= position

    def after(self, position: Position, limit: int) -> tuple[list[WindowEntry], Position]:
        """Returns the first events after a place that the window covers, and the place after them."""
        assert self._end is not None
        first = bisect_right(self._entries, position, key=lambda entry: entry.event.position)
        entries = [self._entries[index] for index in range(first, min(first + limit, len(self._entries)))]
        if first + len(entries) == len(self._entries):
            return entries, max(position, self._end)
        return entries, entries[-1].event.position if entries else position

    def note_rendered(self, size: int) -> None:
        """Counts what a new form of an entry takes."""
        self._bytes += size
        self._shrink()

    async def _follow(self) -> None:
        while True:
            try:
                if self._end is None:
                    # Subscribers compare their own place with this one, so it does not matter that they may be ahead.
                    self._start = self._end = await self._log.head()
                    self._wake()
                page = await self._log.read(self._end, limit=_READ_LIMIT)
                self._end = page.next
                if page.events:
                    self._entries.extend(WindowEntry(event) for event in page.events)
                    self._bytes += _ENTRY_BYTES * len(page.events)
                    self._shrink()
                    self._wake()
                if page.reached_head:
                    await self._log.wait(self._end, _WAIT)
            except PositionTruncated:
                # Retention was faster than we: begin again; subscribers that are behind go to the log and learn it
                # there.
                self._clear()
            except DomainError as error:
                logger.warning("the log cannot be read", reason=error.reason)
                await self._clock.sleep(_BACKOFF)

    def _shrink(self) -> None:
        while len(self._entries) > self._max_events or (self._bytes > self._max_bytes and len(self._entries) > 1):
            gone = self._entries.popleft()
            self._bytes -= _ENTRY_BYTES + sum(map(len, gone.rendered.values()))
            self._start = gone.event.position

    def _wake(self) -> None:
        for wake in list(self._wakes.values()):
            wake()

    def _clear(self) -> None:
        self._entries.clear()
        self._bytes = 0
        self._start = self._end = None
