"""Syncs on request, from any replica.

Only the account's worker syncs. Another replica leaves a request in the database, which the worker serves with its next
sync, and waits until it is gone. So a caller gets what it asked for wherever its call arrived.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.errors import Unavailable
from enmeshed_connector.core.ids import LOCAL, IdMaker
from enmeshed_connector.storage import CollectionSpec, Store
from enmeshed_connector.transport.sync import SyncController, SyncResult
from enmeshed_connector.transport.sync_modes import SyncMode
from enmeshed_connector.transport.work import Commits, Work

SYNC_REQUESTS = "_SyncRequests"
SYNC_REQUEST_SCHEMA = CollectionSpec(SYNC_REQUESTS, sortable=("createdAt",))

_LOOK_EVERY = timedelta(milliseconds=200)
_FORGOTTEN_AFTER = timedelta(minutes=10)


class NoWorker(Unavailable):
    """No replica has served the request in time: the worker of this account is away or the Backbone is."""

    reason = "BACKBONE_UNAVAILABLE"


class Synchronisation:
    """Asks for syncs, and serves what was asked for."""

    def __init__(self, store: Store, commits: Commits, sync: SyncController, *, ids: IdMaker, clock: Clock) -> None:
        """Takes the collaborators of the account."""
        self._store = store
        self._commits = commits
        self._sync = sync
        self._ids = ids
        self._clock = clock
        self._is_worker = False
        self._wake = asyncio.Event()

    @property
    def is_worker(self) -> bool:
        """Whether this process is the worker of the account now."""
        return self._is_worker

    def become_worker(self, is_worker: bool) -> None:
        """Says whether this process is the worker now."""
        self._is_worker = is_worker

    async def sync(self, mode: SyncMode = SyncMode.EVERYTHING, *, timeout: timedelta) -> SyncResult:
        """Syncs now and returns what it changed; empty when another replica did it.

        Raises:
            SyncRunningElsewhere: Another device of the identity is syncing.
            BackboneError: The Backbone is away.
            NoWorker: No replica has served the request in time.
        """
        if self._is_worker:
            return await self._sync.sync(mode)
        request = self._ids.new(LOCAL)

        async def ask(work: Work) -> None:
            work.store_silently(SYNC_REQUESTS, {"id": request, "createdAt": work.now})

        await self._commits.run(ask)
        deadline = self._clock.monotonic() + timeout.total_seconds()
        while await self._store.get(SYNC_REQUESTS, request) is not None:
            if self._clock.monotonic() >= deadline:
                raise NoWorker("No replica has synchronised this account in time; try again.")
            await self._clock.sleep(_LOOK_EVERY)
        return SyncResult()

    def wake(self) -> None:
        """Tells the worker that there may be news."""
        self._wake.set()

    async def wait(self, interval: timedelta) -> None:
        """Returns when somebody woke the worker, another replica left a request, or the interval is over."""
        until = self._clock.monotonic() + interval.total_seconds()
        while not self._wake.is_set() and (left := until - self._clock.monotonic()) > 0:
            if await self._store.find(SYNC_REQUESTS, limit=1):
                break
            try:
                async with asyncio.timeout(min(left, 1.0)):
                    await self._wake.wait()
            except TimeoutError:
                pass
        self._wake.clear()

    async def serve(self, mode: SyncMode = SyncMode.EVERYTHING) -> SyncResult:
        """Syncs and marks the requests that were there before as served.

        Raises:
            SyncRunningElsewhere, BackboneError: As `SyncController.sync`; the requests stay.
        """
        requests = await self._store.find(SYNC_REQUESTS)
        result = await self._sync.sync(mode)
        if requests:

            async def done(work: Work) -> None:
                for request in requests:
                    work.delete_silently(SYNC_REQUESTS, request["id"])

            await self._commits.run(done)
        return result

    async def forget_abandoned(self) -> None:
        """Removes requests whose callers are long gone."""
        before = format_date(self._clock.now() - _FORGOTTEN_AFTER)
        for request in await self._store.find(SYNC_REQUESTS):
            if request["createdAt"] < before:

                async def forget(work: Work, request_id: str = request["id"]) -> None:
                    work.delete_silently(SYNC_REQUESTS, request_id)

                await self._commits.run(forget)
