"""Carries entries of the log out on the documents: idempotent, and never undoing anything later."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pymongo import ReplaceOne
from pymongo.errors import BulkWriteError, DuplicateKeyError

from .errors import StoreCorrupt
from .mongo_codec import BLOB, REV, Raw, rev_of
from .mongo_connection import Collection, is_duplicate
from .mongo_entries import Blobs, position_of
from .unit_of_work import Key


@dataclass(frozen=True, slots=True)
class _Change:
    """What some entries together do to one document."""

    previous: int | None
    raw: Raw


class Applier:
    """Applies entries. Each document names in `_rev` the entry that made it, so what is done already is seen."""

    def __init__(self, collection_of: Callable[[str], Collection], blobs: Blobs) -> None:
        self._collection_of = collection_of
        self._blobs = blobs

    async def apply(self, entries: Sequence[Raw]) -> None:
        """Applies consecutive entries in one go; of several changes of a document only the last is written."""
        changes: dict[Key, _Change] = {}
        for entry in entries:
            if entry.get("is_applied"):
                continue
            for write in entry.get("writes") or ():
                key = (write["c"], write["id"])
                before = changes.get(key)
                previous = before.previous if before is not None else write["prev"]
                changes[key] = _Change(previous, {**write["doc"], REV: position_of(entry)})
        by_collection: dict[str, list[_Change]] = {}
        for (collection, _), change in changes.items():
            by_collection.setdefault(collection, []).append(change)
        await asyncio.gather(*(self._apply_to(name, found) for name, found in by_collection.items()))

    async def large_text(self, raw: Raw) -> str | None:
        """Returns the text of a document that is kept in pieces, None for one that is not.

        Raises:
            StoreCorrupt: Its pieces are missing.
        """
        blob = raw.get(BLOB)
        if blob is None:
            return None
        text = await self._blobs.load(blob)
        if text is None:
            raise StoreCorrupt(f"the content of document {raw['_id']} is missing")
        return text

    async def _apply_to(self, name: str, changes: Sequence[_Change]) -> None:
        collection = self._collection_of(name)
        new = [change.raw for change in changes if change.previous is None]
        old = [change for change in changes if change.previous is not None]
        if new:
            try:
                await collection.insert_many(new, ordered=False)
            except BulkWriteError as error:
                if not is_duplicate(error):
                    raise
                for raw in new:
                    await self._apply_one(collection, raw)
        if old:
            replacements = [
                # A document older than this software has no revision, which null finds.
                ReplaceOne({"_id": change.raw["_id"], REV: change.previous or None}, change.raw)
                for change in old
            ]
            result = await collection.bulk_write(replacements, ordered=False)
            if result.matched_count < len(old):
                for change in old:
                    await self._apply_one(collection, change.raw)

    async def _apply_one(self, collection: Collection, raw: Raw) -> None:
        """Writes one document unless it is there already in this revision or a later one."""
        while True:
            current = await collection.find_one({"_id": raw["_id"]}, {REV: 1})
            if current is None:
                try:
                    await collection.insert_one(raw)
                except DuplicateKeyError:
                    continue
                return
            if rev_of(current) >= rev_of(raw):
                return
            result = await collection.replace_one({"_id": raw["_id"], REV: current.get(REV)}, raw)
            if result.matched_count:
                return
