"""What other devices missed while the datawallet was switched off here.

Nothing is recorded for other devices then. When the datawallet is switched on later, everything that is stored is
recorded once as if it were new, after what the other devices did meanwhile was pulled. Deletions made while it was off
are not made up for.
"""

from __future__ import annotations

from enmeshed_connector.storage import Keyset
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import ACCOUNT_INFO, SynchronizedCollections
from enmeshed_connector.transport.work import Work, WorkerCommits

RECORDING = "_recording"
"""Entry of `AccountInfo`: True since all that is stored is recorded for other devices; missing or False before."""
_PROGRESS = "_snapshot"
_PAGE = 100


class Snapshot:
    """Records what is stored, in pages, and goes on where it was interrupted."""

    def __init__(self, context: AccountContext, commits: WorkerCommits, collections: SynchronizedCollections) -> None:
        """Takes the account, the worker's commits, and the synchronised collections."""
        self._context = context
        self._commits = commits
        self._collections = collections
        self._is_taken = False

    async def take_if_needed(self) -> None:
        """Records everything that is stored unless that was done since the datawallet was switched on.

        Raises:
            StorageUnavailable: The database is away; repeating goes on where it ended.
        """
        if self._is_taken:
            return
        entry = await self._context.store.get(ACCOUNT_INFO, RECORDING)
        if entry is None or entry.get("value") is not True:
            progress = await self._context.store.get(ACCOUNT_INFO, _PROGRESS)
            done = dict((progress or {}).get("value") or {})
            for collection in self._collections:
                await self._take(collection.name, done)
            await self._commits.run(self._finish)
        self._is_taken = True

    async def _take(self, collection: str, done: dict[str, str]) -> None:
        while True:
            after = Keyset((), done[collection]) if collection in done else None
            ids = [document["id"] for document in await self._context.store.find(collection, limit=_PAGE, after=after)]
            if not ids:
                return
            done[collection] = ids[-1]

            async def record(work: Work, ids: list[str] = ids) -> None:
                for identifier in ids:
                    document = await work.get(collection, identifier)
                    if document is not None:
                        work.record_snapshot(collection, document)
                work.write_entry(ACCOUNT_INFO, _PROGRESS, dict(done))

            await self._commits.run(record)

    async def _finish(self, work: Work) -> None:
        work.write_entry(ACCOUNT_INFO, RECORDING, True)
        work.delete_entry(ACCOUNT_INFO, _PROGRESS)
