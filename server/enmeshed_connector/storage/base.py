"""What all adapters share: declared collections, retries of conflicts, idempotency records, leases."""

from __future__ import annotations

import abc
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

from ..core.canonical_json import JsonObject
from ..core.clock import Clock
from ..core.dates import format_date
from .errors import LeaseLost, RevisionConflict
from .filters import Filter, FilterLike, as_filter, check_path, where
from .port import CollectionSpec, IdempotencyRecord, Keyset, Lease, Log, Position, Sort, SortLike, StoreOptions
from .system_collections import (
    COUNTERS,
    IDEMPOTENCY,
    LEASES,
    MARKS,
    SYSTEM_COLLECTIONS,
    idempotency_record,
    lease_document,
)
from .unit_of_work import CommitRequest, StoreUnitOfWork
from .values import check_keyset, resolve_sort

T = TypeVar("T")

_FIRST_WAIT = timedelta(milliseconds=5)
_LONGEST_WAIT = timedelta(milliseconds=500)
_TIDY_BATCH = 500
_TAKEN_NAMES = frozenset(
    {"_log", "_meta", "_counters", "_columns", "_values", "_subjects", "_blobs", "_marks", "_turns"}
)


class Collections:
    """The collections of a store as they were declared so far."""

    def __init__(self) -> None:
        self._specs: dict[str, CollectionSpec] = {}

    def __getitem__(self, name: str) -> CollectionSpec:
        """Returns the declaration of a collection.

        Raises:
            ValueError: It was not declared.
        """
        try:
            return self._specs[name]
        except KeyError:
            raise ValueError(f"collection {name!r} was not declared") from None

    def merged(self, specs: Iterable[CollectionSpec]) -> list[CollectionSpec]:
        """Returns the collections that change by a declaration, as they are afterwards; changes nothing yet.

        Raises:
            ValueError: A name or path is not allowed, or two declarations do not fit together.
        """
        changed: dict[str, CollectionSpec] = {}
        for spec in specs:
            known = changed.get(spec.name) or self._specs.get(spec.name)
            merged = _merge(known, spec)
            if merged != known:
                changed[spec.name] = merged
        return list(changed.values())

    def update(self, specs: Iterable[CollectionSpec]) -> None:
        """Makes merged declarations valid."""
        self._specs.update((spec.name, spec) for spec in specs)

    def all(self) -> list[CollectionSpec]:
        """Returns all declarations."""
        return list(self._specs.values())


def indexed_paths(spec: CollectionSpec) -> tuple[str, ...]:
    """Returns every path of a collection that is worth an index, each once."""
    unique = (path for index in spec.unique for path in index)
    return tuple(path for path in dict.fromkeys((*spec.indexes, *spec.sortable, *unique)) if path != spec.id_field)


