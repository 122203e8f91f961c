"""The collections behind the log of the MongoDB adapter: entries, large content, and a few facts about the database.

An entry is `{_id, at, count, events, subjects, commit, applied, writes, done}`:

- `_id` is the position as text of 19 digits: ascending as text too, and found at once by every server.
- `commit` is a random id by which a process recognises its own entry when the answer of an insert was lost.
- `writes` is what has to be done to the documents: `[{c, id, prev, doc}]`, `prev` being the revision before (null:
  never existed) and `doc` what stands there afterwards. Removed once applied.
- `applied` tells that everything up to that position was applied when the entry was made, `done` that everything up to
  and including this one was.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from pymongo import ASCENDING, DESCENDING
from pymongo.errors import DuplicateKeyError

from ..core.canonical_json import JsonObject
from . import exact_json
from .errors import StoreCorrupt
from .log_base import event_array
from .mongo_codec import BLOB, LARGE, Raw, decode_json, encode_json
from .mongo_connection import Collection, errors_translated
from .port import Position
from .positions import LOG_ID_BYTES, START
from .system_collections import OLDEST
from .unit_of_work import EmittedEvent

FORMAT = 1
"""The version of the collections; a database with a newer one is not opened."""

_PIECE_CHARACTERS = 2 * 1024 * 1024


def entry_id(position: int) -> str:
    """Returns the id of an entry."""
    return f"{position:019d}"


def position_of(entry: Raw) -> int:
    """Returns the position of an entry."""
    return int(entry["_id"])


def end_of(entry: Raw) -> Position:
    """Returns the place after the last event of an entry."""
    return Position(position_of(entry), int(entry["count"]))


class Blobs:
    """Large texts in pieces; each is written once and never changed."""

    def __init__(self, collection: Collection, random_bytes: Callable[[int], bytes]) -> None:
        self._collection = collection
        self._random_bytes = random_bytes

    async def store(self, text: str, moment: str) -> Raw:
        """Stores a text durably and returns what names it."""
        id_ = self._random_bytes(16).hex()
        # Texts of `exact_json` are ASCII or hold whole characters only, so that any cut is between two characters.
        pieces = [text[start : start + _PIECE_CHARACTERS] for start in range(0, len(text), _PIECE_CHARACTERS)]
        for number, piece in enumerate(pieces):
            await self._collection.insert_one({"_id": f"{id_}/{number}", "at": moment, "text": piece})
        return {"id": id_, "pieces": len(pieces)}

    async def load(self, blob: Raw) -> str | None:
        """Returns a text, None when it is not there any more."""
        ids = [f"{blob['id']}/{number}" for number in range(int(blob["pieces"]))]
        pieces = await asyncio.gather(*(self._collection.find_one({"_id": id_}) for id_ in ids))
        if any(piece is None for piece in pieces):
            return None
        return "".join(piece["text"] for piece in pieces)

    async def old_ones(self, before: str) -> set[str]:
        """Returns the ids of texts stored before a moment."""
        cursor = self._collection.find({"at": {"$lt": before}}, {"_id": 1})
        return {piece["_id"].partition("/")[0] async for piece in cursor}

    async def delete(self, id_: str) -> None:
        """Deletes a text."""
        await self._collection.delete_many({"_id": {"$gte": f"{id_}/", "$lt": f"{id_}0"}})


class Entries:
    """Reads and writes single entries."""

    def __init__(self, collection: Collection, blobs: Blobs) -> None:
        self.collection = collection
        self.blobs = blobs

    async def prepare(self) -> None:
        """Makes the indexes."""
        await self.collection.create_index([("count", ASCENDING), ("_id", ASCENDING)])
        await self.collection.create_index([("subjects.subject", ASCENDING)])

    async def get(self, position: int) -> Raw | None:
        """Returns an entry, None when there is none."""
        entry: Raw | None = await self.collection.find_one({"_id": entry_id(position)})
        return entry

    async def newest(self, *, with_events: bool = False) -> Raw | None:
        """Returns the newest entry, or the newest with events; None when there is none."""
        query: Raw = {"count": {"$gt": 0}} if with_events else {}
        async for entry in self.collection.find(query).sort("_id", DESCENDING).limit(1):
            return dict(entry)
        return None

    async def mark_applied(self, position: int) -> None:
        """Notes that everything up to a position is applied."""
        await self.collection.update_one(
            {"_id": entry_id(position)}, {"$set": {"done": True}, "$unset": {"writes": ""}}
        )

    async def prune(self, position: int) -> None:
        """Removes the writes of all entries up to a position that are applied."""
        await self.collection.update_many(
            {"_id": {"$lte": entry_id(position)}, "writes": {"$exists": True}}, {"$unset": {"writes": ""}}
        )

    async def encode_events(self, events: Sequence[EmittedEvent], moment: str, *, besides: int) -> Any:
        """Returns the events of a commit as they stand in an entry.

        Args:
            events: The events.
            moment: When the commit was made.
            besides: How many characters of JSON the entry holds besides them.
        """
        if events and besides + sum(len(event.text) for event in events) >= LARGE:
            return {BLOB: await self.blobs.store(event_array(events), moment)}
        return [encode_json(exact_json.decode(event.text)) for event in events]

    async def decode_events(self, entry: Raw) -> list[JsonObject]:
        """Returns the events of an entry."""
        events = entry.get("events") or []
        if isinstance(events, dict):
            text = await self.blobs.load(events[BLOB])
            if text is None:
                raise StoreCorrupt(f"events of log entry {position_of(entry)} are missing")
            large: list[JsonObject] = exact_json.decode(text)
            return large
        return [decode_json(event) for event in events]


class Meta:
    """Facts about the database, one document each."""

    def __init__(self, collection: Collection, marks: Collection) -> None:
        self._collection = collection
        self._marks = marks

    async def open(self, random_bytes: Callable[[int], bytes]) -> bytes:
        """Returns the id of the log, made when the database is new.

        Raises:
            StoreCorrupt: The database was written by a newer version.
        """
        async with errors_translated():
            for document in (
                {"_id": "format", "value": FORMAT},
                {"_id": "log", "id": random_bytes(LOG_ID_BYTES).hex()},
            ):
                if await self._collection.find_one({"_id": document["_id"]}) is None:
                    await _insert_unless_there(self._collection, document)
            version = await self._collection.find_one({"_id": "format"})
            log = await self._collection.find_one({"_id": "log"})
        if version is None or log is None or int(version["value"]) > FORMAT:
            raise StoreCorrupt("the database was written by a newer version of this software")
        return bytes.fromhex(log["id"])

    async def oldest(self) -> Position:
        """Returns the place after the last event that retention removed."""
        document = await self._marks.find_one({"_id": OLDEST})
        return START if document is None else Position(int(document["entry"]), int(document["index"]))


async def _insert_unless_there(collection: Collection, document: Raw) -> None:
    try:
        await collection.insert_one(document)
    except DuplicateKeyError:
        return
