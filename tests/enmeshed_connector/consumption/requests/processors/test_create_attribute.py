"""An attribute is brought to the peer: consumption.md, sections 11.4 and 12.2."""

from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.documents import FORWARDING_DETAILS, DeletionStatus
from enmeshed_connector.consumption.attributes.errors import ForbiddenCharacters
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.consumption.requests.processors.errors import KeyUniquenessViolated
from tests.support.consumption import identity, relationship
from tests.support.request_items import (
    CAROL,
    INVALID_DECISION,
    INVALID_ITEM,
    REQUEST,
    Side,
    code_of,
    exchange,
    item_of,
)

FORBIDDEN = {"@type": "GivenName", "value": "Ада"}


def create(content: Any, *, must: bool = True) -> dict[str, Any]:
    return item_of("CreateAttribute", must=must, attribute=content)


@pytest.mark.parametrize(
    ("make", "owner", "knows_peer", "is_right"),
    [
        (identity, "", True, True),
        (identity, "bob", True, True),
        (identity, "alice", True, False),
        (identity, "carol", True, False),
        (identity, "", False, True),
        (identity, "bob", False, False),
        (identity, "alice", False, False),
        (relationship, "", True, True),
        (relationship, "bob", True, True),
        (relationship, "alice", True, True),
        (relationship, "carol", True, False),
        (relationship, "", False, True),
        (relationship, "alice", False, True),
        (relationship, "bob", False, False),
    ],
)
async def test_the_owner_takes_part(
    alice: Side, bob: Side, make: Any, owner: str, knows_peer: bool, is_right: bool
) -> None:
    address = {"": "", "alice": bob.peer, "bob": alice.peer, "carol": CAROL}[owner]
    asking = alice if knows_peer else alice.facing(None)
    assert code_of(await asking.can_create(create(make(address)))) == ("" if is_right else INVALID_ITEM)


async def test_what_cannot_be_an_attribute_is_not_asked(alice: Side) -> None:
    assert code_of(await alice.can_create(create(identity("", "Ада")))) == INVALID_ITEM
    assert code_of(await alice.can_create(create(identity("", tags=["unknown"])))) == INVALID_ITEM
    assert code_of(await alice.can_create(create(identity("", tags=["bkb:call", "x:a"])))) == ""


async def test_a_key_that_is_taken_is_not_asked_for_again(alice: Side) -> None:
    peer = alice.peer or ""
    await alice.holder.of_peer_relationship(peer)
    for owner in ("", peer):
        assert code_of(await alice.can_create(create(relationship(owner)))) == INVALID_ITEM
    assert code_of(await alice.can_create(create(relationship(alice.holder.address)))) == ""
    assert code_of(await alice.can_create(create(relationship("", "other")))) == ""
    assert code_of(await alice.facing(None).can_create(create(relationship("")))) == ""
    assert code_of(await alice.facing(CAROL).can_create(create(relationship("")))) == ""


async def test_a_new_identity_attribute_is_held_by_both(alice: Side, bob: Side) -> None:
    answer = await exchange(alice, bob, create(identity("", " Bob ")))
    (own,), (of_peer,) = await bob.holder.all(), await alice.holder.all()
    assert answer == {
        "@type": "CreateAttributeAcceptResponseItem",
        "attributeId": own["id"],
        "result": "Accepted",
    }
    assert own["@type"] == "OwnIdentityAttribute"
    assert own["content"] == identity(bob.holder.address, "Bob")
    assert (of_peer["@type"], of_peer["id"], of_peer["peer"]) == ("PeerIdentityAttribute", own["id"], alice.peer)
    assert of_peer["sourceReference"] == REQUEST
    assert of_peer["content"] == own["content"]
    (details,) = await bob.holder.all(FORWARDING_DETAILS)
    assert (details["attributeId"], details["peer"], details["sourceReference"]) == (own["id"], bob.peer, REQUEST)
    assert await bob.holder.event_names() == ["attributeCreated", "attributeForwardingDetailsChanged"]
    assert await alice.holder.event_names() == ["attributeCreated"]


@pytest.mark.parametrize("owner", ["", "alice", "bob"])
async def test_an_attribute_of_the_relationship_belongs_to_either_side(alice: Side, bob: Side, owner: str) -> None:
    address = {"": "", "alice": alice.holder.address, "bob": bob.holder.address}[owner]
    await exchange(alice, bob, create(relationship(address)))
    (at_alice,), (at_bob,) = await alice.holder.all(), await bob.holder.all()
    kinds = ("OwnRelationshipAttribute", "PeerRelationshipAttribute")
    assert (at_alice["@type"], at_bob["@type"]) == (kinds if owner == "alice" else kinds[::-1])
    assert at_alice["id"] == at_bob["id"]
    assert at_alice["content"] == at_bob["content"] == relationship(address or bob.holder.address)
    assert (at_alice["peer"], at_bob["peer"]) == (alice.peer, bob.peer)
    assert at_alice["sourceReference"] == at_bob["sourceReference"] == REQUEST
    assert await bob.holder.all(FORWARDING_DETAILS) == []


async def test_a_value_that_exists_is_given_and_not_made_again(alice: Side, bob: Side) -> None:
    own = await bob.holder.own("Bob", ["x:a"])
    answer = await exchange(alice, bob, create(identity("", "Bob", ["x:a"])))
    assert (answer["@type"], answer["attributeId"]) == ("CreateAttributeAcceptResponseItem", own["id"])
    assert len(await bob.holder.all()) == 1


