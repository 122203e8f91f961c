from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.network import Network

pytest.register_assert_rewrite("tests.support.fleet", "tests.support.oracle")


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    """A Backbone and accounts on it, in this process."""
    async with Network(tmp_path) as network:
        yield network
