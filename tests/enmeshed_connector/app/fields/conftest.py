"""Rules of fields: the tests of a file share one Connector, as no call of theirs is in the way of another."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from enmeshed_client import Connector as Client
from tests.support.connector import RunningConnector, running_connector


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningConnector]:
    """A whole Connector with the accounts alice and bob, who have a relationship."""
    async with running_connector(tmp_path_factory.mktemp("connector"), is_related=True) as connector:
        yield connector


@pytest_asyncio.fixture(loop_scope="module")
async def alice(running: RunningConnector) -> AsyncIterator[Client]:
    async with running.client("alice") as client:
        yield client
