"""The memory that all transfers share, with a queue for those that find none."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from enmeshed_connector.api.errors import TooManyTransfers
from enmeshed_connector.core.errors import DomainError

BYTES_PER_FILE_BYTE: Final = 3
"""What a transfer holds for each byte of the file: the file, its cipher, and the copy on its way to or from the
Backbone.
"""

_RETRY_AFTER: Final = timedelta(seconds=2)


class TransferBudget:
    """A number of bytes that transfers share. A file is one AEAD, so each transfer holds a few times its size in
    memory.

    Those that find no room wait in the order of their arrival, so that a large one is not overtaken for ever by small
    ones.
    """

    def __init__(self, total_bytes: int, *, queue: int = 64, wait: timedelta = timedelta(seconds=30)) -> None:
        """Takes the size of the budget.

        Args:
            total_bytes: What all transfers together may hold.
            queue: How many wait at most; one more is refused at once.
            wait: How long one waits at most.
        """
        self._free = self._total = total_bytes
        self._queue_limit = queue
        self._wait = wait
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    @property
    def free_bytes(self) -> int:
        """What is free now."""
        return self._free

    @asynccontextmanager
    async def reserve(self, file_bytes: int, time_left: timedelta | None = None) -> AsyncIterator[None]:
        """Holds what the transfer of a file of so many bytes needs, while the block runs.

        Args:
            file_bytes: The size of the file.
            time_left: How long the caller still waits; None: it did not say.

        Raises:
            TooManyTransfers: No room came in time, the queue is full, or the file needs more than the whole budget.
        """
        needed = file_bytes * BYTES_PER_FILE_BYTE
        if needed > self._total:
            raise _exhausted("the file is larger than what the server sets aside for transfers", None)
        await self._take(needed, self._wait if time_left is None else min(self._wait, time_left))
        try:
            yield
        finally:
            self._free += needed
            self._serve()

    async def _take(self, needed: int, wait: timedelta) -> None:
        if not self._waiting and needed <= self._free:
            self._free -= needed
            return
        if len(self._waiting) >= self._queue_limit:
            raise _exhausted("too many transfers wait for their turn", _RETRY_AFTER)
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (needed, turn)
        self._waiting.append(entry)
        try:
            async with asyncio.timeout(wait.total_seconds()):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # The turn came in the same moment: pass it on.
                self._free += needed
            else:
                self._waiting.remove(entry)
            self._serve()
            if isinstance(error, TimeoutError):
                raise _exhausted("no room for the transfer came in time", _RETRY_AFTER) from None
            raise

    def _serve(self) -> None:
        while self._waiting and self._waiting[0][0] <= self._free:
            needed, turn = self._waiting.popleft()
            if turn.done():
                # Cancelled or timed out; whoever waited removes nothing that is gone, so put it back for that.
                self._waiting.appendleft((needed, turn))
                return
            self._free -= needed
            turn.set_result(None)


def _exhausted(text: str, retry_after: timedelta | None) -> DomainError:
    return TooManyTransfers(f"{text}: try again later" if retry_after else text, retry_after=retry_after)
