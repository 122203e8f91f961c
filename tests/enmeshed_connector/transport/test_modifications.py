from __future__ import annotations

from typing import Any

import pytest

from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.modifications import removed_by
from enmeshed_connector.transport.objects import (
    DEVICES,
    MESSAGES,
    RELATIONSHIPS,
    TRANSPORT_COLLECTIONS,
    UNPUSHED_MODIFICATIONS,
    Category,
    SynchronizedCollection,
    SynchronizedCollections,
)
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Origin, Work
from tests.support.network import Network, Party

MESSAGE = {
    "@type": "Message",
    "id": "MSGaaaaaaaaaaaaaaaaa",
    "content": {"@type": "Text"},
    "isOwn": True,
    "attachments": [],
    "metadata": {"a": 1},
    "wasReadAt": "2026-01-01T00:00:00.000Z",
    "_ours": 1,
}


async def recording(network: Network) -> Party:
    party = await network.account("anna", datawallet_enabled=True)
    await party.account.sync.sync()
    assert await party.store.count(UNPUSHED_MODIFICATIONS) == 0
    return party


async def recorded(party: Party) -> list[dict[str, Any]]:
    found = await party.store.find(UNPUSHED_MODIFICATIONS, sort=["_rev"])
    return [{name: value for name, value in record.items() if not name.startswith("_")} for record in found]


async def save(party: Party, document: dict[str, Any], cause: Cause = LOCAL_CAUSE) -> bool:
    async def write(work: Work) -> bool:
        return await work.save(MESSAGES, document)

    return await party.account.context.commits.run(write, cause=cause)


async def test_a_new_document_is_told_of_in_its_categories_in_order(network: Network) -> None:
    party = await recording(network)

    await save(party, MESSAGE)

    records = await recorded(party)
    assert [(record["type"], record["payloadCategory"], list(record["payload"])) for record in records] == [
        ("Create", "TechnicalData", ["@type", "attachments", "isOwn"]),
        ("Create", "Content", ["content"]),
        ("Create", "Metadata", ["metadata"]),
        ("Create", "Userdata", ["wasReadAt"]),
    ]
    assert list(records[0]) == [
        "@type",
        "collection",
        "datawalletVersion",
        "localId",
        "objectIdentifier",
        "payload",
        "payloadCategory",
        "type",
    ]
    assert all(len(record["localId"]) == 20 and record["localId"].startswith("TRPDWM") for record in records)


async def test_a_change_is_told_of_with_the_whole_category_and_only_that(network: Network) -> None:
    party = await recording(network)
    await save(party, MESSAGE)
    await party.account.sync.sync()

    assert await save(party, MESSAGE | {"isOwn": False, "_ours": 2})
    assert [(record["type"], record["payload"]) for record in await recorded(party)] == [
        ("Update", {"@type": "Message", "isOwn": False, "attachments": []})
    ]


async def test_a_removed_property_leaves_an_empty_payload(network: Network) -> None:
    party = await recording(network)
    await save(party, MESSAGE)
    await party.account.sync.sync()

    await save(party, {name: value for name, value in MESSAGE.items() if name != "wasReadAt"})

    assert [(record["payloadCategory"], record["payload"]) for record in await recorded(party)] == [("Userdata", {})]


async def test_what_stays_the_same_or_is_only_ours_is_not_told(network: Network) -> None:
    party = await recording(network)
    await save(party, MESSAGE)
    await party.account.sync.sync()

    assert not await save(party, MESSAGE)
    assert await save(party, MESSAGE | {"_ours": 3})

    assert await recorded(party) == []


async def test_what_another_device_did_is_not_told_back(network: Network) -> None:
    party = await recording(network)

    await save(party, MESSAGE, Cause(Origin.DATAWALLET))

    assert await recorded(party) == []


