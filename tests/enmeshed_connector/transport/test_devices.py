from __future__ import annotations

from datetime import timedelta

import pytest

from enmeshed_connector.backbone.errors import AnswerLost, BackboneUnavailable, CredentialsRejected
from enmeshed_connector.core.errors import OutcomeUnknown
from enmeshed_connector.crypto.derivation import PasswordProtection
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.errors import (
    AccountStateInvalid,
    DatawalletDisabled,
    DeviceAlreadyOnboarded,
    DeviceNotDeletable,
    IdentityKeyMissing,
)
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.sync_modes import SyncMode
from tests.support.network import Network, Party


async def secret_for(party: Party, *, is_admin: bool = False) -> DeviceSharedSecret:
    device = await party.account.devices.create(name="second", is_admin=is_admin)
    await party.account.sync.sync(SyncMode.DATAWALLET)
    return await party.account.devices.shared_secret(device["id"])


async def with_second_device(network: Network, *, is_admin: bool = False) -> tuple[Party, Party]:
    first = await network.account("anna", datawallet_enabled=True)
    second = await network.account("anna2", secret=await secret_for(first, is_admin=is_admin), datawallet_enabled=True)
    await second.account.sync.sync(SyncMode.DATAWALLET)
    return first, second


async def test_a_second_device_knows_the_identity_and_all_devices(network: Network) -> None:
    first, second = await with_second_device(network)

    assert second.address == first.address
    await first.account.sync.sync(SyncMode.DATAWALLET)
    devices = await first.account.devices.list()
    assert [device["id"] for device in devices] == [device["id"] for device in await second.account.devices.list()]
    onboarded = await first.account.devices.get(second.account.context.device.id)
    assert onboarded["publicKey"] == second.account.context.keys.device.public_key().to_json(verbose=False)
    assert onboarded["name"] == "second"


async def test_only_admin_devices_hold_the_identity_key(network: Network) -> None:
    _, second = await with_second_device(network)

    with pytest.raises(IdentityKeyMissing):
        await second.account.devices.create()


async def test_an_admin_device_can_add_further_devices(network: Network) -> None:
    first, second = await with_second_device(network, is_admin=True)

    third = await network.account("anna3", secret=await secret_for(second), datawallet_enabled=True)

    assert third.address == first.address


async def test_the_first_password_is_of_no_use_afterwards(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    secret = await secret_for(first)
    await network.account("anna2", secret=secret, datawallet_enabled=True)

    with pytest.raises(CredentialsRejected):
        await network.account("thief", secret=secret, datawallet_enabled=True)


@pytest.mark.parametrize("fault", ["lose_answer", "drop", "cut"])
async def test_onboarding_goes_on_after_the_password_change_was_interrupted(network: Network, fault: str) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    secret = await secret_for(first)
    environment = await network.environment("anna2", datawallet_enabled=True)
    getattr(network.faults["anna2"], fault)("devices.change_password")
    network.faults["anna2"].cut("devices.own")
    with pytest.raises((AnswerLost, BackboneUnavailable)):
        await open_account(environment, secret=secret)

    second = await network.account("anna2", datawallet_enabled=True)

    assert second.address == first.address
    assert (await network.reopen(second)).address == first.address


async def test_the_onboarding_secret_is_not_given_out_for_a_device_that_has_begun(network: Network) -> None:
    first, second = await with_second_device(network)
    await first.account.sync.sync(SyncMode.DATAWALLET)

    with pytest.raises(DeviceAlreadyOnboarded):
        await first.account.devices.shared_secret(second.account.context.device.id)


async def test_an_account_with_an_identity_takes_no_onboarding_secret(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    await network.account("bert", datawallet_enabled=True)

    with pytest.raises(AccountStateInvalid):
        await network.account("bert", secret=await secret_for(first), datawallet_enabled=True)


async def test_a_device_that_was_never_used_can_be_deleted(network: Network) -> None:
    first = await network.account("anna")
    device = await first.account.devices.create()

    await first.account.devices.delete(device["id"])

    assert [known["id"] for known in await first.account.devices.list()] == [first.account.context.device.id]
    assert len(network.rows("SELECT id FROM devices")) == 1


async def test_a_used_device_cannot_be_deleted(network: Network) -> None:
    first, second = await with_second_device(network)

    with pytest.raises(DeviceNotDeletable):
        await first.account.devices.delete(second.account.context.device.id)


async def test_a_device_whose_creation_was_not_answered_is_found_and_not_made_twice(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    ticket = Ticket("anna/devices/1", "digest", "1")
    first.faults.lose_answer("devices.create")

    device = await first.account.devices.create(name="second", ticket=ticket)

    assert len(network.rows("SELECT id FROM devices")) == 2
    assert await first.account.devices.create(name="second", ticket=ticket) == device
    secret = await first.account.devices.shared_secret(device["id"])
    assert (await network.account("anna2", secret=secret, datawallet_enabled=True)).address == first.address


async def test_a_device_creation_that_never_arrived_is_sent_again_only_when_that_is_certain(network: Network) -> None:
    first = await network.account("anna")
    ticket = Ticket("anna/devices/1", "digest", "1")
    first.faults.drop("devices.create")
    with pytest.raises(OutcomeUnknown):
        await first.account.devices.create(ticket=ticket)
    with pytest.raises(OutcomeUnknown):
        await first.account.devices.create(ticket=ticket)
    assert len(network.rows("SELECT id FROM devices")) == 1

    network.clock.advance(timedelta(minutes=3))

    assert await first.account.devices.create(ticket=ticket)
    assert len(network.rows("SELECT id FROM devices")) == 2


async def test_a_renamed_device_is_renamed_everywhere(network: Network) -> None:
    first, second = await with_second_device(network)

    await first.account.sync.sync(SyncMode.DATAWALLET)
    await first.account.devices.update(second.account.context.device.id, name="renamed")
    await first.account.sync.sync(SyncMode.DATAWALLET)
    await second.account.sync.sync(SyncMode.DATAWALLET)

    assert (await second.account.devices.own())["name"] == "renamed"


async def test_a_recovery_kit_becomes_a_full_device(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    protection = PasswordProtection.create("correct horse", location_indicator=0)

    token = await first.account.recovery.create("Anna", protection)

    assert await first.account.recovery.exists()
    secret = DeviceSharedSecret.from_json(token["content"]["sharedSecret"])
    assert (secret.is_backup_device, secret.profile_name) == (True, "Anna")
    recovered = await network.account("anna2", secret=secret, datawallet_enabled=True)
    assert recovered.address == first.address
    assert await recovered.account.devices.create()
    await first.account.sync.sync(SyncMode.DATAWALLET)
    assert not await first.account.recovery.exists()


async def test_a_new_recovery_kit_takes_the_place_of_the_old_one(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    old = await first.account.recovery.create("Anna", PasswordProtection.create("one", location_indicator=0))

    new = await first.account.recovery.create("Anna", PasswordProtection.create("two", location_indicator=0))

    assert [row["id"] for row in network.rows("SELECT id FROM tokens")] == [new["id"]]
    assert old["id"] != new["id"]
    assert len(network.rows("SELECT id FROM devices")) == 2


async def test_a_recovery_kit_needs_the_datawallet(network: Network) -> None:
    first = await network.account("anna")

    with pytest.raises(DatawalletDisabled):
        await first.account.recovery.create("Anna", PasswordProtection.create("one"))
