"""The peer is asked for an attribute: consumption.md, sections 11.5 and 12.4."""

from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.documents import FORWARDING_DETAILS, DeletionStatus
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.consumption.requests.processors.errors import KeyUniquenessViolated
from enmeshed_connector.transport.objects import Document
from tests.support.consumption import Holder, holder, identity, relationship
from tests.support.network import Network, befriend
from tests.support.request_items import (
    CAROL,
    INVALID_DECISION,
    INVALID_ITEM,
    MISMATCH,
    OTHER,
    PENDING,
    REQUEST,
    UNREADABLE,
    Side,
    code_of,
    exchange,
    identity_query,
    iql_query,
    item_of,
    relationship_query,
    third_party_query,
)

GIVEN = identity("", "Bob")


def read(query: Any, *, must: bool = True) -> dict[str, Any]:
    return item_of("ReadAttribute", must=must, query=query)


def new(content: Any, **more: Any) -> dict[str, Any]:
    return {"accept": True, "newAttribute": content, **more}


def existing(attribute: Document, **more: Any) -> dict[str, Any]:
    return {"accept": True, "existingAttributeId": attribute["id"], **more}


@pytest.fixture
async def carol(network: Network, bob_account: Holder) -> Holder:
    """An account that Bob has a relationship with."""
    carol = await holder(network, "carol")
    await befriend(carol.transport, bob_account.transport)
    return carol


async def set_forwarding(side: Side, attribute: Document, status: DeletionStatus) -> None:
    forwarding = side.holder.attributes.forwarding
    await side.holder.run(
        lambda work: forwarding.set_deletion(attribute["id"], side.peer or "", status, work.now, work)
    )


# --- What can be asked.


@pytest.mark.parametrize(("owner", "code"), [("", ""), ("alice", ""), ("bob", INVALID_ITEM), ("carol", INVALID_ITEM)])
async def test_what_is_asked_of_the_relationship_belongs_to_its_sides(
    alice: Side, bob: Side, owner: str, code: str
) -> None:
    address = {"": "", "alice": bob.peer, "bob": alice.peer, "carol": CAROL}[owner]
    assert code_of(await alice.can_create(read(relationship_query(address or "")))) == code


async def test_queries_that_make_no_sense_are_not_asked(alice: Side) -> None:
    assert code_of(await alice.can_create(read(third_party_query(alice.holder.address)))) == INVALID_ITEM
    assert code_of(await alice.can_create(read(third_party_query(alice.peer or "")))) == INVALID_ITEM
    assert code_of(await alice.can_create(read(third_party_query(CAROL)))) == ""
    assert code_of(await alice.can_create(read(iql_query("(Name")))) == INVALID_ITEM
    assert code_of(await alice.can_create(read(identity_query(tags=["unknown"])))) == INVALID_ITEM
    assert code_of(await alice.can_create(read(identity_query(tags=["bkb:call"])))) == ""
    assert code_of(await alice.can_create(read(iql_query(valueType="Surname", tags=["bkb:call"])))) == INVALID_ITEM


async def test_a_key_that_is_taken_is_not_asked_for_again(alice: Side) -> None:
    await alice.holder.of_peer_relationship(alice.peer or "")
    assert code_of(await alice.can_create(read(relationship_query("")))) == INVALID_ITEM
    assert code_of(await alice.can_create(read(relationship_query(alice.holder.address)))) == ""
    assert code_of(await alice.facing(None).can_create(read(relationship_query("")))) == ""


# --- What a decision must look like.


@pytest.mark.parametrize(
    "decision",
    [
        {"accept": True},
        {"accept": True, "existingAttributeId": "ATT00000000000000001", "newAttribute": GIVEN},
        {"accept": True, "existingAttributeId": 5},
        {"accept": True, "existingAttributeId": "ATT00000000000000001", "tags": ["x:a", "x:a"]},
        {"accept": True, "existingAttributeId": "ATT00000000000000001", "tags": "x:a"},
        {"accept": True, "existingAttributeId": "ATT00000000000000001", "tags": ["x:" + "a" * 249]},
        {"accept": True, "existingAttributeId": "ATT00000000000000001", "tags": [f"x:{n}" for n in range(21)]},
        {"accept": True, "newAttribute": GIVEN, "tags": ["x:a"]},
        {"accept": True, "newAttribute": "Bob"},
        {"accept": True, "newAttribute": {"@type": "IdentityAttribute"}},
        {"accept": True, "newAttribute": {**GIVEN, "value": {"@type": "GivenName"}}},
        {"accept": True, "newAttribute": {**GIVEN, "value": {"@type": "GivenName", "value": "a" * 101}}},
    ],
)
async def test_a_decision_that_breaks_a_rule_cannot_be_read(bob: Side, decision: Any) -> None:
    assert code_of(await bob.can_accept(read(identity_query()), decision)) == UNREADABLE


