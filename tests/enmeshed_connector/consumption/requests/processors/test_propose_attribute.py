"""The peer is asked for an attribute that is proposed: consumption.md, section 12.5."""

from typing import Any

import pytest

from enmeshed_connector.consumption.requests.processors.errors import KeyUniquenessViolated
from enmeshed_connector.transport.objects import Document
from tests.support.consumption import identity, relationship
from tests.support.request_items import (
    CAROL,
    INVALID_DECISION,
    INVALID_ITEM,
    MISMATCH,
    UNREADABLE,
    Side,
    code_of,
    exchange,
    identity_query,
    iql_query,
    item_of,
    relationship_query,
)


def propose(query: Any, content: Any, *, must: bool = True) -> dict[str, Any]:
    return item_of("ProposeAttribute", must=must, query=query, attribute=content)


NAME = propose(identity_query(), identity("", "Bob"))
KEY = propose(relationship_query(), relationship(""))


def new(content: Any, **more: Any) -> dict[str, Any]:
    return {"accept": True, "attribute": content, **more}


def existing(attribute: Document, **more: Any) -> dict[str, Any]:
    return {"accept": True, "attributeId": attribute["id"], **more}


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (NAME, ""),
        (KEY, ""),
        (propose(iql_query(), identity("", "Bob")), ""),
        (propose(identity_query(), identity(CAROL, "Bob")), INVALID_ITEM),
        (propose(relationship_query(CAROL), relationship("")), INVALID_ITEM),
        (propose(identity_query(), identity("", "Ада")), INVALID_ITEM),
        (propose(identity_query(), identity("", "Bob", ["unknown"])), INVALID_ITEM),
        (propose(identity_query(tags=["unknown"]), identity("", "Bob", ["x:a"])), INVALID_ITEM),
        (propose(identity_query(tags=["x:b"]), identity("", "Bob", ["x:a"])), INVALID_ITEM),
        (propose(identity_query(tags=["x:a"]), identity("", "Bob", ["x:a"])), ""),
        (propose(relationship_query(key="other"), relationship("")), INVALID_ITEM),
        (propose(iql_query("(Name"), identity("", "Bob")), INVALID_ITEM),
    ],
)
async def test_a_proposal_fits_its_query(alice: Side, item: Any, code: str) -> None:
    assert code_of(await alice.can_create(item)) == code
    assert code_of(await alice.facing(None).can_create(item)) == code


async def test_own_attributes_are_not_proposed(alice: Side) -> None:
    own = alice.holder.address
    assert code_of(await alice.can_create(propose(relationship_query(own), relationship("")))) == INVALID_ITEM
    assert code_of(await alice.can_create(propose(relationship_query(), relationship(own)))) == INVALID_ITEM


async def test_a_key_that_is_taken_is_not_proposed(alice: Side) -> None:
    await alice.holder.of_peer_relationship(alice.peer or "")
    assert code_of(await alice.can_create(KEY)) == INVALID_ITEM
    assert code_of(await alice.facing(None).can_create(KEY)) == ""


async def test_the_proposal_or_something_else_is_taken(alice: Side, bob: Side) -> None:
    answer = await exchange(alice, bob, NAME, new(identity("", "Robert")))
    (own,), (of_peer,) = await bob.holder.all(), await alice.holder.all()
    assert answer == {
        "@type": "ProposeAttributeAcceptResponseItem",
        "attribute": identity(bob.holder.address, "Robert"),
        "attributeId": own["id"],
        "result": "Accepted",
    }
    assert (of_peer["@type"], of_peer["id"]) == ("PeerIdentityAttribute", own["id"])


async def test_an_attribute_of_the_relationship_belongs_to_who_takes_it(alice: Side, bob: Side) -> None:
    await exchange(alice, bob, KEY, new(relationship("", value="other")))
    (own,), (of_peer,) = await bob.holder.all(), await alice.holder.all()
    assert (own["@type"], of_peer["@type"]) == ("OwnRelationshipAttribute", "PeerRelationshipAttribute")
    assert own["content"] == of_peer["content"] == relationship(bob.holder.address, value="other")
    assert own["id"] == of_peer["id"]


async def test_an_existing_attribute_is_given_and_then_named_and_succeeded(alice: Side, bob: Side) -> None:
    own = await bob.holder.own("Bob")
    first = await exchange(alice, bob, NAME, existing(own))
    assert (first["@type"], first["attributeId"]) == ("ProposeAttributeAcceptResponseItem", own["id"])
    again = await exchange(alice, bob, NAME, existing(own))
    assert again["@type"] == "AttributeAlreadySharedAcceptResponseItem"
    tagged = await exchange(alice, bob, NAME, existing(own, tags=["x:a"]))
    assert (tagged["@type"], tagged["predecessorId"]) == ("AttributeSuccessionAcceptResponseItem", own["id"])
    assert len(await alice.holder.all()) == 2
    assert code_of(await bob.can_accept(NAME, existing(own))) == MISMATCH


@pytest.mark.parametrize(
    ("item", "decision", "code"),
    [
        (NAME, {"accept": True}, UNREADABLE),
        (NAME, {**new(identity("")), "attributeId": "ATT00000000000000001"}, UNREADABLE),
        (NAME, new(identity(""), tags=["x:a"]), UNREADABLE),
        (NAME, new(identity("", "Ада")), INVALID_DECISION),
        (NAME, new(identity("", "Bob", ["unknown"])), INVALID_DECISION),
        (NAME, new(identity("", value_type="Surname")), MISMATCH),
        (NAME, new(identity(CAROL)), MISMATCH),
        (KEY, new(relationship(CAROL)), MISMATCH),
        (KEY, existing({"id": "ATT00000000000000001"}), INVALID_DECISION),
    ],
)
async def test_what_does_not_fit_is_not_accepted(bob: Side, item: Any, decision: Any, code: str) -> None:
    assert code_of(await bob.can_accept(item, decision)) == code


async def test_only_own_identity_attributes_exist_for_it(bob: Side) -> None:
    unknown = await bob.can_accept(NAME, existing({"id": "ATT00000000000000404"}))
    assert unknown.code == "error.transport.recordNotFound"
    for attribute in (
        await bob.holder.own_of_relationship(CAROL),
        await bob.holder.of_peer_relationship(CAROL),
        await bob.holder.of_peer(CAROL),
    ):
        assert code_of(await bob.can_accept(NAME, existing(attribute))) == INVALID_DECISION


async def test_a_key_that_is_taken_is_not_accepted(bob: Side) -> None:
    await bob.holder.own_of_relationship(bob.peer or "")
    assert code_of(await bob.can_accept({**KEY, "mustBeAccepted": False}, new(relationship("")))) == INVALID_DECISION
    with pytest.raises(KeyUniquenessViolated):
        await bob.can_accept(KEY, new(relationship("")))
