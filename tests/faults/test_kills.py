"""A Connector that is killed at random while messages flow both ways: nothing is lost, nothing happens twice.

One identity lives in the processes that die, its peer in this process. The Backbone keeps its official rules: a sync
run expires after ten seconds, and an event that fails three times is never delivered again, so a process that died too
often with an event in its hands would lose it for good.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from enmeshed_backbone.server import BackboneServer
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.storage import Databases
from enmeshed_connector.storage.mongo import MongoDatabases
from enmeshed_connector.storage.sqlite import SqliteDatabases
from enmeshed_connector.transport.schema import TRANSPORT_SCHEMA
from tests.support.backbone import backbone
from tests.support.fleet import ACCOUNT, LEASE_SECONDS, Fleet, Traffic, befriend, check, drain, settings_for
from tests.support.mongodb import kinds_to_test, running_server
from tests.support.own_peer import own_account

__all__ = ["backbone"]


async def survive(
    backbone: BackboneServer, tmp_path: Path, fleet: Fleet, databases: Databases, *, kills: int, seed: int
) -> None:
    schedule = random.Random(seed)
    async with own_account(backbone.base_url, tmp_path / "peer") as peer:
        async with fleet.process():
            address = await befriend(fleet, peer)
        traffic = Traffic(fleet, peer, address)
        running = asyncio.create_task(traffic.run())
        try:
            for kill in range(kills):
                assert not running.done(), running.exception()
                async with fleet.process() as process:
                    if kill % 4 == 3:
                        # Only who lives long enough knows that the Backbone never got a message, and sends it again.
                        await traffic.goes_on()
                    if schedule.random() < 0.8:
                        await process.port()
                    # From a process that is still opening its database to one that holds the lease and syncs.
                    await asyncio.sleep(schedule.uniform(0.0, 1.4 * LEASE_SECONDS))
                    await process.kill()
            async with fleet.process() as process:
                traffic.end()
                await running
                await drain(fleet, backbone, peer, address)
                assert await process.stop() == 0, "\n".join(process.log)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            await fleet.close()
        assert len(traffic.sent) > kills
        assert len(traffic.accepted) > kills
        store = await databases.open(f"acc-{ACCOUNT}", TRANSPORT_SCHEMA)
        try:
            await check(store, backbone, peer, address, traffic)
        finally:
            await store.close()


@asynccontextmanager
async def on_database(database: str, backbone: BackboneServer, folder: Path) -> AsyncIterator[tuple[Fleet, Databases]]:
    """Gives processes on a database, and the way to look into it afterwards."""
    if database == "sqlite":
        yield Fleet(settings_for(backbone, {"FOLDER": str(folder)})), SqliteDatabases(folder, clock=SystemClock())
        return
    with running_server(kinds_to_test()[0], folder) as server:
        settings = settings_for(backbone, {"DRIVER": "motor", "CONNECTION_STRING": server.uri})
        databases = MongoDatabases(server.uri)
        try:
            yield Fleet(settings), databases
        finally:
            await databases.close()


DATABASES = ["sqlite", "mongodb"]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", DATABASES)
async def test_twenty_kills_lose_nothing_and_repeat_nothing(
    backbone: BackboneServer, tmp_path: Path, database: str
) -> None:
    async with on_database(database, backbone, tmp_path / "killed") as (fleet, databases):
        await survive(backbone, tmp_path, fleet, databases, kills=20, seed=20)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("database", DATABASES)
async def test_two_hundred_kills_lose_nothing_and_repeat_nothing(
    backbone: BackboneServer, tmp_path: Path, database: str
) -> None:
    async with on_database(database, backbone, tmp_path / "killed") as (fleet, databases):
        await survive(backbone, tmp_path, fleet, databases, kills=200, seed=200)