async def test_a_value_that_the_peer_has_is_named(alice: Side, bob: Side) -> None:
    first = await exchange(alice, bob, create(identity("", "Bob")))
    again = await exchange(alice, bob, create(identity("", "Bob")))
    assert again == {
        "@type": "AttributeAlreadySharedAcceptResponseItem",
        "attributeId": first["attributeId"],
        "result": "Accepted",
    }
    assert len(await alice.holder.all()) == 1


async def test_a_value_that_the_peer_was_to_delete_stays_with_both(alice: Side, bob: Side) -> None:
    first = await exchange(alice, bob, create(identity("", "Bob")))
    (copy,) = await alice.holder.all()
    date = "2099-01-01T00:00:00.000Z"

    async def promise(work: Any) -> None:
        await set_deletion_of_attribute(copy, DeletionStatus.TO_BE_DELETED, date, work)

    async def promised(work: Any) -> None:
        status = DeletionStatus.TO_BE_DELETED_BY_RECIPIENT
        await bob.holder.attributes.forwarding.set_deletion(first["attributeId"], bob.peer or "", status, date, work)

    await alice.holder.run(promise)
    await bob.holder.run(promised)
    await exchange(alice, bob, create(identity("", "Bob")))
    assert "deletionInfo" not in (await alice.holder.all())[0]
    assert "deletionInfo" not in (await bob.holder.all(FORWARDING_DETAILS))[0]


async def test_tags_that_are_lacking_make_a_new_version(alice: Side, bob: Side) -> None:
    await exchange(alice, bob, create(identity("", "Bob", ["x:a"])))
    answer = await exchange(alice, bob, create(identity("", "Bob", ["x:b", "x:a"])))
    (predecessor, successor) = sorted(await bob.holder.all(), key=lambda one: "succeeds" in one)
    assert answer == {
        "@type": "AttributeSuccessionAcceptResponseItem",
        "predecessorId": predecessor["id"],
        "result": "Accepted",
        "successorContent": identity(bob.holder.address, "Bob", ["x:a", "x:b"]),
        "successorId": successor["id"],
    }
    at_alice = {one["id"]: one for one in await alice.holder.all()}
    assert at_alice[successor["id"]]["succeeds"] == predecessor["id"]
    assert at_alice[successor["id"]]["content"] == answer["successorContent"]
    assert "attributeSucceeded" in await alice.holder.event_names()


async def test_more_tags_than_an_attribute_may_bear_cannot_be_added(alice: Side, bob: Side) -> None:
    await bob.holder.own("Bob", [f"x:{number}" for number in range(15)])
    item = create(identity("", "Bob", [f"x:{number}" for number in range(10, 21)]))
    assert code_of(await alice.can_create(item)) == ""
    assert code_of(await bob.can_accept(item)) == INVALID_ITEM


async def test_an_older_version_at_the_peer_is_succeeded(alice: Side, bob: Side) -> None:
    first = await exchange(alice, bob, create(identity("", "Bob")))
    own = await bob.holder.get(first["attributeId"])
    assert own is not None
    successor = await bob.holder.succeed(own, "Robert")
    answer = await exchange(alice, bob, create(identity("", "Robert")))
    assert (answer["@type"], answer["predecessorId"], answer["successorId"]) == (
        "AttributeSuccessionAcceptResponseItem",
        own["id"],
        successor["id"],
    )


async def test_a_version_that_the_peer_deleted_does_not_count(alice: Side, bob: Side) -> None:
    first = await exchange(alice, bob, create(identity("", "Bob")))

    async def deleted(work: Any) -> None:
        status = DeletionStatus.DELETED_BY_RECIPIENT
        forwarding = bob.holder.attributes.forwarding
        await forwarding.set_deletion(first["attributeId"], bob.peer or "", status, work.now, work)

    await bob.holder.run(deleted)
    answer = await bob.accept(create(identity("", "Bob")))
    assert answer == first


async def test_forbidden_characters_make_it_unacceptable(bob: Side) -> None:
    with pytest.raises(ForbiddenCharacters) as caught:
        await bob.can_accept(create({**identity(""), "value": FORBIDDEN}))
    assert caught.value.official_code == "error.consumption.attributes.forbiddenCharactersInAttribute"


async def test_tags_are_looked_at_by_who_accepts(bob: Side) -> None:
    assert code_of(await bob.can_accept(create(identity("", tags=["unknown"])))) == INVALID_ITEM


async def test_a_key_that_is_taken_is_not_accepted(bob: Side) -> None:
    await bob.holder.own_of_relationship(bob.peer or "")
    assert code_of(await bob.can_accept(create(relationship(""), must=False))) == INVALID_DECISION
    with pytest.raises(KeyUniquenessViolated):
        await bob.can_accept(create(relationship(bob.holder.address)))
    assert code_of(await bob.can_accept(create(relationship(bob.peer or "")))) == ""


@pytest.mark.parametrize("make", [identity, relationship])
async def test_attributes_of_others_are_not_accepted(bob: Side, make: Any) -> None:
    assert code_of(await bob.can_accept(create(make(CAROL)))) == INVALID_ITEM
    if make is identity:
        assert code_of(await bob.can_accept(create(make(bob.peer or "")))) == INVALID_ITEM


async def test_a_rejection_tells_why(alice: Side, bob: Side) -> None:
    item = create(identity(""))
    answer = await bob.reject(item, code="no", message="Not mine.")
    assert answer == {"@type": "RejectResponseItem", "code": "no", "message": "Not mine.", "result": "Rejected"}
    await alice.apply(answer, item)
    assert await alice.holder.all() == await bob.holder.all() == []
