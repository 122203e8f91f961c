"""Notifications. Source: connector.md, sections 4 and 5.7."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from enmeshed_connector.consumption.account import ConsumptionAccount
from enmeshed_connector.consumption.deliveries import Deliveries
from enmeshed_connector.consumption.notifications.documents import NOTIFICATION_SCHEMA, NOTIFICATIONS
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.use_cases.changes import change_once
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, state_of
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import FilterLike, Keyset, SortLike, all_of, keyset_maker, page_of
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import public_part
from enmeshed_connector.transport.work import Work


class NotificationUseCases:
    """What callers can do with notifications. Views are the stored notifications."""

    def __init__(self, context: AccountContext, consumption: ConsumptionAccount) -> None:
        """Takes the account, and what content means for it."""
        self._context = context
        self._notifications = consumption.notifications
        self._deliveries: Deliveries = consumption.deliveries

    async def get(self, notification_id: str) -> View:
        """Returns a notification. Raises and shows own ones that are not sent as `NotificationController.get`."""
        return public_part(await self._notifications.get(self._context.store, notification_id))

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next notifications of a list: of own ones those that are sent, and those that were given up."""
        store = self._context.store
        # Looked for first, so that one that is sent between the two readings is not missed.
        given_up = await self._notifications.all_given_up(store)
        stored = await store.find(NOTIFICATIONS, where, sort=sort, limit=limit, after=after)
        if given_up:
            by_id = {one["id"]: one for one in [*given_up, *stored]}
            stored = page_of(NOTIFICATION_SCHEMA, by_id.values(), all_of(where), sort=sort, limit=limit, after=after)
        place_of = keyset_maker(NOTIFICATION_SCHEMA, sort)
        return [Entry(partial(public_part, one), partial(place_of, one), state_of(one)) for one in stored]

    async def retry(self, notification_id: str, intent: Intent) -> View:
        """Tries a notification that failed once more. Errors: of `NotificationController.retry`."""

        async def change(work: Work) -> JsonObject:
            await self._notifications.retry(notification_id, work)
            return {"id": notification_id}

        await change_once(self._context, intent, change)
        self._deliveries.wake()
        return await self.get(notification_id)
