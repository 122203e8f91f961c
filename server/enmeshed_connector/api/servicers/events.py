"""Serves `enmeshed.connector.v1.Events`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Any, Final

import grpc

from enmeshed.connector.v1 import events_service_pb2 as pb
from enmeshed.connector.v1 import filters_pb2
from enmeshed_connector.api.calls import current_call
from enmeshed_connector.api.conversion.events import event_message
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.api.conversion.values import time_of
from enmeshed_connector.api.event_selection import EventSelection
from enmeshed_connector.api.live_window import LiveWindow
from enmeshed_connector.api.paging import MAX_PAGE_BYTES, PageTokens, page_size_of
from enmeshed_connector.api.readiness import Readiness
from enmeshed_connector.api.servicers.event_administration import (
    EventAdministration,
    EventSources,
    check_kept,
    position_of,
    start_of,
)
from enmeshed_connector.api.subscriptions import (
    Renderer,
    Subscription,
    SubscriptionOptions,
    resume_token_expired,
)
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.runtime.use_cases.subscriptions import Attachment
from enmeshed_connector.storage import Keyset, Log, LogEvent, LogPage, Position, PositionTruncated

NAME: Final = "enmeshed.connector.v1.Events"

Context = grpc.aio.ServicerContext[Any, Any]
# How many stored events one call looks at, at most, when few of them are asked for.
_MAX_SCANNED: Final = 20_000


class EventsServicer(EventAdministration):
    """Streams and lists events. One serves a whole server and holds a live window for each account with subscribers."""

    def __init__(
        self,
        sources: EventSources,
        *,
        codec: ContentCodec,
        clock: Clock,
        readiness: Readiness,
        page_tokens: PageTokens,
        options: SubscriptionOptions | None = None,
    ) -> None:
        """Takes its collaborators.

        Args:
            sources: Knows the accounts.
            codec: Converts content.
            clock: The time.
            readiness: Tells of shutdown.
            page_tokens: Makes page tokens.
            options: How streams behave.
        """
        super().__init__(sources, page_tokens)
        self._codec = codec
        self._clock = clock
        self._readiness = readiness
        self._options = options or SubscriptionOptions()
        self._windows: dict[str, LiveWindow] = {}

    # Frames that several readers share are bytes already; see the serialiser of streams in the pipeline.
    async def Subscribe(  # type: ignore[override]
        self, request: pb.SubscribeRequest, context: Context
    ) -> AsyncIterator[pb.SubscribeResponse | bytes]:
        """Streams events; see the proto for what is promised."""
        call = current_call()
        account = call.account_name()
        source = self._sources.event_source(account)
        async with AsyncExitStack() as stack:
            attachment: Attachment | None = None
            types: Sequence[str] = request.types
            if request.WhichOneof("start") == "subscription":
                subscriptions = self._use_cases().subscriptions
                attachment = await stack.enter_async_context(subscriptions.attach(request.subscription))
                position = attachment.position
                await check_kept(position, source.log)
                types = types or attachment.view["types"]
            else:
                position = await start_of(request, source.log)
            selection = EventSelection(types, call.scopes, request.origins)
            window = self._windows.get(account)
            if window is None:
                window = self._windows[account] = LiveWindow(source.log, self._clock)
            subscription = Subscription(
                source,
                window,
                selection,
                Renderer(source, self._converter(request.view), account),
                call=call,
                readiness=self._readiness,
                options=self._options,
                batch_size=request.max_batch_size,
            )
            frames = await stack.enter_async_context(aclosing(subscription.frames(position)))
            async for frame in frames:
                if attachment is not None:
                    attachment.check()
                yield frame

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        """Returns one page of stored events.

        The page token is a place in the log, as the resume token; filters look at what is there at the moment of the
        call.
        """
        call = current_call()
        account = call.account_name()
        source = self._sources.event_source(account)
        selection = EventSelection(request.types, call.scopes)
        after = self._page_tokens.read(request, account)
        if after is not None:
            position = position_of(source.log, after.id)
        elif request.resume_token:
            position = position_of(source.log, request.resume_token)
        else:
            position = await source.log.oldest()
        converter = self._converter(request.view)
        size = page_size_of(request, default=100)
        response = pb.ListEventsResponse()
        total = scanned = 0
        is_end = False
        while len(response.events) < size and scanned < _MAX_SCANNED and not is_end:
            page = await _read(source.log, position, limit=size - len(response.events), types=selection.exact_types)
            is_end = page.reached_head
            for entry in page.events:
                scanned += 1
                if selection.wants(entry.event) and _is_in_time(entry, request):
                    message = event_message(converter, entry, account=account, view_of=source.event_view)
                    total += message.ByteSize()
                    if response.events and total > MAX_PAGE_BYTES:
                        is_end = False
                        break
                    response.events.append(message)
                position = entry.position
            else:
                position = page.next
                continue
            break
        response.resume_token = source.log.token(position)
        if not is_end:
            response.next_page_token = self._page_tokens.make(Keyset((), response.resume_token), request, account)
        return response

    async def close(self) -> None:
        """Stops following logs; to be called when the server has stopped."""
        for window in self._windows.values():
            await window.close()

    def _converter(self, view: filters_pb2.View.ValueType) -> Converter:
        return Converter(self._codec, current_call().scopes, is_full=view != filters_pb2.VIEW_BASIC)


async def _read(log: Log, position: Position, *, limit: int, types: frozenset[str] | None) -> LogPage:
    try:
        return await log.read(position, limit=limit, max_bytes=MAX_PAGE_BYTES, types=types)
    except PositionTruncated:
        raise resume_token_expired(log.token(await log.oldest())) from None


def _is_in_time(entry: LogEvent, request: pb.ListEventsRequest) -> bool:
    """Tells whether the time filter holds; moments are compared as texts of the same form."""
    if not request.HasField("create_time"):
        return True
    condition = request.create_time
    text = entry.event.get("createdAt") or format_date(entry.recorded_at)
    if condition.HasField("exists") and not condition.exists:
        return False
    for field, holds in (
        ("at_or_after", str.__ge__),
        ("after", str.__gt__),
        ("at_or_before", str.__le__),
        ("before", str.__lt__),
    ):
        moment = time_of(condition, field)
        if moment is not None and not holds(text, format_date(moment)):
            return False
    return True
