from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.deletion import DeletionNotice
from enmeshed_connector.consumption.deliveries import DELIVERIES
from enmeshed_connector.consumption.notifications.controller import NotifyingDeletions
from enmeshed_connector.consumption.notifications.documents import NOTIFICATIONS
from enmeshed_connector.consumption.notifications.errors import NotificationNotFailed
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.transport.errors import RecordMissing
from tests.support.consumption import Holder, holder, identity
from tests.support.network import Network, befriend
from tests.support.notifications import deleted, stored, succeeded, tell

SUCCESSOR = "ATT00000000000000002"
ITEM = deleted("OwnAttributeDeletedByOwner", "ATT0000000000UNKNOWN")


async def test_both_sides_keep_what_was_told(alice: Holder, bob: Holder) -> None:
    identifier = await alice.run(lambda work: alice.consumption.notifications.send(bob.address, [ITEM], work))
    assert await stored(alice, identifier) is None
    await alice.consumption.deliveries.send_due()
    await bob.transport.sync.sync()

    (message,) = await alice.transport.messages.find()
    own, received = await stored(alice, identifier), await stored(bob, identifier)
    assert own == {
        "@type": "LocalNotification",
        "content": {"id": identifier, "items": [ITEM]},
        "createdAt": message["createdAt"],
        "id": identifier,
        "isOwn": True,
        "peer": bob.address,
        "source": {"reference": message["id"], "type": "Message"},
        "status": "Sent",
    }
    device = bob.transport.context.device.id
    assert received == own | {
        "isOwn": False,
        "peer": alice.address,
        "receivedByDevice": device,
        "status": "Completed",
    }
    assert await alice.all(DELIVERIES) == []
    assert [event["data"]["status"] for event in await alice.events(types="connector.notification")] == ["Sent"]
    assert [event["data"]["status"] for event in await bob.events(types="connector.notification")] == ["Completed"]


async def test_what_fails_is_shown_and_stops_nothing(alice: Holder, bob: Holder) -> None:
    held = await bob.of_peer(alice.address)
    wrong = succeeded(held["id"], SUCCESSOR, identity(bob.address, "Eve"))
    told = await tell(alice, bob, wrong)

    assert told is not None and told["status"] == "Error"
    (message,) = await bob.transport.messages.find()
    assert message["id"] == told["source"]["reference"]
    assert await bob.transport.context.store.count("_FailedEvents") == 0
    told = await tell(alice, bob, ITEM)
    assert told is not None and told["status"] == "Completed"


async def test_all_items_of_a_notification_or_none(alice: Holder, bob: Holder) -> None:
    held = await bob.of_peer(alice.address)
    right = succeeded(held["id"], SUCCESSOR, identity(alice.address, "Augusta"))
    wrong = succeeded("ATT0000000000UNKNOWN", "ATT00000000000000003", identity(alice.address, "Eve"))
    before = await bob.all()
    told = await tell(alice, bob, right, wrong)

    assert told is not None and told["status"] == "Error"
    assert await bob.all() == before
    assert "attributeSucceeded" not in await bob.event_names()
    assert [event["data"]["status"] for event in await bob.events(types="connector.notification")] == ["Error"]


