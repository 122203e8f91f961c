from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.consumption import Holder, holder
from tests.support.network import Network, befriend


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    """A Backbone and accounts on it, in this process."""
    async with Network(tmp_path) as network:
        yield network


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