class BaseStore(abc.ABC):
    """`port.Store` without what depends on the database."""

    def __init__(self, name: str, clock: Clock, options: StoreOptions, random: Callable[[], float]) -> None:
        """Makes a store.

        Args:
            name: The database's name.
            clock: For leases, waits and the times in the log.
            options: How it behaves.
            random: Numbers from 0 to 1, for jitter.
        """
        self.name = name
        self.collections = Collections()
        self._clock = clock
        self._options = options
        self._random = random

    # What an adapter gives.

    @property
    @abc.abstractmethod
    def log(self) -> Log:
        """The log of this database."""

    @property
    @abc.abstractmethod
    def applied_entry(self) -> int:
        """The entry of the log up to which reads of this store certainly see everything."""

    @abc.abstractmethod
    async def commit(self, request: CommitRequest) -> Position:
        """Stores a unit of work; see `port.UnitOfWork.commit`."""

    @abc.abstractmethod
    async def reserve(self, counter: str, amount: int = 1) -> int:
        """Takes consecutive numbers from a counter and returns the first."""

    @abc.abstractmethod
    async def _peek(self, counter: str) -> int:
        """Returns the next number of a counter without taking it."""

    @abc.abstractmethod
    async def _prepare(self, specs: Sequence[CollectionSpec]) -> None:
        """Makes the database ready for collections, existing documents included."""

    @abc.abstractmethod
    async def _get(self, spec: CollectionSpec, id: str) -> JsonObject | None:
        """Returns a document by its id."""

    @abc.abstractmethod
    async def _find(
        self,
        spec: CollectionSpec,
        filter: Filter,
        order: Sequence[Sort],
        limit: int | None,
        after: Keyset | None,
    ) -> list[JsonObject]:
        """Returns matching documents; the order ends with the id."""

    @abc.abstractmethod
    async def _count(self, spec: CollectionSpec, filter: Filter) -> int:
        """Returns the number of matching documents."""

    # What they share.

    def spec(self, collection: str) -> CollectionSpec:
        """Returns the declaration of a collection.

        Raises:
            ValueError: It was not declared.
        """
        return self.collections[collection]

    async def declare(self, *specs: CollectionSpec) -> None:
        """Declares further collections, or further indexes of known ones."""
        changed = self.collections.merged(specs)
        if changed:
            await self._prepare(changed)
            self.collections.update(changed)

    async def get(self, collection: str, id: str) -> JsonObject | None:
        """Returns a document, None when there is none."""
        return await self._get(self.spec(collection), id)

    async def find(
        self,
        collection: str,
        filter: FilterLike = None,
        *,
        sort: Sequence[SortLike] = (),
        limit: int | None = None,
        after: Keyset | None = None,
    ) -> list[JsonObject]:
        """Returns the documents that match."""
        spec = self.spec(collection)
        order = resolve_sort(spec, sort)
        if after is not None:
            check_keyset(order, after)
        if limit is not None and limit < 0:
            raise ValueError("a limit is not negative")
        if limit == 0:
            return []
        return await self._find(spec, as_filter(filter), order, limit, after)

    async def find_one(
        self,
        collection: str,
        filter: FilterLike = None,
        *,
        sort: Sequence[SortLike] = (),
    ) -> JsonObject | None:
        """Returns the first of the documents that match, None when there is none."""
        found = await self.find(collection, filter, sort=sort, limit=1)
        return found[0] if found else None

    async def count(self, collection: str, filter: FilterLike = None) -> int:
        """Returns how many documents match."""
        return await self._count(self.spec(collection), as_filter(filter))

    def begin(self, *, lease: Lease | None = None) -> StoreUnitOfWork:
        """Returns a new unit of work."""
        return StoreUnitOfWork(self, lease)

    async def transact(self, work: Callable[[StoreUnitOfWork], Awaitable[T]], *, lease: Lease | None = None) -> T:
        """Runs `work` with a unit of work and commits, again from the start when another commit was faster."""
        wait = _FIRST_WAIT
        for attempt in range(1, self._options.transact_attempts + 1):
            try:
                async with self.begin(lease=lease) as uow:
                    result = await work(uow)
                    await uow.commit()
                    return result
            except RevisionConflict:
                if attempt == self._options.transact_attempts:
                    raise
            await self._clock.sleep(wait * (0.5 + self._random()))
            wait = min(wait * 2, _LONGEST_WAIT)
        raise AssertionError("transact_attempts is at least 1")

    async def idempotency(self, key: str) -> IdempotencyRecord | None:
        """Returns what is remembered under a key, None when there is nothing."""
        document = await self.get(IDEMPOTENCY.name, key)
        return None if document is None else idempotency_record(document)

    async def tidy(self) -> None:
        """Forgets expired idempotency records."""
        expired = where("createdAt").lt(format_date(self._clock.now() - self._options.idempotency_retention))
        while True:
            records = await self.find(IDEMPOTENCY.name, expired, limit=_TIDY_BATCH)
            if not records:
                return
            async with self.begin() as uow:
                for record in records:
                    uow.delete(IDEMPOTENCY.name, record["key"])
                await uow.commit()

    async def try_lease(self, name: str, holder: str) -> Lease | None:
        """Takes the lease when nobody holds it; returns None at once when somebody does."""
        document = await self.get(LEASES.name, name)
        if document is not None and document["holder"] is not None:
            return None
        return await self._take_lease(name, holder, document)

    async def is_leased(self, name: str) -> bool:
        """Tells whether somebody holds the lease, or held it when it died."""
        document = await self.get(LEASES.name, name)
        return document is not None and document["holder"] is not None

    async def acquire_lease(self, name: str, holder: str, duration: timedelta) -> Lease:
        """Waits until the lease is free or its holder stopped renewing, and takes it."""
        seen: tuple[int, int] | None = None
        unchanged_since = 0.0
        while True:
            # The counter first: a holder that renews between both readings looks alive, never dead.
            renewals = await self._peek(_renewals_of(name))
            document = await self.get(LEASES.name, name)
            is_free = document is None or document["holder"] is None
            now = self._clock.monotonic()
            if document is not None and seen != (document["_rev"], renewals):
                seen, unchanged_since = (document["_rev"], renewals), now
            if is_free or now - unchanged_since >= duration.total_seconds():
                lease = await self._take_lease(name, holder, document)
                if lease is not None:
                    return lease
            await self._clock.sleep(min(duration / 10, timedelta(seconds=1)))

    async def renew_lease(self, lease: Lease) -> None:
        """Tells contenders that the holder is alive."""
        document = await self.get(LEASES.name, lease.name)
        if document is None or document["_rev"] != lease.epoch:
            raise LeaseLost(f"lease {lease.name} was taken by another process", facts={"lease": lease.name})
        await self.reserve(_renewals_of(lease.name))

    async def release_lease(self, lease: Lease) -> None:
        """Gives the lease back; nothing happens when it was lost already."""
        try:
            async with self.begin(lease=lease) as uow:
                uow.put(LEASES.name, lease_document(lease.name, None))
                await uow.commit()
        except LeaseLost:
            return

    async def _take_lease(self, name: str, holder: str, seen: JsonObject | None) -> Lease | None:
        """Takes the lease if its document still is the one that was seen."""
        try:
            async with self.begin() as uow:
                known = await uow.get(LEASES.name, name)
                if (known and known["_rev"]) != (seen and seen["_rev"]):
                    return None
                uow.put(LEASES.name, lease_document(name, holder))
                position = await uow.commit()
        except RevisionConflict:
            return None
        return Lease(name, holder, position.entry)