# --- New attributes.


async def test_a_new_identity_attribute_is_held_by_both(alice: Side, bob: Side) -> None:
    answer = await exchange(alice, bob, read(identity_query()), new(GIVEN))
    (own,), (of_peer,) = await bob.holder.all(), await alice.holder.all()
    assert answer == {
        "@type": "ReadAttributeAcceptResponseItem",
        "attribute": identity(bob.holder.address, "Bob"),
        "attributeId": own["id"],
        "result": "Accepted",
    }
    assert (of_peer["@type"], of_peer["id"], of_peer["content"]) == (
        "PeerIdentityAttribute",
        own["id"],
        own["content"],
    )
    assert of_peer["sourceReference"] == REQUEST
    assert (await bob.holder.all(FORWARDING_DETAILS))[0]["peer"] == bob.peer


@pytest.mark.parametrize("of_asking_side", [True, False])
async def test_a_new_attribute_of_the_relationship_belongs_to_whom_the_query_says(
    alice: Side, bob: Side, of_asking_side: bool
) -> None:
    query = relationship_query(alice.holder.address if of_asking_side else "")
    content = relationship(alice.holder.address if of_asking_side else "")
    await exchange(alice, bob, read(query), new(content))
    (at_alice,), (at_bob,) = await alice.holder.all(), await bob.holder.all()
    kinds = ("OwnRelationshipAttribute", "PeerRelationshipAttribute")
    assert (at_alice["@type"], at_bob["@type"]) == (kinds if of_asking_side else kinds[::-1])
    assert (at_alice["id"], at_alice["content"]) == (at_bob["id"], at_bob["content"])


@pytest.mark.parametrize(
    ("query", "content", "code"),
    [
        (identity_query(), identity("", "Bob", value_type="Surname"), MISMATCH),
        (identity_query(), identity(CAROL, "Bob"), MISMATCH),
        (identity_query(), relationship(""), MISMATCH),
        (identity_query(tags=["x:a"]), GIVEN, MISMATCH),
        (identity_query(), identity("", "Ада"), INVALID_DECISION),
        (identity_query(), identity("", "Bob", ["unknown"]), INVALID_DECISION),
        (identity_query(), identity("", "Bob", ["bkb:call"]), ""),
        (iql_query(), GIVEN, ""),
        (relationship_query(), GIVEN, MISMATCH),
        (relationship_query(), relationship(CAROL), MISMATCH),
        (relationship_query(), relationship("", "other"), MISMATCH),
        (relationship_query(confidentiality="private"), relationship("", confidentiality="private"), ""),
        (third_party_query(CAROL), relationship(""), INVALID_DECISION),
    ],
)
async def test_a_new_attribute_is_what_was_asked_for(bob: Side, query: Any, content: Any, code: str) -> None:
    assert code_of(await bob.can_accept(read(query), new(content))) == code


async def test_a_key_that_is_taken_is_not_given_again(bob: Side) -> None:
    await bob.holder.own_of_relationship(bob.peer or "")
    decision = new(relationship(""))
    assert code_of(await bob.can_accept(read(relationship_query(), must=False), decision)) == INVALID_DECISION
    with pytest.raises(KeyUniquenessViolated):
        await bob.can_accept(read(relationship_query()), decision)


async def test_more_tags_than_an_attribute_may_bear_cannot_be_added(bob: Side) -> None:
    own = await bob.holder.own("Bob", [f"x:{number}" for number in range(15)])
    tags = [f"x:{number}" for number in range(10, 21)]
    item = read(identity_query())
    assert code_of(await bob.can_accept(item, new(identity("", "Bob", tags)))) == INVALID_DECISION
    assert code_of(await bob.can_accept(item, existing(own, tags=tags))) == INVALID_DECISION


# --- Existing attributes.


@pytest.mark.parametrize("query", [identity_query(), iql_query()])
async def test_an_existing_attribute_is_given(alice: Side, bob: Side, query: Any) -> None:
    own = await bob.holder.own("Bob")
    answer = await exchange(alice, bob, read(query), existing(own))
    assert (answer["@type"], answer["attributeId"]) == ("ReadAttributeAcceptResponseItem", own["id"])
    assert answer["attribute"] == own["content"]
    again = await exchange(alice, bob, read(query), existing(own))
    assert again == {
        "@type": "AttributeAlreadySharedAcceptResponseItem",
        "attributeId": own["id"],
        "result": "Accepted",
    }
    assert len(await alice.holder.all()) == 1


