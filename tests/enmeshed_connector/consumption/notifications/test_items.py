from __future__ import annotations

from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.documents import DeletionStatus, deletion_status_of
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work
from tests.support.consumption import Holder, holder, identity, relationship
from tests.support.network import Network, befriend
from tests.support.notifications import deleted, succeeded, tell

SUCCESSOR = "ATT00000000000000002"
UNKNOWN = "ATT0000000000UNKNOWN"


async def status_of(told: Document | None) -> str:
    assert told is not None
    return str(told["status"])


async def deletion_of(account: Holder, attribute_id: str) -> str | None:
    attribute = await account.get(attribute_id)
    assert attribute is not None
    return deletion_status_of(attribute)


async def promise(account: Holder, attribute: Document) -> None:
    """Notes that an attribute of a peer will be deleted here."""

    async def change(work: Work) -> None:
        await set_deletion_of_attribute(attribute, DeletionStatus.TO_BE_DELETED, work.now, work)

    await account.run(change)


async def test_a_new_version_of_a_peers_attribute_is_stored_under_its_id(alice: Holder, bob: Holder) -> None:
    held = await bob.of_peer(alice.address)
    told = await tell(alice, bob, succeeded(held["id"], SUCCESSOR, identity(alice.address, "Augusta")))

    assert await status_of(told) == "Completed"
    assert told is not None
    successor = await bob.get(SUCCESSOR)
    assert successor is not None
    assert successor["@type"] == "PeerIdentityAttribute"
    assert successor["content"]["value"]["value"] == "Augusta"
    assert (successor["succeeds"], successor["peer"]) == (held["id"], alice.address)
    assert successor["sourceReference"] == told["id"]
    predecessor = await bob.get(held["id"])
    assert predecessor is not None and predecessor["succeededBy"] == SUCCESSOR
    assert [name for name in await bob.event_names() if "attribute" in name] == [
        "attributeCreated",
        "attributeSucceeded",
    ]


async def test_a_new_version_of_an_attribute_of_the_relationship_is_stored(alice: Holder, bob: Holder) -> None:
    held = await bob.of_peer_relationship(alice.address)
    told = await tell(alice, bob, succeeded(held["id"], SUCCESSOR, relationship(alice.address, value="new")))

    assert await status_of(told) == "Completed"
    successor = await bob.get(SUCCESSOR)
    assert successor is not None and successor["@type"] == "PeerRelationshipAttribute"


async def test_the_owner_has_deleted_what_is_held_with_all_versions(alice: Holder, bob: Holder) -> None:
    held = await bob.of_peer(alice.address)
    await tell(alice, bob, succeeded(held["id"], SUCCESSOR, identity(alice.address, "Augusta")))
    told = await tell(alice, bob, deleted("OwnAttributeDeletedByOwner", SUCCESSOR))

    assert await status_of(told) == "Completed"
    assert await deletion_of(bob, held["id"]) == "DeletedByEmitter"
    assert await deletion_of(bob, SUCCESSOR) == "DeletedByEmitter"
    (event,) = await bob.events(types="consumption.ownAttributeDeletedByOwner")
    assert event["data"]["id"] == SUCCESSOR
    assert event["data"]["deletionInfo"]["deletionStatus"] == "DeletedByEmitter"
    assert event["origin"] == "EXTERNAL"


async def test_what_will_be_deleted_anyway_stays_so_without_an_event(alice: Holder, bob: Holder) -> None:
    held = await bob.of_peer(alice.address)
    await promise(bob, held)
    told = await tell(alice, bob, deleted("OwnAttributeDeletedByOwner", held["id"]))

    assert await status_of(told) == "Completed"
    assert await deletion_of(bob, held["id"]) == "ToBeDeleted"
    assert await bob.events(types="consumption.ownAttributeDeletedByOwner") == []


async def test_the_peer_has_deleted_an_own_attribute_of_the_relationship(alice: Holder, bob: Holder) -> None:
    own = await alice.own_of_relationship(bob.address)
    told = await tell(bob, alice, deleted("PeerRelationshipAttributeDeletedByPeer", own["id"]))

    assert await status_of(told) == "Completed"
    assert await deletion_of(alice, own["id"]) == "DeletedByRecipient"
    assert len(await alice.events(types="consumption.peerRelationshipAttributeDeletedByPeer")) == 1


async def test_the_peer_has_deleted_an_attribute_of_a_third_party(network: Network, alice: Holder, bob: Holder) -> None:
    carol = await holder(network, "carol")
    held = await bob.of_third_party(alice.address, carol.address)
    told = await tell(alice, bob, deleted("PeerRelationshipAttributeDeletedByPeer", held["id"]))

    assert await status_of(told) == "Completed"
    assert await deletion_of(bob, held["id"]) == "DeletedByEmitter"


