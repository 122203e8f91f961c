from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enmeshed_backbone.settings import Settings
from tests.support.consumption import Holder, holder
from tests.support.network import Network
from tests.support.request_items import Side

TAGS = {
    "supportedLanguages": ["en"],
    "tagsForAttributeValueTypes": {"GivenName": {"call": {"displayNames": {"en": "Call"}}}},
}


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    """A Backbone with tags, and accounts on it, in this process."""
    async with Network(tmp_path, Settings(seed_identities=False, tags=TAGS)) as network:
        yield network


@pytest.fixture
async def alice_account(network: Network) -> Holder:
    """The account that asks."""
    return await holder(network, "alice")


@pytest.fixture
async def bob_account(network: Network) -> Holder:
    """The account that answers."""
    return await holder(network, "bob")


@pytest.fixture
async def alice(alice_account: Holder, bob_account: Holder) -> Side:
    """Alice, who asks Bob."""
    return Side(alice_account, bob_account.address)


@pytest.fixture
async def bob(alice_account: Holder, bob_account: Holder) -> Side:
    """Bob, who is asked by Alice."""
    return Side(bob_account, alice_account.address)
