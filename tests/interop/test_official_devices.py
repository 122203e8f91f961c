"""Further devices of one identity: what one does is seen by the other through the datawallet."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.steps import connect, get_relationship, receive, send_mail, upload

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


async def onboard(peers: Peers, first: OfficialPeer, folder: Path) -> OfficialPeer:
    """Adds a device to the identity of the first one: an empty token is shown, filled and loaded."""
    empty = await first.call("anonymous.tokens.createEmptyToken")
    reference = empty["reference"]["truncated"]
    await first.call(
        "transport.devices.fillDeviceOnboardingTokenWithNewDevice", {"reference": reference, "isAdmin": True}
    )
    return await peers.start(db_folder=folder, datawallet=True, onboard={"reference": reference})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def identity(peers: Peers, tmp_path_factory: pytest.TempPathFactory) -> tuple[OfficialPeer, OfficialPeer]:
    """Two devices of one identity."""
    folder = tmp_path_factory.mktemp("devices")
    first = await peers.start(db_folder=folder / "first", datawallet=True)
    return first, await onboard(peers, first, folder / "second")


Devices = tuple[OfficialPeer, OfficialPeer]


async def test_both_devices_have_one_address_and_know_each_other(identity: Devices) -> None:
    first, second = identity
    await first.call("transport.account.syncDatawallet")

    ids = {(await device.call("transport.account.getDeviceInfo"))["id"] for device in identity}

    assert first.address == second.address
    assert len(ids) == 2
    for device in identity:
        known = await device.call("transport.devices.getDevices")
        assert {entry["id"] for entry in known} >= ids


async def test_attributes_settings_and_files_travel_in_both_directions(identity: Devices) -> None:
    first, second = identity
    file = await upload(first, b"on all devices")
    attribute = await second.call(
        "consumption.attributes.createOwnIdentityAttribute",
        {"content": {"value": {"@type": "DisplayName", "value": "Anna"}}},
    )
    setting = await second.call("consumption.settings.createSetting", {"key": "theme", "value": {"dark": True}})

    await first.call("transport.account.syncDatawallet")
    await second.call("transport.account.syncDatawallet")

    seen = await first.call("consumption.attributes.getAttribute", {"id": attribute["id"]})
    assert seen["content"]["value"]["value"] == "Anna"
    assert (await first.call("consumption.settings.getSetting", {"id": setting["id"]}))["value"] == {"dark": True}
    downloaded = await second.call("transport.files.downloadFile", {"id": file["id"]})
    assert downloaded["content"] == b"on all devices"


async def test_what_one_device_receives_the_other_has_too(identity: Devices, peers: Peers) -> None:
    first, second = identity
    bert = await peers.start()
    relationship_id = await connect(first, bert)
    sent = await send_mail(bert, first, body="For all your devices.")
    await receive(first, sent["id"])

    await second.sync()

    assert (await get_relationship(second, relationship_id))["status"] == "Active"
    message = await second.call("transport.messages.getMessage", {"id": sent["id"]})
    assert message["content"]["body"] == "For all your devices."

    reply = await send_mail(second, bert, body="From my other device.")
    received = await receive(bert, reply["id"])
    await first.sync()

    assert received["content"]["body"] == "From my other device."
    assert received["createdByDevice"] == (await second.call("transport.account.getDeviceInfo"))["id"]
    assert (await first.call("transport.messages.getMessage", {"id": reply["id"]}))["isOwn"] is True


async def test_a_filled_onboarding_token_is_good_for_one_device(
    identity: Devices, backbone: BackboneProcess, peers: Peers, tmp_path: Path
) -> None:
    first, _ = identity
    empty = await first.call("anonymous.tokens.createEmptyToken")
    reference = empty["reference"]["truncated"]
    await first.call("transport.devices.fillDeviceOnboardingTokenWithNewDevice", {"reference": reference})
    third = await peers.start(db_folder=tmp_path / "third", datawallet=True, onboard={"reference": reference})

    with pytest.raises(OfficialPeerError) as refused:
        await peers.start(db_folder=tmp_path / "fourth", datawallet=True, onboard={"reference": reference})

    assert third.address == first.address
    assert refused.value.code == "error.transport.request.noAuthGrant"


async def test_a_device_that_was_never_used_can_be_deleted(identity: Devices, peers: Peers, tmp_path: Path) -> None:
    first, _ = identity
    before = {entry["id"] for entry in await first.call("transport.devices.getDevices")}
    empty = await first.call("anonymous.tokens.createEmptyToken")
    reference = empty["reference"]["truncated"]
    await first.call("transport.devices.fillDeviceOnboardingTokenWithNewDevice", {"reference": reference})
    (unused,) = {entry["id"] for entry in await first.call("transport.devices.getDevices")} - before

    await first.call("transport.devices.deleteDevice", {"id": unused})

    assert {entry["id"] for entry in await first.call("transport.devices.getDevices")} == before
    with pytest.raises(OfficialPeerError) as refused:
        await peers.start(db_folder=tmp_path / "late", datawallet=True, onboard={"reference": reference})
    assert refused.value.code == "error.transport.request.noAuthGrant"


async def test_a_recovery_kit_brings_the_identity_to_a_new_device(peers: Peers, tmp_path: Path) -> None:
    lost = await peers.start(db_folder=tmp_path / "lost", datawallet=True)
    attribute = await lost.call(
        "consumption.attributes.createOwnIdentityAttribute",
        {"content": {"value": {"@type": "Surname", "value": "Found"}}},
    )
    protection = {"password": "a long password"}
    kit = await lost.call(
        "transport.identityRecoveryKits.createIdentityRecoveryKit",
        {"profileName": "Anna", "passwordProtection": protection},
    )
    await lost.call("transport.account.syncDatawallet")

    found = await peers.start(
        db_folder=tmp_path / "found",
        datawallet=True,
        onboard={"reference": kit["reference"]["truncated"], **protection},
    )

    assert found.address == lost.address
    seen = await found.call("consumption.attributes.getAttribute", {"id": attribute["id"]})
    assert seen["content"]["value"]["value"] == "Found"


async def test_the_deletion_that_one_device_starts_is_seen_by_the_other(peers: Peers, tmp_path: Path) -> None:
    first = await peers.start(db_folder=tmp_path / "first", datawallet=True)
    second = await onboard(peers, first, tmp_path / "second")

    process = await first.call("transport.identityDeletionProcesses.initiateIdentityDeletionProcess")
    await second.call("transport.account.syncDatawallet")
    seen = await second.call("transport.identityDeletionProcesses.getActiveIdentityDeletionProcess")
    await second.call("transport.identityDeletionProcesses.cancelIdentityDeletionProcess")
    await first.call("transport.account.syncDatawallet")

    assert (seen["id"], seen["status"]) == (process["id"], "Active")
    after = await first.call("transport.identityDeletionProcesses.getIdentityDeletionProcess", {"id": process["id"]})
    assert after["status"] == "Cancelled"
