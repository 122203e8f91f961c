"""What another device of the identity does with notifications causes the same events as if it had happened here."""

from __future__ import annotations

import pytest

from enmeshed_connector.consumption.attributes.documents import DeletionStatus
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.consumption.notifications.documents import NOTIFICATIONS
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work
from tests.support.consumption import Holder, holder, identity
from tests.support.network import Network, befriend
from tests.support.notifications import deleted, succeeded, tell

SUCCESSOR = "ATT00000000000000002"
UNKNOWN = "ATT0000000000UNKNOWN"
STATUS = "connector.notificationStatusChanged"


@pytest.fixture
async def peer(paged_network: Network, other: Holder) -> Holder:
    """A peer of the identity."""
    peer = await holder(paged_network, "peer")
    await befriend(other.transport, peer.transport)
    return peer


async def told(other: Holder, device: Holder) -> list[Document]:
    """Lets a device learn of what another one did, and returns the events about that."""
    await other.transport.sync.sync()
    await device.transport.sync.sync()
    events = [
        event for event in await device.events(types="") if event["type"].startswith(("consumption.", "connector."))
    ]
    assert {event["origin"] for event in events} <= {"DATAWALLET"}
    return events


async def test_what_a_peer_says_of_attributes_is_told_once_with_the_status(
    device: Holder, other: Holder, peer: Holder
) -> None:
    held = await other.of_peer(peer.address)
    own = await other.own_of_relationship(peer.address)
    given = await other.own("Ada")
    await other.forward(given, peer.address)
    await told(other, device)
    notification = await tell(
        peer,
        other,
        succeeded(held["id"], SUCCESSOR, identity(peer.address, "Augusta")),
        deleted("OwnAttributeDeletedByOwner", SUCCESSOR),
        deleted("PeerRelationshipAttributeDeletedByPeer", own["id"]),
        deleted("ForwardedAttributeDeletedByPeer", given["id"]),
        deleted("ForwardedAttributeDeletedByPeer", UNKNOWN),
    )

    events = (await told(other, device))[4:]
    by_type = {event["type"].rpartition(".")[2]: event["data"] for event in events}
    assert len(events) == len(by_type) == 5
    assert by_type["notificationStatusChanged"] == notification
    assert by_type["attributeSucceeded"]["successor"]["id"] == SUCCESSOR
    assert by_type["ownAttributeDeletedByOwner"]["id"] == SUCCESSOR
    assert by_type["ownAttributeDeletedByOwner"]["deletionInfo"]["deletionStatus"] == "DeletedByEmitter"
    assert by_type["peerRelationshipAttributeDeletedByPeer"]["id"] == own["id"]
    assert by_type["peerRelationshipAttributeDeletedByPeer"]["deletionInfo"]["deletionStatus"] == "DeletedByRecipient"
    assert by_type["forwardedAttributeDeletedByPeer"]["id"] == given["id"]
    again = (await told(other, device))[4:]
    assert again == events


async def test_what_will_be_deleted_anyway_stays_so_without_an_event(
    device: Holder, other: Holder, peer: Holder
) -> None:
    held = await other.of_peer(peer.address)

    async def promise(work: Work) -> None:
        await set_deletion_of_attribute(held, DeletionStatus.TO_BE_DELETED, work.now, work)

    await other.run(promise)
    await tell(peer, other, deleted("OwnAttributeDeletedByOwner", held["id"]))
    types = [event["type"] for event in await told(other, device)]
    assert "consumption.ownAttributeDeletedByOwner" not in types
    assert STATUS in types


async def test_what_failed_there_is_told_and_that_it_worked_later(device: Holder, other: Holder, peer: Holder) -> None:
    own = await other.own_of_relationship("did:e:localhost:dids:1111111111111111111111")
    notification = await tell(peer, other, deleted("PeerRelationshipAttributeDeletedByPeer", own["id"]))
    assert notification is not None
    failed = [event["data"]["status"] for event in await told(other, device) if event["type"] == STATUS]
    await other.run(lambda work: work.remove("Attributes", own["id"]))
    await other.run(lambda work: other.consumption.notifications.retry(notification["id"], work))
    done = [event["data"]["status"] for event in await told(other, device) if event["type"] == STATUS]
    assert failed[-1] == "Error"
    assert done == [*failed, "Completed"]


async def test_an_own_notification_that_another_device_sent_is_told_and_not_sent_again(
    device: Holder, other: Holder, peer: Holder
) -> None:
    own = await other.own()
    await other.forward(own, peer.address)
    item = deleted("OwnAttributeDeletedByOwner", own["id"])
    await other.run(lambda work: other.consumption.notifications.send(peer.address, [item], work))
    await other.consumption.deliveries.send_due()
    sent = [event["data"] for event in await told(other, device) if event["type"] == STATUS]
    assert [(one["isOwn"], one["status"]) for one in sent] == [(True, "Sent")]
    assert not await device.consumption.deliveries.send_due()
    await peer.transport.sync.sync()
    assert len(await peer.all(NOTIFICATIONS)) == 1


async def test_what_another_device_writes_may_be_of_any_form(device: Holder, other: Holder, peer: Holder) -> None:
    notification = await tell(peer, other, deleted("OwnAttributeDeletedByOwner", UNKNOWN))
    assert notification is not None
    odd: list[Document] = [
        {"peer": 1},
        {"source": "x"},
        {"content": []},
        {"content": {"items": {}}},
        {"isOwn": "no"},
        {"content": {"items": [1, {"@type": []}, {"@type": {}, "attributeId": UNKNOWN}]}},
    ]
    for number, change in enumerate(odd):
        document = {**notification, **change, "id": f"NOT0000000000000000{number}"}
        await other.run(lambda work, document=document: work.create(NOTIFICATIONS, document))  # type: ignore[misc]
    shown = {event["data"]["id"] for event in await told(other, device) if event["type"] == STATUS}
    assert shown == {notification["id"], "NOT00000000000000005"}
    assert await device.transport.context.store.count(NOTIFICATIONS) == 1 + len(odd)
