from __future__ import annotations

from datetime import timedelta

import pytest

from enmeshed_connector.backbone.errors import BackboneRejected
from enmeshed_connector.core.errors import OutcomeUnknown
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.pending import IdempotencyKeyReused, Ticket
from enmeshed_connector.transport.sync_modes import SyncMode
from tests.support.network import Network

EVENT = "transport.identityDeletionProcessStatusChanged"


async def test_a_deletion_can_be_started_and_cancelled(network: Network) -> None:
    anna = await network.account("anna")

    process = await anna.account.identity_deletion.start(7)
    assert process["status"] == "Active"
    assert await anna.account.identity_deletion.active() == process
    assert not (await anna.account.identity_deletion.is_deleted()).is_deleted

    cancelled = await anna.account.identity_deletion.cancel(process["id"])
    assert cancelled["status"] == "Cancelled"
    assert "gracePeriodEndsAt" not in cancelled
    assert await anna.account.identity_deletion.active() is None
    assert [event["data"]["status"] for event in await anna.events(EVENT)] == ["Active", "Cancelled"]


async def test_only_one_deletion_runs_at_a_time(network: Network) -> None:
    anna = await network.account("anna")
    await anna.account.identity_deletion.start()

    with pytest.raises(BackboneRejected):
        await anna.account.identity_deletion.start()
    with pytest.raises(RecordMissing):
        await anna.account.identity_deletion.cancel("IDPunknown")


async def test_after_the_time_of_grace_the_identity_is_deleted(network: Network) -> None:
    anna = await network.account("anna")
    await anna.account.identity_deletion.start(1)
    network.backbone.services.clock.advance(timedelta(days=2))

    state = await anna.account.identity_deletion.is_deleted()

    assert state.is_deleted
    assert state.deletion_date is not None


async def test_a_start_without_an_answer_is_found(network: Network) -> None:
    anna = await network.account("anna")
    anna.faults.lose_answer("deletion.start")

    process = await anna.account.identity_deletion.start(ticket=Ticket("key", "digest"))

    assert process["status"] == "Active"
    assert len(network.rows("SELECT id FROM deletion_processes")) == 1


async def test_a_key_gives_the_first_answer_and_serves_one_request(network: Network) -> None:
    anna = await network.account("anna")
    first = await anna.account.identity_deletion.start(ticket=Ticket("key", "digest"))

    assert await anna.account.identity_deletion.start(ticket=Ticket("key", "digest")) == first
    with pytest.raises(IdempotencyKeyReused):
        await anna.account.identity_deletion.start(ticket=Ticket("key", "another digest"))


async def test_an_interrupted_request_is_settled_after_a_restart(network: Network) -> None:
    anna = await network.account("anna")
    anna.faults.lose_answer("deletion.start")
    anna.faults.cut("deletion.list")
    with pytest.raises(OutcomeUnknown):
        await anna.account.identity_deletion.start(ticket=Ticket("key", "digest", "caller's"))

    anna = await network.reopen(anna)

    process = await anna.account.identity_deletion.active()
    assert process is not None
    assert await anna.account.identity_deletion.start(ticket=Ticket("key", "digest", "caller's")) == process
    assert len(await anna.events(EVENT)) == 1


async def test_other_devices_hear_of_it(network: Network) -> None:
    anna = await network.account("anna", datawallet_enabled=True)
    device = await anna.account.devices.create()
    secret = await anna.account.devices.shared_secret(device["id"])
    await anna.account.sync.sync()
    second = await network.account("anna2", secret=secret, datawallet_enabled=True)
    await second.account.sync.sync()

    await anna.account.identity_deletion.start()
    await anna.account.sync.sync(SyncMode.DATAWALLET)
    await second.account.sync.sync()

    active = await anna.account.identity_deletion.active()
    assert active is not None
    # The type of these documents is not among what travels.
    assert await second.account.identity_deletion.active() == {k: v for k, v in active.items() if k != "@type"}
    assert [event["origin"] for event in await second.events(EVENT)] == ["DATAWALLET"]
