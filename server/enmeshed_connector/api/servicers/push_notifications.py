"""The service PushNotifications."""

from __future__ import annotations

from typing import Any, Final

import grpc

from enmeshed.connector.v1 import push_notifications_service_pb2 as pb
from enmeshed.connector.v1 import push_notifications_service_pb2_grpc
from enmeshed_connector.api.servicers.common import Servicer, intent_of

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.PushNotifications"


class PushNotificationsServicer(Servicer, push_notifications_service_pb2_grpc.PushNotificationsServicer):
    """Texts on the devices of peers."""

    async def SendPushNotification(
        self, request: pb.SendPushNotificationRequest, context: Context
    ) -> pb.SendPushNotificationResponse:
        """Lets the Backbone show a text."""
        await self.use_cases().backbone_news.send_push_notification(
            list(request.recipients), request.code, intent_of(request)
        )
        return pb.SendPushNotificationResponse()
