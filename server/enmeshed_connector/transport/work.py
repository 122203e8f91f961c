"""One change of an account: documents, what other devices must learn of them, and events, in one commit.

Whoever changes something writes a function that takes a `Work` and hands it to `Commits.run`:

    async def close(work: Work) -> Document:
        relationship = await work.require(RELATIONSHIPS, relationship_id, "relationship")
        changed = relationship | {"status": "Terminated"}
        await work.save(RELATIONSHIPS, changed)
        work.publish(events.RELATIONSHIP_CHANGED, changed, subjects=[relationship_id])
        return changed

    await context.commits.run(close)

The function may run several times, since a commit that loses a race is made anew from fresh documents; so it reads
through the work, and does nothing to the outside. Requests to the Backbone come before (`pending.py` for those that
must not happen twice), with one exception: processors of external events may *read* from the Backbone.

What is written with `create`, `save` and `remove` to a synchronised collection is recorded for the other devices in the
same commit, unless the datawallet is switched off or the change came from another device.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.ids import LOCAL, LOCAL_MODIFICATION, IdMaker
from enmeshed_connector.storage import FilterLike, IdempotencyRecord, Lease, Position, SortLike, Store, UnitOfWork
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.modifications import Modification, created, deleted, updated
from enmeshed_connector.transport.objects import (
    UNPUSHED_MODIFICATIONS,
    Document,
    SynchronizedCollection,
    SynchronizedCollections,
    public_part,
)

T = TypeVar("T")

_COUNTING_DIGITS = 5


class Origin(enum.Enum):
    """Where a change came from; part of each event."""

    LOCAL = "LOCAL"
    """A call to this Connector, or something that it does by itself."""
    EXTERNAL = "EXTERNAL"
    """An external event of the Backbone: a peer did it."""
    DATAWALLET = "DATAWALLET"
    """Another device of the same identity."""


@dataclass(frozen=True)
class Cause:
    """Why a commit happens: handed from the one who asked down to the commit."""

    origin: Origin = Origin.LOCAL
    correlation_id: str | None = None
    """Taken over into the events of the commit."""


LOCAL_CAUSE = Cause()


class Work:
    """One commit in the making. Used by one task; nothing is stored until the function that got it returns."""

    def __init__(
        self,
        uow: UnitOfWork,
        *,
        collections: SynchronizedCollections,
        ids: IdMaker,
        clock: Clock,
        datawallet_version: int | None,
        cause: Cause,
    ) -> None:
        """Wraps a unit of work of the store.

        Args:
            uow: The unit of work; whoever made it commits it.
            collections: What is synchronised, and how.
            ids: Makes ids of modifications and events.
            clock: Gives events their time.
            datawallet_version: The version modifications carry; None when the datawallet is switched off.
            cause: Where the change comes from.
        """
        self._uow = uow
        self._collections = collections
        self._ids = ids
        self._now = format_date(clock.now())
        self._datawallet_version = datawallet_version
        self._cause = cause
        self._modifications = 0
        self._local_ids = ""
        self._changed: dict[str, dict[str, None]] = {}

    @property
    def now(self) -> str:
        """The moment at which this work began, as the network writes it; the same for everything in the commit."""
        return self._now

    @property
    def origin(self) -> Origin:
        """Where the change comes from."""
        return self._cause.origin

    @property
    def changed(self) -> dict[str, tuple[str, ...]]:
        """The ids of the documents written or deleted so far, by collection, in the order of the first write."""
        return {collection: tuple(ids) for collection, ids in self._changed.items()}

    async def attempt(self, change: Callable[[], Awaitable[T]]) -> T:
        """Runs a part of this work and returns its result; when it raises, nothing that it wrote or told remains.

        For what follows from foreign content: its failure must not keep the rest from being stored.
        """
        savepoint = self._uow.savepoint()
        modifications, local_ids = self._modifications, self._local_ids
        changed = {collection: dict(ids) for collection, ids in self._changed.items()}
        try:
            return await change()
        except Exception:
            self._uow.undo_to(savepoint)
            self._modifications, self._local_ids, self._changed = modifications, local_ids, changed
            raise

    async def get(self, collection: str, identifier: str) -> Document | None:
        """Returns a document as this work sees it, None when there is none."""
        return await self._uow.get(collection, identifier)

    async def require(self, collection: str, identifier: str, kind: str) -> Document:
        """Returns a document that must be there.

        Raises:
            RecordMissing: It is not; `kind` is what the error calls it.
        """
        document = await self._uow.get(collection, identifier)
        if document is None:
            raise RecordMissing(kind, identifier)
        return document

    async def find(
        self, collection: str, where: FilterLike = None, *, sort: Sequence[SortLike] = (), limit: int | None = None
    ) -> list[Document]:
        """Returns the matching documents as this work sees them."""
        return await self._uow.find(collection, where, sort=sort, limit=limit)

    async def find_one(
        self, collection: str, where: FilterLike = None, *, sort: Sequence[SortLike] = ()
    ) -> Document | None:
        """Returns the first matching document, None when there is none."""
        return await self._uow.find_one(collection, where, sort=sort)

    async def create(self, collection: str, document: Document) -> None:
        """Adds a document; the commit fails when one with its id exists.

        Properties that start with `_` are stored and never sent to other devices.
        """
        self._uow.insert(collection, document)
        self._note(collection, document["id"])
        if (synchronized := self._recorded(collection)) is not None:
            self._record(created(synchronized, public_part(document)))

    async def save(self, collection: str, document: Document) -> bool:
        """Stores a document, new or changed, and returns whether anything was different.

        Only what differs is recorded for the other devices. Properties of ours (`_…`) that the new document lacks are
        lost, except the revision.
        """
        before = await self._uow.get(collection, document["id"])
        if before is None:
            await self.create(collection, document)
            return True
        if {name: value for name, value in before.items() if name != "_rev"} == {
            name: value for name, value in document.items() if name != "_rev"
        }:
            return False
        self._uow.replace(collection, document | {"_rev": before["_rev"]})
        self._note(collection, document["id"])
        if (synchronized := self._recorded(collection)) is not None:
            self._record(updated(synchronized, public_part(before), public_part(document)))
        return True

    async def remove(self, collection: str, identifier: str) -> Document | None:
        """Deletes a document and returns what it was, None when there was none."""
        before = await self._uow.get(collection, identifier)
        if before is None:
            return None
        self._uow.delete(collection, identifier)
        self._note(collection, identifier)
        if (synchronized := self._recorded(collection)) is not None:
            self._record(deleted(synchronized, identifier))
        return before

    async def read_entry(self, map_name: str, name: str) -> Json:
        """Returns the value of an entry of a map (`AccountInfo`, `DeviceSecrets`, `SyncInfo`), None when there is
        none.
        """
        entry = await self._uow.get(map_name, name)
        return None if entry is None else entry.get("value")

    def write_entry(self, map_name: str, name: str, value: Json) -> None:
        """Sets an entry of a map; the last writer wins unless the entry was read before through this work."""
        self._uow.put(map_name, {"name": name, "value": value})

    def delete_entry(self, map_name: str, name: str) -> None:
        """Removes an entry of a map, if there is one."""
        self._uow.delete(map_name, name)

    def publish(self, event_type: str, data: Document | None = None, *, subjects: Iterable[str] = ()) -> None:
        """Adds an event; readers see it exactly when they can see what else is in the commit.

        Args:
            event_type: One of `events.py`, or of the room above.
            data: The object the event is about, as it is after the commit; properties of ours are left out.
            subjects: Ids and addresses under which the event can be erased: at least the relationship and the peer it
                tells of.
        """
        event: Document = {
            "type": event_type,
            "id": self._ids.new(LOCAL),
            "createdAt": self._now,
            "origin": self._cause.origin.value,
        }
        if self._cause.correlation_id is not None:
            event["correlationId"] = self._cause.correlation_id
        if data is not None:
            event["data"] = public_part(data)
        self._uow.emit(event, subjects=subjects)

    async def idempotency(self, key: str) -> IdempotencyRecord | None:
        """Returns what is remembered under an idempotency key, None when there is nothing."""
        return await self._uow.idempotency(key)

    def remember(self, record: IdempotencyRecord, *, first: bool = False) -> None:
        """Stores an idempotency record with the commit; see `UnitOfWork.remember`."""
        self._uow.remember(record, first=first)

    def move_cursor(self, name: str, position: Position) -> None:
        """Moves or makes a named cursor of the log with the commit."""
        self._uow.move_cursor(name, position)

    def drop_cursor(self, name: str) -> None:
        """Removes a named cursor of the log with the commit, if there is one."""
        self._uow.drop_cursor(name)

    def store_silently(self, collection: str, document: Document) -> None:
        """Stores a document without telling other devices: for local collections, and for what other devices sent."""
        self._uow.put(collection, document)
        self._note(collection, document["id"])

    def delete_silently(self, collection: str, identifier: str) -> None:
        """Deletes a document without telling other devices."""
        self._uow.delete(collection, identifier)
        self._note(collection, identifier)

    def record_snapshot(self, collection: str, document: Document) -> None:
        """Records a document that is stored already as if it were new, for devices that never heard of it."""
        if (synchronized := self._recorded(collection)) is not None:
            self._record(created(synchronized, public_part(document)))

    def _recorded(self, collection: str) -> SynchronizedCollection | None:
        if self._datawallet_version is None or self._cause.origin is Origin.DATAWALLET:
            return None
        return self._collections.find(collection)

    def _record(self, modifications: Iterable[Modification]) -> None:
        for modification in modifications:
            # Revisions order the records of different commits, ids those of one commit: they count up.
            if not self._modifications:
                self._local_ids = self._ids.new(LOCAL_MODIFICATION)[:-_COUNTING_DIGITS]
            local_id = f"{self._local_ids}{self._modifications:0{_COUNTING_DIGITS}}"
            self._uow.insert(UNPUSHED_MODIFICATIONS, modification.to_document(local_id, self._datawallet_version or 0))
            self._modifications += 1

    def _note(self, collection: str, identifier: str) -> None:
        self._changed.setdefault(collection, {})[identifier] = None


class Commits:
    """Makes the commits of one account."""

    def __init__(
        self,
        store: Store,
        *,
        collections: SynchronizedCollections,
        ids: IdMaker,
        clock: Clock,
        datawallet_version: int | None,
    ) -> None:
        """Takes what every `Work` needs; `datawallet_version` is None when the datawallet is switched off."""
        self._store = store
        self._collections = collections
        self._ids = ids
        self._clock = clock
        self._datawallet_version = datawallet_version

    async def run(
        self, change: Callable[[Work], Awaitable[T]], *, cause: Cause = LOCAL_CAUSE, lease: Lease | None = None
    ) -> T:
        """Runs the change and commits what it did, again from the start when another commit was faster.

        Args:
            change: Reads and writes through the work; safe to repeat. What it raises goes to the caller, and nothing is
                stored.
            cause: Where the change comes from.
            lease: The commit is refused when this lease is no longer held; for what only the account's worker may do.

        Raises:
            RevisionConflict: Other commits were faster too often.
            UniqueViolation: Something it creates exists.
            LeaseLost: Another process is the worker now.
            StorageUnavailable: The database is away; nothing was stored.
            CommitOutcomeUnknown: The database went away meanwhile.
        """

        async def attempt(uow: UnitOfWork) -> T:
            return await change(self.wrap(uow, cause))

        return await self._store.transact(attempt, lease=lease)

    def wrap(self, uow: UnitOfWork, cause: Cause = LOCAL_CAUSE) -> Work:
        """Returns a work over a unit of work that the caller commits: for rooms above that add to the same commit."""
        return Work(
            uow,
            collections=self._collections,
            ids=self._ids,
            clock=self._clock,
            datawallet_version=self._datawallet_version,
            cause=cause,
        )


class WorkerCommits:
    """Commits that only the account's worker may make: those of syncs (architecture.md, decision 7).

    Without a lease there is one process, which is the worker.
    """

    def __init__(self, commits: Commits) -> None:
        """Takes what makes the commits."""
        self._commits = commits
        self.lease: Lease | None = None
        """The lease that each commit is bound to."""

    async def run(self, change: Callable[[Work], Awaitable[T]], *, cause: Cause = LOCAL_CAUSE) -> T:
        """Runs and commits the change as `Commits.run`.

        Raises:
            LeaseLost: Another process is the worker now; nothing was stored.
        """
        return await self._commits.run(change, cause=cause, lease=self.lease)
