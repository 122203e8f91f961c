"""The store on MongoDB, and on servers that speak its protocol such as FerretDB.

Needs no transactions, partial indexes, change streams or array filters: a commit is one insert into the log
(`mongo_commit`), and everything else follows from it. Works on a standalone server; several processes may serve the
same database. On a server whose updates are not atomic (FerretDB) several processes are kept apart by time, not by
proof: use MongoDB for more than one replica.
"""

from __future__ import annotations

import asyncio
import os
import random as random_module
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta

from pymongo import ASCENDING, monitoring
from pymongo.errors import PyMongoError

from ..core.canonical_json import JsonObject
from ..core.clock import Clock, SystemClock
from ..core.dates import format_date
from .base import BaseStore, check_database_name, indexed_paths
from .errors import StorageUnavailable
from .filters import Filter
from .mongo_apply import Applier
from .mongo_codec import BLOB, GONE, LOSSY, Raw, decode
from .mongo_commit import Committer
from .mongo_connection import Client, Collection, Driver, close, connect, errors_translated, storage_error
from .mongo_entries import Blobs, Entries, Meta
from .mongo_log import MongoLog
from .mongo_query import behind, sort_fields, translate
from .mongo_turns import Turns
from .port import CollectionSpec, Keyset, Position, Sort, StoreOptions
from .system_collections import COUNTERS, MARKS, SYSTEM_COLLECTIONS
from .unit_of_work import CommitRequest, StoreUnitOfWork
from .values import matcher

_CHECK_SECONDS = 1.0
_KEEP_TOMBSTONES = timedelta(days=1)
_BATCH = 500


