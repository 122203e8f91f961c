"""The service Drafts."""

from __future__ import annotations

from typing import Any, Final

import grpc

from enmeshed.connector.v1 import drafts_service_pb2 as pb
from enmeshed.connector.v1 import drafts_service_pb2_grpc
from enmeshed_connector.api.conversion.filters import conditions, order, text_filter, time_filter
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.api.conversion.values import content_object, set_time
from enmeshed_connector.api.servicers.common import Servicer, intent_of
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Filter, all_of

Context = grpc.aio.ServicerContext[Any, Any]
NAME: Final = "enmeshed.connector.v1.Drafts"


class DraftsServicer(Servicer, drafts_service_pb2_grpc.DraftsServicer):
    """Content that is not sent yet."""

    async def CreateDraft(self, request: pb.CreateDraftRequest, context: Context) -> pb.CreateDraftResponse:
        """Creates a draft."""
        content = content_object(self._codec, request.content)
        view = await self.use_cases().drafts.create(request.type, content, intent_of(request))
        return pb.CreateDraftResponse(draft=_draft(self.converter(), view))

    async def GetDraft(self, request: pb.GetDraftRequest, context: Context) -> pb.GetDraftResponse:
        """Returns a draft."""
        return pb.GetDraftResponse(draft=_draft(self.converter(), await self.use_cases().drafts.get(request.id)))

    async def ListDrafts(self, request: pb.ListDraftsRequest, context: Context) -> pb.ListDraftsResponse:
        """Returns a page of drafts."""
        converter = self.converter(request.view)
        page = await self.page(
            request,
            self.use_cases().drafts.list,
            lambda view: _draft(converter, view),
            where=_filter(request.filter),
            sort=order("", newest_first=True),
        )
        return pb.ListDraftsResponse(drafts=page.items, next_page_token=page.next_page_token)

    async def UpdateDraft(self, request: pb.UpdateDraftRequest, context: Context) -> pb.UpdateDraftResponse:
        """Replaces the content of a draft."""
        content = content_object(self._codec, request.content)
        view = await self.use_cases().drafts.update(request.id, content, intent_of(request), etag=request.etag)
        return pb.UpdateDraftResponse(draft=_draft(self.converter(), view))

    async def DeleteDraft(self, request: pb.DeleteDraftRequest, context: Context) -> pb.DeleteDraftResponse:
        """Deletes a draft."""
        await self.use_cases().drafts.delete(request.id, intent_of(request))
        return pb.DeleteDraftResponse()


def _filter(condition: pb.DraftFilter) -> Filter:
    return all_of(
        *conditions(
            condition,
            ("type", "type", text_filter),
            ("create_time", "createdAt", time_filter),
            ("update_time", "lastModifiedAt", time_filter),
        )
    )


def _draft(converter: Converter, view: View) -> pb.Draft:
    message = pb.Draft(id=view["id"], type=view.get("type", ""), etag=view["etag"])
    set_time(message.create_time, view["createdAt"])
    set_time(message.update_time, view.get("lastModifiedAt"))
    if converter.is_full:
        message.content.CopyFrom(converter.codec.content_from_json(view.get("content")))
    return message
