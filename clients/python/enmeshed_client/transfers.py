"""Files in and out: chunks, and the digest that both sides check."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from enmeshed.connector.v1 import file_pb2, files_service_pb2, transfer_pb2
from enmeshed_client.errors import ConnectorError

if TYPE_CHECKING:
    from enmeshed_client.client import Connector

_CHUNK_BYTES = 256 * 1024


@dataclass(frozen=True)
class Download:
    """A file that arrived whole."""

    file: file_pb2.File
    content: bytes


async def upload(
    connector: Connector, content: bytes, metadata: files_service_pb2.UploadMetadata, *, timeout: float | None = 300.0
) -> file_pb2.File:
    """Uploads a file and returns what became of it, with its reference.

    Raises:
        ConnectorError: The Connector refused it, or the transfer broke; then nothing of it is left.
    """

    async def frames() -> AsyncIterator[files_service_pb2.UploadFileRequest]:
        yield files_service_pb2.UploadFileRequest(metadata=metadata)
        for start in range(0, len(content), _CHUNK_BYTES):
            yield files_service_pb2.UploadFileRequest(chunk=content[start : start + _CHUNK_BYTES])
        digest = transfer_pb2.TransferDigest(sha512=hashlib.sha512(content).digest())
        yield files_service_pb2.UploadFileRequest(digest=digest)

    try:
        answer = await connector.files.UploadFile(frames(), timeout=timeout)
    except grpc.aio.AioRpcError as error:
        raise ConnectorError.of(error) from None
    return answer.file


async def download(stream: Any) -> Download:
    """Reads the stream of `Files.DownloadFile` or `Messages.DownloadAttachment` and checks it.

    Raises:
        ConnectorError: The Connector refused, the transfer broke, or the digest does not fit.
    """
    metadata: transfer_pb2.DownloadMetadata | None = None
    chunks: list[bytes] = []
    digest = hashlib.sha512()
    complete = False
    try:
        async for frame in stream:
            if frame.HasField("metadata"):
                metadata = frame.metadata
            elif frame.HasField("chunk"):
                chunks.append(frame.chunk)
                digest.update(frame.chunk)
            elif frame.HasField("digest"):
                complete = frame.digest.sha512 == digest.digest()
    except grpc.aio.AioRpcError as error:
        raise ConnectorError.of(error) from None
    content = b"".join(chunks)
    if metadata is None or not complete or len(content) != metadata.size_bytes:
        raise ConnectorError(grpc.StatusCode.DATA_LOSS, "The file did not arrive whole.", reason="TRANSFER_INCOMPLETE")
    return Download(metadata.file, content)