_STORE_MEMBERS = frozenset({"_id", "_rev", "_gone", "_lossy", "_body"})
"""Members and columns that are the store's own; other members that start with `_` are the rooms'."""


def check_database_name(name: str) -> None:
    """Checks the name of a database.

    Raises:
        ValueError: It is empty, over 63 characters, or has others than letters, digits, `-` and `_`.
    """
    if not _is_name(name) or len(name) > 63:
        raise ValueError(f"not a name of a database: {name!r}")


def _renewals_of(lease: str) -> str:
    return f"lease:{lease}"


def _merge(known: CollectionSpec | None, spec: CollectionSpec) -> CollectionSpec:
    if not _is_name(spec.name) or (spec.name.lower() in _TAKEN_NAMES and spec not in (COUNTERS, MARKS)):
        raise ValueError(f"not a collection name: {spec.name!r}")
    for path in (spec.id_field, *indexed_paths(spec)):
        check_path(path)
        if path.partition(".")[0] in _STORE_MEMBERS or path.startswith("_content"):
            raise ValueError(f"{path!r} is reserved")
    if known is None:
        return spec
    if known.id_field != spec.id_field:
        raise ValueError(f"{spec.name} is declared with two id fields: {known.id_field}, {spec.id_field}")
    return replace(
        known,
        indexes=tuple(dict.fromkeys((*known.indexes, *spec.indexes))),
        sortable=tuple(dict.fromkeys((*known.sortable, *spec.sortable))),
        unique=tuple(dict.fromkeys((*known.unique, *spec.unique))),
    )


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 64 and name.isascii() and name.replace("_", "").replace("-", "").isalnum()


__all__ = ["SYSTEM_COLLECTIONS", "BaseStore", "Collections", "check_database_name", "indexed_paths"]
