"""What changes about outgoing requests, read from the log once for all who watch requests of an account."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from enmeshed_connector.consumption.requests.events import OUTGOING_STATUS_CHANGED
from enmeshed_connector.runtime.pacing import end
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Log
from enmeshed_connector.transport.events import RELATIONSHIP_DECOMPOSED_BY_SELF
from enmeshed_connector.transport.objects import Document

_TYPES: Final = frozenset({OUTGOING_STATUS_CHANGED, RELATIONSHIP_DECOMPOSED_BY_SELF})
_LONGEST_WAIT: Final = timedelta(seconds=30)
"""The log wakes at once; after this it is looked at in any case."""


class Watcher:
    """What is told of one request, in its order, to one who watches it."""

    def __init__(self) -> None:
        self._told: list[View] = []
        self._news = asyncio.Event()
        self._failure: Exception | None = None

    def tell(self, *views: View) -> None:
        """Adds states of the request; without any, it is only said that something about it may have changed."""
        self._told += views
        self._news.set()

    def fail(self, failure: Exception) -> None:
        """Says that nothing more will be told, and why."""
        self._failure = failure
        self._news.set()

    async def next(self, timeout: timedelta) -> list[View]:
        """Returns the states since the last call, as soon as there is news; none after the timeout.

        Raises:
            StorageUnavailable: The log cannot be read any more.
        """
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                await self._news.wait()
        except TimeoutError:
            return []
        if self._failure is not None:
            raise self._failure
        self._news.clear()
        told, self._told = self._told, []
        return told


class RequestChanges:
    """Reads the log for all watchers of one account, for as long as there are any."""

    def __init__(self, log: Log) -> None:
        """Takes the log of the account; does no I/O."""
        self._log = log
        self._watchers: dict[str, list[Watcher]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._has_begun = asyncio.Event()

    @asynccontextmanager
    async def of(self, request_id: str) -> AsyncIterator[Watcher]:
        """Collects, for the length of a block, every change of a request that is committed after its beginning."""
        watcher = Watcher()
        self._watchers.setdefault(request_id, []).append(watcher)
        try:
            if self._reading is None or self._reading.done():
                self._has_begun = asyncio.Event()
                self._reading = asyncio.create_task(self._read(self._has_begun), name="changes of requests")
            await self._has_begun.wait()
            yield watcher
        finally:
            self._watchers[request_id].remove(watcher)
            if not self._watchers[request_id]:
                del self._watchers[request_id]
            if not self._watchers and self._reading is not None:
                # Whoever comes while it ends begins anew.
                reading, self._reading = self._reading, None
                await end([reading])

    def wake(self, request_id: str) -> None:
        """Has those who watch a request look at it, after a commit without an event about it."""
        for watcher in self._watchers.get(request_id, ()):
            watcher.tell()

    async def _read(self, has_begun: asyncio.Event) -> None:
        try:
            position = await self._log.head()
            has_begun.set()
            while True:
                page = await self._log.read(position, types=_TYPES)
                for entry in page.events:
                    self._tell(entry.event)
                position = page.next
                if page.reached_head:
                    await self._log.wait(position, _LONGEST_WAIT)
        except Exception as error:
            # Theirs to tell: each of them is a call of somebody.
            for watcher in self._all():
                watcher.fail(error)
        finally:
            has_begun.set()

    def _tell(self, event: Document) -> None:
        if event["type"] == OUTGOING_STATUS_CHANGED and "data" in event:
            request: View = event["data"]["request"]
            for watcher in self._watchers.get(request["id"], ()):
                watcher.tell(request)
            return
        # The requests of a relationship go with it, and so does what events said of them.
        for watcher in self._all():
            watcher.tell()

    def _all(self) -> list[Watcher]:
        return [watcher for watchers in self._watchers.values() for watcher in watchers]
