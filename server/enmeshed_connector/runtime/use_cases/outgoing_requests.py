"""Requests of this identity. Source: connector.md, sections 3.9 and 3.10."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import Final

from enmeshed_connector.consumption.account import ConsumptionAccount
from enmeshed_connector.consumption.requests.documents import REQUEST_SCHEMA, REQUESTS, RequestStatus, typed
from enmeshed_connector.consumption.requests.repository import of_direction
from enmeshed_connector.consumption.requests.results import ValidationResult
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.use_cases.changes import change_once
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page
from enmeshed_connector.runtime.use_cases.messages import MessageUseCases
from enmeshed_connector.runtime.use_cases.request_changes import RequestChanges
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import FilterLike, Keyset, SortLike, all_of
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import public_part
from enmeshed_connector.transport.work import Work

_FINAL: Final = (RequestStatus.COMPLETED, RequestStatus.EXPIRED)
_LOOK_EVERY: Final = timedelta(seconds=30)
"""How often a watched request is looked at when nothing tells of it: another device may have changed it."""


class OutgoingRequestUseCases:
    """What callers can do with requests to peers. Views are the stored requests."""

    def __init__(self, context: AccountContext, consumption: ConsumptionAccount, messages: MessageUseCases) -> None:
        """Takes the account, what content means for it, and what sends messages."""
        self._context = context
        self._outgoing = consumption.outgoing_requests
        self._expiry = consumption.request_expiry
        self._messages = messages
        self._changes = RequestChanges(context.store.log)

    async def validate(self, content: JsonObject, peer: str | None) -> ValidationResult:
        """Tells whether a request could be made. Errors: of `OutgoingRequests.can_create`."""
        return await self._outgoing.can_create(content, peer)

    async def create(self, content: JsonObject, peer: str, intent: Intent) -> View:
        """Makes a draft, whose content a message may carry to the peer. Errors: of `OutgoingRequests.new_content`."""
        earlier = await self._context.outbox.earlier_result(intent.ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        checked = await self._outgoing.new_content(content, peer)

        async def change(work: Work) -> JsonObject:
            return {"id": (await self._outgoing.create(checked, peer, work))["id"]}

        return await self.get((await change_once(self._context, intent, change))["id"])

    async def send(
        self, peer: str, content: JsonObject, intent: Intent, attachments: Sequence[str] = ()
    ) -> tuple[View, View]:
        """Makes a request and sends it, both or neither; returns the request and its message.

        The request comes into being in the commit of the message: what fails leaves no draft behind.

        Raises:
            DomainError: Those of `OutgoingRequests.new_content` and of `MessageUseCases.send`.
        """
        earlier = await self._context.outbox.earlier_result(intent.ticket)
        if earlier is not None:
            message = await self._messages.get(earlier["id"])
        else:
            checked = await self._outgoing.new_content(content, peer)
            message = await self._messages.send_new_request(
                peer, typed("Request", checked), intent, attachments=attachments
            )
        return await self.get(message["content"]["id"]), message

    async def get(self, request_id: str) -> View:
        """Returns a request, or raises `RecordMissing`."""
        await self._expiry.expire_due()
        return public_part(await self._outgoing.get(self._context.store, request_id))

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next requests of a list."""
        await self._expiry.expire_due()
        return await list_page(
            self._context.store,
            REQUESTS,
            public_part,
            where=all_of(of_direction(is_own=True), where),
            sort=sort,
            limit=limit,
            after=after,
            specs=(REQUEST_SCHEMA,),
        )

    async def discard(self, request_id: str, intent: Intent) -> None:
        """Deletes a draft. Errors: `RecordMissing`, `WrongRequestStatus`."""
        await self._expiry.expire_due()

        async def change(work: Work) -> JsonObject:
            await self._outgoing.discard(request_id, work)
            return {}

        await change_once(self._context, intent, change)
        self._changes.wake(request_id)

    async def watch(self, request_id: str) -> AsyncGenerator[View, None]:
        """Yields a request as it is, and again after each change of its state.

        Order: as the states follow. Delivery: the present state and every later one. End: after a final state. Slow
        readers: hold nothing but themselves.

        Raises:
            RecordMissing: There is no such request, or not any more.
        """
        async with self._changes.of(request_id) as changes:
            # After the watching has begun: a change between the two is told twice rather than never.
            shown = await self.get(request_id)
            yield shown
            while shown["status"] not in _FINAL:
                for view in [*await changes.next(_LOOK_EVERY), await self.get(request_id)]:
                    # Of two readings of one state the log of the states is equally long.
                    if len(view["statusLog"]) > len(shown["statusLog"]):
                        shown = view
                        yield shown