async def test_the_peer_has_deleted_what_it_was_given(alice: Holder, bob: Holder) -> None:
    never_given = await alice.own("Ada")
    given = await alice.succeed(never_given, "Augusta")
    await alice.forward(given, bob.address)
    told = await tell(bob, alice, deleted("ForwardedAttributeDeletedByPeer", given["id"]))

    assert await status_of(told) == "Completed"
    (details,) = await alice.all("AttributeForwardingDetails")
    assert details["deletionInfo"]["deletionStatus"] == "DeletedByRecipient"
    assert len(await alice.events(types="consumption.forwardedAttributeDeletedByPeer")) == 1
    # What was deleted cannot be deleted once more.
    again = await tell(bob, alice, deleted("ForwardedAttributeDeletedByPeer", given["id"]))
    assert await status_of(again) == "Error"


@pytest.mark.parametrize(
    "kind",
    ["OwnAttributeDeletedByOwner", "PeerRelationshipAttributeDeletedByPeer", "ForwardedAttributeDeletedByPeer"],
)
@pytest.mark.parametrize("attribute_id", [UNKNOWN, "REQ00000000000000001", "x", "A" * 100, "ATT0000000000000000\u0000"])
async def test_the_deletion_of_what_is_not_known_is_no_news(
    alice: Holder, bob: Holder, kind: str, attribute_id: str
) -> None:
    told = await tell(alice, bob, deleted(kind, attribute_id))

    assert await status_of(told) == "Completed"
    assert not [name for name in await bob.event_names() if "ttribute" in name]


@pytest.mark.parametrize(
    "kind",
    ["OwnAttributeDeletedByOwner", "PeerRelationshipAttributeDeletedByPeer", "ForwardedAttributeDeletedByPeer"],
)
async def test_deletions_by_somebody_who_has_nothing_to_do_with_it_change_nothing(
    network: Network, alice: Holder, bob: Holder, kind: str
) -> None:
    mallory = await holder(network, "mallory")
    await befriend(alice.transport, mallory.transport)
    own, held = await alice.own(), await alice.of_peer(bob.address)
    of_relationship = await alice.own_of_relationship(bob.address, key="own")
    of_peer = await alice.of_peer_relationship(bob.address)
    await alice.forward(own, bob.address)
    before = (await alice.all(), await alice.all("AttributeForwardingDetails"))
    for attribute in (own, held, of_relationship, of_peer):
        assert await status_of(await tell(mallory, alice, deleted(kind, attribute["id"]))) == "Error"

    assert (await alice.all(), await alice.all("AttributeForwardingDetails")) == before
    assert await alice.transport.context.store.count("_FailedEvents") == 0


@pytest.mark.parametrize("kind", ["OwnAttributeDeletedByOwner", "PeerRelationshipAttributeDeletedByPeer"])
async def test_deletions_of_another_class_change_nothing(alice: Holder, bob: Holder, kind: str) -> None:
    own = await alice.own()
    await alice.forward(own, bob.address)

    assert await status_of(await tell(bob, alice, deleted(kind, own["id"]))) == "Error"
    assert (await alice.all("AttributeForwardingDetails"))[0].get("deletionInfo") is None


@pytest.mark.parametrize(
    "change",
    [
        "foreign owner",
        "unknown predecessor",
        "other content class",
        "other value type",
        "nothing changed",
        "taken id",
        "no id",
        "forbidden characters",
    ],
)
async def test_successions_that_break_a_rule_change_nothing(alice: Holder, bob: Holder, change: str) -> None:
    held = await bob.of_peer(alice.address)
    other = await bob.own()
    item: dict[str, Any] = succeeded(held["id"], SUCCESSOR, identity(alice.address, "Augusta"))
    match change:
        case "foreign owner":
            item["successorContent"]["owner"] = bob.address
        case "unknown predecessor":
            item["predecessorId"] = UNKNOWN
        case "other content class":
            item["successorContent"] = relationship(alice.address)
        case "other value type":
            item["successorContent"]["value"]["@type"] = "Surname"
        case "nothing changed":
            item["successorContent"] = held["content"]
        case "taken id":
            item["successorId"] = other["id"]
        case "no id":
            item["successorId"] = "REQ00000000000000002"
        case "forbidden characters":
            item["successorContent"] = identity(alice.address, "Ада")
    before = await bob.all()

    assert await status_of(await tell(alice, bob, item)) == "Error"
    assert await bob.all() == before


async def test_nobody_else_succeeds_an_own_attribute_or_one_that_another_peer_gave(
    network: Network, alice: Holder, bob: Holder
) -> None:
    mallory = await holder(network, "mallory")
    await befriend(alice.transport, mallory.transport)
    held, own = await alice.of_peer(bob.address), await alice.own()
    for attribute in (held, own):
        for owner in (mallory.address, attribute["content"]["owner"]):
            item = succeeded(attribute["id"], SUCCESSOR, identity(owner, "Eve"))
            assert await status_of(await tell(mallory, alice, item)) == "Error"

    assert await alice.get(SUCCESSOR) is None


async def test_items_of_older_releases_are_shown_and_change_nothing(alice: Holder, bob: Holder) -> None:
    held = await bob.of_peer(alice.address)

    assert await status_of(await tell(alice, bob, deleted("OwnSharedAttributeDeletedByOwner", held["id"]))) == "Error"
    assert await deletion_of(bob, held["id"]) is None
