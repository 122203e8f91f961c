"""Messages between accounts of ours and official peers, in both directions, with files and to many at once."""

from __future__ import annotations

import asyncio
import os

import pytest
import pytest_asyncio

from enmeshed_connector.transport.errors import RelationshipNotActive
from tests.interop.conftest import OurAccounts, Peers
from tests.interop.official_peer.official_peer import OfficialPeer
from tests.interop.our_side import OurSide
from tests.interop.steps import ask, change, load, offer, receive, send_mail, upload

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ours(accounts: OurAccounts) -> OurSide:
    """The account of ours that is in the middle of all."""
    return await accounts.open()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def official(ours: OurSide, peers: Peers) -> OfficialPeer:
    """An official peer with an active relationship to ours."""
    peer = await peers.start()
    relationship = await ask(peer, await ours.offer())
    await ours.sync()
    await ours.accept(relationship["id"])
    await peer.sync()
    return peer


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def friend(ours: OurSide, official: OfficialPeer, accounts: OurAccounts) -> OurSide:
    """Another account of ours, with active relationships to both."""
    account = await accounts.open()
    first = await account.ask(await ours.offer())
    await ours.sync()
    await ours.accept(first["id"])
    second = await account.ask(await offer(official))
    await official.sync()
    await change(official, "acceptRelationship", second["id"])
    await account.sync()
    return account


async def test_our_message_with_files_arrives(ours: OurSide, official: OfficialPeer) -> None:
    small, large = b"small", os.urandom(1_000_000)
    files = [await ours.upload(small), await ours.upload(large, "large.bin", title="Large", tags=["x:tag"])]
    attached = [file["id"] for file in files]

    sent = await ours.send_mail(official, body="Grüße 👋 \u2028 <&>", attachments=attached)
    received = await receive(official, sent["id"])

    assert received["content"] == {**sent["content"], "cc": []}
    assert (received["createdBy"], received["createdByDevice"]) == (ours.address, ours.device_id)
    assert (received["createdAt"], received["isOwn"]) == (sent["createdAt"], False)
    assert received["attachments"] == attached
    assert [entry["address"] for entry in received["recipients"]] == [official.address]
    for file, content in zip(files, (small, large), strict=True):
        place = {"id": sent["id"], "attachmentId": file["id"]}
        metadata = await official.call("transport.messages.getAttachmentMetadata", place)
        downloaded = await official.call("transport.messages.downloadAttachment", place)
        assert downloaded["content"] == content
        assert (downloaded["filename"], downloaded["mimetype"]) == (file["filename"], "text/plain")
        assert (metadata["owner"], metadata["isOwn"], metadata["filesize"]) == (ours.address, False, len(content))
        assert (metadata.get("title"), metadata.get("tags")) == (file.get("title"), file.get("tags"))
    assert await ours.told(sent["id"]) == ["messageSent LOCAL"]


async def test_an_official_message_with_files_arrives(ours: OurSide, official: OfficialPeer) -> None:
    small, large = b"small", os.urandom(1_000_000)
    files = [await upload(official, small), await upload(official, large, "large.bin", title="Large", tags=["x:tag"])]
    attached = [file["id"] for file in files]

    sent = await send_mail(official, ours, body="Grüße 👋 \u2028 <&>", attachments=attached)
    received = await ours.receive(sent["id"])

    assert received["content"] == sent["content"]
    assert received["createdAt"] == sent["createdAt"]
    assert (received["createdBy"], received["isOwn"]) == (official.address, False)
    (recipient,) = received["recipients"]
    assert recipient["address"] == ours.address
    assert recipient["receivedByDevice"] == ours.device_id
    assert received["attachments"] == attached
    _, views = await ours.does.messages.get_with_attachments(sent["id"])
    for file, view, content in zip(files, views, (small, large), strict=True):
        assert (await ours.does.messages.download_attachment(sent["id"], file["id"]))[1] == content
        shown = ("filename", "mimetype", "filesize", "title", "tags", "owner", "expiresAt", "createdAt", "reference")
        assert {name: view.get(name) for name in shown} == {name: file.get(name) for name in shown}
        assert view["isOwn"] is False
        assert await ours.told(file["id"]) == ["connector.fileStored EXTERNAL"]


