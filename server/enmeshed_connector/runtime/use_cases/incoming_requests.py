"""Requests of peers, and the decisions on them. Source: connector.md, section 3.8."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from enmeshed_connector.consumption.account import ConsumptionAccount
from enmeshed_connector.consumption.deliveries import Deliveries
from enmeshed_connector.consumption.requests.documents import REQUEST_SCHEMA, REQUESTS, RequestStatus
from enmeshed_connector.consumption.requests.errors import DecisionInvalid, WrongRequestStatus, refusal
from enmeshed_connector.consumption.requests.incoming import delivery_id
from enmeshed_connector.consumption.requests.repository import of_direction
from enmeshed_connector.consumption.requests.results import DECISION_PATHS, ValidationResult
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.use_cases.changes import change_once
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import FilterLike, Keyset, SortLike, all_of
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import Document, public_part
from enmeshed_connector.transport.work import Work


class IncomingRequestUseCases:
    """What callers can do with the requests of peers.

    Views are the stored requests; those with a response have `responseDelivery` besides, where there is somebody to
    tell: `done`, and while it is not `attempts`, `nextAttemptAt` (absent when it was given up) and `lastErrorReason`.
    """

    def __init__(self, context: AccountContext, consumption: ConsumptionAccount) -> None:
        """Takes the account, and what content means for it."""
        self._context = context
        self._incoming = consumption.incoming_requests
        self._expiry = consumption.request_expiry
        self._deliveries: Deliveries = consumption.deliveries

    async def get(self, request_id: str) -> View:
        """Returns a request, or raises `RecordMissing`."""
        await self._expiry.expire_due()
        return await self._view(await self._incoming.get(self._context.store, request_id))

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next requests of a list."""
        await self._expiry.expire_due()
        entries = await list_page(
            self._context.store,
            REQUESTS,
            public_part,
            where=all_of(of_direction(is_own=False), where),
            sort=sort,
            limit=limit,
            after=after,
            specs=(REQUEST_SCHEMA,),
        )
        views = [await self._view(entry.view) for entry in entries]
        return [Entry(partial(dict, view), entry.place) for view, entry in zip(views, entries, strict=True)]

    async def can_accept(self, request_id: str, items: Sequence[JsonObject]) -> ValidationResult:
        """Tells whether an acceptance would be taken. Errors: of `IncomingRequests.can_accept`."""
        await self._expiry.expire_due()
        return await self._incoming.can_accept(request_id, items)

    async def can_reject(self, request_id: str, items: Sequence[JsonObject]) -> ValidationResult:
        """Tells whether a rejection would be taken. Errors: of `IncomingRequests.can_reject`."""
        await self._expiry.expire_due()
        return await self._incoming.can_reject(request_id, items)

    async def accept(
        self, request_id: str, items: Sequence[JsonObject], intent: Intent, by_automation: bool = False
    ) -> View:
        """Accepts a request and has its peer told; returns it.

        Raises:
            RecordMissing: There is no such request.
            WrongRequestStatus, RequestExpired: It waits for no decision.
            DomainError: It cannot be accepted so, see `errors.refusal`.
        """
        return await self._decide(request_id, items, intent, accepts=True, by_automation=by_automation)

    async def reject(
        self, request_id: str, items: Sequence[JsonObject], intent: Intent, by_automation: bool = False
    ) -> View:
        """Rejects a request and has its peer told where that is possible; returns it. Raises as `accept`."""
        return await self._decide(request_id, items, intent, accepts=False, by_automation=by_automation)

    async def require_manual_decision(self, request_id: str, intent: Intent) -> View:
        """Hands a request over to somebody who decides it. Errors: of `IncomingRequests.require_manual_decision`."""

        async def change(work: Work) -> JsonObject:
            await self._incoming.require_manual_decision(request_id, work)
            return {"id": request_id}

        await change_once(self._context, intent, change)
        return await self.get(request_id)

    async def retry(self, request_id: str, intent: Intent) -> View:
        """Has a response sent that was given up or put off; returns its request. Errors of `IncomingRequests.retry`."""

        async def change(work: Work) -> JsonObject:
            await self._incoming.retry(request_id, work)
            return {"id": request_id}

        await change_once(self._context, intent, change)
        self._deliveries.wake()
        return await self.get(request_id)

    async def delete(self, request_id: str, intent: Intent) -> None:
        """Deletes an expired request. Errors: `RecordMissing`, `RequestNotExpired`."""
        await self._expiry.expire_due()

        async def change(work: Work) -> JsonObject:
            await self._incoming.delete(request_id, work)
            return {}

        await change_once(self._context, intent, change)

    async def _decide(
        self, request_id: str, items: Sequence[JsonObject], intent: Intent, *, accepts: bool, by_automation: bool
    ) -> View:
        if await self._context.outbox.earlier_result(intent.ticket) is not None:
            return await self.get(request_id)
        try:
            result = await (self.can_accept if accepts else self.can_reject)(request_id, items)
            if not result.is_success:
                raise refusal(result, DecisionInvalid, DECISION_PATHS)
            decisions = await self._incoming.prepare(request_id, items) if accepts else items
            decide = self._incoming.accept if accepts else self._incoming.reject

            async def change(work: Work) -> JsonObject:
                await decide(request_id, decisions, work, by_automation=by_automation)
                return {"id": request_id}

            await change_once(self._context, intent, change)
        except WrongRequestStatus:
            # It may have been the same call, which was repeated while the first one was running.
            if await self._context.outbox.earlier_result(intent.ticket) is None:
                raise
        return await self.get(request_id)

    async def _view(self, request: Document) -> View:
        view = public_part(request)
        delivery = await self._delivery(request)
        return view if delivery is None else {**view, "responseDelivery": delivery}

    async def _delivery(self, request: Document) -> JsonObject | None:
        if "source" in request.get("response", {}):
            return {"done": True}
        if request["status"] != RequestStatus.DECIDED:
            return None
        delivery = await self._deliveries.get(self._context.store, delivery_id(request["id"]))
        if delivery is None:
            return None
        told = ("attempts", "nextAttemptAt", "lastErrorReason")
        return {"done": False, **{name: delivery[name] for name in told if name in delivery}}
