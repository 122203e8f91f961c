"""Numbers that are taken once, whatever dies: reserved in blocks, handed out from memory."""

from __future__ import annotations

import asyncio

from enmeshed_connector.storage import Store

BLOCK = 32
"""How many numbers one reservation takes (architecture.md, decision 9). Those left at a restart are lost."""


class Reservations:
    """Hands out the numbers of durable counters, each number once; one object per account and process."""

    def __init__(self, store: Store, *, block: int = BLOCK) -> None:
        """Takes the store that keeps the counters."""
        self._store = store
        self._block = block
        self._left: dict[str, tuple[int, int]] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def next(self, counter: str) -> int:
        """Returns the next number of a counter: ascending within this process, from 0, with gaps.

        Raises:
            StorageUnavailable: A new block is needed and the database is away.
        """
        async with self._locks.setdefault(counter, asyncio.Lock()):
            first, last = self._left.get(counter, (0, 0))
            if first >= last:
                first = await self._store.reserve(counter, self._block)
                last = first + self._block
            self._left[counter] = (first + 1, last)
            return first
