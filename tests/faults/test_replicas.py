"""Three processes serve one identity on a MongoDB server; two of them die: nothing is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from enmeshed_backbone.server import BackboneServer
from enmeshed_connector.storage.mongo import MongoDatabases
from enmeshed_connector.storage.system_collections import LEASES
from enmeshed_connector.transport.schema import TRANSPORT_SCHEMA
from tests.support.backbone import backbone
from tests.support.connector_process import ConnectorProcess
from tests.support.fleet import ACCOUNT, Fleet, Traffic, befriend, check, drain, settings_for
from tests.support.mongodb import kinds_to_test, running_server
from tests.support.own_peer import own_account

__all__ = ["backbone"]

REPLICAS = 3
PATIENCE_SECONDS = 90


async def holder(databases: MongoDatabases) -> int | None:
    """Returns the process id of the account's worker, as its lease names it."""
    store = await databases.open(f"acc-{ACCOUNT}", TRANSPORT_SCHEMA)
    try:
        lease = await store.get(LEASES.name, "worker")
    finally:
        await store.close()
    return int(lease["holder"].split("/")[1]) if lease and lease["holder"] else None


async def worker_among(replicas: list[ConnectorProcess], databases: MongoDatabases) -> ConnectorProcess:
    """Waits until one of these replicas is the worker and returns it: on a busy machine a lease may change hands."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            pid = await holder(databases)
            for replica in replicas:
                if replica.process.pid == pid:
                    return replica
            await asyncio.sleep(0.1)


async def received_after(traffic: Traffic, backbone: BackboneServer, address: str) -> None:
    """Returns when the account has confirmed an external event that is newer than this call."""
    sql = "SELECT max(idx) AS newest FROM external_events WHERE owner = ? AND is_synced >= ?"
    [before] = backbone.rows(sql, address, 0)
    while True:
        [now] = backbone.rows(sql, address, 1)
        if now["newest"] is not None and now["newest"] > (before["newest"] or 0):
            return
        await asyncio.sleep(0.05)


@pytest.mark.timeout(300)
async def test_two_of_three_replicas_die_and_the_third_takes_over(backbone: BackboneServer, tmp_path: Path) -> None:
    await survive(backbone, tmp_path, rounds=1)


@pytest.mark.soak
@pytest.mark.timeout(3600)
async def test_two_of_three_replicas_die_again_and_again(backbone: BackboneServer, tmp_path: Path) -> None:
    await survive(backbone, tmp_path, rounds=20)


async def survive(backbone: BackboneServer, tmp_path: Path, *, rounds: int) -> None:
    schedule = random.Random(rounds)
    with running_server(kinds_to_test()[0], tmp_path / "database") as server:
        databases = MongoDatabases(server.uri)
        fleet = Fleet(settings_for(backbone, {"DRIVER": "motor", "CONNECTION_STRING": server.uri}))
        async with own_account(backbone.base_url, tmp_path / "peer") as peer, AsyncExitStack() as stack:
            stack.push_async_callback(databases.close)
            replicas: list[ConnectorProcess] = []
            while len(replicas) < REPLICAS:
                replicas.append(await stack.enter_async_context(fleet.process()))
            for replica in replicas:
                await replica.port()
            address = await befriend(fleet, peer)
            traffic = Traffic(fleet, peer, address)
            running = asyncio.create_task(traffic.run())
            stack.push_async_callback(fleet.close)
            stack.callback(running.cancel)
            for _ in range(rounds):
                await asyncio.sleep(schedule.uniform(0.5, 2.0))
                # The worker and, a moment later, another one.
                workers = [await worker_among(replicas, databases)]
                others = [one for one in replicas if one not in workers]
                victims = [workers[0], schedule.choice(others)]
                for victim in victims:
                    await victim.kill()
                    await asyncio.sleep(schedule.uniform(0.0, 0.3))
                [survivor] = [one for one in replicas if one not in victims]
                # The lease runs out unseen at most once more before the survivor has it; then it syncs what waits.
                await worker_among([survivor], databases)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await received_after(traffic, backbone, address)
                assert not running.done(), running.exception()
                replicas = [survivor]
                while len(replicas) < REPLICAS:
                    replicas.append(await stack.enter_async_context(fleet.process()))
                for replica in replicas:
                    await replica.port()
            traffic.end()
            await running
            await drain(fleet, backbone, peer, address)
            for replica in replicas:
                assert await replica.stop() == 0, "\n".join(replica.log)
            assert len(traffic.sent) > rounds
            assert len(traffic.accepted) > rounds
            store = await databases.open(f"acc-{ACCOUNT}", TRANSPORT_SCHEMA)
            try:
                await check(store, backbone, peer, address, traffic)
            finally:
                await store.close()