async def test_a_fault_of_ours_is_shown_like_one_of_the_peer(
    alice: Holder, bob: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await bob.of_peer(alice.address)

    async def broken(*_: Any, **__: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(bob.attributes.successions, "succeed_received", broken)
    told = await tell(alice, bob, succeeded(held["id"], SUCCESSOR, identity(alice.address, "Augusta")))

    assert told is not None and told["status"] == "Error"


async def test_what_failed_can_be_tried_again(alice: Holder, bob: Holder) -> None:
    first = "ATT00000000000000001"
    told = await tell(alice, bob, succeeded(first, SUCCESSOR, identity(alice.address, "Augusta")))
    assert told is not None
    controller = bob.consumption.notifications
    with pytest.raises(DomainError) as caught:
        await bob.run(lambda work: controller.retry(told["id"], work))
    assert caught.value.official_code == "error.consumption.attributes.predecessorDoesNotExist"
    again = await stored(bob, told["id"])
    assert again is not None and again["status"] == "Error"

    await bob.of_peer(alice.address, identifier=first)
    await bob.run(lambda work: controller.retry(told["id"], work))

    again = await stored(bob, told["id"])
    assert again is not None and again["status"] == "Completed"
    assert await bob.get(SUCCESSOR) is not None
    with pytest.raises(NotificationNotFailed):
        await bob.run(lambda work: controller.retry(told["id"], work))


async def test_own_and_unknown_ones_are_not_tried_again(alice: Holder, bob: Holder) -> None:
    told = await tell(alice, bob, ITEM)
    assert told is not None
    with pytest.raises(NotificationNotFailed):
        await alice.run(lambda work: alice.consumption.notifications.retry(told["id"], work))
    with pytest.raises(RecordMissing):
        await alice.run(lambda work: alice.consumption.notifications.retry("NOT00000000000000000", work))


@pytest.mark.parametrize(
    "content",
    [
        {"id": "NOT00000000000000001"},
        {"id": "NOT00000000000000001", "items": []},
        {"id": "NOT00000000000000001", "items": "all"},
        {"id": "NOT00000000000000001", "items": [{"@type": "Unheard"}]},
        {"id": "NOT00000000000000001", "items": [{"@type": "OwnAttributeDeletedByOwnerNotificationItem"}]},
        {"id": "REQ00000000000000001", "items": [ITEM]},
        {"id": "NOT0000000000000000ä", "items": [ITEM]},
        {"id": 1, "items": [ITEM]},
        {"items": [ITEM]},
    ],
)
async def test_what_is_no_notification_is_left_alone(alice: Holder, bob: Holder, content: dict[str, Any]) -> None:
    await alice.transport.messages.send([bob.address], {"@type": "Notification", **content})
    await bob.transport.sync.sync()

    assert len(await bob.transport.messages.find()) == 1
    assert await bob.all(NOTIFICATIONS) == []
    assert await alice.all(NOTIFICATIONS) == []
    assert await bob.transport.context.store.count("_FailedEvents") == 0


async def test_an_id_is_taken_once_whoever_sends_it(alice: Holder, bob: Holder) -> None:
    told = await tell(alice, bob, ITEM)
    assert told is not None
    held = await bob.of_peer(alice.address)
    again = await tell(alice, bob, deleted("OwnAttributeDeletedByOwner", held["id"]), identifier=told["id"])

    assert again == told
    assert await bob.get(held["id"]) == held
    # Own notifications are not replaced by what a peer sends, either.
    sent = await stored(alice, told["id"])
    assert await tell(bob, alice, ITEM, identifier=told["id"]) == sent


async def test_a_peer_cannot_take_a_delivery_away(alice: Holder, bob: Holder) -> None:
    alice.faults.cut("messages.send")
    identifier = await alice.run(lambda work: alice.consumption.notifications.send(bob.address, [ITEM], work))
    await alice.consumption.deliveries.send_due()
    await tell(bob, alice, ITEM, identifier=identifier)

    assert len(await alice.all(DELIVERIES)) == 1


async def test_a_lost_answer_does_not_tell_twice(network: Network, alice: Holder, bob: Holder) -> None:
    alice.faults.lose_answer("messages.send")
    alice.faults.cut("messages.list")
    await alice.run(lambda work: alice.consumption.notifications.send(bob.address, [ITEM], work))
    for _ in range(4):
        await alice.consumption.deliveries.send_due()
        network.clock.advance(timedelta(minutes=5))
    await bob.transport.sync.sync()

    assert len(await bob.all(NOTIFICATIONS)) == 1
    (own,) = await alice.all(NOTIFICATIONS)
    assert own["status"] == "Sent"


async def test_what_is_not_sent_is_shown_and_what_is_given_up_can_be_tried_again(
    network: Network, alice: Holder
) -> None:
    stranger = await holder(network, "stranger")
    controller, store = alice.consumption.notifications, alice.transport.context.store
    identifier = await alice.run(lambda work: controller.send(stranger.address, [ITEM], work))
    shown = await controller.get(store, identifier)
    assert (shown["status"], shown["isOwn"], shown["source"]["reference"]) == ("Open", True, "")
    with pytest.raises(NotificationNotFailed):
        await alice.run(lambda work: controller.retry(identifier, work))
    for _ in range(10):
        await alice.consumption.deliveries.send_due()
        network.clock.advance(timedelta(days=1))

    assert (await controller.get(store, identifier))["status"] == "Error"
    assert [event["data"]["status"] for event in await alice.events(types="connector.notification")] == ["Error"]
    await befriend(alice.transport, stranger.transport)
    await alice.run(lambda work: controller.retry(identifier, work))
    await alice.consumption.deliveries.send_due()
    await stranger.transport.sync.sync()
    assert (await controller.get(store, identifier))["status"] == "Sent"
    received = await stored(stranger, identifier)
    assert received is not None and received["status"] == "Completed"


async def test_each_notice_of_a_deletion_is_a_notification(alice: Holder, bob: Holder) -> None:
    notices = [
        DeletionNotice(bob.address, f"ATT0000000000000000{n}", "OwnAttributeDeletedByOwnerNotificationItem")
        for n in range(2)
    ]
    sender = NotifyingDeletions(alice.consumption.notifications)
    ids = await alice.run(lambda work: sender.send(notices, work))
    await alice.consumption.deliveries.send_due()
    await bob.transport.sync.sync()

    found = {one["id"]: one["content"]["items"] for one in await bob.all(NOTIFICATIONS)}
    assert found == {
        identifier: [{"@type": notice.item_type, "attributeId": notice.attribute_id}]
        for identifier, notice in zip(ids, notices, strict=True)
    }


async def test_notifications_go_with_the_relationship(alice: Holder, bob: Holder) -> None:
    await tell(alice, bob, ITEM)
    relationship = await bob.transport.relationships.with_peer(alice.address)
    assert relationship is not None
    await bob.run(lambda work: bob.transport.listeners.relationship_decomposed(relationship, work))

    assert await bob.all(NOTIFICATIONS) == []
