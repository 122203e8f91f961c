"""Every endpoint once against the embedded Backbone, over a real connection."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from nacl.signing import SigningKey

from enmeshed_backbone.server import BackboneServer
from enmeshed_connector.backbone import (
    AnonymousBackbone,
    Backbone,
    BackboneGateway,
    BackboneHttp,
    BackboneTarget,
    HttpSettings,
)
from enmeshed_connector.backbone.endpoints.challenges import Challenge
from enmeshed_connector.backbone.endpoints.datawallet import NewModification, NewModifications
from enmeshed_connector.backbone.endpoints.devices import NewDevice
from enmeshed_connector.backbone.endpoints.files import NewFile
from enmeshed_connector.backbone.endpoints.identities import NewIdentity, SignedChallenge
from enmeshed_connector.backbone.endpoints.messages import NewMessage, NewMessageRecipient
from enmeshed_connector.backbone.endpoints.relationships import NewRelationship
from enmeshed_connector.backbone.endpoints.sync_runs import (
    DATAWALLET_VERSION_UPGRADE,
    EXTERNAL_EVENT_SYNC,
    EventResult,
    ExternalEventSyncResult,
)
from enmeshed_connector.backbone.endpoints.templates import NewTemplate
from enmeshed_connector.backbone.endpoints.tokens import NewToken
from enmeshed_connector.backbone.errors import (
    BackboneRejected,
    BodyTooLarge,
    CredentialsRejected,
    ForbiddenByBackbone,
    InputRejected,
    RecordNotFound,
)
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.ids import DeviceId, RelationshipId, TokenId
from enmeshed_connector.core.secret_bytes import SecretText

PASSWORD = "a Device-passw0rd"


def in_an_hour() -> datetime:
    return (datetime.now(UTC) + timedelta(hours=1)).replace(microsecond=0)


def url_safe(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Identity:
    """One identity with its Backbone."""

    address: Address
    device_id: DeviceId
    username: str
    key: SigningKey
    backbone: Backbone

    def sign(self, challenge: Challenge) -> SignedChallenge:
        return sign(self.key, challenge)


def sign(key: SigningKey, challenge: Challenge) -> SignedChallenge:
    text = json.dumps({"id": challenge.id, "expiresAt": "2030-01-01T00:00:00.000Z", "type": "Identity"})
    signature = json.dumps({"sig": url_safe(key.sign(text.encode()).signature), "alg": 2})
    return SignedChallenge(text, signature.encode())


@pytest.fixture
async def gateway() -> AsyncIterator[BackboneGateway]:
    async with BackboneServer() as server, BackboneHttp(HttpSettings()) as http:
        yield BackboneGateway(http, BackboneTarget(server.base_url, "test", SecretText("test")))


async def new_identity(gateway: BackboneGateway) -> Identity:
    anonymous = AnonymousBackbone(gateway.anonymous())
    key = SigningKey.generate()
    public_key = json.dumps({"pub": url_safe(bytes(key.verify_key)), "alg": 3}).encode()
    signed = sign(key, await anonymous.challenges.create())
    made = await anonymous.identities.register(NewIdentity("test", "test", public_key, PASSWORD, signed))
    backbone = Backbone(gateway.for_device(made.device.username, SecretText(PASSWORD)))
    return Identity(made.address, made.device.id, made.device.username, key, backbone)


@pytest.fixture
async def anna(gateway: BackboneGateway) -> Identity:
    return await new_identity(gateway)


@pytest.fixture
async def bert(gateway: BackboneGateway) -> Identity:
    return await new_identity(gateway)


async def befriend(anna: Identity, bert: Identity) -> RelationshipId:
    template = await anna.backbone.templates.create(NewTemplate(b"template"))
    await bert.backbone.templates.get(template.id)
    asked = await bert.backbone.relationships.create(NewRelationship(template.id, b"may I?"))
    await anna.backbone.relationships.accept(asked.id, b"you may")
    return asked.id


async def make_datawallet(identity: Identity) -> None:
    run = await identity.backbone.sync_runs.start(DATAWALLET_VERSION_UPGRADE)
    assert run is not None
    await identity.backbone.sync_runs.finalise_version_upgrade(run.id, 1)


async def test_an_identity_is_registered_and_tells_of_itself(gateway: BackboneGateway, anna: Identity) -> None:
    own = await anna.backbone.identities.own()
    assert (own.address, own.status, own.identity_version) == (anna.address, "Active", 1)
    state = await AnonymousBackbone(gateway.anonymous()).identities.deletion_state(anna.username)
    assert (state.is_deleted, state.deletion_date) == (False, None)
    assert await AnonymousBackbone(gateway.anonymous()).version.major() == 7


async def test_challenges_are_read_back(anna: Identity, bert: Identity) -> None:
    made = await anna.backbone.challenges.create()
    assert (made.created_by, made.created_by_device) == (anna.address, anna.device_id)
    assert await bert.backbone.challenges.get(made.id) == made


async def test_devices_are_added_changed_and_deleted(gateway: BackboneGateway, anna: Identity) -> None:
    devices = anna.backbone.devices
    signed = anna.sign(await anna.backbone.challenges.create())
    added = await devices.create(NewDevice("first Passw0rd", signed, is_backup_device=True))
    assert added.is_backup_device
    assert {device.id for device in await devices.list().collect()} == {anna.device_id, added.id}
    with pytest.raises(BackboneRejected) as caught:
        await devices.create(NewDevice("first Passw0rd", signed, is_backup_device=True))
    assert caught.value.has_code("validation.device.onlyOneBackupDeviceCanExist")
    await devices.delete(added.id)
    with pytest.raises(RecordNotFound):
        await devices.delete(added.id)
    await devices.set_communication_language("de")
    assert (await devices.own()).communication_language == "de"
    with pytest.raises(InputRejected):
        await devices.set_communication_language("xx")
    await devices.change_password(PASSWORD, "another Passw0rd")
    with pytest.raises(BackboneRejected) as caught:
        await devices.change_password(PASSWORD, "another Passw0rd")
    assert caught.value.has_code("validation.device.changePasswordFailed")
    with pytest.raises(CredentialsRejected):
        await Backbone(gateway.for_device(anna.username, SecretText(PASSWORD))).devices.own()
    relogged = Backbone(gateway.for_device(anna.username, SecretText("another Passw0rd")))
    assert (await relogged.devices.own()).last_login is not None
    assert (await devices.register_push("dummy", handle="0123456789", app_id="app")).startswith("DPI")
    await devices.send_test_push({"a": 1})
    await devices.unregister_push()


async def test_templates_are_protected_listed_and_deleted(anna: Identity, bert: Identity) -> None:
    password = os.urandom(32)
    until = in_an_hour()
    template = await anna.backbone.templates.create(
        NewTemplate(b"\xfb\xff", until, max_number_of_allocations=1, for_identity=bert.address, password=password)
    )
    with pytest.raises(RecordNotFound):
        await bert.backbone.templates.get(template.id)
    with pytest.raises(RecordNotFound):
        await bert.backbone.templates.get(template.id, os.urandom(32))
    loaded = await bert.backbone.templates.get(template.id, password)
    assert (loaded.content, loaded.expires_at, loaded.created_by) == (b"\xfb\xff", until, anna.address)
    assert (loaded.max_number_of_allocations, loaded.for_identity) == (1, bert.address)
    listed = await anna.backbone.templates.list({template.id: None}).collect()
    assert [item.id for item in listed] == [template.id]
    with pytest.raises(ForbiddenByBackbone):
        await bert.backbone.templates.delete(template.id)
    await anna.backbone.templates.delete(template.id)


async def test_a_relationship_goes_through_its_whole_life(anna: Identity, bert: Identity) -> None:
    relationship_id = await befriend(anna, bert)
    ours, theirs = anna.backbone.relationships, bert.backbone.relationships
    full = await theirs.get(relationship_id)
    assert (full.from_address, full.to_address, full.status) == (bert.address, anna.address, "Active")
    assert (full.creation_content, full.creation_response_content) == (b"may I?", b"you may")
    assert [entry.reason for entry in full.audit_log] == ["Creation", "AcceptanceOfCreation"]
    refused = await theirs.can_create(anna.address)
    assert not refused.can_create
    assert refused.code == "error.platform.validation.relationship.relationshipToTargetAlreadyExists"
    await ours.terminate(relationship_id)
    await ours.request_reactivation(relationship_id)
    await theirs.reject_reactivation(relationship_id)
    await ours.request_reactivation(relationship_id)
    await ours.revoke_reactivation(relationship_id)
    await theirs.request_reactivation(relationship_id)
    assert (await ours.accept_reactivation(relationship_id)).status == "Active"
    await ours.terminate(relationship_id)
    assert (await ours.decompose(relationship_id)).status == "DeletionProposed"
    with pytest.raises(BackboneRejected) as caught:
        await ours.get(relationship_id)
    assert caught.value.has_code("validation.relationship.relationshipAlreadyDecomposed")
    assert [item.id for item in await theirs.list([relationship_id]).collect()] == [relationship_id]
    await theirs.decompose(relationship_id)


async def test_a_request_for_a_relationship_is_rejected_or_taken_back(anna: Identity, bert: Identity) -> None:
    template = await anna.backbone.templates.create(NewTemplate(b"template"))
    await bert.backbone.templates.get(template.id)
    asked = await bert.backbone.relationships.create(NewRelationship(template.id, b"x").wire())
    assert (await anna.backbone.relationships.reject(asked.id)).status == "Rejected"
    await anna.backbone.relationships.decompose(asked.id)
    await bert.backbone.relationships.decompose(asked.id)
    asked = await bert.backbone.relationships.create(NewRelationship(template.id, b"x"))
    assert (await bert.backbone.relationships.revoke(asked.id)).status == "Revoked"


async def test_an_unknown_peer_is_told_apart_from_other_missing_things(anna: Identity) -> None:
    with pytest.raises(RecordNotFound) as caught:
        await anna.backbone.relationships.can_create(Address("did:e:localhost:dids:1e8fcd70de2cd15d57a115"))
    assert caught.value.record_type == "Identity"


async def test_messages_are_sent_fetched_and_found_again(anna: Identity, bert: Identity) -> None:
    await befriend(anna, bert)
    body, key = os.urandom(200_000), os.urandom(64)
    message = NewMessage(body, [NewMessageRecipient(bert.address, key)])
    sent = await anna.backbone.messages.send(message.wire())
    received = await bert.backbone.messages.get(sent.id)
    assert (received.body, received.created_by, received.created_at) == (body, anna.address, sent.created_at)
    assert received.recipients[0].encrypted_key == key
    own = [item async for page in anna.backbone.messages.list().pages_backwards() for item in page.items]
    assert [item.body for item in own] == [body]
    assert own[0].recipients[0].received_by_device == bert.device_id


async def test_more_messages_than_a_page_come_in_both_directions(
    gateway: BackboneGateway, anna: Identity, bert: Identity
) -> None:
    await befriend(anna, bert)
    bodies = [b"%d" % number for number in range(60)]
    for body in bodies:
        sent = await anna.backbone.messages.send(NewMessage(body, [NewMessageRecipient(bert.address, b"k" * 30)]))
        await bert.backbone.messages.get(sent.id)
    assert [item.body for item in await anna.backbone.messages.list().collect()] == bodies
    pages = [page async for page in anna.backbone.messages.list().pages_backwards()]
    assert [[item.body for item in page.items] for page in pages] == [bodies[50:], bodies[:50]]


async def test_files_are_uploaded_downloaded_and_change_hands(anna: Identity, bert: Identity) -> None:
    content = os.urandom(1_500_000)
    until = in_an_hour()
    file = NewFile(content, hashlib.sha512(content).digest(), anna.address, b"\xfb\xff", b"properties", until, "b" * 40)
    uploaded = await anna.backbone.files.upload(file)
    assert (uploaded.owner, uploaded.cipher_size, uploaded.expires_at) == (anna.address, len(content), until)
    assert uploaded.cipher_hash == hashlib.sha512(content).digest()
    assert await bert.backbone.files.download(uploaded.id) == content
    async with bert.backbone.files.open(uploaded.id) as pieces:
        assert b"".join([piece async for piece in pieces]) == content
    metadata = await bert.backbone.files.metadata(uploaded.id)
    assert (metadata.encrypted_properties, metadata.owner_signature) == (b"properties", b"\xfb\xff")
    assert [item.id for item in await anna.backbone.files.list().collect()] == [uploaded.id]
    assert await anna.backbone.files.validate_ownership_token(uploaded.id, uploaded.ownership_token)
    fresh = await anna.backbone.files.regenerate_ownership_token(uploaded.id)
    assert fresh != uploaded.ownership_token
    assert await bert.backbone.files.claim_ownership(uploaded.id, fresh) != fresh
    assert (await anna.backbone.files.metadata(uploaded.id)).owner == bert.address
    with pytest.raises(ForbiddenByBackbone):
        await bert.backbone.files.delete(uploaded.id)
    await anna.backbone.files.delete(uploaded.id)
    with pytest.raises(RecordNotFound):
        await anna.backbone.files.download(uploaded.id)


async def test_a_file_over_the_limit_is_refused(anna: Identity) -> None:
    large = NewFile(b"x" * (25 * 1024 * 1024), b"h", anna.address, b"s", b"p", in_an_hour(), "b" * 40)
    with pytest.raises((BodyTooLarge, BackboneRejected)):
        await anna.backbone.files.upload(large)


async def test_tokens_are_created_loaded_filled_and_deleted(
    gateway: BackboneGateway, anna: Identity, bert: Identity
) -> None:
    anonymous = AnonymousBackbone(gateway.anonymous())
    password = os.urandom(32)
    made = await anna.backbone.tokens.create(NewToken(in_an_hour(), b"content", password=password))
    with pytest.raises(RecordNotFound):
        await anonymous.tokens.get(made.id)
    loaded = await anonymous.tokens.get(made.id, password)
    assert (loaded.content, loaded.is_password_protected, loaded.created_by) == (b"content", True, anna.address)
    empty = await anonymous.tokens.create(NewToken(datetime.now(UTC) + timedelta(minutes=2)))
    assert (await anonymous.tokens.get(empty.id)).content is None
    await anna.backbone.tokens.update_content(empty.id, b"filled")
    assert (await anonymous.tokens.get(empty.id)).content == b"filled"
    assert {item.id for item in await anna.backbone.tokens.list([made.id, empty.id]).collect()} == {made.id, empty.id}
    with pytest.raises(RecordNotFound):
        await anna.backbone.tokens.delete(TokenId("TOKunknownunknown123"))
    with pytest.raises(ForbiddenByBackbone):
        await bert.backbone.tokens.delete(made.id)
    await anna.backbone.tokens.delete(made.id)


async def test_the_datawallet_grows_and_refuses_what_is_not_up_to_date(anna: Identity) -> None:
    datawallet = anna.backbone.datawallet
    with pytest.raises(RecordNotFound):
        await datawallet.version()
    await make_datawallet(anna)
    assert await datawallet.version() == 1
    change = NewModification("MSG1", "Messages", "Create", 1, "Content", b"\xfb\xff payload")
    pushed = await datawallet.push(NewModifications(-1, [change, NewModification("MSG2", "Messages", "Delete", 1)]))
    assert pushed.new_index == 1
    with pytest.raises(BackboneRejected) as caught:
        await datawallet.push(NewModifications(-1, [change]).wire())
    assert caught.value.has_code("validation.datawallet.datawalletNotUpToDate")
    first, second = await datawallet.modifications().collect()
    assert (first.index, first.encrypted_payload, first.payload_category) == (0, b"\xfb\xff payload", "Content")
    assert (second.index, second.encrypted_payload, second.payload_category) == (1, None, None)
    assert [item.index for item in await datawallet.modifications(0).collect()] == [1]


async def test_a_sync_run_is_started_read_prolonged_and_finished(anna: Identity, bert: Identity) -> None:
    await make_datawallet(anna)
    runs = anna.backbone.sync_runs
    assert await runs.start(EXTERNAL_EVENT_SYNC) is None
    relationship_id = await befriend(anna, bert)
    run = await runs.start(EXTERNAL_EVENT_SYNC, duration=timedelta(seconds=30))
    assert run is not None
    assert await runs.get(run.id) == run
    (event,) = await runs.external_events(run.id).collect()
    assert (event.type, event.payload) == ("RelationshipStatusChanged", {"relationshipId": relationship_id})
    assert await runs.refresh_expiration(run.id) > datetime.now(UTC)
    with pytest.raises(BackboneRejected) as caught:
        await runs.start(EXTERNAL_EVENT_SYNC)
    assert caught.value.has_code("validation.syncRun.cannotStartSyncRunWhenAnotherSyncRunIsRunning")
    finished = await runs.finalise_external_event_sync(run.id, ExternalEventSyncResult([EventResult(event.id)]))
    assert not finished.new_unsynced_external_events_exist
    with pytest.raises(BackboneRejected) as caught:
        await runs.finalise_external_event_sync(run.id, ExternalEventSyncResult([]).wire())
    assert caught.value.has_code("validation.syncRun.syncRunAlreadyFinalized")


async def test_a_deletion_is_started_and_cancelled(anna: Identity) -> None:
    started = await anna.backbone.deletion.start(2.5)
    assert (started.status, started.created_by_device) == ("Active", anna.device_id)
    assert (await anna.backbone.identities.own()).status == "ToBeDeleted"
    with pytest.raises(BackboneRejected) as caught:
        await anna.backbone.deletion.start()
    assert caught.value.has_code("validation.device.onlyOneActiveDeletionProcessAllowed")
    assert await anna.backbone.deletion.get(started.id) == started
    assert (await anna.backbone.deletion.cancel(started.id)).status == "Cancelled"
    assert [process.status for process in await anna.backbone.deletion.list()] == ["Cancelled"]


async def test_the_small_endpoints_answer(anna: Identity, bert: Identity) -> None:
    await befriend(anna, bert)
    await anna.backbone.feature_flags.set({"feature1": True, "feature2": False})
    assert await bert.backbone.feature_flags.of(anna.address) == {"feature1": True, "feature2": False}
    assert await anna.backbone.announcements.list("de") == ()
    assert await anna.backbone.public_references.list() == ()
    await anna.backbone.quotas.list()
    await anna.backbone.notifications.send([bert.address], "TestCode")
    with pytest.raises(BackboneRejected) as caught:
        await anna.backbone.notifications.send([bert.address], "NoSuchCode")
    assert caught.value.has_code("validation.notification.codeDoesNotExist")
    tags = await anna.backbone.tags.get()
    assert tags is not None
    assert await anna.backbone.tags.get(tags.etag) is None


async def test_the_event_stream_tells_that_something_happened(anna: Identity, bert: Identity) -> None:
    async with anna.backbone.events() as names:
        assert await anext(aiter(names)) == "ConnectionOpened"
        befriending = asyncio.create_task(befriend(anna, bert))
        assert await anext(aiter(names)) == "ExternalEventCreated"
        await befriending
