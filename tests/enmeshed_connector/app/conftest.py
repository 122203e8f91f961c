from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from enmeshed_client import Connector as Client
from tests.support.connector import RunningConnector, running_connector


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[RunningConnector]:
    """A whole Connector with the accounts alice and bob."""
    async with running_connector(tmp_path) as connector:
        yield connector


@pytest.fixture
async def alice(running: RunningConnector) -> AsyncIterator[Client]:
    async with running.client("alice") as client:
        yield client


@pytest.fixture
async def bob(running: RunningConnector) -> AsyncIterator[Client]:
    async with running.client("bob") as client:
        yield client
