"""Calls of the contract that this server does not serve yet: each is answered UNIMPLEMENTED; the README names them."""

from __future__ import annotations

from typing import Any, NoReturn

import grpc

from enmeshed.connector.v1 import events_service_pb2 as pb
from enmeshed.connector.v1 import events_service_pb2_grpc
from enmeshed_connector.core.errors import Code, DomainError

Context = grpc.aio.ServicerContext[Any, Any]


class NotOffered(DomainError):
    """The contract has this call, and this server does not serve it."""

    reason, code = "UNIMPLEMENTED", Code.UNIMPLEMENTED


class EventAdministrationNotOffered(events_service_pb2_grpc.EventsServicer):
    """Failed events and named subscriptions."""

    async def ListFailedEvents(self, request: pb.ListFailedEventsRequest, context: Context) -> NoReturn:
        """Is not served yet."""
        raise _not_offered()

    async def RetryFailedEvent(self, request: pb.RetryFailedEventRequest, context: Context) -> NoReturn:
        """Is not served yet."""
        raise _not_offered()

    async def CreateSubscription(self, request: pb.CreateSubscriptionRequest, context: Context) -> NoReturn:
        """Is not served yet."""
        raise _not_offered()

    async def GetSubscription(self, request: pb.GetSubscriptionRequest, context: Context) -> NoReturn:
        """Is not served yet."""
        raise _not_offered()

    async def ListSubscriptions(self, request: pb.ListSubscriptionsRequest, context: Context) -> NoReturn:
        """Is not served yet."""
        raise _not_offered()

    async def DeleteSubscription(self, request: pb.DeleteSubscriptionRequest, context: Context) -> NoReturn:
        """Is not served yet."""
        raise _not_offered()

    async def AcknowledgeEvents(self, request: pb.AcknowledgeEventsRequest, context: Context) -> NoReturn:
        """Is not served yet."""
        raise _not_offered()


def _not_offered() -> NotOffered:
    return NotOffered("This server does not offer named subscriptions and failed events yet.")
