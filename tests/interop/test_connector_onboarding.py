"""How devices of both kinds join an identity by tokens that are shown, filled and read."""

from __future__ import annotations

from pathlib import Path

import pytest
import pytest_asyncio

from enmeshed_connector.core.references import TokenReference
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.runtime.use_cases.common import NOBODY
from enmeshed_connector.transport.anonymous_tokens import load_anonymously
from enmeshed_connector.transport.errors import TokenNotEmpty
from tests.interop.conftest import OurAccounts, Peers
from tests.interop.official_peer.official_peer import OfficialPeer
from tests.interop.our_side import OurSide
from tests.interop.steps import change, connect, get_relationship, offer, receive, send_mail

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def third(peers: Peers) -> OfficialPeer:
    """An official peer to talk to, which also makes the empty tokens: anybody can, without an identity."""
    return await peers.start()


@pytest_asyncio.fixture(loop_scope="module")
async def ours(accounts: OurAccounts, third: OfficialPeer) -> OurSide:
    """A fresh account of ours with a datawallet and an active relationship."""
    account = await accounts.open(datawallet_enabled=True)
    relationship = await account.ask(await offer(third))
    await third.sync()
    await change(third, "acceptRelationship", relationship["id"])
    await account.sync()
    return account


async def show_empty_token(official: OfficialPeer) -> str:
    """Returns the reference that an official device without identity shows."""
    return str((await official.call("anonymous.tokens.createEmptyToken"))["reference"]["truncated"])


async def assert_joined(ours: OurSide, joined: OfficialPeer, third: OfficialPeer) -> None:
    """The official device is one of our identity, and everybody knows."""
    (relationship,) = await ours.transport.relationships.find()
    assert joined.address == ours.address
    assert (await get_relationship(joined, relationship["id"]))["status"] == "Active"
    sent = await send_mail(joined, third, body="From the new device.")
    assert (await receive(third, sent["id"]))["content"]["body"] == "From the new device."
    await ours.sync_datawallet()
    assert (await ours.does.messages.get(sent["id"]))["content"]["body"] == "From the new device."
    device = await ours.transport.devices.get((await joined.call("transport.account.getDeviceInfo"))["id"])
    assert "publicKey" in device


async def test_an_official_device_joins_by_the_empty_token_that_we_fill(
    ours: OurSide, third: OfficialPeer, peers: Peers, tmp_path: Path
) -> None:
    reference = await show_empty_token(third)

    device = await ours.does.devices.create_into(
        reference, NOBODY, name="Phone", description=None, is_admin=True, profile_name="Anna"
    )
    joined = await peers.start(db_folder=tmp_path / "joined", datawallet=True, onboard={"reference": reference})

    assert (await joined.call("transport.account.getDeviceInfo"))["id"] == device["id"]
    await assert_joined(ours, joined, third)
    with pytest.raises(TokenNotEmpty):
        await ours.does.devices.create_into(
            reference, NOBODY, name=None, description=None, is_admin=True, profile_name=None
        )


async def test_our_device_joins_by_the_empty_token_that_an_official_device_fills(
    accounts: OurAccounts, third: OfficialPeer, peers: Peers, tmp_path: Path
) -> None:
    official = await peers.start(db_folder=tmp_path / "official", datawallet=True)
    relationship_id = await connect(third, official)
    reference = await show_empty_token(third)
    await official.call(
        "transport.devices.fillDeviceOnboardingTokenWithNewDevice", {"reference": reference, "isAdmin": True}
    )
    anonymous = (await accounts.open()).transport.context.anonymous

    content = await load_anonymously(anonymous, TokenReference.parse(reference))
    secret = DeviceSharedSecret.from_json(content["sharedSecret"])
    joined = await accounts.open(secret=secret, datawallet_enabled=True)
    await joined.sync()

    assert joined.address == official.address
    assert (await joined.relationship(relationship_id))["status"] == "Active"
    sent = await joined.send_mail(third, body="From the new device.")
    assert (await receive(third, sent["id"]))["content"]["body"] == "From the new device."
