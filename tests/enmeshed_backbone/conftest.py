"""What the tests of the Backbone share: a server, a client, identities."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio

from enmeshed_backbone.server import BackboneServer
from tests.support.backbone import backbone as backbone
from tests.support.backbone_client import Device, MakeIdentity, new_identity, open_http


@pytest_asyncio.fixture
async def http(backbone: BackboneServer) -> AsyncIterator[httpx.AsyncClient]:
    """Gives a client of the Consumer API."""
    async with open_http(backbone.base_url) as client:
        yield client


@pytest_asyncio.fixture
async def admin(backbone: BackboneServer) -> AsyncIterator[httpx.AsyncClient]:
    """Gives a client of the Admin API that has the key."""
    async with open_http(backbone.admin_url) as client:
        client.headers["x-api-key"] = "test"
        yield client


@pytest.fixture
def make_identity(http: httpx.AsyncClient) -> MakeIdentity:
    """Gives a function that makes identities with a datawallet."""

    async def make() -> Device:
        return await new_identity(http)

    return make


@pytest_asyncio.fixture
async def anna(make_identity: MakeIdentity) -> Device:
    """Gives an identity."""
    return await make_identity()


@pytest_asyncio.fixture
async def bert(make_identity: MakeIdentity) -> Device:
    """Gives another identity."""
    return await make_identity()
