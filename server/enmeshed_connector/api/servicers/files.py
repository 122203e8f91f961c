"""The service Files."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import grpc

from enmeshed.connector.v1 import files_service_pb2 as pb
from enmeshed.connector.v1 import files_service_pb2_grpc
from enmeshed_connector.api.calls import current_call
from enmeshed_connector.api.conversion.filters import file_filter, order
from enmeshed_connector.api.conversion.values import time_of, wanted_protection
from enmeshed_connector.api.paging import PageTokens
from enmeshed_connector.api.servicers.common import Hosts, Servicer, intent_of
from enmeshed_connector.api.servicers.downloads import download_frames
from enmeshed_connector.api.transfers import TransferBudget
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.errors import InvalidArgument
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.transport.errors import FileTooLarge

Context = grpc.aio.ServicerContext[Any, Any]

DEFAULT_MEDIA_TYPE = "application/octet-stream"


class FramesInvalid(InvalidArgument):
    """The frames of an upload come in another order than metadata, chunks, digest."""

    reason = "TRANSFER_FRAMES_INVALID"


class SizeMismatch(InvalidArgument):
    """The chunks hold more or fewer bytes than the metadata say."""

    reason = "TRANSFER_SIZE_MISMATCH"


class DigestMismatch(InvalidArgument):
    """The digest is not that of the chunks: something was lost or altered on the way."""

    reason = "TRANSFER_DIGEST_MISMATCH"


class FilesServicer(Servicer, files_service_pb2_grpc.FilesServicer):
    """Files, own and of peers."""

    def __init__(self, hosts: Hosts, codec: ContentCodec, tokens: PageTokens, budget: TransferBudget) -> None:
        """Takes the collaborators of every servicer, and the memory that transfers share."""
        super().__init__(hosts, codec, tokens)
        self._budget = budget

    async def UploadFile(
        self, request_iterator: AsyncIterator[pb.UploadFileRequest], context: Context
    ) -> pb.UploadFileResponse:
        """Takes a file in frames and uploads it; nothing is left of one that does not arrive whole."""
        use_cases = self.use_cases().files
        metadata = await _metadata(request_iterator)
        if metadata.size_bytes > use_cases.limit_bytes:
            raise FileTooLarge(
                f"The file has {metadata.size_bytes} bytes; {use_cases.limit_bytes} are allowed.",
                facts={"sizeBytes": str(metadata.size_bytes), "limitBytes": str(use_cases.limit_bytes)},
            )
        async with self._budget.reserve(metadata.size_bytes, current_call().time_left()):
            content, digest = await _content(request_iterator, metadata.size_bytes)
            file = await use_cases.upload(
                content,
                intent_of(metadata, digest),
                filename=metadata.filename,
                mimetype=metadata.media_type or DEFAULT_MEDIA_TYPE,
                expires_at=time_of(metadata, "expire_time"),
                title=metadata.title if metadata.HasField("title") else None,
                description=metadata.description if metadata.HasField("description") else None,
                tags=list(metadata.tags) or None,
            )
        return pb.UploadFileResponse(file=self.converter().file(file, is_created=True))

    async def DownloadFile(
        self, request: pb.DownloadFileRequest, context: Context
    ) -> AsyncIterator[pb.DownloadFileResponse]:
        """Streams a file."""
        use_cases = self.use_cases().files
        file = await use_cases.get(request.id)
        frames = download_frames(
            self._budget, file["filesize"], lambda: use_cases.download(request.id), self.converter().file
        )
        async for frame in frames:
            yield pb.DownloadFileResponse(**frame)

    async def LoadFile(self, request: pb.LoadFileRequest, context: Context) -> pb.LoadFileResponse:
        """Loads a file by a reference."""
        file = await self.use_cases().files.load(
            request.reference,
            intent_of(request),
            password=SecretText(request.password) if request.password else None,
        )
        return pb.LoadFileResponse(file=self.converter().file(file))

    async def GetFile(self, request: pb.GetFileRequest, context: Context) -> pb.GetFileResponse:
        """Returns a file by its id or reference."""
        use_cases = self.use_cases().files
        by_id = request.WhichOneof("by") == "id"
        file = await (use_cases.get(request.id) if by_id else use_cases.get_by_reference(request.reference))
        return pb.GetFileResponse(file=self.converter().file(file))

    async def ListFiles(self, request: pb.ListFilesRequest, context: Context) -> pb.ListFilesResponse:
        """Returns a page of files."""
        if request.filter.HasField("ownership_token"):
            current_call().require("files:secrets")
        page = await self.page(
            request,
            self.use_cases().files.list,
            self.converter().file,
            where=file_filter(request.filter),
            sort=order(request.order_by, newest_first=True),
        )
        return pb.ListFilesResponse(files=page.items, next_page_token=page.next_page_token)

    async def DeleteFile(self, request: pb.DeleteFileRequest, context: Context) -> pb.DeleteFileResponse:
        """Deletes a file."""
        await self.use_cases().files.delete(request.id, intent_of(request))
        return pb.DeleteFileResponse()

    async def CreateFileToken(self, request: pb.CreateFileTokenRequest, context: Context) -> pb.CreateFileTokenResponse:
        """Creates a token that leads to a file."""
        token = await self.use_cases().files.create_token(
            request.file_id,
            intent_of(request),
            expires_at=time_of(request, "expire_time"),
            is_ephemeral=request.is_ephemeral if request.HasField("is_ephemeral") else True,
            for_identity=parse_address(request.for_identity, "for_identity") if request.for_identity else None,
            protection=wanted_protection(request),
        )
        return pb.CreateFileTokenResponse(token=self.converter().token(token, is_created=True))

    async def RegenerateOwnershipToken(
        self, request: pb.RegenerateOwnershipTokenRequest, context: Context
    ) -> pb.RegenerateOwnershipTokenResponse:
        """Makes a new ownership token for an own file."""
        file = await self.use_cases().files.regenerate_ownership_token(request.file_id, intent_of(request))
        return pb.RegenerateOwnershipTokenResponse(file=self.converter().file(file, is_created=True))


async def _metadata(frames: AsyncIterator[pb.UploadFileRequest]) -> pb.UploadMetadata:
    """Returns the first frame of an upload."""
    async for frame in frames:
        if frame.WhichOneof("frame") == "metadata":
            return frame.metadata
        break
    raise FramesInvalid("The first frame of an upload must be its metadata.")


async def _content(frames: AsyncIterator[pb.UploadFileRequest], size_bytes: int) -> tuple[bytes, bytes]:
    """Returns the bytes of an upload and their digest, both checked."""
    chunks: list[bytes] = []
    received = 0
    hasher = hashlib.sha512()
    digest: bytes | None = None
    async for frame in frames:
        if digest is not None:
            raise FramesInvalid("Nothing may follow the digest of an upload.")
        match frame.WhichOneof("frame"):
            case "chunk":
                # Each look at the field copies it.
                chunk = frame.chunk
                received += len(chunk)
                if received > size_bytes:
                    raise SizeMismatch(
                        f"The chunks hold more than the {size_bytes} bytes of the metadata.",
                        facts={"sizeBytes": str(size_bytes)},
                    )
                chunks.append(chunk)
                hasher.update(chunk)
            case "digest":
                digest = frame.digest.sha512
            case _:
                raise FramesInvalid("Only chunks and the digest may follow the metadata of an upload.")
    if digest is None:
        raise FramesInvalid("The upload ended without its digest.")
    if received != size_bytes:
        raise SizeMismatch(
            f"The chunks hold {received} bytes, the metadata say {size_bytes}.",
            facts={"sizeBytes": str(size_bytes), "receivedBytes": str(received)},
        )
    if digest != hasher.digest():
        raise DigestMismatch("The digest is not that of the chunks.")
    return b"".join(chunks), digest
