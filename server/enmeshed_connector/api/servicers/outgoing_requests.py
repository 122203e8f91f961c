"""The service OutgoingRequests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import ExitStack, aclosing
from datetime import timedelta
from typing import Any, Final

import grpc

from enmeshed.connector.v1 import outgoing_requests_service_pb2 as pb
from enmeshed.connector.v1 import outgoing_requests_service_pb2_grpc, request_pb2
from enmeshed_connector.api.calls import Call, current_call
from enmeshed_connector.api.conversion.filters import order
from enmeshed_connector.api.conversion.request_filters import request_filter
from enmeshed_connector.api.conversion.requests import request as request_message
from enmeshed_connector.api.conversion.requests import validation_result
from enmeshed_connector.api.conversion.values import content_object
from enmeshed_connector.api.errors import CredentialRevoked, Draining
from enmeshed_connector.api.paging import PageTokens
from enmeshed_connector.api.readiness import Readiness
from enmeshed_connector.api.servicers.common import Hosts, Servicer, intent_of
from enmeshed_connector.consumption.requests.results import request_paths
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.runtime.use_cases.outgoing_requests import OutgoingRequestUseCases
from enmeshed_connector.runtime.views import View

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.OutgoingRequests"


class OutgoingRequestsServicer(Servicer, outgoing_requests_service_pb2_grpc.OutgoingRequestsServicer):
    """Requests to peers."""

    def __init__(self, hosts: Hosts, codec: ContentCodec, tokens: PageTokens, readiness: Readiness) -> None:
        """Takes the collaborators of every servicer, and who tells of shutdown."""
        super().__init__(hosts, codec, tokens)
        self._readiness = readiness

    async def ValidateOutgoingRequest(
        self, request: pb.ValidateOutgoingRequestRequest, context: Context
    ) -> pb.ValidateOutgoingRequestResponse:
        """Tells whether a request would be taken."""
        content = content_object(self._codec, request.content)
        result = await self._requests.validate(content, request.peer or None)
        return pb.ValidateOutgoingRequestResponse(result=validation_result(result, request_paths()))

    async def CreateOutgoingRequest(
        self, request: pb.CreateOutgoingRequestRequest, context: Context
    ) -> pb.CreateOutgoingRequestResponse:
        """Creates a draft."""
        content = content_object(self._codec, request.content)
        view = await self._requests.create(content, request.peer, intent_of(request))
        return pb.CreateOutgoingRequestResponse(request=self._message(view))

    async def GetOutgoingRequest(
        self, request: pb.GetOutgoingRequestRequest, context: Context
    ) -> pb.GetOutgoingRequestResponse:
        """Returns a request."""
        return pb.GetOutgoingRequestResponse(request=self._message(await self._requests.get(request.id)))

    async def ListOutgoingRequests(
        self, request: pb.ListOutgoingRequestsRequest, context: Context
    ) -> pb.ListOutgoingRequestsResponse:
        """Returns a page of requests."""
        converter = self.converter(request.view)
        page = await self.page(
            request,
            self._requests.list,
            lambda view: request_message(converter, view),
            where=request_filter(request.filter),
            sort=order(request.order_by, newest_first=True),
        )
        return pb.ListOutgoingRequestsResponse(requests=page.items, next_page_token=page.next_page_token)

    async def DiscardOutgoingRequest(
        self, request: pb.DiscardOutgoingRequestRequest, context: Context
    ) -> pb.DiscardOutgoingRequestResponse:
        """Deletes a draft."""
        await self._requests.discard(request.id, intent_of(request))
        return pb.DiscardOutgoingRequestResponse()

    async def WatchOutgoingRequest(
        self, request: pb.WatchOutgoingRequestRequest, context: Context
    ) -> AsyncIterator[pb.WatchOutgoingRequestResponse]:
        """Streams a request until it is answered or expired; see the proto for what is promised."""
        call, ending = current_call(), asyncio.Event()
        converter = self.converter()

        def look() -> None:
            if self._reason_to_end(call) is not None:
                ending.set()

        with ExitStack() as stack:
            stack.callback(self._readiness.listen(look))
            if call.credential is not None:
                stack.callback(call.credential.revocation.listen(look))
            look()
            async with aclosing(self._requests.watch(request.id)) as views:
                while (view := await _next(views, ending)) is not None:
                    yield pb.WatchOutgoingRequestResponse(request=request_message(converter, view))
                reason = self._reason_to_end(call)
                if ending.is_set() and reason is not None:
                    raise reason

    def _reason_to_end(self, call: Call) -> DomainError | None:
        if self._readiness.is_draining:
            return Draining("the server is shutting down: call again", retry_after=timedelta(seconds=1))
        if call.credential is not None and call.credential.revocation.is_revoked:
            return CredentialRevoked("the API key is not valid any more")
        return None

    @property
    def _requests(self) -> OutgoingRequestUseCases:
        return self.use_cases().outgoing_requests

    def _message(self, view: View) -> request_pb2.LocalRequest:
        return request_message(self.converter(), view)


async def _next(views: AsyncGenerator[View, None], ending: asyncio.Event) -> View | None:
    """Returns the next view; None at the end of the views, or when the stream has to end before."""
    reading = asyncio.ensure_future(anext(views, None))
    waiting = asyncio.create_task(ending.wait())
    try:
        await asyncio.wait((reading, waiting), return_when=asyncio.FIRST_COMPLETED)
        return reading.result() if reading.done() else None
    finally:
        reading.cancel()
        waiting.cancel()
        await asyncio.gather(reading, waiting, return_exceptions=True)
