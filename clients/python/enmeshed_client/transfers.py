"""Files in and out: chunks, and the digest that both sides check."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc

from enmeshed.connector.v1 import file_pb2, files_service_pb2, messages_service_pb2, transfer_pb2
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
    """Uploads a file and returns what became of it, with its reference. The size is taken from the content.

    Raises:
        ConnectorError: The Connector refused it, or the transfer broke; then nothing of it is left.
    """
    about = files_service_pb2.UploadMetadata()
    about.CopyFrom(metadata)
    about.size_bytes = len(content)

    async def frames() -> AsyncIterator[files_service_pb2.UploadFileRequest]:
        yield files_service_pb2.UploadFileRequest(metadata=about)
        for start in range(0, len(content), _CHUNK_BYTES):
            yield files_service_pb2.UploadFileRequest(chunk=content[start : start + _CHUNK_BYTES])
        digest = transfer_pb2.TransferDigest(sha512=hashlib.sha512(content).digest())
        yield files_service_pb2.UploadFileRequest(digest=digest)

    call = connector.files.UploadFile(frames(), timeout=timeout)
    ends: list[grpc.aio.AioRpcError] = []
    call.add_done_callback(lambda done: ends.append(_end_of(done)))
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        told = (end for end in (*ends, error) if end.details() != _LOST_STATUS)
        raise ConnectorError.of(next(told, error)) from None
    return answer.file


_LOST_STATUS = "Internal error from Core"
"""What grpcio puts in the place of the status of a server that answers before the last frame, when it learns of a
failed write after that status (https://github.com/grpc/grpc/issues/36066). So it is read as soon as it is there."""


def _end_of(call: Any) -> grpc.aio.AioRpcError:
    """Returns the status of a call that has just ended."""
    return grpc.aio.AioRpcError(
        _now(call.code()), _now(call.initial_metadata()), _now(call.trailing_metadata()), _now(call.details())
    )


def _now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Returns the result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as result:
        return result.value
    coroutine.close()
    raise RuntimeError("The call has not ended.")


async def download(
    stream: AsyncIterable[files_service_pb2.DownloadFileResponse | messages_service_pb2.DownloadAttachmentResponse],
) -> Download:
    """Reads the stream of `Files.DownloadFile` or `Messages.DownloadAttachment` and checks it.

    Raises:
        ConnectorError: The Connector refused, the transfer broke, or the digest does not fit.
    """
    metadata: transfer_pb2.DownloadMetadata | None = None
    chunks: list[bytes] = []
    digest = hashlib.sha512()
    expected: bytes | None = None
    try:
        async for frame in stream:
            if frame.HasField("metadata"):
                metadata = frame.metadata
            elif frame.HasField("chunk"):
                chunks.append(frame.chunk)
                digest.update(frame.chunk)
                expected = None  # The digest comes last.
            elif frame.HasField("digest"):
                expected = frame.digest.sha512
    except grpc.aio.AioRpcError as error:
        raise ConnectorError.of(error) from None
    content = b"".join(chunks)
    if metadata is None or expected != digest.digest() or len(content) != metadata.size_bytes:
        raise ConnectorError(grpc.StatusCode.DATA_LOSS, "The file did not arrive whole.", reason="TRANSFER_INCOMPLETE")
    return Download(metadata.file, content)
