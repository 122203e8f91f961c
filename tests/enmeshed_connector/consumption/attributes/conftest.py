from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enmeshed_backbone.settings import Settings
from tests.support.consumption import Holder, holder
from tests.support.network import Network

TAGS = {
    "supportedLanguages": ["en", "de"],
    "tagsForAttributeValueTypes": {
        "PhoneNumber": {"mobile": {"displayNames": {"en": "Mobile"}}},
        "GivenName": {
            "call": {"displayNames": {"en": "Call"}, "children": {"short": {"displayNames": {"en": "Short"}}}}
        },
    },
}


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    """A Backbone with tags, and accounts on it, in this process."""
    async with Network(tmp_path, Settings(seed_identities=False, tags=TAGS)) as network:
        yield network


@pytest.fixture
async def alice(network: Network) -> Holder:
    """An account without defaults."""
    return await holder(network, "alice")
