"""One identity with an official device and one of ours: each sees what the other does, whichever came first."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.backbone.endpoints.tokens import Tokens
from enmeshed_connector.core.ids import TOKEN, parse_id
from enmeshed_connector.core.references import RelationshipTemplateReference, TokenReference
from enmeshed_connector.crypto.derivation import argon2
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.crypto.symmetric import Cipher, SecretKey, decrypt
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.sync_modes import SyncMode
from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeer
from tests.interop.steps import change, connect, get_relationship, offer, receive, send_mail, upload
from tests.support.own_peer import own_account

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


async def sync(ours: TransportAccount) -> None:
    await ours.sync.sync(SyncMode.DATAWALLET)


async def share_everything(ours: TransportAccount, official: OfficialPeer, peers: Peers) -> None:
    """Both devices do things, and both know all of them afterwards."""
    bert = await peers.start()
    relationship_id = await connect(official, bert)
    file = await upload(official, b"on all devices")
    setting = await official.call("consumption.settings.createSetting", {"key": "theme", "value": {"dark": True}})
    template = await offer(official)
    await official.call("transport.account.syncDatawallet")
    await sync(ours)

    relationship = await ours.relationships.get(relationship_id)
    assert relationship["status"] == "Active"
    assert (await ours.context.store.get("Settings", setting["id"]) or {})["value"] == {"dark": True}
    assert (await ours.templates.get(template["id"]))["content"] == template["content"]
    assert (await ours.files.get(file["id"]))["filename"] == file["filename"]

    sent = await ours.messages.send([bert.address], mail(bert.address, "From our device."))
    received = await receive(bert, sent["id"])
    assert received["content"]["body"] == "From our device."
    assert received["createdByDevice"] == ours.context.device.id
    await sync(ours)
    await official.call("transport.account.syncDatawallet")
    seen = await official.call("transport.messages.getMessage", {"id": sent["id"]})
    assert (seen["isOwn"], seen["content"]["body"]) == (True, "From our device.")

    reply = await send_mail(bert, official, body="For all your devices.")
    await ours.sync.sync()
    assert (await ours.messages.get(reply["id"]))["content"]["body"] == "For all your devices."
    await official.sync()
    seen = await official.call("transport.messages.getMessage", {"id": reply["id"]})
    assert seen["content"]["body"] == "For all your devices."

    await ours.messages.mark_as_read(reply["id"])
    await sync(ours)
    await change(official, "terminateRelationship", relationship_id)
    await official.sync()
    assert (await official.call("transport.messages.getMessage", {"id": reply["id"]}))["wasReadAt"]
    await sync(ours)
    assert (await ours.relationships.get(relationship_id))["status"] == "Terminated"
    assert (await get_relationship(official, relationship_id))["status"] == "Terminated"

    devices = {device["id"] for device in await official.call("transport.devices.getDevices")}
    assert devices == {device["id"] for device in await ours.devices.list()}


def mail(recipient: str, body: str) -> dict[str, Any]:
    return {"@type": "Mail", "body": body, "subject": "Hello", "to": [recipient]}


async def test_an_official_device_joins_ours(backbone: BackboneProcess, peers: Peers, tmp_path: Path) -> None:
    async with own_account(backbone.base_url, tmp_path / "ours", datawallet_enabled=True) as ours:
        before = await peers.start()
        template = await offer(before)
        await ours.templates.load(RelationshipTemplateReference.parse(template["reference"]["truncated"]))
        relationship = await ours.relationships.create(
            template["id"], {"@type": "ArbitraryRelationshipCreationContent", "value": {}}
        )
        await before.sync()
        await change(before, "acceptRelationship", relationship["id"])
        await ours.sync.sync()
        device = await ours.devices.create(name="official", is_admin=True)
        secret = await ours.devices.shared_secret(device["id"])
        await sync(ours)

        official = await peers.start(
            db_folder=tmp_path / "official", datawallet=True, onboard={"sharedSecret": secret.to_json()}
        )

        assert official.address == ours.context.identity.address
        seen = await get_relationship(official, relationship["id"])
        assert seen["status"] == "Active"
        sent = await send_mail(official, before, body="From the official device.")
        assert (await receive(before, sent["id"]))["content"]["body"] == "From the official device."
        await sync(ours)
        assert (await ours.devices.get(device["id"]))["publicKey"]
        await share_everything(ours, official, peers)


async def test_our_device_joins_an_official_one(backbone: BackboneProcess, peers: Peers, tmp_path: Path) -> None:
    official = await peers.start(db_folder=tmp_path / "official", datawallet=True)
    before = await peers.start()
    relationship_id = await connect(official, before)
    sent = await send_mail(before, official, body="From the past.")
    await receive(official, sent["id"])
    secret = await secret_from(official, backbone, tmp_path)

    async with own_account(backbone.base_url, tmp_path / "ours", secret=secret, datawallet_enabled=True) as ours:
        await sync(ours)
        assert ours.context.identity.address == official.address
        assert (await ours.relationships.get(relationship_id))["status"] == "Active"
        assert (await ours.messages.get(sent["id"]))["content"]["body"] == "From the past."
        assert await ours.context.slots.slot() >= 1
        await official.call("transport.account.syncDatawallet")
        known = await official.call("transport.devices.getDevice", {"id": ours.context.device.id})
        assert known["publicKey"]
        await share_everything(ours, official, peers)


async def secret_from(official: OfficialPeer, backbone: BackboneProcess, folder: Path) -> DeviceSharedSecret:
    """Has the official device put the secret of a further device into a token, and reads it."""
    empty = await official.call("anonymous.tokens.createEmptyToken")
    reference = TokenReference.parse(empty["reference"]["truncated"])
    await official.call(
        "transport.devices.fillDeviceOnboardingTokenWithNewDevice",
        {"reference": empty["reference"]["truncated"], "isAdmin": True},
    )
    # Official version 7.0.0 protects such tokens, and writes the password into the reference.
    protection = reference.password_protection
    assert protection is not None
    assert protection.password is not None
    hashed = argon2(protection.password.reveal(), protection.salt)
    async with own_account(backbone.base_url, folder / "reader") as reader:
        token = await Tokens(reader.context.anonymous).get(parse_id(TOKEN, reference.id), hashed)
    assert token.content is not None
    plain = decrypt(SecretKey(reference.key), Cipher.from_text(token.content))
    return DeviceSharedSecret.from_json(json.loads(plain)["sharedSecret"])
