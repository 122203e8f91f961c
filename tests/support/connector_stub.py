"""A gRPC server on loopback that plays the services which tests of clients need, one behaviour at a time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

from enmeshed.connector.v1 import (
    event_pb2,
    events_service_pb2,
    events_service_pb2_grpc,
    file_pb2,
    files_service_pb2,
    files_service_pb2_grpc,
    message_pb2,
    messages_service_pb2,
    messages_service_pb2_grpc,
    transfer_pb2,
)

Context = grpc.aio.ServicerContext[Any, Any]
Subscription = Callable[[Context], AsyncIterator[events_service_pb2.SubscribeResponse]]
"""What one call of Subscribe answers."""


class ConnectorStub(
    messages_service_pb2_grpc.MessagesServicer,
    events_service_pb2_grpc.EventsServicer,
    files_service_pb2_grpc.FilesServicer,
):
    """The services. Sent messages become events of the open subscriptions, unless a test scripts these."""

    def __init__(self) -> None:
        self.port = 0
        self.metadata: list[Mapping[str, str | bytes]] = []
        """Of each call, in order."""
        self.starts: list[str] = []
        """The resume token of each subscription."""
        self.subscriptions: list[Subscription] = []
        """What the next subscriptions do; afterwards they are live."""
        self.refuse: Callable[[Context], Awaitable[None]] | None = None
        """How SendMessage and uploads are refused."""
        self.sent: list[messages_service_pb2.SendMessageRequest] = []
        self.stored = b""
        self.is_damaging = False
        """Downloads come with a flipped bit."""
        self._live: set[asyncio.Queue[message_pb2.Message]] = set()

    @property
    def target(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.port}"

    @asynccontextmanager
    async def serve(self) -> AsyncIterator[grpc.aio.Server]:
        """Runs the server, on the same port every time, and kills it without grace in the end."""
        server = grpc.aio.server()
        messages_service_pb2_grpc.add_MessagesServicer_to_server(self, server)
        events_service_pb2_grpc.add_EventsServicer_to_server(self, server)
        files_service_pb2_grpc.add_FilesServicer_to_server(self, server)
        self.port = server.add_insecure_port(f"127.0.0.1:{self.port}")
        await server.start()
        try:
            yield server
        finally:
            await server.stop(None)

    async def _note(self, context: Context) -> None:
        self.metadata.append(dict(context.invocation_metadata() or ()))
        await context.send_initial_metadata((("x-correlation-id", "corr-1"),))

    async def SendMessage(
        self, request: messages_service_pb2.SendMessageRequest, context: Context
    ) -> messages_service_pb2.SendMessageResponse:
        await self._note(context)
        if self.refuse is not None:
            await self.refuse(context)
        self.sent.append(request)
        message = message_pb2.Message(id=f"MSG{len(self.sent):017}", is_own=True, content=request.content)
        for queue in self._live:
            # Another message's event comes first.
            queue.put_nowait(message_pb2.Message(id="MSGsomebodyelses00001"))
            queue.put_nowait(message)
        return messages_service_pb2.SendMessageResponse(message=message)

    async def ListMessages(
        self, request: messages_service_pb2.ListMessagesRequest, context: Context
    ) -> messages_service_pb2.ListMessagesResponse:
        await self._note(context)
        following = {"": "2", "2": "3", "3": ""}[request.page_token]
        message = message_pb2.Message(id=f"{request.page_token} of {request.page_size}")
        return messages_service_pb2.ListMessagesResponse(messages=[message], next_page_token=following)

    async def Subscribe(
        self, request: events_service_pb2.SubscribeRequest, context: Context
    ) -> AsyncIterator[events_service_pb2.SubscribeResponse]:
        await self._note(context)
        self.starts.append(request.resume_token)
        subscription = self.subscriptions.pop(0) if self.subscriptions else self._serve_live
        async for frame in subscription(context):
            yield frame

    async def _serve_live(self, context: Context) -> AsyncIterator[events_service_pb2.SubscribeResponse]:
        queue: asyncio.Queue[message_pb2.Message] = asyncio.Queue()
        self._live.add(queue)
        try:
            yield started()
            while True:
                message = await queue.get()
                event = event_pb2.Event(id=message.id, type="transport.messageSent", message=message)
                yield events_service_pb2.SubscribeResponse(
                    resume_token=message.id, events=events_service_pb2.EventBatch(events=[event])
                )
        finally:
            self._live.discard(queue)

    async def UploadFile(
        self, request_iterator: AsyncIterator[files_service_pb2.UploadFileRequest], context: Context
    ) -> files_service_pb2.UploadFileResponse:
        await self._note(context)
        metadata, content = files_service_pb2.UploadMetadata(), b""
        async for frame in request_iterator:
            if frame.HasField("metadata"):
                metadata = frame.metadata
                if self.refuse is not None:
                    await self.refuse(context)
            content += frame.chunk
            if frame.HasField("digest"):
                assert frame.digest.sha512 == hashlib.sha512(content).digest()
                assert metadata.size_bytes == len(content)
                self.stored = content
        return files_service_pb2.UploadFileResponse(file=file_pb2.File(filename=metadata.filename))

    async def DownloadFile(
        self, request: files_service_pb2.DownloadFileRequest, context: Context
    ) -> AsyncIterator[files_service_pb2.DownloadFileResponse]:
        await self._note(context)
        metadata = transfer_pb2.DownloadMetadata(file=file_pb2.File(filename="f"), size_bytes=len(self.stored))
        yield files_service_pb2.DownloadFileResponse(metadata=metadata)
        content = self.stored
        if self.is_damaging:
            content = bytes([content[0] ^ 1]) + content[1:]
        for start in range(0, len(content), 200_000):
            yield files_service_pb2.DownloadFileResponse(chunk=content[start : start + 200_000])
        digest = transfer_pb2.TransferDigest(sha512=hashlib.sha512(self.stored).digest())
        yield files_service_pb2.DownloadFileResponse(digest=digest)


def connector_stub() -> ConnectorStub:
    """Returns a new server, not started."""
    return ConnectorStub()  # type: ignore[abstract]  # calls that it does not play answer UNIMPLEMENTED


def started(heartbeat: float = 30.0) -> events_service_pb2.SubscribeResponse:
    """Returns the first frame of a subscription."""
    interval = duration_pb2.Duration(nanos=round(heartbeat % 1 * 1e9), seconds=int(heartbeat))
    return events_service_pb2.SubscribeResponse(
        started=events_service_pb2.SubscriptionStarted(heartbeat_interval=interval)
    )


def events(resume_token: str, *ids: str) -> events_service_pb2.SubscribeResponse:
    """Returns a batch of events."""
    batch = events_service_pb2.EventBatch(events=[event_pb2.Event(id=id_) for id_ in ids])
    return events_service_pb2.SubscribeResponse(resume_token=resume_token, events=batch)


def plays(
    *frames: events_service_pb2.SubscribeResponse, then: Callable[[Context], Awaitable[None]] | None = None
) -> Subscription:
    """Returns a subscription that sends these frames, then does `then` and ends."""

    async def subscription(context: Context) -> AsyncIterator[events_service_pb2.SubscribeResponse]:
        for frame in frames:
            yield frame
        if then is not None:
            await then(context)

    return subscription


async def stays(context: Context) -> None:
    """Keeps a subscription open and silent."""
    await asyncio.Event().wait()


def refuses(code: grpc.StatusCode, details: str, reason: str) -> Callable[[Context], Awaitable[None]]:
    """Returns what ends a call with a status that has all the details which the Connector sends."""

    async def refuse(context: Context) -> None:
        facts = {"code": "error.runtime.messages.hasNoActiveRelationship", "peers": "did:e:x"}
        violation = error_details_pb2.BadRequest.FieldViolation(field="recipients", description="is wrong")
        status = status_pb2.Status(code=code.value[0], message=details)
        for detail in (
            error_details_pb2.ErrorInfo(reason=reason, domain="connector.enmeshed", metadata=facts),
            error_details_pb2.BadRequest(field_violations=[violation]),
            error_details_pb2.RetryInfo(retry_delay=duration_pb2.Duration(nanos=1_000_000)),
        ):
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        await context.abort(code, details, (("grpc-status-details-bin", status.SerializeToString()),))

    return refuse