async def test_a_removal_is_told_of_without_a_payload(network: Network) -> None:
    party = await recording(network)
    await save(party, MESSAGE)
    await party.account.sync.sync()

    async def remove(work: Work) -> Any:
        assert await work.remove(MESSAGES, "MSGunknown") is None
        return await work.remove(MESSAGES, str(MESSAGE["id"]))

    assert await party.account.context.commits.run(remove) is not None
    [record] = await recorded(party)
    assert record["type"] == "Delete"
    assert "payload" not in record
    assert "payloadCategory" not in record


async def test_a_failing_change_stores_nothing_of_it(network: Network) -> None:
    party = await recording(network)

    async def fail(work: Work) -> None:
        await work.save(MESSAGES, MESSAGE)
        work.publish("test.event", MESSAGE)
        await work.require(DEVICES, "DVCunknown", "device")

    with pytest.raises(RecordMissing) as caught:
        await party.account.context.commits.run(fail)

    assert isinstance(caught.value, DomainError)
    assert await party.store.get(MESSAGES, str(MESSAGE["id"])) is None
    assert await recorded(party) == []
    assert await party.events("test") == []


async def test_events_hold_the_public_document_and_where_it_came_from(network: Network) -> None:
    party = await recording(network)

    async def change(work: Work) -> None:
        await work.save(MESSAGES, MESSAGE)
        work.publish("test.first", MESSAGE, subjects=["MSGaaaaaaaaaaaaaaaaa"])
        work.publish("test.second")

    await party.account.context.commits.run(change, cause=Cause(Origin.EXTERNAL, "correlation"))

    first, second = await party.events("test")
    assert first["data"] == {name: value for name, value in MESSAGE.items() if name != "_ours"}
    assert (first["origin"], first["correlationId"]) == ("EXTERNAL", "correlation")
    assert "data" not in second
    assert first["id"] != second["id"]


def test_a_collection_has_one_declaration() -> None:
    collections = SynchronizedCollections(TRANSPORT_COLLECTIONS, TRANSPORT_COLLECTIONS)
    assert collections.find(MESSAGES) is not None
    assert collections.find("AccountInfo") is None

    with pytest.raises(ValueError, match="two ways"):
        SynchronizedCollections(TRANSPORT_COLLECTIONS, (SynchronizedCollection(MESSAGES, technical_data=("x",)),))


COLLECTIONS = SynchronizedCollections(TRANSPORT_COLLECTIONS)
INFO = {"deletionDate": "2026-01-01T00:00:00.000Z", "deletionStatus": "ToBeDeleted"}
KNOWN = {
    "id": "RELaaaaaaaaaaaaaaaaa",
    "status": "Active",
    "auditLog": [1],
    "peerDeletionInfo": INFO,
    "templateId": "RLT",
}


@pytest.mark.parametrize(
    ("payload", "gone"),
    [
        ({"status": "Active", "auditLog": [1]}, {"peerDeletionInfo"}),
        ({"status": "Active", "auditLog": [1], "peerDeletionInfo": INFO}, set()),
        ({"status": "Terminated", "auditLog": [1, 2]}, set()),
        ({"status": "Active", "auditLog": [1], "peer": {}}, set()),
        ({"status": "Active", "auditLog": [1], "ofANewerVersion": True}, set()),
    ],
    ids=["only less", "the same", "other changes", "more that is known", "more that is unknown"],
)
def test_an_update_that_changes_nothing_else_tells_what_was_removed(payload: dict[str, Any], gone: set[str]) -> None:
    collection = COLLECTIONS.find(RELATIONSHIPS)

    assert set(removed_by(collection, KNOWN, Category.TECHNICAL_DATA, payload)) == gone


def test_the_last_property_of_a_category_is_removed_by_an_empty_update() -> None:
    assert set(removed_by(COLLECTIONS.find(MESSAGES), MESSAGE, Category.USERDATA, {})) == {"wasReadAt"}


def test_nothing_is_removed_from_what_is_not_known() -> None:
    assert not removed_by(None, KNOWN, Category.TECHNICAL_DATA, {})
    assert not removed_by(COLLECTIONS.find(MESSAGES), None, Category.USERDATA, {})
    assert not removed_by(COLLECTIONS.find(MESSAGES), MESSAGE, None, {})
