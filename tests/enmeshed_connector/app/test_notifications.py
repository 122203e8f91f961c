"""Attributes that two identities hold, and what they tell each other, through the public interface."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from google.protobuf import json_format

from enmeshed.connector.v1 import (
    attribute_pb2,
    notification_pb2,
    request_pb2,
)
from enmeshed_client import Connector as Client
from tests.support.connector import RunningConnector, relate
from tests.support.deliveries import give_up
from tests.support.named_calls import call, failure, until

UNKNOWN_ATTRIBUTE = "ATT00000000000000000"
UNKNOWN_NOTIFICATION = "NOT00000000000000000"
STRANGER = "did:e:localhost:dids:1111111111111111111111"
SUCCESSOR = "ATT00000000000000002"


@pytest.fixture
async def relationship(running: RunningConnector) -> str:
    """The id of the relationship of Alice and Bob."""
    return await relate(running)


def named(name: str) -> dict[str, Any]:
    return {"givenName": {"value": name}}


def of_key(key: str = "customer", value: str = "v", **more: Any) -> dict[str, Any]:
    return {
        "key": key,
        "confidentiality": "RELATIONSHIP_ATTRIBUTE_CONFIDENTIALITY_PUBLIC",
        "isTechnical": False,
        "value": {"proprietaryString": {"title": "Title", "value": value}},
        **more,
    }


async def create(client: Client, name: str = "Ada") -> Any:
    return (await call(client, "Attributes.CreateAttribute", value=named(name))).attribute


async def succeed(client: Client, attribute_id: str, name: str) -> Any:
    made = await call(
        client, "Attributes.SucceedAttribute", predecessorId=attribute_id, identity={"value": named(name)}
    )
    return made.successor


async def get(client: Client, attribute_id: str) -> Any:
    return (await call(client, "Attributes.GetAttribute", id=attribute_id)).attribute


async def names(client: Client, **members: Any) -> list[str]:
    listed = await call(client, "Attributes.ListAttributes", **members)
    return [one.content.identity_attribute.value.given_name.value for one in listed.attributes]


async def accept_next(client: Client) -> Any:
    """Accepts the one open request, and returns it."""

    async def open_ones() -> Any:
        await call(client, "Account.Sync")
        statuses = ["LOCAL_REQUEST_STATUS_DECISION_REQUIRED", "LOCAL_REQUEST_STATUS_MANUAL_DECISION_REQUIRED"]
        return (await call(client, "IncomingRequests.ListIncomingRequests", filter={"statuses": statuses})).requests

    (request,) = await until(open_ones)
    accepted = await call(client, "IncomingRequests.AcceptIncomingRequest", id=request.id, items=[{"accept": {}}])
    return accepted.request


async def completed(client: Client, request_id: str) -> Any:
    async def read() -> Any:
        await call(client, "Account.Sync")
        return (await call(client, "OutgoingRequests.GetOutgoingRequest", id=request_id)).request

    done = request_pb2.LOCAL_REQUEST_STATUS_COMPLETED
    return await until(read, lambda request: request.status == done)


async def share(running: RunningConnector, giver: Client, taker: Client, attribute_id: str, peer: str) -> Any:
    """Has an own identity attribute offered and taken; returns the request."""
    asked = await call(giver, "Attributes.ShareAttribute", attributeId=attribute_id, peer=running.accounts[peer])
    await accept_next(taker)
    return await completed(giver, asked.request.id)


async def bring(running: RunningConnector, giver: Client, taker: Client, **more: Any) -> Any:
    """Brings an attribute of their relationship to the peer; returns it as the giver has it."""
    asked = await call(
        giver,
        "Attributes.CreateAndShareRelationshipAttribute",
        peer=running.accounts["bob"],
        attribute=of_key(**more),
    )
    await accept_next(taker)
    await completed(giver, asked.request.id)
    (made,) = (
        await call(giver, "Attributes.ListAttributes", filter={"sourceReference": {"anyOf": [asked.request.id]}})
    ).attributes
    return made


async def received(client: Client, count: int = 1) -> list[Any]:
    """Returns the received notifications, the oldest first, once there are so many."""

    async def read() -> Any:
        await call(client, "Account.Sync")
        listed = await call(client, "Notifications.ListNotifications", filter={"isOwn": False}, orderBy="create_time")
        return list(listed.notifications)

    found: list[Any] = await until(read, lambda found: len(found) >= count)
    return found


async def event_types(client: Client) -> list[str]:
    listed = await call(client, "Events.ListEvents", types=["consumption.*", "connector.*"])
    return [event.type.partition(".")[2] for event in listed.events]


async def tell(client: Client, peer: str, *items: dict[str, Any], identifier: str) -> None:
    """Sends a notification as a message, whatever it says."""
    content = {"notification": {"id": identifier, "items": list(items)}}
    await call(client, "Messages.SendMessage", recipients=[peer], content=content)


@pytest.mark.usefixtures("relationship")
async def test_an_attribute_is_shared_succeeded_and_the_new_version_told(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    bob_address, alice_address = running.accounts["bob"], running.accounts["alice"]
    first = await create(alice)
    (listed,) = (await call(alice, "Attributes.ListAttributes")).attributes
    assert listed.number_of_forwards == 0
    await share(running, alice, bob, first.id, "bob")
    held = await get(bob, first.id)
    assert held.peer == alice_address
    assert (await get(alice, first.id)).number_of_forwards == 1
    (listed,) = (await call(alice, "Attributes.ListAttributes")).attributes
    assert listed.number_of_forwards == 1

    second = await succeed(alice, first.id, "Augusta")
    assert await names(alice, sharedWithPeer=bob_address) == ["Ada"]
    key = alice.idempotency_key()
    told = await call(
        alice, "Attributes.NotifyPeerAboutSuccession", attributeId=second.id, peer=bob_address, idempotencyKey=key
    )
    assert (told.predecessor.id, told.successor.id) == (first.id, second.id)
    assert told.notification_id.startswith("NOT")
    (notification,) = await received(bob)
    assert notification.id == told.notification_id
    assert notification.status == notification_pb2.LOCAL_NOTIFICATION_STATUS_COMPLETED
    assert notification.peer == alice_address
    assert notification.received_by_device.startswith("DVC")
    assert (await get(bob, second.id)).succeeds == first.id
    for chosen, client in (({"ofPeer": alice_address}, bob), ({"sharedWithPeer": bob_address}, alice)):
        assert await names(client, **chosen) == ["Augusta"]
        assert await names(client, **chosen, onlyLatestVersions=False) == ["Ada", "Augusta"]
    (details,) = (await call(alice, "Attributes.ListForwardingDetails", id=second.id)).details
    assert (details.peer, details.source_reference) == (bob_address, told.notification_id)
    again = await call(
        alice, "Attributes.NotifyPeerAboutSuccession", attributeId=second.id, peer=bob_address, idempotencyKey=key
    )
    assert again == told

    refused = await failure(alice, "Attributes.NotifyPeerAboutSuccession", attributeId=second.id, peer=bob_address)
    assert (refused.reason, refused.facts["code"]) == (
        "ATTRIBUTE_ALREADY_SHARED",
        "error.runtime.attributes.ownIdentityAttributeHasAlreadyBeenSharedWithPeer",
    )
    refused = await failure(alice, "Attributes.NotifyPeerAboutSuccession", attributeId=first.id, peer=bob_address)
    assert refused.facts["code"] == (
        "error.runtime.attributes.successorOfOwnIdentityAttributeHasAlreadyBeenSharedWithPeer"
    )


async def test_own_notifications_are_shown_and_found_from_the_start(
    running: RunningConnector, relationship: str, alice: Client, bob: Client
) -> None:
    own = await bring(running, alice, bob)
    made = await call(
        alice,
        "Attributes.SucceedAttribute",
        predecessorId=own.id,
        relationshipValue={"proprietaryString": {"title": "Title", "value": "new"}},
    )
    assert made.successor.succeeds == own.id
    assert made.successor.source_reference == made.notification_id
    shown = (await call(alice, "Notifications.GetNotification", id=made.notification_id)).notification
    assert (shown.is_own, shown.peer) == (True, running.accounts["bob"])

    async def sent() -> Any:
        statuses = ["LOCAL_NOTIFICATION_STATUS_SENT"]
        return (await call(alice, "Notifications.ListNotifications", filter={"statuses": statuses})).notifications

    (found,) = await until(sent)
    assert found.id == made.notification_id
    (received_one,) = await received(bob)
    assert (received_one.message_id, received_one.content) == (found.message_id, found.content)
    value = (await get(bob, made.successor.id)).content.relationship_attribute.value
    assert value.proprietary_string.value == "new"
    assert "attributeSucceeded" in await event_types(bob)
    assert "notificationStatusChanged" in await event_types(bob)
    listed = (await call(bob, "Relationships.ListRelationshipAttributes", id=relationship)).attributes
    assert [one.id for one in listed] == [made.successor.id]
    basic = await call(bob, "Notifications.ListNotifications", view="VIEW_BASIC")
    assert not basic.notifications[0].HasField("content")


async def test_a_deletion_reaches_everybody_who_holds_a_version(
    running: RunningConnector, relationship: str, alice: Client, bob: Client
) -> None:
    first = await create(alice)
    await share(running, alice, bob, first.id, "bob")
    second = await succeed(alice, first.id, "Augusta")
    key = alice.idempotency_key()
    deleted = await call(alice, "Attributes.DeleteAttribute", id=second.id, idempotencyKey=key)
    assert len(deleted.notification_ids) == 1
    assert await call(alice, "Attributes.DeleteAttribute", id=second.id, idempotencyKey=key) == deleted
    (notification,) = await received(bob)
    assert [notification.id] == list(deleted.notification_ids)
    # Bob never heard of the second version.
    assert (
        await get(bob, first.id)
    ).deletion_info.deletion_status == attribute_pb2.ATTRIBUTE_DELETION_STATUS_DELETED_BY_EMITTER
    assert "ownAttributeDeletedByOwner" in await event_types(bob)
    assert await names(alice) == []


async def test_an_owner_learns_that_the_peer_has_deleted_what_it_was_given(
    running: RunningConnector, relationship: str, alice: Client, bob: Client
) -> None:
    given = await create(alice)
    await share(running, alice, bob, given.id, "bob")
    of_relationship = await bring(running, alice, bob)
    for attribute in (given, of_relationship):
        assert len((await call(bob, "Attributes.DeleteAttribute", id=attribute.id)).notification_ids) == 1
    await received(alice, 2)
    (details,) = (await call(alice, "Attributes.ListForwardingDetails", id=given.id)).details
    assert details.deletion_info.deletion_status == attribute_pb2.ATTRIBUTE_DELETION_STATUS_DELETED_BY_RECIPIENT
    assert (
        await get(alice, of_relationship.id)
    ).deletion_info.deletion_status == attribute_pb2.ATTRIBUTE_DELETION_STATUS_DELETED_BY_RECIPIENT
    assert {"forwardedAttributeDeletedByPeer", "peerRelationshipAttributeDeletedByPeer"} <= set(
        await event_types(alice)
    )
    refused = await failure(
        alice,
        "Attributes.SucceedAttribute",
        predecessorId=of_relationship.id,
        relationshipValue={"proprietaryString": {"title": "Title", "value": "new"}},
    )
    assert refused.reason == "ATTRIBUTE_DELETED_BY_PEER"
    second = await succeed(alice, given.id, "Augusta")
    refused = await failure(
        alice, "Attributes.NotifyPeerAboutSuccession", attributeId=second.id, peer=running.accounts["bob"]
    )
    assert (refused.reason, refused.facts["code"]) == (
        "ATTRIBUTE_DELETED_BY_PEER",
        "error.runtime.attributes.peerHasNoPreviousVersionOfAttribute",
    )


async def test_what_was_exchanged_in_a_relationship_is_listed(
    running: RunningConnector, relationship: str, alice: Client, bob: Client
) -> None:
    async def listed(client: Client, **more: Any) -> list[str]:
        ids: list[str] = []
        token = ""
        while True:
            page = await call(
                client, "Relationships.ListRelationshipAttributes", id=relationship, pageSize=1, pageToken=token, **more
            )
            ids += [one.id for one in page.attributes]
            token = page.next_page_token
            if not token:
                return ids

    await create(alice, "Nobody's")
    given = await create(alice)
    await share(running, alice, bob, given.id, "bob")
    technical = await bring(running, alice, bob, key="technical", isTechnical=True)
    of_bob = await create(bob, "Bob")
    await share(running, bob, alice, of_bob.id, "alice")
    newer = await succeed(alice, given.id, "Augusta")

    for client in (alice, bob):
        assert sorted(await listed(client)) == sorted([given.id, technical.id, of_bob.id])
        assert sorted(await listed(client, hideTechnical=True)) == sorted([given.id, of_bob.id])
    # Bob has not got the newer version.
    assert given.id in await listed(alice)
    told = await call(alice, "Attributes.NotifyPeerAboutSuccession", attributeId=newer.id, peer=running.accounts["bob"])
    assert (await received(bob))[0].id == told.notification_id
    for client in (alice, bob):
        latest = await listed(client)
        assert newer.id in latest and given.id not in latest
        assert {newer.id, given.id} < set(await listed(client, onlyLatestVersions=False))


@pytest.mark.usefixtures("relationship")
async def test_hostile_notifications_are_shown_and_stop_nothing(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    alice_address, bob_address = running.accounts["alice"], running.accounts["bob"]
    own = await create(bob, "Bob")
    succession = {
        "predecessorId": own.id,
        "successorId": SUCCESSOR,
        "successorContent": {"identity": {"owner": alice_address, "value": named("Eve")}},
    }
    hostile: list[dict[str, Any]] = [
        {"peerAttributeSucceeded": succession},
        {"peerAttributeSucceeded": succession | {"predecessorId": UNKNOWN_ATTRIBUTE}},
        {"ownAttributeDeletedByOwner": {"attributeId": own.id}},
        {"peerRelationshipAttributeDeletedByPeer": {"attributeId": own.id}},
        {"forwardedAttributeDeletedByPeer": {"attributeId": own.id}},
    ]
    for number, item in enumerate(hostile):
        await tell(alice, bob_address, item, identifier=f"NOT0000000000000000{number}")
    failed = await received(bob, len(hostile))

    assert {one.status for one in failed} == {notification_pb2.LOCAL_NOTIFICATION_STATUS_ERROR}
    assert await get(bob, own.id) == own
    assert await names(bob) == ["Bob"]
    refused = await failure(bob, "Notifications.RetryNotification", id=failed[0].id)
    assert (refused.code, refused.facts["code"]) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "error.consumption.attributes.wrongTypeOfAttribute",
    )
    await tell(
        alice,
        bob_address,
        {"ownAttributeDeletedByOwner": {"attributeId": UNKNOWN_ATTRIBUTE}},
        identifier="NOT00000000000000009",
    )
    last = (await received(bob, len(hostile) + 1))[-1]
    assert last.status == notification_pb2.LOCAL_NOTIFICATION_STATUS_COMPLETED


async def test_what_failed_is_done_once_its_cause_is_gone(
    running: RunningConnector, relationship: str, alice: Client, bob: Client
) -> None:
    """The notification overtakes the attribute that it is about."""
    first = await create(alice)
    content = {"identity": {"owner": running.accounts["alice"], "value": named("Augusta")}}
    item = {"predecessorId": first.id, "successorId": SUCCESSOR, "successorContent": content}
    await tell(alice, running.accounts["bob"], {"peerAttributeSucceeded": item}, identifier="NOT00000000000000001")
    (failed,) = await received(bob)
    assert failed.status == notification_pb2.LOCAL_NOTIFICATION_STATUS_ERROR
    assert (await failure(bob, "Notifications.RetryNotification", id=failed.id)).reason == "NOT_FOUND"
    await share(running, alice, bob, first.id, "bob")

    done = (await call(bob, "Notifications.RetryNotification", id=failed.id)).notification
    assert done.status == notification_pb2.LOCAL_NOTIFICATION_STATUS_COMPLETED
    assert (await get(bob, SUCCESSOR)).succeeds == first.id
    assert (await failure(bob, "Notifications.RetryNotification", id=failed.id)).reason == "NOTIFICATION_NOT_FAILED"
    for method in ("GetNotification", "RetryNotification"):
        assert (await failure(bob, f"Notifications.{method}", id=UNKNOWN_NOTIFICATION)).reason == "NOT_FOUND"


async def test_what_cannot_be_told_is_refused(running: RunningConnector, alice: Client) -> None:
    bob_address = running.accounts["bob"]
    own = await create(alice)
    refused = await failure(alice, "Attributes.NotifyPeerAboutSuccession", attributeId=own.id, peer=bob_address)
    assert refused.reason == "PEER_HAS_NO_PREVIOUS_VERSION"
    refused = await failure(
        alice, "Attributes.NotifyPeerAboutSuccession", attributeId=UNKNOWN_ATTRIBUTE, peer=bob_address
    )
    assert refused.reason == "NOT_FOUND"
    refused = await failure(
        alice,
        "Attributes.SucceedAttribute",
        predecessorId=own.id,
        relationshipValue={"proprietaryString": {"title": "Title", "value": "new"}},
    )
    assert (refused.reason, refused.facts["code"]) == (
        "WRONG_ATTRIBUTE_TYPE",
        "error.runtime.attributes.isNotOwnRelationshipAttribute",
    )
    refused = await failure(alice, "Attributes.ShareAttribute", attributeId=own.id, peer=bob_address)
    assert refused.code is grpc.StatusCode.FAILED_PRECONDITION
    refused = await failure(
        alice, "Attributes.CreateAndShareRelationshipAttribute", peer=bob_address, attribute=of_key(owner=bob_address)
    )
    assert (refused.reason, refused.violations[0].field) == ("INVALID_ARGUMENT", "attribute.owner")
    refused = await failure(alice, "Relationships.ListRelationshipAttributes", id="REL00000000000000000")
    assert refused.reason == "NOT_FOUND"


@pytest.mark.usefixtures("relationship")
async def test_what_a_request_says_besides_its_item_arrives(
    running: RunningConnector, alice: Client, bob: Client
) -> None:
    own = await create(alice)
    key = alice.idempotency_key()
    texts = {
        "title": "A name",
        "description": "Take it",
        "metadata": {"case": 7},
        "expireTime": "2099-01-01T00:00:00Z",
        "itemDescription": "Mine",
        "mustBeAccepted": False,
    }
    members = {"attributeId": own.id, "peer": running.accounts["bob"], "request": texts, "idempotencyKey": key}
    asked = await call(alice, "Attributes.ShareAttribute", **members)
    assert await call(alice, "Attributes.ShareAttribute", **members) == asked
    content = json_format.MessageToDict(asked.request.content)["request"]
    item = content.pop("items")[0]["shareAttribute"]
    assert (item["description"], item.get("mustBeAccepted", False), item["attributeId"]) == ("Mine", False, own.id)
    assert {name: content[name] for name in ("title", "description", "metadata", "expiresAt")} == {
        "title": "A name",
        "description": "Take it",
        "metadata": {"case": 7.0},
        "expiresAt": "2099-01-01T00:00:00Z",
    }

    async def incoming() -> Any:
        await call(bob, "Account.Sync")
        return (await call(bob, "IncomingRequests.ListIncomingRequests")).requests

    (request,) = await until(incoming)
    assert request.content == asked.request.content


def notification(identifier: str) -> dict[str, Any]:
    """Returns a notification about an attribute that nobody knows, which is as good as done."""
    items = [{"ownAttributeDeletedByOwner": {"attributeId": UNKNOWN_ATTRIBUTE}}]
    return {"notification": {"id": identifier, "items": items}}


async def test_a_peer_that_is_about_to_be_deleted_is_still_told(
    running: RunningConnector, relationship: str, alice: Client, bob: Client
) -> None:
    recipients = [running.accounts["bob"]]
    await call(bob, "IdentityDeletion.StartDeletionProcess", gracePeriodDays=14)

    async def is_leaving() -> bool:
        await call(alice, "Account.Sync")
        (one,) = (await call(alice, "Relationships.ListRelationships")).relationships
        return bool(one.HasField("peer_deletion_info"))

    await until(is_leaving)
    words: dict[str, Any] = {"arbitraryMessageContent": {"value": {}}}
    refused = await failure(alice, "Messages.SendMessage", recipients=recipients, content=words)
    sent = await call(
        alice, "Messages.SendMessage", recipients=recipients, content=notification("NOT00000000000000001")
    )

    # Who is about to be deleted fetches nothing, unless it stays after all.
    await call(bob, "IdentityDeletion.CancelDeletionProcess")

    async def received() -> Any:
        await call(bob, "Account.Sync")
        listed = await call(bob, "Notifications.ListNotifications")
        return [(one.id, one.status, one.message_id) for one in listed.notifications]

    assert (refused.reason, refused.official_code) == ("PEER_IN_DELETION", "error.runtime.messages.peerIsInDeletion")
    done = notification_pb2.LOCAL_NOTIFICATION_STATUS_COMPLETED
    assert await until(received) == [("NOT00000000000000001", done, sent.message.id)]


@pytest.mark.parametrize(
    "identifier",
    ["", "NOT1", "NOT000000000000000001", "NOT0000000000000000-", "REQ00000000000000001", "not00000000000000001"],
)
async def test_a_notification_needs_an_id_of_notifications(
    running: RunningConnector, relationship: str, alice: Client, identifier: str
) -> None:
    refused = await failure(
        alice, "Messages.SendMessage", recipients=[running.accounts["bob"]], content=notification(identifier)
    )

    assert refused.reason == "CONTENT_INVALID"
    assert refused.official_code == "error.runtime.requestDeserialization"
    assert [violation.field.rpartition(".")[2] for violation in refused.violations] == ["id"]
    assert list((await call(alice, "Messages.ListMessages")).messages) == []


async def test_own_notifications_that_were_given_up_are_found_and_sent_again(
    running: RunningConnector, relationship: str, alice: Client, bob: Client
) -> None:
    own = await bring(running, alice, bob)
    value = {"proprietaryString": {"title": "Title", "value": "new"}}
    made = await call(alice, "Attributes.SucceedAttribute", predecessorId=own.id, relationshipValue=value)

    async def listed(**more: Any) -> list[tuple[str, int]]:
        found = (await call(alice, "Notifications.ListNotifications", **more)).notifications
        return [(one.id, one.status) for one in found]

    sent = (made.notification_id, notification_pb2.LOCAL_NOTIFICATION_STATUS_SENT)
    await until(listed, is_so=lambda found: found == [sent])
    # Nobody has a relationship with this one, so nothing can be sent.
    controller = running.connector.accounts.runtime("alice").consumption.notifications
    context = running.connector.accounts.runtime("alice").transport.context
    item = {"@type": "OwnAttributeDeletedByOwnerNotificationItem", "attributeId": own.id}
    ids = [await context.commits.run(lambda work: controller.send(STRANGER, [item], work)) for _ in range(2)]
    assert await listed() == [sent]
    for identifier in ids:
        await give_up(running, "alice", f"notification:{identifier}")

    failed = [(one, notification_pb2.LOCAL_NOTIFICATION_STATUS_ERROR) for one in ids]
    assert await listed() == [*reversed(failed), sent]
    assert await listed(filter={"isOwn": True}, orderBy="create_time") == [sent, *failed]
    assert await listed(filter={"statuses": ["LOCAL_NOTIFICATION_STATUS_ERROR"], "isOwn": True}) == failed[::-1]
    assert await listed(filter={"peer": {"anyOf": [running.accounts["bob"]]}}) == [sent]
    pages, token = [], ""
    while True:
        page = await call(alice, "Notifications.ListNotifications", pageSize=1, pageToken=token)
        pages += [one.id for one in page.notifications]
        token = page.next_page_token
        if not token:
            break
    assert pages == [ids[1], ids[0], made.notification_id]
    await call(alice, "Notifications.RetryNotification", id=ids[0])
    assert await listed(filter={"statuses": ["LOCAL_NOTIFICATION_STATUS_ERROR"]}) == failed[1:]
