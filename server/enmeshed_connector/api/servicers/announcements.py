"""The service Announcements."""

from __future__ import annotations

from typing import Any, Final

import grpc

from enmeshed.connector.v1 import announcements_service_pb2 as pb
from enmeshed.connector.v1 import announcements_service_pb2_grpc
from enmeshed_connector.api.calls import current_call
from enmeshed_connector.api.conversion.values import enum_number
from enmeshed_connector.api.paging import collect_page
from enmeshed_connector.api.servicers.common import Servicer
from enmeshed_connector.backbone.endpoints.announcements import Announcement
from enmeshed_connector.storage import Keyset

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.Announcements"


class AnnouncementsServicer(Servicer, announcements_service_pb2_grpc.AnnouncementsServicer):
    """What the Backbone's operator tells everybody."""

    async def ListAnnouncements(
        self, request: pb.ListAnnouncementsRequest, context: Context
    ) -> pb.ListAnnouncementsResponse:
        """Returns a page of announcements."""
        found: list[tuple[int, Announcement]] | None = None

        async def fetch(after: Keyset | None, limit: int) -> list[tuple[int, Announcement]]:
            nonlocal found
            if found is None:
                news = await self.use_cases().backbone_news.announcements(request.language)
                found = list(enumerate(news))
            start = 0 if after is None else _place_after(after, found)
            return found[start : start + limit]

        page = await collect_page(
            fetch,
            lambda entry: _announcement(entry[1]),
            request=request,
            account=current_call().account_name(),
            tokens=self._tokens,
            end_of=lambda entry: Keyset((entry[0],), entry[1].id),
        )
        return pb.ListAnnouncementsResponse(announcements=page.items, next_page_token=page.next_page_token)


def _place_after(end: Keyset, found: list[tuple[int, Announcement]]) -> int:
    """Returns where a list goes on of which some may have come or gone since the page before."""
    for index, announcement in found:
        if announcement.id == end.id:
            return index + 1
    last = end.values[0]
    return last if isinstance(last, int) else 0


def _announcement(announcement: Announcement) -> pb.Announcement:
    message = pb.Announcement(
        id=announcement.id,
        severity=enum_number(  # type: ignore[arg-type]
            pb.AnnouncementSeverity, "ANNOUNCEMENT_SEVERITY", announcement.severity
        ),
        title=announcement.title,
        body=announcement.body,
        actions=[
            pb.AnnouncementAction(display_name=action.display_name, link=action.link or "")
            for action in announcement.actions
        ],
    )
    message.create_time.FromDatetime(announcement.created_at)
    if announcement.expires_at is not None:
        message.expire_time.FromDatetime(announcement.expires_at)
    return message
