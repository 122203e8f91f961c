"""The frames of a download: metadata, chunks, digest."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from enmeshed.connector.v1 import file_pb2, transfer_pb2
from enmeshed_connector.api.calls import current_call
from enmeshed_connector.api.transfers import TransferBudget
from enmeshed_connector.runtime.views import View

CHUNK_BYTES = 256 * 1024

Frame = dict[str, Any]
"""The one field of a frame: `metadata`, `chunk` or `digest`."""


async def download_frames(
    budget: TransferBudget,
    size_bytes: int,
    fetch: Callable[[], Awaitable[tuple[View, bytes]]],
    convert: Callable[[View], file_pb2.File],
) -> AsyncIterator[Frame]:
    """Yields the frames of a file, which was checked whole before the first of them.

    Order: metadata, chunks, digest. Delivery: at most once. End: after the digest. Slow readers: the file stays in
    memory, within the budget, until the deadline of the call.

    Args:
        budget: The memory that transfers share.
        size_bytes: The size of the file.
        fetch: Returns the file and its content.
        convert: Makes the message of the file.

    Raises:
        TooManyTransfers: There is no memory for it.
        DomainError: Those of `fetch`.
    """
    async with budget.reserve(size_bytes, current_call().time_left()):
        view, content = await fetch()
        yield {"metadata": transfer_pb2.DownloadMetadata(file=convert(view), size_bytes=len(content))}
        for start in range(0, len(content), CHUNK_BYTES):
            yield {"chunk": content[start : start + CHUNK_BYTES]}
        digest = await asyncio.to_thread(lambda: hashlib.sha512(content).digest())
        yield {"digest": transfer_pb2.TransferDigest(sha512=digest)}
