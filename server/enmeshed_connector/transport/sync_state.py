"""What is durable about syncs: where this device is in the datawallet, what it is pushing, which run it is in.

The repository of `SyncInfo`, `UnpushedDatawalletModifications` and `_ProcessedEvents`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from enmeshed_connector.backbone.endpoints.sync_runs import EXTERNAL_EVENT_SYNC
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.ids import SyncRunId
from enmeshed_connector.storage import Store
from enmeshed_connector.transport.objects import PROCESSED_EVENTS, SYNC_INFO, UNPUSHED_MODIFICATIONS, Document
from enmeshed_connector.transport.work import Work

_INDEX = "localDatawalletModificationIndex"
_ATTEMPT = "_push"
_RUN = "_run"
DATAWALLET_TIME = "SyncTime-Datawallet"
EVERYTHING_TIME = "SyncTime-Everything"


@dataclass(frozen=True)
class PushAttempt:
    """Modifications that were about to be added to the datawallet, and may have been."""

    base: int
    """The highest index of the datawallet before them; -1 for an empty one."""
    local_ids: tuple[str, ...]
    """The records of `UnpushedDatawalletModifications`, in the order in which they would follow `base`."""

    def covers(self, index: int) -> bool:
        """Tells whether the modification of this index would be one of these."""
        return self.base < index <= self.base + len(self.local_ids)


@dataclass(frozen=True)
class RunRecord:
    """The sync run that this device started and has not finished."""

    id: SyncRunId
    type: str = EXTERNAL_EVENT_SYNC
    attempt: PushAttempt | None = None
    """The modifications that finish it; set before it is finished for the first time, once all else is durable."""
    new_version: int | None = None
    """For a version upgrade: the version that it leads to."""


NO_RUN = RunRecord(SyncRunId(""))
"""Stands for the absence of a run."""


@dataclass(frozen=True)
class SyncTimes:
    """When syncs were last completed, as the network writes dates; None for never."""

    datawallet: str | None
    everything: str | None


class SyncState:
    """Reads and writes what is durable about syncs."""

    def __init__(self, store: Store) -> None:
        """Takes the account's store; writes go through a `Work`."""
        self._store = store

    async def index(self) -> int | None:
        """Returns the highest index of the datawallet that is applied here; None before the first."""
        value = await self._entry(_INDEX)
        return value if isinstance(value, int) and value >= 0 else None

    def set_index(self, work: Work, index: int) -> None:
        """Moves the index."""
        work.write_entry(SYNC_INFO, _INDEX, index)

    async def attempt(self) -> PushAttempt | None:
        """Returns the push whose outcome is not known yet."""
        value = await self._entry(_ATTEMPT)
        return None if value is None else _to_attempt(value)

    def set_attempt(self, work: Work, attempt: PushAttempt | None) -> None:
        """Remembers a push before it is sent, or forgets it."""
        if attempt is None:
            work.delete_entry(SYNC_INFO, _ATTEMPT)
        else:
            work.write_entry(SYNC_INFO, _ATTEMPT, _from_attempt(attempt))

    async def run(self) -> RunRecord | None:
        """Returns the run that is to be resumed."""
        value = await self._entry(_RUN)
        if value is None:
            return None
        return RunRecord(
            SyncRunId(value["id"]),
            value["type"],
            _to_attempt(value["attempt"]) if value.get("attempt") else None,
            value.get("newVersion"),
        )

    def set_run(self, work: Work, run: RunRecord | None) -> None:
        """Remembers a run, or forgets it."""
        if run is None:
            work.delete_entry(SYNC_INFO, _RUN)
            return
        value: Document = {"id": run.id, "type": run.type}
        if run.attempt is not None:
            value["attempt"] = _from_attempt(run.attempt)
        if run.new_version is not None:
            value["newVersion"] = run.new_version
        work.write_entry(SYNC_INFO, _RUN, value)

    async def times(self) -> SyncTimes:
        """Returns when syncs were last completed."""
        return SyncTimes(await self._entry(DATAWALLET_TIME), await self._entry(EVERYTHING_TIME))

    def set_time(self, work: Work, name: str) -> None:
        """Notes that a sync is completed: `DATAWALLET_TIME` or `EVERYTHING_TIME`."""
        work.write_entry(SYNC_INFO, name, work.now)

    async def unpushed(self, *, limit: int) -> list[Document]:
        """Returns the oldest modifications that wait to be pushed, in order."""
        return await self._store.find(UNPUSHED_MODIFICATIONS, sort=["_rev"], limit=limit)

    async def unpushed_by_id(self, local_ids: Iterable[str]) -> list[Document]:
        """Returns these modifications in this order, those that are gone left out."""
        found = [await self._store.get(UNPUSHED_MODIFICATIONS, local_id) for local_id in local_ids]
        return [document for document in found if document is not None]

    async def has_unpushed(self) -> bool:
        """Tells whether modifications wait to be pushed."""
        return bool(await self.unpushed(limit=1))

    async def unpushed_of(self, work: Work, object_id: str) -> list[Document]:
        """Returns the waiting modifications of one object, in order."""
        return await work.find(UNPUSHED_MODIFICATIONS, {"objectIdentifier": object_id}, sort=["_rev"])

    def forget_pushed(self, work: Work, local_ids: Iterable[str]) -> None:
        """Removes modifications that are in the datawallet now."""
        for local_id in local_ids:
            work.delete_silently(UNPUSHED_MODIFICATIONS, local_id)

    def mark_processed(self, work: Work, run_id: str, event_ids: Iterable[str]) -> None:
        """Remembers, with what follows from them, that external events were processed."""
        ids = list(event_ids)
        if ids:
            work.store_silently(
                PROCESSED_EVENTS, {"id": ids[0], "runId": run_id, "eventIds": ids, "processedAt": work.now}
            )

    async def processed_events(self) -> frozenset[str]:
        """Returns the ids of external events that were processed and whose run is not known to be finished."""
        documents = await self._store.find(PROCESSED_EVENTS)
        return frozenset(identifier for document in documents for identifier in document["eventIds"])

    async def forget_processed(self, work: Work, run_id: str) -> None:
        """Forgets the events of a run that is finished for certain: they are never delivered again."""
        for document in await work.find(PROCESSED_EVENTS, {"runId": run_id}):
            work.delete_silently(PROCESSED_EVENTS, document["id"])

    async def forget_processed_before(self, work: Work, moment: str) -> None:
        """Forgets events that were processed before a moment, whatever became of their runs."""
        for document in await work.find(PROCESSED_EVENTS):
            if parse_date(document["processedAt"]) < parse_date(moment):
                work.delete_silently(PROCESSED_EVENTS, document["id"])

    async def _entry(self, name: str) -> Any:  # entries of the map have different shapes
        entry = await self._store.get(SYNC_INFO, name)
        return None if entry is None else entry.get("value")


def _to_attempt(value: Mapping[str, Any]) -> PushAttempt:
    return PushAttempt(value["base"], tuple(value["localIds"]))


def _from_attempt(attempt: PushAttempt) -> Document:
    return {"base": attempt.base, "localIds": list(attempt.local_ids)}
