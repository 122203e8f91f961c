"""Settings of the identity. Source: connector.md, section 4; consumption.md, section 14."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from enmeshed_connector.consumption import settings
from enmeshed_connector.consumption.settings import SETTING_SCHEMA, VISIBLE, SettingKey
from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.errors import NotFound
from enmeshed_connector.runtime.etags import check_etag, etag_of
from enmeshed_connector.runtime.use_cases.changes import change_once
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Filter, Keyset, SortLike, where
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import SETTINGS, Document, public_part
from enmeshed_connector.transport.work import Work


class SettingUseCases:
    """What callers can do with settings. Views are the stored settings, and `etag`."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context

    async def create(
        self, key: SettingKey, value: Json, intent: Intent, *, succeeds_item: str | None, succeeds_at: datetime | None
    ) -> View:
        """Adds a setting. Errors: of `settings.create`."""

        async def change(work: Work) -> JsonObject:
            moment = None if succeeds_at is None else format_date(succeeds_at)
            return _view(
                await settings.create(
                    work, self._context.ids, key, value, succeeds_item=succeeds_item, succeeds_at=moment
                )
            )

        return await change_once(self._context, intent, change)

    async def get(self, by: str | SettingKey) -> View:
        """Returns a setting by its id, or the newest of a key.

        Raises:
            NotFound: There is none.
        """
        named = by.filter() if isinstance(by, SettingKey) else where("id").eq(by) & VISIBLE
        document = await self._context.store.find_one(SETTINGS, named, sort=["-createdAt"])
        if document is None:
            raise NotFound("There is no such setting.")
        return _view(document)

    async def list(
        self, condition: Filter, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next settings of a list."""
        return await list_page(
            self._context.store,
            SETTINGS,
            _view,
            where=condition & VISIBLE,
            sort=sort,
            limit=limit,
            after=after,
            specs=(SETTING_SCHEMA,),
        )

    async def update(self, by: str | SettingKey, value: Json, intent: Intent, *, etag: str = "") -> View:
        """Replaces the value of a setting, named by its id, or by its key and added when there is none.

        Raises:
            RecordMissing: There is none of this id.
            EtagStale: It was changed since it was read, or is not there any more.
        """

        async def change(work: Work) -> JsonObject:
            if isinstance(by, str):
                found: Document | None = await settings.require(work, by)
            else:
                found = await settings.newest(work, by)
            if found is None and isinstance(by, SettingKey):
                check_etag({}, etag)
                return _view(await settings.create(work, self._context.ids, by, value))
            assert found is not None, "`require` returned it"
            check_etag(found, etag)
            return _view(await settings.set_value(work, found, value))

        return await change_once(self._context, intent, change)

    async def delete(self, setting_id: str, intent: Intent) -> None:
        """Deletes a setting. Errors: of `settings.delete`."""

        async def change(work: Work) -> JsonObject:
            await settings.delete(work, setting_id)
            return {}

        await change_once(self._context, intent, change)


def _view(document: Document) -> View:
    return {**public_part(document), "etag": etag_of(document)}
