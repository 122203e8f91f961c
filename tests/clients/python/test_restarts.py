"""The Python client follows the events of a Connector that is killed and comes back."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import grpc

from enmeshed.connector.v1.files_service_pb2 import UploadMetadata
from enmeshed_backbone.server import BackboneServer
from enmeshed_client import Connector, ConnectorError, upload
from tests.support.backbone import backbone
from tests.support.connector_process import ConnectorProcess

__all__ = ["backbone"]

ACCOUNT = "alice"


async def upload_once_ready(client: Connector, name: str) -> None:
    while True:
        try:
            await upload(client, name.encode(), UploadMetadata(filename=name))
            return
        except ConnectorError as error:
            if error.code != grpc.StatusCode.UNAVAILABLE:
                raise
            await asyncio.sleep(0.05)


async def test_a_killed_connector_is_followed_without_loss_or_repeat(backbone: BackboneServer, tmp_path: Path) -> None:
    settings = {
        "DATABASE__FOLDER": str(tmp_path),
        "BACKBONE__BASE_URL": backbone.base_url,
        "SYNC__LEASE_SECONDS": "2",
        f"ACCOUNTS__{ACCOUNT.upper()}__DATAWALLET": "false",
    }
    found: list[str] = []
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(ConnectorProcess(settings))
        port = await process.port()
        client = await stack.enter_async_context(Connector(f"127.0.0.1:{port}", account=ACCOUNT))
        await upload_once_ready(client, "before")
        following = await stack.enter_async_context(
            aclosing(client.follow("connector.fileStored", from_beginning=True))
        )
        async for received in following:
            found.append(received.event.file.filename)
            if len(found) == 2:
                break
            await process.kill()
            await stack.enter_async_context(ConnectorProcess({**settings, "SERVER__PORT": str(port)}))
            await upload_once_ready(client, "after")
    assert found == ["before", "after"]
