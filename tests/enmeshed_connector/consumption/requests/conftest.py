from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.network import Network
from tests.support.requests import Asking, asking, relate


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    """A Backbone and accounts on it, in this process."""
    async with Network(tmp_path) as network:
        yield network


@pytest.fixture
async def alice(network: Network) -> Asking:
    """An account."""
    return await asking(network, "alice")


@pytest.fixture
async def bob(network: Network, alice: Asking) -> Asking:
    """An account with a relationship to alice."""
    bob = await asking(network, "bob")
    await relate(alice, bob)
    return bob
