"""Messages: sending, fetching, blocking, and what decomposition hides."""

from __future__ import annotations

from typing import Any

import pytest

from enmeshed_backbone import addresses
from enmeshed_backbone.server import BackboneServer
from tests.support.backbone_client import (
    KEY,
    Device,
    MakeIdentity,
    ask_for_relationship,
    assert_error,
    b64u,
    relate,
    result_of,
)

V = "validation.message."
NOBODY = addresses.anonymised("localhost")


async def sent(sender: Device, *recipients: Device) -> str:
    return str(result_of(await sender.send(*recipients), 201)["id"])


async def test_a_message_reaches_each_recipient_with_a_key_of_its_own(
    anna: Device, bert: Device, make_identity: MakeIdentity
) -> None:
    carla = await make_identity()
    for peer in (bert, carla):
        await relate(anna, peer)
        await peer.events()
    message_id = await sent(anna, bert, carla)

    for peer in (bert, carla):
        assert [(e["type"], e["payload"]) for e in await peer.events()] == [("MessageReceived", {"id": message_id})]
        found = await peer.get(f"Messages/{message_id}")
        assert (found["createdBy"], found["createdByDevice"], found["body"]) == (anna.address, anna.id, b64u(b"text"))
        assert [r["address"] for r in found["recipients"]] == [peer.address]
    assert [r["address"] for r in (await anna.get(f"Messages/{message_id}"))["recipients"]] == [
        bert.address,
        carla.address,
    ]


async def test_the_first_fetch_of_a_recipient_is_noted_and_no_other(anna: Device, bert: Device) -> None:
    await relate(anna, bert)
    message_id = await sent(anna, bert)
    assert (await anna.get(f"Messages/{message_id}"))["recipients"][0]["receivedAt"] is None

    first = (await bert.get("Messages"))[0]["recipients"][0]
    second = await bert.add_device()
    await second.get(f"Messages/{message_id}", params={"noBody": "true"})
    seen = (await anna.get(f"Messages/{message_id}"))["recipients"][0]
    assert seen == first
    assert seen["receivedByDevice"] == bert.id


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"recipients": None}, "inputCannotBeParsed"),
        ({"recipients": "x"}, "inputCannotBeParsed"),
        ({"recipients": []}, "validation.invalidPropertyValue"),
        ({"recipients": [{"address": "x", "encryptedKey": KEY}]}, "validation.invalidPropertyValue"),
        ({"recipients": [{"address": "x"}]}, "inputCannotBeParsed"),
        ({"recipients": [5]}, "inputCannotBeParsed"),
        ({"body": ""}, "validation.invalidPropertyValue"),
        ({"body": None}, "inputCannotBeParsed"),
        ({"attachments": [{"id": "FILx"}] * 21}, "validation.invalidPropertyValue"),
        ({"attachments": [{"id": "MSGx"}]}, "PredicateValidator"),
        ({"attachments": [{}]}, "inputCannotBeParsed"),
    ],
)
async def test_a_wrong_message_is_refused(anna: Device, bert: Device, change: dict[str, Any], code: str) -> None:
    await relate(anna, bert)

    assert_error(await anna.send(bert, **change), 400, code)


async def test_recipients_are_unique_and_at_most_five_with_keys_of_some_size(anna: Device, bert: Device) -> None:
    await relate(anna, bert)
    assert_error(await anna.send(bert, bert), 400, "validation.invalidPropertyValue")
    many = [{"address": addresses.derive(bytes([n]), "localhost"), "encryptedKey": KEY} for n in range(6)]
    assert_error(await anna.send(recipients=many), 400, "validation.invalidPropertyValue")
    for size, is_allowed in ((29, False), (30, True), (300, True), (301, False)):
        to = [{"address": bert.address, "encryptedKey": b64u(bytes(size))}]
        assert ((await anna.send(recipients=to)).status_code == 201) is is_allowed


async def test_attachments_are_kept_as_they_are(anna: Device, bert: Device) -> None:
    await relate(anna, bert)
    files = [{"id": f"FIL{n:017}"} for n in range(20)]
    message_id = result_of(await anna.send(bert, attachments=files), 201)["id"]

    assert (await bert.get(f"Messages/{message_id}"))["attachments"] == files


async def test_a_message_needs_a_relationship_that_is_alive(
    anna: Device, bert: Device, make_identity: MakeIdentity
) -> None:
    assert_error(await anna.send(bert), 400, V + "noRelationshipToRecipientExists")
    relationship_id = await ask_for_relationship(anna, bert)
    await bert.put(f"Relationships/{relationship_id}/Reject")
    assert_error(await anna.send(bert), 400, V + "relationshipToRecipientNotActive")
    await bert.put(f"Relationships/{relationship_id}/Decompose")
    assert_error(await anna.send(bert), 400, V + "relationshipToRecipientNotActive")
    assert_error(await anna.send(bert, await make_identity()), 400, V + "relationshipToRecipientNotActive")


async def test_the_youngest_relationship_counts(anna: Device, bert: Device) -> None:
    relationship_id = await ask_for_relationship(anna, bert)
    await bert.put(f"Relationships/{relationship_id}/Reject")
    await relate(bert, anna)

    await sent(anna, bert)


