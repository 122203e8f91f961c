"""Notes about identities. Source: connector.md, section 3.7; consumption.md, section 14."""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.consumption import identity_metadata
from enmeshed_connector.consumption.identity_metadata import METADATA, METADATA_SCHEMA, about, missing
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.runtime.use_cases.changes import change_once
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import public_part
from enmeshed_connector.transport.work import Work


class IdentityMetadataUseCases:
    """What callers can do with notes about identities. Views are the stored notes."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context

    async def upsert(self, reference: str, key: str | None, value: Json, intent: Intent) -> View:
        """Writes a note. Errors: of `identity_metadata.upsert`."""

        async def change(work: Work) -> JsonObject:
            note = await identity_metadata.upsert(
                work, self._context.ids, reference, key, value, own_address=self._context.identity.address
            )
            return public_part(note)

        return await change_once(self._context, intent, change)

    async def get(self, reference: str, key: str | None) -> View:
        """Returns a note.

        Raises:
            MetadataMissing: There is none.
        """
        document = await self._context.store.find_one(METADATA, about(reference, key))
        if document is None:
            raise missing(reference)
        return public_part(document)

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next notes of a list."""
        return await list_page(
            self._context.store,
            METADATA,
            public_part,
            where=where,
            sort=sort,
            limit=limit,
            after=after,
            specs=(METADATA_SCHEMA,),
        )

    async def delete(self, reference: str, key: str | None, intent: Intent) -> None:
        """Deletes a note. Errors: `MetadataMissing`."""

        async def change(work: Work) -> JsonObject:
            await identity_metadata.delete(work, reference, key)
            return {}

        await change_once(self._context, intent, change)
