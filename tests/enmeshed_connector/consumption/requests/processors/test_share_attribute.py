"""The peer is given an attribute that exists: consumption.md, section 12.6."""

from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.documents import FORWARDING_DETAILS, DeletionStatus
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.transport.objects import Document
from tests.support.consumption import Holder, holder, identity, relationship
from tests.support.network import Network, befriend
from tests.support.request_items import CAROL, INVALID_ITEM, OTHER, PENDING, REQUEST, Side, code_of, exchange, item_of

SOON = "2099-01-01T00:00:00.000Z"


def share(attribute: Document, initial_peer: str | None = None, **more: Any) -> dict[str, Any]:
    item = item_of("ShareAttribute", attribute=attribute["content"], attributeId=attribute["id"], **more)
    return item if initial_peer is None else {**item, "initialAttributePeer": initial_peer}


@pytest.fixture
async def carol(network: Network, alice_account: Holder) -> Holder:
    """An account that Alice has a relationship with."""
    carol = await holder(network, "carol")
    await befriend(carol.transport, alice_account.transport)
    return carol


async def set_forwarding(side: Side, attribute: Document, status: DeletionStatus) -> None:
    forwarding = side.holder.attributes.forwarding
    await side.holder.run(lambda work: forwarding.set_deletion(attribute["id"], side.peer or "", status, SOON, work))


# --- What can be shared.


async def test_only_what_is_stored_so_can_be_shared(alice: Side) -> None:
    own = await alice.holder.own()
    assert code_of(await alice.can_create(share(own))) == ""
    assert code_of(await alice.facing(None).can_create(share(own))) == ""
    assert code_of(await alice.can_create(share({**own, "id": "ATT00000000000000404"}))) == INVALID_ITEM
    assert code_of(await alice.can_create(share({**own, "content": identity(own["content"]["owner"], "Eve")}))) == (
        INVALID_ITEM
    )
    assert code_of(await alice.can_create(share(own, CAROL))) == INVALID_ITEM


async def test_what_came_from_others_cannot_be_shared(alice: Side) -> None:
    for attribute in (await alice.holder.of_peer(CAROL), await alice.holder.of_third_party(CAROL, OTHER)):
        assert code_of(await alice.can_create(share(attribute))) == INVALID_ITEM


async def test_tags_that_have_become_wrong_cannot_be_shared(alice: Side) -> None:
    own = await alice.holder.own()
    content = {**own["content"], "tags": ["unknown"]}

    async def change(work: Any) -> None:
        await work.save("Attributes", {**own, "content": content})

    await alice.holder.run(change)
    assert code_of(await alice.can_create(share({**own, "content": content}))) == INVALID_ITEM


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (None, INVALID_ITEM),
        (DeletionStatus.REQUEST_SENT, INVALID_ITEM),
        (DeletionStatus.REQUEST_REJECTED, INVALID_ITEM),
        (DeletionStatus.TO_BE_DELETED_BY_RECIPIENT, ""),
        (DeletionStatus.DELETED_BY_RECIPIENT, ""),
    ],
)
async def test_what_the_peer_has_is_not_shared_again(alice: Side, status: DeletionStatus | None, code: str) -> None:
    own = await alice.holder.own()
    await alice.holder.forward(own, alice.peer or "")
    if status is not None:
        await set_forwarding(alice, own, status)
    assert code_of(await alice.can_create(share(own))) == code
    assert code_of(await alice.facing(None).can_create(share(own))) == ""
    assert code_of(await alice.facing(CAROL).can_create(share(own))) == ""


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (None, INVALID_ITEM),
        (DeletionStatus.TO_BE_DELETED_BY_RECIPIENT, INVALID_ITEM),
        (DeletionStatus.DELETED_BY_RECIPIENT, ""),
    ],
)
@pytest.mark.parametrize("is_newer", [True, False])
async def test_what_the_peer_has_another_version_of_is_succeeded_instead(
    alice: Side, status: DeletionStatus | None, code: str, is_newer: bool
) -> None:
    first = await alice.holder.own()
    second = await alice.holder.succeed(first, "Augusta")
    has, shared = (second, first) if is_newer else (first, second)
    await alice.holder.forward(has, alice.peer or "")
    if status is not None:
        await set_forwarding(alice, has, status)
    assert code_of(await alice.can_create(share(shared))) == code


