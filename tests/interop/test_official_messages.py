"""Messages between official peers, with attachments, and short notifications."""

from __future__ import annotations

import asyncio
import os

import pytest
import pytest_asyncio

from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.steps import change, connect, has_status, receive, send_mail, upload

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def friends(peers: Peers) -> tuple[OfficialPeer, OfficialPeer, OfficialPeer]:
    """Anna with an active relationship to bert and another to carl."""
    anna, bert, carl = await peers.start_many(3)
    await connect(anna, bert)
    await connect(anna, carl)
    return anna, bert, carl


Friends = tuple[OfficialPeer, OfficialPeer, OfficialPeer]


async def test_messages_with_a_file_arrive_both_ways(friends: Friends) -> None:
    anna, bert, _ = friends
    for sender, recipient in ((anna, bert), (bert, anna)):
        content = os.urandom(100_000)
        file = await upload(sender, content, "data.bin")
        sent = await send_mail(sender, recipient, body="See the file.", attachments=[file["id"]])

        received = await receive(recipient, sent["id"])
        attachment = await recipient.call(
            "transport.messages.downloadAttachment", {"id": received["id"], "attachmentId": file["id"]}
        )

        assert received["content"] == sent["content"]
        assert (received["createdBy"], received["isOwn"]) == (sender.address, False)
        assert [recipient["address"] for recipient in received["recipients"]] == [recipient.address]
        assert attachment["content"] == content
        assert (attachment["filename"], attachment["mimetype"]) == ("data.bin", "text/plain")


async def test_one_message_reaches_all_its_recipients(friends: Friends) -> None:
    anna, bert, carl = friends

    sent = await send_mail(anna, bert, carl, body="To both of you.")
    to_bert, to_carl = await asyncio.gather(receive(bert, sent["id"]), receive(carl, sent["id"]))

    assert to_bert["content"] == to_carl["content"] == sent["content"]
    # Nobody learns from the Backbone who else got it.
    assert [seen["address"] for seen in to_bert["recipients"]] == [bert.address]
    assert [seen["address"] for seen in to_carl["recipients"]] == [carl.address]


async def test_messages_arrive_in_the_order_in_which_they_were_sent(friends: Friends) -> None:
    anna, bert, _ = friends
    sent = [(await send_mail(anna, bert, body=str(number)))["id"] for number in range(5)]

    synced = await bert.sync()

    assert [message["id"] for message in synced["messages"]] == sent


async def test_a_stranger_gets_no_message(friends: Friends) -> None:
    _, bert, carl = friends

    with pytest.raises(OfficialPeerError) as refused:
        await send_mail(bert, carl, body="We have not met.")

    assert refused.value.code == "error.runtime.messages.hasNoActiveRelationship"


async def test_a_message_on_a_terminated_relationship_waits_for_the_reactivation(peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    relationship_id = await connect(anna, bert)
    await change(anna, "terminateRelationship", relationship_id)
    await bert.sync()
    await bert.wait_for("transport.relationshipChanged", has_status(relationship_id, "Terminated"))
    # The official runtime sends nothing else on a terminated relationship.
    notification = {
        "@type": "Notification",
        "id": "NOT00000000000000001",
        "items": [{"@type": "OwnAttributeDeletedByOwnerNotificationItem", "attributeId": "ATT00000000000000001"}],
    }

    sent = await bert.call("transport.messages.sendMessage", {"recipients": [anna.address], "content": notification})
    held_back = await anna.sync()
    await change(bert, "requestRelationshipReactivation", relationship_id)
    await anna.sync()
    await change(anna, "acceptRelationshipReactivation", relationship_id)

    assert held_back["messages"] == []
    assert (await receive(anna, sent["id"]))["content"] == notification


async def test_a_notification_of_a_known_code_is_taken_and_of_another_refused(friends: Friends) -> None:
    anna, bert, _ = friends
    name = "transport.backboneNotifications.sendBackboneNotification"

    await anna.call(name, {"recipients": [bert.address], "code": "TestCode"})
    with pytest.raises(OfficialPeerError) as refused:
        await anna.call(name, {"recipients": [bert.address], "code": "NoSuchCode"})

    assert refused.value.code == "error.platform.validation.notification.codeDoesNotExist"
