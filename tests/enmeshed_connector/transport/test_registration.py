from __future__ import annotations

from datetime import timedelta

import pytest

from enmeshed_connector.backbone.errors import AnswerLost, BackboneUnavailable
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.errors import (
    AddressMismatch,
    BackboneNotCompatible,
    NoIdentityFound,
    PlatformClientInvalid,
)
from tests.support.network import Network, Party


async def test_a_new_account_gets_an_identity_that_the_backbone_knows(network: Network) -> None:
    party = await network.account("anna")

    assert network.rows("SELECT address FROM identities") == [{"address": party.address}]
    device = await party.account.devices.own()
    assert device["id"] == device["createdByDevice"] == party.account.context.device.id
    assert device["datawalletVersion"] == 1
    assert "initialPassword" not in device
    assert list(device) == sorted(device)


async def test_the_datawallet_comes_into_being_even_when_it_is_switched_off(network: Network) -> None:
    party = await network.account("anna", datawallet_enabled=False)

    assert party.faults.calls[-2:] == ["sync_runs.start", "sync_runs.finalise"]
    assert network.rows("SELECT version FROM datawallets") == [{"version": 1}]


async def test_a_login_makes_no_request(network: Network) -> None:
    party = await network.account("anna")

    again = await network.reopen(party)

    assert again.address == party.address
    assert again.faults.calls == []


async def test_keys_are_durable_before_anything_is_registered(network: Network) -> None:
    environment = await network.environment("anna")
    network.faults["anna"].cut("identities.register")
    with pytest.raises(BackboneUnavailable):
        await open_account(environment)
    before = await environment.store.get("DeviceSecrets", "identity_signature")

    party = await network.account("anna")

    assert before is not None
    assert await party.store.get("DeviceSecrets", "identity_signature") == before
    assert len(network.rows("SELECT address FROM identities")) == 1


async def test_a_registration_that_never_arrived_is_made_again_with_the_same_keys(network: Network) -> None:
    environment = await network.environment("anna")
    network.faults["anna"].drop("identities.register")
    with pytest.raises(AnswerLost):
        await open_account(environment)
    before = await environment.store.get("DeviceSecrets", "identity_signature")

    party = await network.account("anna")

    assert await party.store.get("DeviceSecrets", "identity_signature") == before
    assert [row["address"] for row in network.rows("SELECT address FROM identities")] == [party.address]


async def test_an_identity_whose_registration_was_never_answered_is_given_up(network: Network) -> None:
    environment = await network.environment("anna")
    network.faults["anna"].lose_answer("identities.register")
    with pytest.raises(AnswerLost):
        await open_account(environment)
    lost = [row["address"] for row in network.rows("SELECT address FROM identities")]

    party = await network.account("anna")

    assert len(lost) == 1
    assert party.address not in lost
    assert {row["address"] for row in network.rows("SELECT address FROM identities")} == {*lost, party.address}
    again = await network.reopen(party)
    assert again.address == party.address


async def test_a_crash_after_the_answer_loses_nothing(network: Network) -> None:
    environment = await network.environment("anna")
    network.faults["anna"].cut("sync_runs.start")
    account = await open_account(environment)
    with pytest.raises(BackboneUnavailable):
        await account.start()

    party = await network.account("anna")

    assert party.address == account.context.identity.address
    assert network.rows("SELECT version FROM datawallets") == [{"version": 1}]
    assert len(network.rows("SELECT address FROM identities")) == 1


@pytest.mark.parametrize("call", ["sync_runs.start", "sync_runs.finalise"])
async def test_a_version_upgrade_whose_answer_was_lost_is_made_up_for(network: Network, call: str) -> None:
    environment = await network.environment("anna", datawallet_enabled=True)
    network.faults["anna"].lose_answer(call)
    account = await open_account(environment)
    with pytest.raises(AnswerLost):
        await account.start()
    network.backbone.services.clock.advance(timedelta(seconds=11))

    party = Party(await open_account(environment), network.faults["anna"])
    await party.account.start()

    assert network.rows("SELECT version FROM datawallets") == [{"version": 1}]
    pushed = network.rows("SELECT collection FROM datawallet_modifications WHERE collection = 'Devices'")
    assert len(pushed) == 1


async def test_a_wrong_address_host_is_repaired_by_the_setting_without_a_new_identity(network: Network) -> None:
    with pytest.raises(AddressMismatch):
        await network.account("anna", address_host="elsewhere")

    party = await network.account("anna")

    assert [row["address"] for row in network.rows("SELECT address FROM identities")] == [party.address]


async def test_a_wrong_platform_client_is_named_and_can_be_corrected(network: Network) -> None:
    with pytest.raises(PlatformClientInvalid):
        await network.account("anna", client_secret="wrong")

    assert network.rows("SELECT address FROM identities") == []
    assert (await network.account("anna")).address


async def test_no_identity_is_made_when_the_settings_forbid_it(network: Network) -> None:
    with pytest.raises(NoIdentityFound):
        await network.account("anna", allow_identity_creation=False)

    assert network.rows("SELECT address FROM identities") == []


async def test_no_identity_is_made_on_a_backbone_of_another_version(network: Network) -> None:
    with pytest.raises(BackboneNotCompatible):
        await network.account("anna", minimum_backbone_version=8, maximum_backbone_version=9)

    assert network.rows("SELECT address FROM identities") == []


async def test_two_accounts_in_one_process_share_nothing(network: Network) -> None:
    anna, bert = await network.account("anna"), await network.account("bert")

    assert anna.address != bert.address
    assert await bert.store.get("Devices", anna.account.context.device.id) is None