async def test_an_attribute_of_a_relationship_is_for_third_parties(alice: Side, carol: Holder) -> None:
    own = await alice.holder.own_of_relationship(carol.address)
    of_carol = await alice.holder.of_peer_relationship(carol.address)
    for attribute in (own, of_carol):
        assert code_of(await alice.can_create(share(attribute, carol.address))) == ""
        assert code_of(await alice.facing(None).can_create(share(attribute, carol.address))) == ""
        assert code_of(await alice.facing(carol.address).can_create(share(attribute, carol.address))) == INVALID_ITEM
        assert code_of(await alice.can_create(share(attribute))) == INVALID_ITEM
        assert code_of(await alice.can_create(share(attribute, OTHER))) == INVALID_ITEM
        old = {**share(attribute), "thirdPartyAddress": carol.address}
        assert code_of(await alice.can_create(old)) == ""


async def test_what_is_private_stays_in_its_relationship(alice: Side, carol: Holder) -> None:
    own = await alice.holder.own_of_relationship(carol.address, confidentiality="private")
    assert code_of(await alice.can_create(share(own, carol.address))) == INVALID_ITEM
    protected = await alice.holder.own_of_relationship(carol.address, "other", confidentiality="protected")
    assert code_of(await alice.can_create(share(protected, carol.address))) == ""


async def test_the_relationship_is_established(alice: Side) -> None:
    own = await alice.holder.own_of_relationship(CAROL)
    assert code_of(await alice.can_create(share(own, CAROL))) == PENDING


# --- What can be accepted.


async def test_both_have_it_under_one_id(alice: Side, bob: Side) -> None:
    own = await alice.holder.own("Ada", ["x:a"])
    assert await exchange(alice, bob, share(own)) == {"@type": "AcceptResponseItem", "result": "Accepted"}
    (copy,) = await bob.holder.all()
    assert (copy["@type"], copy["id"], copy["peer"], copy["sourceReference"], copy["content"]) == (
        "PeerIdentityAttribute",
        own["id"],
        bob.peer,
        REQUEST,
        own["content"],
    )
    (details,) = await alice.holder.all(FORWARDING_DETAILS)
    assert (details["attributeId"], details["peer"], details["sourceReference"]) == (own["id"], alice.peer, REQUEST)


@pytest.mark.parametrize("of_carol", [True, False])
@pytest.mark.parametrize("name", ["initialAttributePeer", "thirdPartyAddress"])
async def test_a_third_party_knows_where_it_comes_from(
    alice: Side, bob: Side, carol: Holder, of_carol: bool, name: str
) -> None:
    make = alice.holder.of_peer_relationship if of_carol else alice.holder.own_of_relationship
    attribute = await make(carol.address)
    item = {**share(attribute), name: carol.address}
    assert (await exchange(alice, bob, item))["@type"] == "AcceptResponseItem"
    (copy,) = await bob.holder.all()
    assert (copy["@type"], copy["id"], copy["peer"], copy["initialAttributePeer"]) == (
        "ThirdPartyRelationshipAttribute",
        attribute["id"],
        bob.peer,
        carol.address,
    )


async def test_a_value_that_is_known_is_named_and_stays(alice: Side, bob: Side) -> None:
    own = await alice.holder.own()
    await exchange(alice, bob, share(own))
    (copy,) = await bob.holder.all()
    await bob.holder.run(lambda work: set_deletion_of_attribute(copy, DeletionStatus.TO_BE_DELETED, SOON, work))
    await set_forwarding(alice, own, DeletionStatus.TO_BE_DELETED_BY_RECIPIENT)
    answer = await exchange(alice, bob, share(own))
    assert answer == {
        "@type": "AttributeAlreadySharedAcceptResponseItem",
        "attributeId": own["id"],
        "result": "Accepted",
    }
    assert "deletionInfo" not in (await bob.holder.all())[0]
    assert [one.get("deletionInfo") for one in await alice.holder.all(FORWARDING_DETAILS)] == [None]


async def test_the_owner_learns_of_copies_that_it_forgot(alice: Side, bob: Side) -> None:
    own = await alice.holder.own()
    item = share(own)
    await bob.accept(item)
    # The first answer was lost here.
    answer = await exchange(alice, bob, item)
    assert answer["@type"] == "AttributeAlreadySharedAcceptResponseItem"
    assert [one["peer"] for one in await alice.holder.all(FORWARDING_DETAILS)] == [alice.peer]
    await alice.apply({"@type": "AcceptResponseItem", "result": "Accepted"}, item)
    assert len(await alice.holder.all(FORWARDING_DETAILS)) == 1


async def test_the_same_attribute_of_a_third_party_is_known(alice: Side, bob: Side, carol: Holder) -> None:
    attribute = await alice.holder.own_of_relationship(carol.address)
    item = share(attribute, carol.address)
    await bob.accept(item)
    assert (await bob.accept(item))["@type"] == "AttributeAlreadySharedAcceptResponseItem"
    assert len(await bob.holder.all()) == 1


