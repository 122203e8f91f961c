from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enmeshed_backbone.settings import Settings
from tests.support.consumption import Holder, another_device, holder
from tests.support.network import Network, befriend


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    """A Backbone and accounts on it, in this process."""
    async with Network(tmp_path) as network:
        yield network


@pytest.fixture(params=[1, 50])
async def paged_network(tmp_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Network]:
    """A Backbone whose pages, each of which is applied by itself, hold so many modifications."""
    async with Network(tmp_path, Settings(seed_identities=False, page_size=request.param)) as network:
        yield network


@pytest.fixture
async def device(paged_network: Network) -> Holder:
    """A device of an identity that has several."""
    return await holder(paged_network, "device", datawallet_enabled=True)


@pytest.fixture
async def other(paged_network: Network, device: Holder) -> Holder:
    """Another device of the same identity, which knows all."""
    return await another_device(paged_network, device)


@pytest.fixture
async def alice(network: Network) -> Holder:
    """One side of a relationship."""
    return await holder(network, "alice")


@pytest.fixture
async def bob(network: Network, alice: Holder) -> Holder:
    """The other side of the relationship."""
    bob = await holder(network, "bob")
    await befriend(alice.transport, bob.transport)
    return bob
