"""The service Messages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc

from enmeshed.connector.v1 import messages_service_pb2 as pb
from enmeshed.connector.v1 import messages_service_pb2_grpc
from enmeshed_connector.api.conversion.filters import message_filter, order
from enmeshed_connector.api.conversion.requests import request as request_message
from enmeshed_connector.api.conversion.values import content_object
from enmeshed_connector.api.paging import PageTokens
from enmeshed_connector.api.serialised_objects import SerialisedObjects
from enmeshed_connector.api.servicers.common import Hosts, Servicer, intent_of
from enmeshed_connector.api.servicers.downloads import download_frames
from enmeshed_connector.api.transfers import TransferBudget
from enmeshed_connector.content.codec import ContentCodec

Context = grpc.aio.ServicerContext[Any, Any]


class MessagesServicer(Servicer, messages_service_pb2_grpc.MessagesServicer):
    """Messages to and from peers."""

    def __init__(
        self,
        hosts: Hosts,
        codec: ContentCodec,
        tokens: PageTokens,
        *,
        budget: TransferBudget,
        serialised: SerialisedObjects,
    ) -> None:
        """Takes the collaborators of every servicer, the memory of transfers, and what is serialised already."""
        super().__init__(hosts, codec, tokens)
        self._budget = budget
        self._serialised = serialised

    async def SendMessage(self, request: pb.SendMessageRequest, context: Context) -> pb.SendMessageResponse:
        """Sends a message."""
        message = await self.use_cases().messages.send(
            list(request.recipients),
            content_object(self._codec, request.content),
            intent_of(request),
            attachments=list(request.attachment_ids),
        )
        return pb.SendMessageResponse(message=self.converter().message(message))

    async def GetMessage(self, request: pb.GetMessageRequest, context: Context) -> pb.GetMessageResponse:
        """Returns a message with its files."""
        message, files = await self.use_cases().messages.get_with_attachments(request.id)
        return pb.GetMessageResponse(message=self.converter().message(message, files))

    async def ListMessages(  # type: ignore[override]
        self, request: pb.ListMessagesRequest, context: Context
    ) -> bytes:
        """Returns a page of messages."""
        return await self.serialised_page(
            request,
            pb.ListMessagesResponse(),
            self._serialised,
            self.use_cases().messages.list,
            self.converter(request.view).message,
            where=message_filter(request.filter),
            sort=order(request.order_by, newest_first=True),
        )

    async def DownloadAttachment(
        self, request: pb.DownloadAttachmentRequest, context: Context
    ) -> AsyncIterator[pb.DownloadAttachmentResponse]:
        """Streams an attached file."""
        use_cases = self.use_cases().messages
        file = await use_cases.attachment(request.message_id, request.attachment_id)
        frames = download_frames(
            self._budget,
            file["filesize"],
            lambda: use_cases.download_attachment(request.message_id, request.attachment_id),
            lambda view: self.converter().file(view, shows_reference=False),
        )
        async for frame in frames:
            yield pb.DownloadAttachmentResponse(**frame)

    async def GetAttachment(self, request: pb.GetAttachmentRequest, context: Context) -> pb.GetAttachmentResponse:
        """Returns what is known of an attached file."""
        file = await self.use_cases().messages.attachment(request.message_id, request.attachment_id)
        return pb.GetAttachmentResponse(file=self.converter().file(file))

    async def MarkMessageRead(self, request: pb.MarkMessageReadRequest, context: Context) -> pb.MarkMessageReadResponse:
        """Marks a message as read."""
        message = await self.use_cases().messages.mark_as_read(request.id, intent_of(request))
        return pb.MarkMessageReadResponse(message=self.converter().message(message))

    async def MarkMessageUnread(
        self, request: pb.MarkMessageUnreadRequest, context: Context
    ) -> pb.MarkMessageUnreadResponse:
        """Marks a message as unread."""
        message = await self.use_cases().messages.mark_as_unread(request.id, intent_of(request))
        return pb.MarkMessageUnreadResponse(message=self.converter().message(message))

    async def SendRequest(self, request: pb.SendRequestRequest, context: Context) -> pb.SendRequestResponse:
        """Makes a request and sends it."""
        content = content_object(self._codec, request.content)
        view, message = await self.use_cases().outgoing_requests.send(request.peer, content, intent_of(request))
        return pb.SendRequestResponse(
            request=request_message(self.converter(), view), message=self.converter().basic().message(message)
        )
