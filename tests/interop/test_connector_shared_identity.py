"""One identity with an official device and one of ours: what either does, the other sees, in both orders of joining."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.derivation import PasswordProtection
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.runtime.use_cases.common import NOBODY, Protection
from enmeshed_connector.transport import relationship_operations as transitions
from enmeshed_connector.transport.counters import SLOT_SPAN
from enmeshed_connector.transport.errors import RecordMissing
from tests.interop import steps
from tests.interop.conftest import OurAccounts, Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.our_side import FAR_FUTURE, OurSide
from tests.interop.steps import (
    ask,
    change,
    get_relationship,
    has_status,
    load,
    offer,
    reasons,
    receive,
    send_mail,
    upload,
)

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

PINNED = {"password": "4711", "passwordIsPin": True, "passwordLocationIndicator": "Email"}
PROTECTION = Protection(SecretText("4711"), True, "Email")
ORDERS = ["ours joins official", "official joins ours"]


@dataclass(frozen=True)
class Identity:
    """Two devices of one identity, and an official peer with an active relationship to it."""

    ours: OurSide
    official: OfficialPeer
    third: OfficialPeer
    relationship_id: str

    @property
    def address(self) -> str:
        """The address of the identity."""
        return self.ours.address

    async def exchange(self) -> None:
        """Lets each device know what both did."""
        await sync_datawallet(self.official)
        await self.ours.sync_datawallet()
        await sync_datawallet(self.official)


async def sync_datawallet(official: OfficialPeer) -> None:
    await official.call("transport.account.syncDatawallet")


async def secret_of_new_device(official: OfficialPeer, reader: OurSide) -> DeviceSharedSecret:
    """Has an official device fill an empty token with the secret of a further device, and reads it."""
    empty = await official.call("anonymous.tokens.createEmptyToken")
    reference = empty["reference"]["truncated"]
    await official.call(
        "transport.devices.fillDeviceOnboardingTokenWithNewDevice", {"reference": reference, "isAdmin": True}
    )
    token = await reader.does.tokens.load(reference, NOBODY, is_ephemeral=True)
    return DeviceSharedSecret.from_json(token["content"]["sharedSecret"])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def third(peers: Peers) -> OfficialPeer:
    """The official peer that has a relationship to each identity here from the beginning."""
    return await peers.start()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stranger(peers: Peers) -> OfficialPeer:
    """The official peer behind `other`."""
    return await peers.start()


@pytest_asyncio.fixture(loop_scope="module")
async def other(identity: Identity, stranger: OfficialPeer) -> AsyncIterator[OfficialPeer]:
    """An official peer without a relationship to the identity; whatever a test makes of it, both leave it."""
    yield stranger
    await identity.exchange()
    await stranger.sync()
    mine = await identity.ours.transport.relationships.with_peer(stranger.address)
    theirs = await stranger.call("transport.relationships.getRelationships", {"query": {"peer": identity.address}})
    if mine is not None and mine["status"] == "Active":
        await identity.ours.take(transitions.TERMINATE, mine["id"])
        await stranger.sync()
    if mine is not None:
        await identity.ours.decompose(mine["id"])
        await identity.exchange()
    for relationship in theirs:
        await change(stranger, "decomposeRelationship", relationship["id"])


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=ORDERS)
async def identity(
    request: pytest.FixtureRequest,
    accounts: OurAccounts,
    peers: Peers,
    third: OfficialPeer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Identity:
    """The identity in both orders: each first device has a relationship when the second one joins."""
    folder = tmp_path_factory.mktemp("official") / "device"
    if request.param == ORDERS[0]:
        official = await peers.start(db_folder=folder, datawallet=True)
        relationship_id = await steps.connect(third, official)
        secret = await secret_of_new_device(official, await accounts.open())
        ours = await accounts.open(secret=secret, datawallet_enabled=True)
    else:
        ours = await accounts.open(datawallet_enabled=True)
        relationship_id = (await ours.ask(await offer(third)))["id"]
        await third.sync()
        await change(third, "acceptRelationship", relationship_id)
        await ours.sync()
        device = await ours.transport.devices.create(name="official", is_admin=True)
        secret = await ours.transport.devices.shared_secret(device["id"])
        await ours.sync_datawallet()
        official = await peers.start(
            db_folder=folder, datawallet=True, onboard={"sharedSecret": secret.to_json(verbose=False)}
        )
    shared = Identity(ours, official, third, relationship_id)
    await shared.exchange()
    return shared


async def test_both_devices_are_one_identity_and_know_each_other(identity: Identity) -> None:
    ours, official = identity.ours, identity.official
    own = await official.call("transport.account.getDeviceInfo")

    assert official.address == ours.address
    assert own["id"] != ours.device_id
    mine = {device["id"]: device for device in await ours.transport.devices.list()}
    theirs = {device["id"]: device for device in await official.call("transport.devices.getDevices")}
    assert mine.keys() == theirs.keys() == {own["id"], ours.device_id}
    for device_id, device in theirs.items():
        view = ours.does.views.device(mine[device_id], current=ours.device_id)
        assert view["publicKey"] == device["publicKey"]
        assert view["username"] == device["username"]
        assert view.get("name") == device.get("name")


async def test_the_relationship_from_before_is_there_without_an_event(identity: Identity) -> None:
    seen = await get_relationship(identity.official, identity.relationship_id)
    mine = await identity.ours.relationship(identity.relationship_id)

    assert mine["status"] == seen["status"] == "Active"
    assert mine["auditLog"] == seen["auditLog"]
    assert "relationshipChanged DATAWALLET" not in await identity.ours.told(identity.relationship_id)


async def test_what_each_device_sends_a_third_party_reads_and_no_key_is_used_twice(identity: Identity) -> None:
    ours, official, third = identity.ours, identity.official, identity.third
    sent = []
    for number in range(3):
        sent.append(await ours.send_mail(third, body=f"From ours {number}."))
        sent.append(await send_mail(official, third, body=f"From official {number}."))
    sent += await asyncio.gather(
        *(ours.send_mail(third, body="At once from ours.") for _ in range(3)),
        *(send_mail(official, third, body="At once from official.") for _ in range(3)),
    )

    await third.sync()
    await identity.exchange()

    devices = set()
    for message in sent:
        received = await third.call("transport.messages.getMessage", {"id": message["id"]})
        seen = await official.call("transport.messages.getMessage", {"id": message["id"]})
        assert received["content"]["body"] == seen["content"]["body"] == message["content"]["body"]
        assert (await ours.does.messages.get(message["id"]))["content"]["body"] == message["content"]["body"]
        devices.add(received["createdByDevice"])
        origin = "LOCAL" if received["createdByDevice"] == ours.device_id else "DATAWALLET"
        assert await ours.told(message["id"]) == [f"messageSent {origin}"]
    assert len(devices) == 2
    counters: dict[bool, list[int]] = {True: [], False: []}
    for message in await ours.transport.messages.find({"isOwn": True}):
        for recipient in message["recipients"]:
            if recipient["address"] == third.address:
                counters[message["createdByDevice"] == ours.device_id].append(recipient["encryptedKey"]["cnt"])
    # Official devices count in slot 0, where they never get beyond 0; ours stays out of it and never repeats itself.
    assert set(counters[False]) == {0}
    assert len(set(counters[True])) == len(counters[True]) >= 6
    assert min(counters[True]) >= SLOT_SPAN


async def test_what_comes_in_is_seen_once_by_both_whoever_fetches_it(identity: Identity) -> None:
    ours, official, third = identity.ours, identity.official, identity.third
    file = await upload(third, b"for all devices")
    first = await send_mail(third, identity, body="We fetch it.", attachments=[file["id"]])
    await ours.receive(first["id"])
    await sync_datawallet(official)
    second = await send_mail(third, identity, body="The official device fetches it.", attachments=[file["id"]])
    await receive(official, second["id"])
    await ours.sync()

    for message in (first, second):
        place = {"id": message["id"], "attachmentId": file["id"]}
        seen = await official.call("transport.messages.downloadAttachment", place)
        assert seen["content"] == b"for all devices"
        mine = await ours.does.messages.get(message["id"])
        theirs = await official.call("transport.messages.getMessage", {"id": message["id"]})
        assert mine["content"] == theirs["content"] == message["content"]
        assert mine["recipients"] == theirs["recipients"]
        assert (await ours.does.messages.download_attachment(message["id"], file["id"]))[1] == b"for all devices"
    assert await ours.told(first["id"]) == ["messageReceived EXTERNAL"]
    assert await ours.told(second["id"]) == ["messageReceived DATAWALLET"]


async def test_read_flags_travel_in_both_directions(identity: Identity) -> None:
    ours, official, third = identity.ours, identity.official, identity.third
    first = await send_mail(third, identity, body="We read it.")
    second = await send_mail(third, identity, body="The official device reads it.")
    await ours.sync()
    await sync_datawallet(official)

    mine = await ours.does.messages.mark_as_read(first["id"], NOBODY)
    theirs = await official.call("transport.messages.markMessageAsRead", {"id": second["id"]})
    await identity.exchange()

    seen = await official.call("transport.messages.getMessage", {"id": first["id"]})
    assert seen["wasReadAt"] == mine["wasReadAt"]
    assert (await ours.does.messages.get(second["id"]))["wasReadAt"] == theirs["wasReadAt"]
    assert (await ours.told(first["id"]))[1:] == ["messageWasReadAtChanged LOCAL"]
    assert (await ours.told(second["id"]))[1:] == ["messageWasReadAtChanged DATAWALLET"]


async def test_a_message_that_the_official_device_marks_as_unread_is_unread_here(identity: Identity) -> None:
    ours, official, third = identity.ours, identity.official, identity.third
    message = await send_mail(third, identity, body="Read me again.")
    await receive(official, message["id"])
    await official.call("transport.messages.markMessageAsRead", {"id": message["id"]})
    await identity.exchange()
    assert (await ours.does.messages.get(message["id"]))["wasReadAt"]

    await official.call("transport.messages.markMessageAsUnread", {"id": message["id"]})
    await identity.exchange()

    assert "wasReadAt" not in await ours.does.messages.get(message["id"])
    assert (await ours.told(message["id"]))[1:] == ["messageWasReadAtChanged DATAWALLET"]


async def test_what_the_official_device_makes_we_have(identity: Identity) -> None:
    ours, official, third = identity.ours, identity.official, identity.third
    file = await upload(official, b"official content", title="Title", description="Words", tags=["x:a"])
    template = await offer(official, passwordProtection=PINNED, maxNumberOfAllocations=2, forIdentity=third.address)
    token = await official.call(
        "transport.tokens.createOwnToken",
        {
            "content": {"a": [1]},
            "expiresAt": steps.FAR_FUTURE,
            "ephemeral": False,
            "forIdentity": third.address,
            "passwordProtection": PINNED,
        },
    )
    foreign = await load(official, await offer(third))

    await identity.exchange()

    my_file = await ours.does.files.get(file["id"])
    assert my_file == file
    assert await ours.download(file["id"]) == b"official content"
    assert await ours.does.templates.get(template["id"]) == template
    assert await ours.does.tokens.get(token["id"]) == {**token, "isEphemeral": False}
    assert await ours.does.templates.get(foreign["id"]) == foreign
    assert await ours.told(foreign["id"]) == ["peerRelationshipTemplateLoaded DATAWALLET"]
    assert await ours.told(file["id"]) == ["connector.fileStored DATAWALLET"]
    message = await ours.send_mail(third, body="With a file of the other device.", attachments=[file["id"]])
    await receive(third, message["id"])
    downloaded = await third.call(
        "transport.messages.downloadAttachment", {"id": message["id"], "attachmentId": file["id"]}
    )
    assert downloaded["content"] == b"official content"


async def test_what_we_make_the_official_device_has(identity: Identity) -> None:
    ours, official, third = identity.ours, identity.official, identity.third
    peer = parse_address(third.address)
    file = await ours.upload(b"our content", title="Title", description="Words", tags=["x:a"])
    template = await ours.offer(protection=PROTECTION, maximum_allocations=2, for_identity=peer)
    token = await ours.does.tokens.create(
        {"a": [1]}, NOBODY, expires_at=FAR_FUTURE, for_identity=peer, protection=PROTECTION
    )
    foreign = await ours.load(await offer(third))

    await identity.exchange()

    assert await official.call("transport.files.getFile", {"id": file["id"]}) == file
    downloaded = await official.call("transport.files.downloadFile", {"id": file["id"]})
    assert downloaded["content"] == b"our content"
    get_template = "transport.relationshipTemplates.getRelationshipTemplate"
    assert await official.call(get_template, {"id": template["id"]}) == template
    assert await official.call("transport.tokens.getToken", {"id": token["id"]}) == token
    assert await official.call(get_template, {"id": foreign["id"]}) == foreign
    message = await send_mail(official, third, body="With a file of the other device.", attachments=[file["id"]])
    await receive(third, message["id"])
    attachment = {"id": message["id"], "attachmentId": file["id"]}
    assert (await third.call("transport.messages.downloadAttachment", attachment))["content"] == b"our content"


async def test_what_one_device_deletes_the_other_has_no_more(identity: Identity) -> None:
    ours, official = identity.ours, identity.official
    files = [await ours.upload(b"1"), await upload(official, b"2")]
    templates = [await ours.offer(), await offer(official)]
    await identity.exchange()

    # Each device deletes what the other one has made.
    await official.call("transport.files.deleteFile", {"fileId": files[0]["id"]})
    await ours.does.files.delete(files[1]["id"], NOBODY)
    await official.call(
        "transport.relationshipTemplates.deleteRelationshipTemplate", {"templateId": templates[0]["id"]}
    )
    await ours.does.templates.delete(templates[1]["id"], NOBODY)
    await identity.exchange()

    for file in files:
        with pytest.raises(RecordMissing):
            await ours.does.files.get(file["id"])
        with pytest.raises(OfficialPeerError):
            await official.call("transport.files.getFile", {"id": file["id"]})
    for template in templates:
        with pytest.raises(RecordMissing):
            await ours.does.templates.get(template["id"])
        with pytest.raises(OfficialPeerError):
            await official.call("transport.relationshipTemplates.getRelationshipTemplate", {"id": template["id"]})
    assert await ours.told(files[0]["id"]) == ["connector.fileStored LOCAL", "connector.fileDeleted DATAWALLET"]
    assert await ours.told(files[1]["id"]) == ["connector.fileStored DATAWALLET", "connector.fileDeleted LOCAL"]


async def test_the_official_device_asks_and_we_hear_the_answer(identity: Identity, other: OfficialPeer) -> None:
    ours, official = identity.ours, identity.official
    relationship_id = (await ask(official, await offer(other)))["id"]
    await identity.exchange()
    assert (await ours.relationship(relationship_id))["status"] == "Pending"
    await other.sync()
    await change(other, "acceptRelationship", relationship_id)

    await ours.sync()
    await identity.exchange()

    assert await ours.told(relationship_id) == ["relationshipChanged DATAWALLET", "relationshipChanged EXTERNAL"]
    await assert_both_talk(identity, other, relationship_id)


async def test_we_ask_and_the_official_device_hears_the_answer(identity: Identity, other: OfficialPeer) -> None:
    ours, official = identity.ours, identity.official
    relationship_id = (await ours.ask(await offer(other)))["id"]
    await identity.exchange()
    assert (await get_relationship(official, relationship_id))["status"] == "Pending"
    await other.sync()
    await change(other, "acceptRelationship", relationship_id)

    await official.sync()
    await identity.exchange()

    assert await ours.told(relationship_id) == ["relationshipChanged LOCAL", "relationshipChanged DATAWALLET"]
    await assert_both_talk(identity, other, relationship_id)


async def test_an_answer_to_the_official_devices_template_reaches_us_and_it_accepts(
    identity: Identity, other: OfficialPeer
) -> None:
    ours, official = identity.ours, identity.official
    template = await offer(official)
    await identity.exchange()
    relationship_id = (await ask(other, template))["id"]

    await ours.sync()
    await sync_datawallet(official)
    await change(official, "acceptRelationship", relationship_id)
    await other.sync()
    await identity.exchange()

    assert await ours.told(relationship_id) == ["relationshipChanged EXTERNAL", "relationshipChanged DATAWALLET"]
    await assert_both_talk(identity, other, relationship_id)


async def test_an_answer_to_our_template_reaches_the_official_device_and_we_accept(
    identity: Identity, other: OfficialPeer
) -> None:
    ours, official = identity.ours, identity.official
    template = await ours.offer()
    await identity.exchange()
    relationship_id = (await ask(other, template))["id"]

    await official.sync()
    await ours.sync_datawallet()
    await ours.accept(relationship_id)
    await other.sync()
    await identity.exchange()

    assert await ours.told(relationship_id) == ["relationshipChanged DATAWALLET", "relationshipChanged LOCAL"]
    await assert_both_talk(identity, other, relationship_id)


async def assert_both_talk(identity: Identity, other: OfficialPeer, relationship_id: str) -> None:
    """Both devices exchange messages with a peer, end the relationship, bring it back, and leave it."""
    ours, official = identity.ours, identity.official
    mine = await ours.send_mail(other, body="From ours.")
    theirs = await send_mail(official, other, body="From official.")
    assert (await receive(other, mine["id"]))["content"]["body"] == "From ours."
    assert (await receive(other, theirs["id"]))["content"]["body"] == "From official."
    reply = await send_mail(other, identity, body="To all.")
    await ours.receive(reply["id"])
    await sync_datawallet(official)
    seen = await official.call("transport.messages.getMessage", {"id": reply["id"]})
    assert seen["content"]["body"] == "To all."

    await change(official, "terminateRelationship", relationship_id)
    await identity.exchange()
    await ours.take(transitions.REQUEST_REACTIVATION, relationship_id)
    await identity.exchange()
    await change(official, "revokeRelationshipReactivation", relationship_id)
    await identity.exchange()
    await other.sync()

    told = (await ours.told(relationship_id))[2:]
    assert told == [
        "relationshipChanged DATAWALLET",
        "relationshipChanged LOCAL",
        "relationshipReactivationRequested LOCAL",
        "relationshipChanged DATAWALLET",
        "relationshipReactivationCompleted DATAWALLET",
    ]
    ended = await get_relationship(other, relationship_id)
    assert ended["status"] == "Terminated"
    assert ended["auditLog"] == (await ours.relationship(relationship_id))["auditLog"]
    assert ended["auditLog"] == (await get_relationship(official, relationship_id))["auditLog"]


async def test_what_the_official_device_leaves_is_erased_here(identity: Identity, other: OfficialPeer) -> None:
    ours, official = identity.ours, identity.official
    relationship_id = await steps.connect(other, official)
    await identity.exchange()
    sent = await ours.send_mail(other, body="Soon forgotten.")
    await identity.exchange()
    await change(official, "terminateRelationship", relationship_id)

    await change(official, "decomposeRelationship", relationship_id)
    await identity.exchange()
    await ours.transport.relationships.finish_erasures()

    with pytest.raises(RecordMissing):
        await ours.relationship(relationship_id)
    with pytest.raises(RecordMissing):
        await ours.does.messages.get(sent["id"])
    assert await ours.told(relationship_id) == ["relationshipDecomposedBySelf DATAWALLET"]
    assert await ours.told(sent["id"]) == []


async def test_what_we_leave_the_official_device_has_no_more(identity: Identity, other: OfficialPeer) -> None:
    ours, official = identity.ours, identity.official
    relationship_id = await steps.connect(other, official)
    sent = await send_mail(official, other, body="Soon forgotten.")
    await identity.exchange()
    await ours.take(transitions.TERMINATE, relationship_id)

    await ours.decompose(relationship_id)
    await identity.exchange()

    with pytest.raises(OfficialPeerError) as gone:
        await get_relationship(official, relationship_id)
    assert gone.value.code == "error.runtime.recordNotFound"
    with pytest.raises(OfficialPeerError):
        await official.call("transport.messages.getMessage", {"id": sent["id"]})
    await other.sync()
    await other.wait_for("transport.relationshipChanged", has_status(relationship_id, "DeletionProposed"))


@pytest.mark.parametrize("hears_first", ["ours", "official"])
async def test_a_cancelled_deletion_of_a_peer_is_seen_whoever_hears_of_it(
    identity: Identity, other: OfficialPeer, hears_first: str
) -> None:
    ours, official = identity.ours, identity.official
    relationship_id = await steps.connect(other, official)
    await identity.exchange()
    before = await ours.told(relationship_id)

    await other.call("transport.identityDeletionProcesses.initiateIdentityDeletionProcess")
    await official.sync()
    await identity.exchange()
    warned = await ours.relationship(relationship_id)
    await other.call("transport.identityDeletionProcesses.cancelIdentityDeletionProcess")
    await (ours.sync() if hears_first == "ours" else official.sync())
    await identity.exchange()

    assert warned["peerDeletionInfo"]["deletionStatus"] == "ToBeDeleted"
    assert "peerDeletionInfo" not in await ours.relationship(relationship_id)
    assert (await ours.told(relationship_id))[len(before) :] == [
        "peerToBeDeleted DATAWALLET",
        f"peerDeletionCancelled {'EXTERNAL' if hears_first == 'ours' else 'DATAWALLET'}",
    ]


async def test_the_deletion_of_the_identity_is_seen_by_both(identity: Identity) -> None:
    ours, official = identity.ours, identity.official
    process = await official.call("transport.identityDeletionProcesses.initiateIdentityDeletionProcess")
    await identity.exchange()
    seen = await ours.transport.identity_deletion.active()
    assert seen is not None
    assert seen["id"] == process["id"]

    await ours.transport.identity_deletion.cancel(process["id"])
    await identity.exchange()

    theirs = await official.call(
        "transport.identityDeletionProcesses.getIdentityDeletionProcess", {"id": process["id"]}
    )
    assert theirs["status"] == "Cancelled"
    assert await ours.told(process["id"]) == [
        "identityDeletionProcessStatusChanged DATAWALLET",
        "identityDeletionProcessStatusChanged LOCAL",
    ]


async def test_our_recovery_kit_brings_the_identity_to_an_official_device(
    accounts: OurAccounts, peers: Peers, third: OfficialPeer, tmp_path: Path
) -> None:
    lost = await accounts.open(datawallet_enabled=True)
    relationship_id = (await lost.ask(await offer(third)))["id"]
    await third.sync()
    await change(third, "acceptRelationship", relationship_id)
    await lost.sync()
    protection = PasswordProtection.create("a long password", location_indicator=0)
    kit = await lost.transport.recovery.create("Anna", protection)

    found = await peers.start(
        db_folder=tmp_path / "found",
        datawallet=True,
        onboard={"reference": lost.does.views.token(kit)["reference"]["truncated"], "password": "a long password"},
    )

    assert found.address == lost.address
    assert (await get_relationship(found, relationship_id))["status"] == "Active"
    sent = await send_mail(found, third, body="I am back.")
    assert (await receive(third, sent["id"]))["content"]["body"] == "I am back."


async def test_an_official_recovery_kit_brings_the_identity_to_us(
    accounts: OurAccounts, peers: Peers, third: OfficialPeer, tmp_path: Path
) -> None:
    lost = await peers.start(db_folder=tmp_path / "lost", datawallet=True)
    relationship_id = await steps.connect(third, lost)
    kit = await lost.call(
        "transport.identityRecoveryKits.createIdentityRecoveryKit",
        {"profileName": "Anna", "passwordProtection": {"password": "a long password"}},
    )
    await sync_datawallet(lost)
    reader = await accounts.open()

    token = await reader.does.tokens.load(
        kit["reference"]["truncated"], NOBODY, is_ephemeral=True, password=SecretText("a long password")
    )
    secret = DeviceSharedSecret.from_json(token["content"]["sharedSecret"])
    found = await accounts.open(secret=secret, datawallet_enabled=True)
    await found.sync()

    assert secret.is_backup_device
    assert found.address == lost.address
    assert reasons(await found.relationship(relationship_id)) == ["Creation", "AcceptanceOfCreation"]
    sent = await found.send_mail(third, body="I am back.")
    assert (await receive(third, sent["id"]))["content"]["body"] == "I am back."