async def test_our_message_reaches_recipients_of_both_kinds(
    ours: OurSide, official: OfficialPeer, friend: OurSide
) -> None:
    file = await ours.upload(b"for both")
    sent = await ours.send_mail(official, friend, body="To both of you.", attachments=[file["id"]])

    theirs = await receive(official, sent["id"])
    friends = await friend.receive(sent["id"])

    assert [entry["address"] for entry in sent["recipients"]] == [official.address, friend.address]
    # Nobody learns from the Backbone who else got it.
    assert [entry["address"] for entry in theirs["recipients"]] == [official.address]
    assert [entry["address"] for entry in friends["recipients"]] == [friend.address]
    assert theirs["content"] == {**friends["content"], "cc": []}
    assert (await friend.does.messages.download_attachment(sent["id"], file["id"]))[1] == b"for both"


async def test_an_official_message_reaches_recipients_of_both_kinds(
    ours: OurSide, official: OfficialPeer, friend: OurSide
) -> None:
    sent = await send_mail(official, ours, friend, body="To both of you.")

    for account in (ours, friend):
        received = await account.receive(sent["id"])
        assert received["content"] == sent["content"]
        assert [entry["address"] for entry in received["recipients"]] == [account.address]


async def test_messages_arrive_in_their_order(ours: OurSide, official: OfficialPeer) -> None:
    mine = [(await ours.send_mail(official, body=str(number)))["id"] for number in range(5)]
    theirs = [(await send_mail(official, ours, body=str(number)))["id"] for number in range(5)]

    assert [message["id"] for message in (await official.sync())["messages"]] == mine
    assert [message["id"] for message in (await ours.sync()).messages] == theirs
    heard = [data["id"] for name, _, data in await ours.events() if name == "messageReceived"]
    assert heard[-5:] == theirs


async def test_messages_that_cross_each_other_arrive(ours: OurSide, official: OfficialPeer) -> None:
    sent = await asyncio.gather(
        *(ours.send_mail(official, body=f"To official {number}.") for number in range(5)),
        *(send_mail(official, ours, body=f"To ours {number}.") for number in range(5)),
    )

    await ours.sync()
    await official.sync()

    for message in sent[:5]:
        seen = await official.call("transport.messages.getMessage", {"id": message["id"]})
        assert seen["content"]["body"] == message["content"]["body"]
    for message in sent[5:]:
        assert (await ours.does.messages.get(message["id"]))["content"] == message["content"]


async def test_any_json_arrives_as_it_was_sent(ours: OurSide, official: OfficialPeer) -> None:
    content = {"@type": "ArbitraryMessageContent", "value": {"deep": [{"list": [None, True, -1.5, 1e21, "\u0000"]}]}}

    mine = await ours.transport.messages.send([official.address], content)
    theirs = await official.call(
        "transport.messages.sendMessage", {"recipients": [ours.address], "content": content, "attachments": []}
    )

    assert (await receive(official, mine["id"]))["content"] == content
    assert (await ours.receive(theirs["id"]))["content"] == content


async def test_who_has_received_our_message_can_be_told(ours: OurSide, official: OfficialPeer) -> None:
    sent = await ours.send_mail(official, body="Did you get it?")
    await ours.transport.messages.refresh([sent["id"]])
    before = await ours.does.messages.get(sent["id"])

    received = await receive(official, sent["id"])
    await ours.transport.messages.refresh([sent["id"]])
    after = await ours.does.messages.get(sent["id"])

    assert "receivedAt" not in before["recipients"][0]
    device = (await official.call("transport.account.getDeviceInfo"))["id"]
    assert after["recipients"][0]["receivedByDevice"] == device
    assert after["recipients"][0]["receivedAt"] == received["recipients"][0]["receivedAt"]


async def test_a_message_to_somebody_without_relationship_is_refused(
    ours: OurSide, official: OfficialPeer, accounts: OurAccounts
) -> None:
    stranger = await accounts.open()
    await load(official, await stranger.offer())

    with pytest.raises(RelationshipNotActive) as refused:
        await ours.send_mail(official, stranger, body="Hello?")

    assert refused.value.facts["recipients"] == stranger.address
