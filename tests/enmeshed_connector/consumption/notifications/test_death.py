"""Processes that die between the deletion of an attribute and the news of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from enmeshed_connector.consumption.account import ConsumptionAccount, ConsumptionSettings
from enmeshed_connector.consumption.deliveries import DELIVERIES
from enmeshed_connector.consumption.notifications.controller import NotifyingDeletions
from enmeshed_connector.consumption.notifications.documents import NOTIFICATIONS
from enmeshed_connector.consumption.schema import CONSUMPTION_COLLECTIONS
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import TRANSPORT_COLLECTIONS, SynchronizedCollections
from tests.support.consumption import Holder, holder
from tests.support.crash import Crash, CrashingGateway, CrashingStore, ProcessDied
from tests.support.network import Network, befriend

_LAST = 17
"""One more than there are steps."""


async def process_of(network: Network, crash: Crash) -> Holder:
    """Opens the account once more, as another process, which may die."""
    environment = await network.environment("alice")
    transport = await open_account(
        replace(
            environment,
            collections=SynchronizedCollections(TRANSPORT_COLLECTIONS, CONSUMPTION_COLLECTIONS),
            store=CrashingStore(environment.store, crash),
            gateway=CrashingGateway(environment.gateway, crash),
        )
    )
    # Before the start, which completes what was interrupted: this room must hear of it.
    consumption = ConsumptionAccount(transport, ConsumptionSettings())
    await transport.start()
    return Holder(transport, consumption, network.faults["alice"])


async def delete_and_send(account: Holder, attribute_id: str) -> None:
    sender = NotifyingDeletions(account.consumption.notifications)
    await account.run(lambda work: account.attributes.deletions.delete_and_notify(attribute_id, sender, work))
    await account.consumption.deliveries.send_due()


@pytest.mark.parametrize("step", range(1, _LAST + 1))
async def test_a_deletion_is_told_exactly_once_or_did_not_happen(tmp_path: Path, step: int) -> None:
    async with Network(tmp_path) as network:
        alice, bob = await holder(network, "alice"), await holder(network, "bob")
        await befriend(alice.transport, bob.transport)
        given = await alice.own()
        await alice.forward(given, bob.address)
        await bob.of_peer(alice.address, identifier=given["id"])
        crash = Crash(None)
        process = await process_of(network, crash)
        crash.die_after(step)
        died = False
        try:
            await delete_and_send(process, given["id"])
        except ProcessDied:
            died = True
        except BaseExceptionGroup as group:
            died = group.subgroup(ProcessDied) is not None
        # The last one lives to the end, so that no step is left out.
        assert died == (step < _LAST)

        again = await process_of(network, Crash(None))
        for _ in range(4):
            await again.consumption.deliveries.send_due()
            network.clock.advance(timedelta(minutes=10))
        await bob.transport.sync.sync()

        is_deleted = await again.get(given["id"]) is None
        held = await bob.get(given["id"])
        assert held is not None and ("deletionInfo" in held) == is_deleted
        assert [one["status"] for one in await bob.all(NOTIFICATIONS)] == (["Completed"] if is_deleted else [])
        assert [one["status"] for one in await again.all(NOTIFICATIONS)] == (["Sent"] if is_deleted else [])
        assert await again.all(DELIVERIES) == []
        assert is_deleted or step == 1
