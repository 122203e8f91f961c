"""A running server and a channel to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest

from tests.support.api_server import ManualClock, RunningServer, running_server


@pytest.fixture
async def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def served(tmp_path: Path, clock: ManualClock) -> AsyncIterator[RunningServer]:
    async with running_server(tmp_path, clock=clock) as running:
        yield running


@pytest.fixture
async def channel(served: RunningServer) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(served.address) as opened:
        yield opened