async def test_twenty_messages_may_wait_for_one_recipient(
    anna: Device, bert: Device, make_identity: MakeIdentity
) -> None:
    carla = await make_identity()
    await relate(anna, bert)
    await relate(anna, carla)
    ids = [await sent(anna, bert) for _ in range(20)]
    assert_error(await anna.send(bert), 400, V + "maxNumberOfUnreceivedMessagesReached")
    assert_error(await anna.send(carla, bert), 400, V + "maxNumberOfUnreceivedMessagesReached")
    await sent(anna, carla)
    await sent(bert, anna)

    await bert.get(f"Messages/{ids[7]}")
    await sent(anna, bert)


async def test_messages_wait_until_the_relationship_is_active(anna: Device, bert: Device) -> None:
    relationship_id = await ask_for_relationship(anna, bert)
    await bert.events()
    early = await sent(anna, bert)
    assert await bert.events() == []
    await bert.put(f"Relationships/{relationship_id}/Accept")
    assert [e["payload"] for e in await bert.events()] == [{"id": early}]

    await anna.events()
    await bert.put(f"Relationships/{relationship_id}/Terminate")
    late = await sent(bert, anna)
    assert [e["type"] for e in await anna.events()] == ["RelationshipStatusChanged"]
    await anna.put(f"Relationships/{relationship_id}/Reactivate")
    await bert.put(f"Relationships/{relationship_id}/Reactivate/Accept")
    events = await anna.events()
    assert [(e["type"], e["payload"]) for e in events] == [
        ("MessageReceived", {"id": late}),
        ("RelationshipReactivationCompleted", {"relationshipId": relationship_id}),
    ]


@pytest.mark.parametrize("ending", ["Reject", "Revoke"])
async def test_messages_of_a_relationship_that_came_to_nothing_are_not_announced(
    anna: Device, bert: Device, ending: str, backbone: BackboneServer
) -> None:
    relationship_id = await ask_for_relationship(anna, bert)
    await sent(anna, bert)
    await (bert if ending == "Reject" else anna).put(f"Relationships/{relationship_id}/{ending}")

    assert backbone.rows("SELECT * FROM external_events WHERE type = 'MessageReceived'") == []


async def test_a_list_shows_own_messages_oldest_first(anna: Device, bert: Device, make_identity: MakeIdentity) -> None:
    carla = await make_identity()
    await relate(anna, bert)
    ids = [await sent(anna, bert), await sent(bert, anna), await sent(anna, bert)]

    for device in (anna, bert):
        assert [message["id"] for message in await device.get("Messages")] == ids
        assert [message["id"] for message in await device.get("Messages", params={"ids": ids[1:]})] == ids[1:]
    assert await carla.get("Messages", params={"ids": ids}) == []
    assert_error(await carla.call("GET", f"Messages/{ids[0]}"), 404, "recordNotFound")
    assert_error(await anna.call("GET", "Messages/FILx"), 400, "validation.invalidPropertyValue")
    assert_error(await anna.call("GET", "Messages", params={"ids": "x"}), 400, "validation.invalidPropertyValue")


async def test_decomposition_hides_step_by_step(
    anna: Device, bert: Device, make_identity: MakeIdentity, backbone: BackboneServer
) -> None:
    carla = await make_identity()
    to_bert, to_carla = await relate(anna, bert), await relate(anna, carla)
    message_id = await sent(anna, bert, carla)
    path = f"Messages/{message_id}"

    await anna.put(f"Relationships/{to_bert}/Terminate")
    await anna.put(f"Relationships/{to_bert}/Decompose")
    assert [r["address"] for r in (await anna.get(path))["recipients"]] == [NOBODY, carla.address]
    found = await bert.get(path)
    assert (found["createdBy"], found["recipients"][0]["address"]) == (anna.address, bert.address)

    await bert.put(f"Relationships/{to_bert}/Decompose")
    assert_error(await bert.call("GET", path), 404, "recordNotFound")
    stored = backbone.rows("SELECT address FROM message_recipients ORDER BY rowid")
    assert [row["address"] for row in stored] == [NOBODY, carla.address]

    await anna.put(f"Relationships/{to_carla}/Terminate")
    await anna.put(f"Relationships/{to_carla}/Decompose")
    assert_error(await anna.call("GET", path), 404, "recordNotFound")
    assert await anna.get("Messages") == []
    assert (await carla.get(path))["createdBy"] == anna.address
    await carla.put(f"Relationships/{to_carla}/Decompose")
    assert backbone.rows("SELECT created_by FROM messages") == [{"created_by": NOBODY}]


async def test_unfetched_messages_are_not_announced_to_who_has_left(anna: Device, bert: Device) -> None:
    relationship_id = await relate(anna, bert)
    await bert.events()
    await sent(anna, bert)
    await bert.put(f"Relationships/{relationship_id}/Terminate")
    await bert.put(f"Relationships/{relationship_id}/Decompose")

    assert await bert.events() == []
