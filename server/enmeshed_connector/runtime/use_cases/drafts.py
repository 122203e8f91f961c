"""Drafts. Source: connector.md, section 4; consumption.md, section 14."""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.consumption import drafts
from enmeshed_connector.consumption.drafts import DRAFT_SCHEMA, DRAFTS
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.etags import check_etag, etag_of
from enmeshed_connector.runtime.use_cases.changes import change_once
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import Document, public_part
from enmeshed_connector.transport.work import Work


class DraftUseCases:
    """What callers can do with drafts. Views are the stored drafts, and `etag`."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context

    async def create(self, kind: str, content: JsonObject, intent: Intent) -> View:
        """Adds a draft. Errors: `DraftTooLarge`."""
        drafts.check(content)

        async def change(work: Work) -> JsonObject:
            return _view(await drafts.create(work, self._context.ids, kind, content))

        return await change_once(self._context, intent, change)

    async def get(self, draft_id: str) -> View:
        """Returns a draft, or raises `RecordMissing`."""
        document = await self._context.store.get(DRAFTS, draft_id)
        if document is None:
            raise RecordMissing("draft", draft_id)
        return _view(document)

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next drafts of a list."""
        return await list_page(
            self._context.store,
            DRAFTS,
            _view,
            where=where,
            sort=sort,
            limit=limit,
            after=after,
            specs=(DRAFT_SCHEMA,),
        )

    async def update(self, draft_id: str, content: JsonObject, intent: Intent, *, etag: str = "") -> View:
        """Replaces the content of a draft.

        Raises:
            RecordMissing: There is none of this id.
            DraftTooLarge: The content is larger than a draft may be.
            EtagStale: It was changed since it was read.
        """
        drafts.check(content)

        async def change(work: Work) -> JsonObject:
            found = await work.require(DRAFTS, draft_id, "draft")
            check_etag(found, etag)
            return _view(await drafts.set_content(work, found, content))

        return await change_once(self._context, intent, change)

    async def delete(self, draft_id: str, intent: Intent) -> None:
        """Deletes a draft. Errors: `RecordMissing`."""

        async def change(work: Work) -> JsonObject:
            await drafts.delete(work, draft_id)
            return {}

        await change_once(self._context, intent, change)


def _view(document: Document) -> View:
    return {**public_part(document), "etag": etag_of(document)}
