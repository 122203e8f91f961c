"""The part of `enmeshed.connector.v1.Events` that is no stream: named subscriptions and failed events."""

from __future__ import annotations

from typing import Any, Protocol

import grpc

from enmeshed.connector.v1 import events_service_pb2 as pb
from enmeshed.connector.v1 import events_service_pb2_grpc
from enmeshed_connector.api.calls import current_call
from enmeshed_connector.api.conversion.events import failed_event
from enmeshed_connector.api.conversion.values import set_time
from enmeshed_connector.api.errors import ResumeTokenInvalid
from enmeshed_connector.api.event_selection import EventSelection
from enmeshed_connector.api.paging import PageTokens, collect_page
from enmeshed_connector.api.servicers.common import intent_of
from enmeshed_connector.api.subscriptions import EventSource, resume_token_expired
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.runtime.use_cases.common import Entry
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Keyset, Log, Position, PositionInvalid, Sort

Context = grpc.aio.ServicerContext[Any, Any]
_NEWEST_FIRST = (Sort("createdAt", descending=True),)


class EventSources(Protocol):
    """Knows the accounts."""

    def event_source(self, account: str) -> EventSource:
        """Returns what delivers the events of a hosted account that is ready."""

    def use_cases(self, account: str) -> UseCases:
        """Returns what callers can do with a hosted account that is ready."""


class EventAdministration(events_service_pb2_grpc.EventsServicer):
    """Named subscriptions and failed events."""

    def __init__(self, sources: EventSources, page_tokens: PageTokens) -> None:
        """Takes who knows the accounts, and what makes page tokens."""
        self._sources = sources
        self._page_tokens = page_tokens

    async def ListFailedEvents(
        self, request: pb.ListFailedEventsRequest, context: Context
    ) -> pb.ListFailedEventsResponse:
        """Returns a page of failed events."""
        use_cases = self._use_cases().failed_events

        async def fetch(after: Keyset | None, limit: int) -> list[Entry]:
            return await use_cases.list(None, _NEWEST_FIRST, limit=limit, after=after)

        page = await collect_page(
            fetch,
            lambda entry: failed_event(entry.view),
            request=request,
            account=current_call().account_name(),
            tokens=self._page_tokens,
            end_of=lambda entry: entry.after,
        )
        return pb.ListFailedEventsResponse(events=page.items, next_page_token=page.next_page_token)

    async def RetryFailedEvent(
        self, request: pb.RetryFailedEventRequest, context: Context
    ) -> pb.RetryFailedEventResponse:
        """Processes a failed event once more."""
        view = await self._use_cases().failed_events.retry(request.id, intent_of(request))
        return pb.RetryFailedEventResponse(event=failed_event(view))

    async def CreateSubscription(
        self, request: pb.CreateSubscriptionRequest, context: Context
    ) -> pb.CreateSubscriptionResponse:
        """Creates a named subscription."""
        call = current_call()
        # What a stream of it would refuse is refused now.
        EventSelection(request.types, call.scopes)
        log = self._sources.event_source(call.account_name()).log
        position = await start_of(request, log)
        view = await self._use_cases().subscriptions.create(
            request.name, tuple(request.types), position, intent_of(request)
        )
        return pb.CreateSubscriptionResponse(subscription=_subscription(view))

    async def GetSubscription(self, request: pb.GetSubscriptionRequest, context: Context) -> pb.GetSubscriptionResponse:
        """Returns a named subscription."""
        view = await self._use_cases().subscriptions.get(request.name)
        return pb.GetSubscriptionResponse(subscription=_subscription(view))

    async def ListSubscriptions(
        self, request: pb.ListSubscriptionsRequest, context: Context
    ) -> pb.ListSubscriptionsResponse:
        """Returns a page of named subscriptions."""
        use_cases = self._use_cases().subscriptions

        async def fetch(after: Keyset | None, limit: int) -> list[Entry]:
            return await use_cases.list(None, (), limit=limit, after=after)

        page = await collect_page(
            fetch,
            lambda entry: _subscription(entry.view),
            request=request,
            account=current_call().account_name(),
            tokens=self._page_tokens,
            end_of=lambda entry: entry.after,
        )
        return pb.ListSubscriptionsResponse(subscriptions=page.items, next_page_token=page.next_page_token)

    async def DeleteSubscription(
        self, request: pb.DeleteSubscriptionRequest, context: Context
    ) -> pb.DeleteSubscriptionResponse:
        """Deletes a named subscription."""
        await self._use_cases().subscriptions.delete(request.name, intent_of(request))
        return pb.DeleteSubscriptionResponse()

    async def AcknowledgeEvents(
        self, request: pb.AcknowledgeEventsRequest, context: Context
    ) -> pb.AcknowledgeEventsResponse:
        """Moves a named subscription forward."""
        log = self._sources.event_source(current_call().account_name()).log
        position = position_of(log, request.resume_token)
        view = await self._use_cases().subscriptions.acknowledge(request.name, position)
        return pb.AcknowledgeEventsResponse(subscription=_subscription(view))

    def _use_cases(self) -> UseCases:
        return self._sources.use_cases(current_call().account_name())


async def start_of(request: pb.SubscribeRequest | pb.CreateSubscriptionRequest, log: Log) -> Position:
    """Returns where a reader begins that names no subscription.

    Raises:
        ResumeTokenInvalid: The token is not one of this account.
        ResumeTokenExpired: What followed it is gone.
    """
    start = request.WhichOneof("start")
    if start == "resume_token":
        position = position_of(log, request.resume_token)
        await check_kept(position, log)
        return position
    if start == "from" and getattr(request, "from") == pb.SUBSCRIPTION_START_BEGINNING:
        return await log.oldest()
    return await log.head()


async def check_kept(position: Position, log: Log) -> None:
    """Returns when everything after a place is still there.

    Raises:
        ResumeTokenExpired: It is not.
    """
    oldest = await log.oldest()
    if position < oldest:
        raise resume_token_expired(log.token(oldest))


def position_of(log: Log, token: str) -> Position:
    """Returns the place that a resume token stands for.

    Raises:
        ResumeTokenInvalid: It is not one of this account.
    """
    try:
        return log.position(token)
    except PositionInvalid:
        raise ResumeTokenInvalid("the resume token is not one of this account: begin anew") from None


def _subscription(view: View) -> pb.Subscription:
    message = pb.Subscription(
        name=view["name"], types=view["types"], resume_token=view["resumeToken"], is_attached=view["isAttached"]
    )
    set_time(message.create_time, view["createdAt"])
    set_time(message.acknowledge_time, view.get("acknowledgedAt"))
    return message
