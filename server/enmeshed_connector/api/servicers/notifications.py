"""The service Notifications."""

from __future__ import annotations

from typing import Any, Final

import grpc

from enmeshed.connector.v1 import notification_pb2, notifications_service_pb2_grpc
from enmeshed.connector.v1 import notifications_service_pb2 as pb
from enmeshed_connector.api.conversion.filters import order
from enmeshed_connector.api.conversion.notification_filters import notification_filter
from enmeshed_connector.api.conversion.notifications import notification
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.runtime.use_cases.notifications import NotificationUseCases
from enmeshed_connector.runtime.views import View

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.Notifications"


class NotificationsServicer(Servicer, notifications_service_pb2_grpc.NotificationsServicer):
    """What identities tell each other about attributes."""

    async def GetNotification(self, request: pb.GetNotificationRequest, context: Context) -> pb.GetNotificationResponse:
        """Returns a notification."""
        return pb.GetNotificationResponse(notification=self._message(await self._notifications.get(request.id)))

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        """Returns a page of notifications."""
        converter = self.converter(request.view)
        page = await self.page(
            request,
            self._notifications.list,
            lambda view: notification(converter, view),
            where=notification_filter(request.filter),
            sort=order(request.order_by, newest_first=True),
        )
        return pb.ListNotificationsResponse(notifications=page.items, next_page_token=page.next_page_token)

    async def RetryNotification(
        self, request: pb.RetryNotificationRequest, context: Context
    ) -> pb.RetryNotificationResponse:
        """Processes a notification that failed once more."""
        view = await self._notifications.retry(request.id, intent_of(request))
        return pb.RetryNotificationResponse(notification=self._message(view))

    @property
    def _notifications(self) -> NotificationUseCases:
        return self.use_cases().notifications

    def _message(self, view: View) -> notification_pb2.LocalNotification:
        return notification(self.converter(), view)