async def test_a_version_after_the_one_that_the_peer_has_succeeds_it(alice: Side, bob: Side) -> None:
    own = await bob.holder.own("Bob")
    await exchange(alice, bob, read(identity_query()), existing(own))
    successor = await bob.holder.succeed(own, "Robert")
    answer = await exchange(alice, bob, read(identity_query()), existing(successor))
    assert answer == {
        "@type": "AttributeSuccessionAcceptResponseItem",
        "predecessorId": own["id"],
        "result": "Accepted",
        "successorContent": successor["content"],
        "successorId": successor["id"],
    }
    assert (await alice.holder.get(own["id"]) or {})["succeededBy"] == successor["id"]
    assert await alice.holder.event_names() == ["attributeCreated", "attributeSucceeded"]


async def test_a_version_before_the_one_that_the_peer_has_is_not_given(bob: Side) -> None:
    own = await bob.holder.own("Bob")
    successor = await bob.holder.succeed(own, "Robert")
    assert code_of(await bob.can_accept(read(identity_query()), existing(own))) == ""
    await bob.holder.forward(successor, bob.peer or "")
    assert code_of(await bob.can_accept(read(identity_query()), existing(own))) == MISMATCH
    await set_forwarding(bob, successor, DeletionStatus.TO_BE_DELETED_BY_RECIPIENT)
    answer = await bob.accept(read(identity_query()), existing(own))
    # A version that the peer will delete cannot be succeeded by an older one.
    assert (answer["@type"], answer["attributeId"]) == ("ReadAttributeAcceptResponseItem", own["id"])


async def test_tags_make_a_new_version(alice: Side, bob: Side) -> None:
    own = await bob.holder.own("Bob", ["x:a"])
    item = read(identity_query(tags=["x:b"]))
    assert code_of(await bob.can_accept(item, existing(own))) == MISMATCH
    answer = await exchange(alice, bob, item, existing(own, tags=["x:b"]))
    assert answer["@type"] == "ReadAttributeAcceptResponseItem"
    assert answer["attribute"]["tags"] == ["x:a", "x:b"]
    assert (await bob.holder.get(own["id"]) or {})["succeededBy"] == answer["attributeId"]


async def test_tags_that_are_there_make_no_new_version(bob: Side) -> None:
    own = await bob.holder.own("Bob", ["x:a"])
    answer = await bob.accept(read(identity_query()), existing(own, tags=["x:a"]))
    assert answer["attributeId"] == own["id"]


async def test_tags_are_looked_at(bob: Side) -> None:
    own = await bob.holder.own("Bob")
    item = read(identity_query())
    assert code_of(await bob.can_accept(item, existing(own, tags=["unknown"]))) == INVALID_DECISION
    await bob.holder.succeed(own, "Robert")
    assert code_of(await bob.can_accept(item, existing(own, tags=["x:a"]))) == INVALID_DECISION
    assert code_of(await bob.can_accept(item, existing(own))) == ""


async def test_characters_that_came_from_another_device_are_not_given(bob: Side) -> None:
    own = await bob.holder.own("Bob")
    changed = {**own, "content": identity(bob.holder.address, "Ада")}
    await bob.holder.run(lambda work: work.save("Attributes", changed))
    assert code_of(await bob.can_accept(read(identity_query()), existing(own))) == INVALID_DECISION


async def test_what_is_unknown_cannot_be_given(bob: Side) -> None:
    result = await bob.can_accept(read(identity_query()), existing({"id": "ATT00000000000000404"}))
    assert result.code == "error.transport.recordNotFound"


async def test_what_came_from_others_cannot_be_given(bob: Side) -> None:
    peer = bob.peer or ""
    for attribute in (await bob.holder.of_peer(peer), await bob.holder.of_third_party(peer, CAROL)):
        for query in (identity_query(), third_party_query("")):
            assert code_of(await bob.can_accept(read(query), existing(attribute))) == INVALID_DECISION


async def test_what_is_asked_of_the_relationship_is_always_new(bob: Side) -> None:
    own = await bob.holder.own_of_relationship(CAROL)
    assert code_of(await bob.can_accept(read(relationship_query()), existing(own))) == INVALID_DECISION


