"""The service IncomingRequests."""

from __future__ import annotations

from typing import Any, Final

import grpc

from enmeshed.connector.v1 import incoming_requests_service_pb2 as pb
from enmeshed.connector.v1 import incoming_requests_service_pb2_grpc, request_pb2
from enmeshed_connector.api.conversion.decisions import decisions
from enmeshed_connector.api.conversion.filters import order
from enmeshed_connector.api.conversion.request_filters import request_filter
from enmeshed_connector.api.conversion.requests import request as request_message
from enmeshed_connector.api.conversion.requests import validation_result
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.consumption.requests.results import DECISION_PATHS
from enmeshed_connector.runtime.use_cases.incoming_requests import IncomingRequestUseCases
from enmeshed_connector.runtime.views import View

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.IncomingRequests"


class IncomingRequestsServicer(Servicer, incoming_requests_service_pb2_grpc.IncomingRequestsServicer):
    """Requests of peers, and the decisions on them."""

    async def GetIncomingRequest(
        self, request: pb.GetIncomingRequestRequest, context: Context
    ) -> pb.GetIncomingRequestResponse:
        """Returns a request."""
        return pb.GetIncomingRequestResponse(request=self._message(await self._requests.get(request.id)))

    async def ListIncomingRequests(
        self, request: pb.ListIncomingRequestsRequest, context: Context
    ) -> pb.ListIncomingRequestsResponse:
        """Returns a page of requests."""
        converter = self.converter(request.view)
        page = await self.page(
            request,
            self._requests.list,
            lambda view: request_message(converter, view),
            where=request_filter(request.filter),
            sort=order(request.order_by, newest_first=True),
        )
        return pb.ListIncomingRequestsResponse(requests=page.items, next_page_token=page.next_page_token)

    async def CanAcceptIncomingRequest(
        self, request: pb.CanAcceptIncomingRequestRequest, context: Context
    ) -> pb.CanAcceptIncomingRequestResponse:
        """Tells whether an acceptance would be taken."""
        result = await self._requests.can_accept(request.id, decisions(self._codec, request.items))
        return pb.CanAcceptIncomingRequestResponse(result=validation_result(result, DECISION_PATHS))

    async def AcceptIncomingRequest(
        self, request: pb.AcceptIncomingRequestRequest, context: Context
    ) -> pb.AcceptIncomingRequestResponse:
        """Accepts a request."""
        items = decisions(self._codec, request.items)
        view = await self._requests.accept(request.id, items, intent_of(request))
        return pb.AcceptIncomingRequestResponse(request=self._message(view))

    async def CanRejectIncomingRequest(
        self, request: pb.CanRejectIncomingRequestRequest, context: Context
    ) -> pb.CanRejectIncomingRequestResponse:
        """Tells whether a rejection would be taken."""
        result = await self._requests.can_reject(request.id, decisions(self._codec, request.items))
        return pb.CanRejectIncomingRequestResponse(result=validation_result(result, DECISION_PATHS))

    async def RejectIncomingRequest(
        self, request: pb.RejectIncomingRequestRequest, context: Context
    ) -> pb.RejectIncomingRequestResponse:
        """Rejects a request."""
        items = decisions(self._codec, request.items)
        view = await self._requests.reject(request.id, items, intent_of(request))
        return pb.RejectIncomingRequestResponse(request=self._message(view))

    async def RetryIncomingRequest(
        self, request: pb.RetryIncomingRequestRequest, context: Context
    ) -> pb.RetryIncomingRequestResponse:
        """Has a response that was given up or put off sent."""
        view = await self._requests.retry(request.id, intent_of(request))
        return pb.RetryIncomingRequestResponse(request=self._message(view))

    async def DeleteIncomingRequest(
        self, request: pb.DeleteIncomingRequestRequest, context: Context
    ) -> pb.DeleteIncomingRequestResponse:
        """Deletes an expired request."""
        await self._requests.delete(request.id, intent_of(request))
        return pb.DeleteIncomingRequestResponse()

    @property
    def _requests(self) -> IncomingRequestUseCases:
        return self.use_cases().incoming_requests

    def _message(self, view: View) -> request_pb2.LocalRequest:
        return request_message(self.converter(), view)
