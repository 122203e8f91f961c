"""Answers that are given at once do not make two of what there can be one of: consumption.md, 11.3 and 11.4."""

import asyncio
from typing import Any

from enmeshed_connector.consumption.attributes.documents import FORWARDING_DETAILS
from tests.support.consumption import identity, relationship
from tests.support.network import befriend
from tests.support.request_items import Side, identity_query, item_of, third_party_query


def requests(side: Side, count: int = 4) -> list[Side]:
    """Returns the side within several requests."""
    return [Side(side.holder, side.peer, f"REQ000000000000000{number:02}") for number in range(count)]


async def test_a_value_is_made_once_and_given_once(bob: Side) -> None:
    item = item_of("CreateAttribute", attribute=identity("", "Bob"))
    answers = await asyncio.gather(*(side.accept(item) for side in requests(bob)))
    assert sorted(answer["@type"] for answer in answers) == [
        *["AttributeAlreadySharedAcceptResponseItem"] * 3,
        "CreateAttributeAcceptResponseItem",
    ]
    assert len(await bob.holder.all()) == len(await bob.holder.all(FORWARDING_DETAILS)) == 1


async def test_a_key_is_taken_once(bob: Side) -> None:
    item = item_of("CreateAttribute", must=False, attribute=relationship(""))
    answers = await asyncio.gather(*(side.accept(item) for side in requests(bob)), return_exceptions=True)
    assert sum(isinstance(answer, dict) for answer in answers) == 1
    assert len(await bob.holder.all()) == 1


async def test_an_attribute_is_shared_with_others_apart(alice: Side, bob: Side) -> None:
    own = await bob.holder.own("Bob")
    item = item_of("ReadAttribute", query=identity_query())
    decision: dict[str, Any] = {"accept": True, "existingAttributeId": own["id"]}
    await bob.accept(item, decision)
    other = await bob.facing(bob.holder.address[:-2] + "00").accept(item, decision)
    assert other["@type"] == "ReadAttributeAcceptResponseItem"
    assert len(await bob.holder.all(FORWARDING_DETAILS)) == 2


async def test_an_own_attribute_of_the_relationship_is_with_its_peer_already(alice: Side, bob: Side) -> None:
    await befriend(alice.holder.transport, bob.holder.transport)
    await bob.accept(item_of("CreateAttribute", attribute=relationship("")))
    (own,) = await bob.holder.all()
    answer = await bob.accept(
        item_of("ReadAttribute", query=third_party_query("")), {"accept": True, "existingAttributeId": own["id"]}
    )
    assert (answer["@type"], answer["attributeId"]) == ("AttributeAlreadySharedAcceptResponseItem", own["id"])