async def test_a_promise_to_delete_it_is_forgotten_by_both(alice: Side, bob: Side) -> None:
    own = await bob.holder.own("Bob")
    await exchange(alice, bob, read(identity_query()), existing(own))
    (copy,) = await alice.holder.all()
    await set_forwarding(bob, own, DeletionStatus.TO_BE_DELETED_BY_RECIPIENT)
    await alice.holder.run(lambda work: set_deletion_of_attribute(copy, DeletionStatus.TO_BE_DELETED, work.now, work))
    answer = await exchange(alice, bob, read(identity_query()), existing(own))
    assert answer["@type"] == "AttributeAlreadySharedAcceptResponseItem"
    assert "deletionInfo" not in (await alice.holder.all())[0]
    assert "deletionInfo" not in (await bob.holder.all(FORWARDING_DETAILS))[0]


# --- Attributes of relationships with third parties.


@pytest.mark.parametrize("of_carol", [True, False])
@pytest.mark.parametrize("names_carol", [True, False])
async def test_an_attribute_of_another_relationship_is_given(
    alice: Side, bob: Side, carol: Holder, of_carol: bool, names_carol: bool
) -> None:
    make = bob.holder.of_peer_relationship if of_carol else bob.holder.own_of_relationship
    attribute = await make(carol.address)
    item = read(third_party_query(carol.address if names_carol else ""))
    answer = await exchange(alice, bob, item, existing(attribute))
    assert answer == {
        "@type": "ReadAttributeAcceptResponseItem",
        "attribute": attribute["content"],
        "attributeId": attribute["id"],
        "initialAttributePeer": carol.address,
        "result": "Accepted",
        # Releases up to 7.0.0 read this name.
        "thirdPartyAddress": carol.address,
    }
    (stored,) = await alice.holder.all()
    assert (stored["@type"], stored["id"], stored["peer"], stored["initialAttributePeer"]) == (
        "ThirdPartyRelationshipAttribute",
        attribute["id"],
        alice.peer,
        carol.address,
    )
    again = await exchange(alice, bob, item, existing(attribute))
    assert again["@type"] == "AttributeAlreadySharedAcceptResponseItem"


async def test_a_new_version_of_an_attribute_of_another_relationship_succeeds_it(
    alice: Side, bob: Side, carol: Holder
) -> None:
    attribute = await bob.holder.own_of_relationship(carol.address)
    item = read(third_party_query(carol.address))
    await exchange(alice, bob, item, existing(attribute))
    attributes = bob.holder.attributes
    changed = await attributes.checks.successor_content(
        relationship(bob.holder.address, value="changed"), checks_tags=False
    )
    made = await bob.holder.run(
        lambda work: attributes.successions.succeed_own_relationship(
            attribute["id"], changed, "NOT00000000000000001", work
        )
    )
    answer = await exchange(alice, bob, item, existing(made.successor))
    assert answer["@type"] == "AttributeSuccessionAcceptResponseItem"
    stored = await alice.holder.get(made.successor["id"]) or {}
    assert (stored["@type"], stored["succeeds"], stored["initialAttributePeer"]) == (
        "ThirdPartyRelationshipAttribute",
        attribute["id"],
        carol.address,
    )


async def test_only_relationships_that_are_asked_for_are_told_of(bob: Side, carol: Holder) -> None:
    attribute = await bob.holder.own_of_relationship(carol.address)
    assert code_of(await bob.can_accept(read(third_party_query(OTHER)), existing(attribute))) == MISMATCH
    of_carol = await bob.holder.of_peer_relationship(carol.address)
    assert code_of(await bob.can_accept(read(third_party_query(OTHER)), existing(of_carol))) == MISMATCH


async def test_only_established_relationships_are_told_of(bob: Side) -> None:
    attribute = await bob.holder.own_of_relationship(CAROL)
    assert code_of(await bob.can_accept(read(third_party_query(CAROL)), existing(attribute))) == PENDING


async def test_what_is_private_or_tagged_is_not_given_to_third_parties(bob: Side, carol: Holder) -> None:
    attribute = await bob.holder.own_of_relationship(carol.address)
    query = third_party_query(carol.address)
    assert code_of(await bob.can_accept(read(query), existing(attribute, tags=["x:a"]))) == INVALID_DECISION
    private = await bob.holder.own_of_relationship(carol.address, "secret", confidentiality="private")
    query = third_party_query(carol.address, key="secret")
    assert code_of(await bob.can_accept(read(query), existing(private))) == MISMATCH
    own = await bob.holder.own()
    assert code_of(await bob.can_accept(read(query), existing(own))) == MISMATCH
