"""The log of the MongoDB adapter."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta

from pymongo import ASCENDING

from ..core.clock import Clock
from ..core.dates import format_date, parse_date
from .log_base import BaseLog, PageBuilder, cursors_passed_by, erased
from .mongo_codec import Raw, encode_json
from .mongo_commit import Committer
from .mongo_connection import errors_translated
from .mongo_entries import Entries, Meta, entry_id, position_of
from .port import LogPage, Position, Retention, TrimResult
from .positions import StoredEntry, check_place, trim_boundary
from .system_collections import MARKS, OLDEST, cursor_document, cursor_position
from .unit_of_work import StoreUnitOfWork

# Up to this many entries are asked for one by one, which every server finds at once.
_LOOKUPS = 16
# Entries that are kept whatever the retention says, so that an insert that arrives late finds its position taken.
_KEEP_ENTRIES = 1000
_KEEP_AGE = timedelta(minutes=10)
_DELETE_AT_ONCE = 1000


class MongoLog(BaseLog):
    """`port.Log` over the collection `_Log`."""

    def __init__(
        self,
        log_id: bytes,
        *,
        clock: Clock,
        poll_interval: timedelta,
        committer: Committer,
        entries: Entries,
        meta: Meta,
    ) -> None:
        super().__init__(log_id, poll_interval, committer.notifier)
        self._clock = clock
        self._committer = committer
        self._entries = entries
        self._meta = meta

    async def head(self) -> Position:
        """Returns the place after the last event."""
        await self._committer.refresh()
        return self._committer.last_event

    async def oldest(self) -> Position:
        """Returns the earliest place that can still be read from without missing anything."""
        async with errors_translated():
            return await self._meta.oldest()

    async def read(
        self,
        after: Position,
        *,
        limit: int = 500,
        max_bytes: int = 4 * 1024 * 1024,
        types: frozenset[str] | None = None,
    ) -> LogPage:
        """Returns the events that follow a place."""
        page = self.page(after, limit, max_bytes, types)
        await self._committer.settle()
        end = self._committer.end
        async with errors_translated():
            if after.entry <= end.entry:
                await self._fill(page, after.entry, end.entry)
            if page.has_room:
                # Only now: what is known here needs no look at what other processes did.
                await self._committer.refresh()
                known, end = end, self._committer.end
                await self._fill(page, max(after.entry, known.entry + 1), end.entry)
            # Looked at after the events: what was removed while they were read is noticed.
            check_place(after, await self._meta.oldest(), end.entry, self.log_id)
        return page.finish(end)

    async def erase(self, subject: str) -> int:
        """Removes the content of all events about a subject, keeping their places."""
        # The writes of old entries hold the documents themselves.
        await self._committer.prune()
        erased_events = 0
        async with errors_translated():
            found = [entry async for entry in self._entries.collection.find({"subjects.subject": subject}, {"_id": 1})]
            for reference in found:
                entry = await self._entries.get(position_of(reference))
                if entry is None:
                    continue
                numbers = {int(item["event"]) for item in entry["subjects"] if item["subject"] == subject}
                events = await self._entries.decode_events(entry)
                kept = [erased(event) if number in numbers else event for number, event in enumerate(events)]
                subjects = [item for item in entry["subjects"] if int(item["event"]) not in numbers]
                await self._entries.collection.update_one(
                    {"_id": entry["_id"]},
                    {"$set": {"events": [encode_json(event) for event in kept], "subjects": subjects}},
                )
                erased_events += len(numbers)
        return erased_events

    async def trim(self, retention: Retention) -> TrimResult:
        """Removes events past their retention, oldest first."""
        cursors = await self.cursors()
        await self._committer.refresh()
        now = self._clock.now()
        newest = self._committer.end.entry
        collection = self._entries.collection
        async with errors_translated():
            stored = [
                StoredEntry(position_of(entry), parse_date(entry["at"]), int(entry["count"]))
                async for entry in collection.find(
                    {"count": {"$gt": 0}, "_id": {"$lte": entry_id(newest)}}, {"at": 1, "count": 1}
                ).sort("_id", ASCENDING)
            ]
            total = sum(entry.events for entry in stored)
            boundary = trim_boundary(stored, total, cursors, retention, now)
        if boundary is not None:
            # Before anything goes: the other order would show a gap as if nothing were missing.
            await self._bound.transact(_mark_oldest(boundary))
        async with errors_translated():
            removed = await self._remove(boundary, newest, format_date(now - _KEEP_AGE))
        return TrimResult(removed, cursors_passed_by(cursors, boundary))

    async def _fill(self, page: PageBuilder, first: int, last: int) -> None:
        async for entry in self._between(first, last):
            if not page.add(position_of(entry), entry["at"], await self._entries.decode_events(entry)):
                return

    async def _remove(self, boundary: Position | None, newest: int, before: str) -> int:
        """Removes events up to the boundary, and old entries that have none left."""
        collection = self._entries.collection
        if boundary is not None:
            await collection.update_many(
                {"_id": {"$lte": entry_id(boundary.entry)}, "count": {"$gt": 0}},
                {"$set": {"count": 0, "events": [], "subjects": []}},
            )
        result = await collection.delete_many(
            {
                "_id": {"$lte": entry_id(max(newest - _KEEP_ENTRIES, 0))},
                "count": 0,
                "at": {"$lt": before},
                "writes": {"$exists": False},
            }
        )
        return int(result.deleted_count)

    async def _between(self, first: int, last: int) -> AsyncIterator[Raw]:
        """Yields the entries with events at these positions, in order."""
        first = max(first, 1)
        if last - first < _LOOKUPS:
            for entry in await asyncio.gather(*map(self._entries.get, range(first, last + 1))):
                if entry is not None and entry["count"]:
                    yield entry
            return
        cursor = self._entries.collection.find(
            {"_id": {"$gte": entry_id(first), "$lte": entry_id(last)}, "count": {"$gt": 0}}, {"writes": 0}
        ).sort("_id", ASCENDING)
        async for entry in cursor:
            yield entry


def _mark_oldest(position: Position) -> Callable[[StoreUnitOfWork], Awaitable[None]]:
    async def work(uow: StoreUnitOfWork) -> None:
        mark = await uow.get(MARKS.name, OLDEST)
        # Another process may have removed more.
        if mark is None or cursor_position(mark) < position:
            uow.put(MARKS.name, cursor_document(OLDEST, position))

    return work