async def test_what_the_peer_had_deleted_comes_back(alice: Side, bob: Side) -> None:
    own = await alice.holder.own()
    await bob.accept(share(own))
    (copy,) = await bob.holder.all()
    await bob.holder.run(lambda work: set_deletion_of_attribute(copy, DeletionStatus.DELETED_BY_EMITTER, SOON, work))
    assert (await bob.accept(share(own)))["@type"] == "AttributeAlreadySharedAcceptResponseItem"
    assert "deletionInfo" not in (await bob.holder.all())[0]


NEW = "ATT0000000000000NEW1"


@pytest.mark.parametrize(
    ("content", "initial_peer", "attribute_id", "code"),
    [
        (identity("alice"), None, NEW, ""),
        (identity("alice", tags=["x:a"]), None, NEW, ""),
        (identity("alice", tags=["unknown"]), None, NEW, INVALID_ITEM),
        (identity("alice", "Ада"), None, NEW, INVALID_ITEM),
        (identity("alice"), CAROL, NEW, INVALID_ITEM),
        (identity("bob"), None, NEW, INVALID_ITEM),
        (identity("carol"), None, NEW, INVALID_ITEM),
        (identity(""), None, NEW, INVALID_ITEM),
        (relationship("alice"), CAROL, NEW, ""),
        (relationship("carol"), CAROL, NEW, ""),
        (relationship("alice"), None, NEW, INVALID_ITEM),
        (relationship("bob"), CAROL, NEW, INVALID_ITEM),
        (relationship("bob"), "bob", NEW, INVALID_ITEM),
        (relationship("alice"), "bob", NEW, INVALID_ITEM),
        (relationship("alice"), "alice", NEW, INVALID_ITEM),
        (relationship("carol"), OTHER, NEW, INVALID_ITEM),
        (relationship("alice"), "", NEW, INVALID_ITEM),
        (relationship(""), "", NEW, INVALID_ITEM),
        (relationship("Carol"), "Carol", NEW, INVALID_ITEM),
        (identity("alice"), None, "", INVALID_ITEM),
        (identity("alice"), None, "ATT1", INVALID_ITEM),
        (identity("alice"), None, "ATT\ud80000000000000000", INVALID_ITEM),
    ],
)
async def test_only_what_the_peer_can_give_is_accepted(
    bob: Side, content: Any, initial_peer: str | None, attribute_id: str, code: str
) -> None:
    addresses = {"alice": bob.peer, "bob": bob.holder.address, "carol": CAROL}
    content = {**content, "owner": addresses.get(content["owner"], content["owner"])}
    item = share({"id": attribute_id, "content": content}, addresses.get(initial_peer or "", initial_peer))
    assert code_of(await bob.can_accept(item)) == code
    if not code:
        assert (await bob.accept(item))["@type"] == "AcceptResponseItem"


async def test_an_id_that_is_taken_is_not_accepted(bob: Side) -> None:
    own = await bob.holder.own()
    item = share({"id": own["id"], "content": identity(bob.peer or "", "Ada")})
    assert code_of(await bob.can_accept(item)) == INVALID_ITEM
    of_carol = await bob.holder.of_peer(CAROL, "Carol")
    item = share({"id": of_carol["id"], "content": identity(bob.peer or "", "Carol")})
    assert code_of(await bob.can_accept(item)) == INVALID_ITEM


@pytest.mark.parametrize("kind", ["Reject", "Error"])
async def test_what_is_not_accepted_is_not_noted(alice: Side, kind: str) -> None:
    own = await alice.holder.own()
    result = "Rejected" if kind == "Reject" else "Error"
    await alice.apply({"@type": f"{kind}ResponseItem", "result": result, "code": "c", "message": "m"}, share(own))
    assert await alice.holder.all(FORWARDING_DETAILS) == []


async def test_what_was_deleted_meanwhile_is_passed_over(alice: Side) -> None:
    item = share({"id": "ATT00000000000000404", "content": identity(alice.holder.address)})
    await alice.apply({"@type": "AcceptResponseItem", "result": "Accepted"}, item)
    assert await alice.holder.all(FORWARDING_DETAILS) == []


async def test_an_old_peer_names_its_own_copy(alice: Side) -> None:
    own = await alice.holder.own()
    answer = {"@type": "ShareAttributeAcceptResponseItem", "attributeId": "ATT00000000000000OLD", "result": "Accepted"}
    await alice.apply(answer, share(own))
    assert [one["attributeId"] for one in await alice.holder.all(FORWARDING_DETAILS)] == [own["id"]]


async def test_an_old_peer_names_the_id_in_its_own_way(bob: Side) -> None:
    item = item_of("ShareAttribute", attribute=identity(bob.peer or ""), sourceAttributeId=NEW)
    assert (await bob.accept(item))["@type"] == "AcceptResponseItem"
    assert [one["id"] for one in await bob.holder.all()] == [NEW]
