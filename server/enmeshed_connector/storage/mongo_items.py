"""Commits on their way into the log of the MongoDB adapter, and the state of documents as it will be after them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .errors import CommitOutcomeUnknown, StorageUnavailable
from .mongo_codec import Raw
from .mongo_revisions import Known, Revisions
from .port import Position
from .unit_of_work import CommitRequest, Key, Write


@dataclass(slots=True)
class CommitItem:
    """One commit on its way."""

    request: CommitRequest
    recorded_at: str
    commit_id: str
    future: asyncio.Future[Position]
    encoded: dict[Key, Raw] = field(default_factory=dict)
    events: Any = None
    is_prepared: bool = False
    is_unclear: bool = False
    """Whether it was sent without an answer, and may stand in the log where it is not seen yet."""

    def resolve(self, position: Position) -> None:
        """Tells who waits that it is in the log."""
        if not self.future.done():
            self.future.set_result(position)

    def fail(self, error: Exception) -> None:
        """Tells who waits that it is not, or that nobody knows."""
        if self.future.done():
            return
        if self.is_unclear and isinstance(error, StorageUnavailable):
            unknown = CommitOutcomeUnknown("the database went away during a commit")
            unknown.__cause__ = error
            error = unknown
        self.future.set_exception(error)
        # Whoever waited may have been cancelled; asyncio would log that nobody has looked at it.
        self.future.exception()


@dataclass(frozen=True, slots=True)
class Planned:
    """A commit with the entry that it becomes at the next position."""

    item: CommitItem
    entry: Raw


class Plan:
    """The state of documents as it will be after the commits planned so far."""

    def __init__(self, revisions: Revisions) -> None:
        """Takes what is known at the head of the log."""
        self._revisions = revisions
        self._changed: dict[Key, Known] = {}
        self._documents: dict[Key, Any] = {}

    def get(self, key: Key) -> Known | None:
        """Returns what is known of a document after the commits planned so far."""
        return self._changed.get(key) or self._revisions.get(key)

    def add(self, position: int, writes: Sequence[tuple[Write, int | None]]) -> None:
        """Adds the writes of a commit."""
        for write, _ in writes:
            self._changed[write.key] = Known(position, write.text is not None)
            self._documents[write.key] = write.document

    def documents_of(self, collection: str) -> dict[str, Any]:
        """Returns the documents planned for a collection by id, None for deleted ones."""
        return {key[1]: document for key, document in self._documents.items() if key[0] == collection}