class MongoStore(BaseStore):
    """`port.Store` over one MongoDB database; opened by `MongoDatabases`."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        options: StoreOptions,
        random: Callable[[], float],
        *,
        collection_of: Callable[[str], Collection],
        committer: Committer,
        applier: Applier,
        entries: Entries,
        log: MongoLog,
    ) -> None:
        super().__init__(name, clock, options, random)
        self._collection_of = collection_of
        self._committer = committer
        self._applier = applier
        self._entries = entries
        self._log = log
        self._log.bind(self)
        self._reserving = asyncio.Lock()

    @property
    def log(self) -> MongoLog:
        """The log of this database."""
        return self._log

    @property
    def applied_entry(self) -> int:
        """The entry of the log up to which everything is applied."""
        return self._committer.applied

    async def commit(self, request: CommitRequest) -> Position:
        """Stores a unit of work as one entry of the log."""
        return await self._committer.commit(request)

    async def reserve(self, counter: str, amount: int = 1) -> int:
        """Takes consecutive numbers from a counter and returns the first.

        A commit like any other: FerretDB's updates are not atomic, its inserts are.
        """
        if amount < 1:
            raise ValueError("at least one number is reserved")

        async def take(uow: StoreUnitOfWork) -> int:
            document = await uow.get(COUNTERS.name, counter)
            first = 0 if document is None else int(document["next"])
            uow.put(COUNTERS.name, {"name": counter, "next": first + amount})
            return first

        async with self._reserving:
            return await self.transact(take)

    async def tidy(self) -> None:
        """Forgets expired idempotency records, and removes what is not needed any more from log and documents."""
        await super().tidy()
        await self._committer.prune()
        before = format_date(self._clock.now() - _KEEP_TOMBSTONES)
        async with errors_translated():
            unused = await self._entries.blobs.old_ones(before)
            for spec in self.collections.all():
                collection = self._collection_of(spec.name)
                await collection.delete_many({GONE: {"$lt": before}})
                if unused:
                    cursor = collection.find({BLOB: {"$exists": True}}, {BLOB: 1})
                    unused -= {raw[BLOB]["id"] async for raw in cursor}
            if unused:
                cursor = self._entries.collection.find({f"events.{BLOB}": {"$exists": True}}, {"events": 1})
                unused -= {entry["events"][BLOB]["id"] async for entry in cursor}
            for id_ in unused:
                await self._entries.blobs.delete(id_)

    async def close(self) -> None:
        """Waits for commits under way."""
        await self._committer.close()

    async def _peek(self, counter: str) -> int:
        document = await self.get(COUNTERS.name, counter)
        return 0 if document is None else int(document["next"])

    async def _prepare(self, specs: Sequence[CollectionSpec]) -> None:
        async with errors_translated():
            for spec in specs:
                collection = self._collection_of(spec.name)
                await collection.create_index([(LOSSY, ASCENDING)])
                for path in indexed_paths(spec):
                    await collection.create_index([(path, ASCENDING), ("_id", ASCENDING)])

    async def _get(self, spec: CollectionSpec, id: str) -> JsonObject | None:
        await self._committer.settle()
        async with errors_translated():
            raw = await self._collection_of(spec.name).find_one({"_id": id})
            return None if raw is None else await self._decoded(spec, raw)

    async def _find(
        self, spec: CollectionSpec, filter: Filter, order: Sequence[Sort], limit: int | None, after: Keyset | None
    ) -> list[JsonObject]:
        query = translate(spec, filter).wide()
        if after is not None:
            query = {"$and": [query, behind(spec, order, after)]}
        matches = matcher(filter)
        found: list[JsonObject] = []
        await self._committer.settle()
        async with errors_translated():
            cursor = self._collection_of(spec.name).find(query).sort(sort_fields(spec, order))
            if limit is not None:
                cursor = cursor.batch_size(min(limit + 1, _BATCH))
            try:
                async for raw in cursor:
                    document = await self._decoded(spec, raw)
                    if document is not None and matches(document):
                        found.append(document)
                        if len(found) == limit:
                            break
            finally:
                await cursor.close()
        return found

    async def _count(self, spec: CollectionSpec, filter: Filter) -> int:
        query = translate(spec, filter)
        if not query.is_exact:
            return len(await self._find(spec, filter, (Sort(spec.id_field),), None, None))
        matches = matcher(filter)
        collection = self._collection_of(spec.name)
        await self._committer.settle()
        async with errors_translated():
            number = int(await collection.count_documents(query.strict()))
            if query.roots:
                async for raw in collection.find({LOSSY: {"$in": sorted(query.roots)}}):
                    document = await self._decoded(spec, raw)
                    number += document is not None and matches(document)
        return number

    async def _decoded(self, spec: CollectionSpec, raw: Raw) -> JsonObject | None:
        """Returns the document, None for one that was deleted."""
        if GONE in raw:
            return None
        return decode(raw, await self._applier.large_text(raw))


class MongoDatabases:
    """`port.Databases` over one server. Belongs to the event loop in which it is first used."""

    def __init__(
        self,
        uri: str,
        *,
        driver: Driver = "motor",
        clock: Clock | None = None,
        options: StoreOptions | None = None,
        random: Callable[[], float] = random_module.random,
        random_bytes: Callable[[int], bytes] = os.urandom,
        listeners: Sequence[monitoring.CommandListener] = (),
    ) -> None:
        """Makes the port; connects when it is first used.

        Args:
            uri: The connection string; its write and read concerns are overridden.
            driver: `motor`, or `pymongo` for PyMongo's own asynchronous client, which needs less CPU.
            clock: For leases, waits and the times in the log.
            options: How stores behave.
            random: Numbers from 0 to 1, for jitter.
            random_bytes: For the ids of logs, commits and large texts.
            listeners: Told of every command.
        """
        self._uri = uri
        self._driver = driver
        self._clock = clock or SystemClock()
        self._options = options or StoreOptions()
        self._random = random
        self._random_bytes = random_bytes
        self._listeners = tuple(listeners)
        self._client: Client | None = None
        self._updates_are_atomic: bool | None = None

    async def open(self, name: str, specs: Iterable[CollectionSpec] = ()) -> MongoStore:
        """Opens a database, made when it does not exist, and applies an unapplied tail of its log."""
        check_database_name(name)
        database = self._connected()[name]
        updates_are_atomic = await self._has_atomic_updates()
        meta = Meta(database["_Meta"], database[MARKS.name])
        log_id = await meta.open(self._random_bytes)
        blobs = Blobs(database["_Blobs"], self._random_bytes)
        entries = Entries(database["_Log"], blobs)
        applier = Applier(database.get_collection, blobs)
        committer = Committer(
            entries=entries,
            applier=applier,
            turns=Turns(database["_Turns"], self._clock, self._random_bytes(8).hex()),
            collection_of=database.get_collection,
            clock=self._clock,
            options=self._options,
            random=self._random,
            random_bytes=self._random_bytes,
            updates_are_atomic=updates_are_atomic,
        )
        async with errors_translated():
            await entries.prepare()
            await committer.open(meta.oldest)
        log = MongoLog(
            log_id,
            clock=self._clock,
            poll_interval=self._options.poll_interval,
            committer=committer,
            entries=entries,
            meta=meta,
        )
        store = MongoStore(
            name,
            self._clock,
            self._options,
            self._random,
            collection_of=database.get_collection,
            committer=committer,
            applier=applier,
            entries=entries,
            log=log,
        )
        await store.declare(*SYSTEM_COLLECTIONS, COUNTERS, MARKS, *specs)
        return store

    async def names(self) -> list[str]:
        """Returns the names of the databases that exist, sorted; those of the server itself left out."""
        async with errors_translated():
            names = await self._connected().list_database_names()
        return sorted(set(names) - {"admin", "config", "local"})

    async def drop(self, name: str) -> None:
        """Deletes a database and all that is in it; its store must be closed."""
        check_database_name(name)
        async with errors_translated():
            await self._connected().drop_database(name)

    async def check(self) -> None:
        """Returns when the server answers."""
        try:
            async with asyncio.timeout(_CHECK_SECONDS):
                await self._connected().admin.command("ping")
        except TimeoutError:
            raise StorageUnavailable("the database does not answer") from None
        except PyMongoError as error:
            raise storage_error(error) from error

    async def close(self) -> None:
        """Closes the connections; stores must be closed before."""
        if self._client is not None:
            client, self._client = self._client, None
            await close(client)

    def _connected(self) -> Client:
        if self._client is None:
            self._client = connect(self._uri, self._driver, self._listeners)
        return self._client

    async def _has_atomic_updates(self) -> bool:
        if self._updates_are_atomic is None:
            async with errors_translated():
                information = await self._connected().admin.command("buildInfo")
            self._updates_are_atomic = not any(key.lower().startswith("ferretdb") for key in information)
        return self._updates_are_atomic
