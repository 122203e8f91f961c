"""What one commit takes over from other devices of the identity, for those who tell of it by events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


@dataclass(frozen=True)
class PulledChange:
    """One document that other devices made, changed or deleted. What they wrote may be of any form."""

    collection: str
    id: str
    before: Document | None
    """As it was stored, None when it was not."""
    after: Document | None
    """As it is stored now, None when it is deleted."""


class PulledChanges:
    """All changes of one commit, in their order, over what is stored.

    What belongs together may come in several commits: the Backbone hands modifications out in pages, and a new document
    consists of several.
    """

    def __init__(self, work: Work, changes: Sequence[PulledChange]) -> None:
        """Takes the commit, in which the changes are written already."""
        self.work = work
        self._changes = changes
        self._by_place = {(change.collection, change.id): change for change in changes}

    def of(self, collection: str) -> list[PulledChange]:
        """Returns the changes in a collection, in their order."""
        return [change for change in self._changes if change.collection == collection]

    def holds(self, collection: str, identifier: str) -> bool:
        """Tells whether a document is among the changes."""
        return (collection, identifier) in self._by_place

    async def before(self, collection: str, identifier: str) -> Document | None:
        """Returns a document, changed or not, as it was before this commit; None when it was not stored."""
        change = self._by_place.get((collection, identifier))
        return await self.work.get(collection, identifier) if change is None else change.before

    async def after(self, collection: str, identifier: str) -> Document | None:
        """Returns a document, changed or not, as it is after this commit; None when it is not stored."""
        return await self.work.get(collection, identifier)
