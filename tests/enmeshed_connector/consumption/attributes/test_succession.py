"""New versions: the eleven checks, each with its code, and what is stored."""

import asyncio
from typing import Any

import pytest

from enmeshed_connector.consumption.attributes import repository
from enmeshed_connector.consumption.attributes.documents import DeletionStatus
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.consumption.attributes.succession import relationship_successor
from enmeshed_connector.core.errors import DomainError
from tests.support.consumption import REQUEST, Holder, identity, relationship

PEER = "did:e:localhost:dids:1111111111111111111111"
OTHER = "did:e:localhost:dids:2222222222222222222222"
NOTIFICATION = "NOT00000000000000001"
NEW = "ATT00000000000000NEW"


async def code_of(awaitable: Any) -> str:
    with pytest.raises(DomainError) as caught:
        await awaitable
    prefix, _, name = (caught.value.official_code or "").rpartition(".")
    assert prefix in ("error.consumption.attributes", "error.runtime.attributes", "error.runtime")
    return name


async def succeed_own(alice: Holder, predecessor: dict[str, Any], content: dict[str, Any]) -> Any:
    checked = await alice.attributes.checks.successor_content(content, checks_tags=True)
    return await alice.run(
        lambda work: alice.attributes.successions.succeed_own_identity(predecessor["id"], checked, work)
    )


async def succeed_received(
    alice: Holder, predecessor: dict[str, Any], content: dict[str, Any], successor_id: str = NEW
) -> Any:
    checked = await alice.attributes.checks.successor_content(content, checks_tags=False, received=True)
    return await alice.run(
        lambda work: alice.attributes.successions.succeed_received(
            predecessor["id"], checked, successor_id, NOTIFICATION, work
        )
    )


async def test_1_the_content_must_be_valid(alice: Holder) -> None:
    first = await alice.own()
    assert await code_of(succeed_own(alice, first, identity(alice.address, "A" * 101))) == (
        "successorIsNotAValidAttribute"
    )
    assert await code_of(succeed_own(alice, first, {"@type": "Mail"})) == "successorIsNotAValidAttribute"


async def test_2_the_tags_of_own_identity_attributes_must_be_valid(alice: Holder) -> None:
    first = await alice.own()
    assert await code_of(succeed_own(alice, first, identity(alice.address, "B", ["nothing"]))) == "invalidTags"
    received = await alice.of_peer(PEER)
    await succeed_received(alice, received, identity(PEER, "B", ["nothing"]))


async def test_3_the_key_must_stay(alice: Holder) -> None:
    first = await alice.of_peer_relationship(PEER)
    assert await code_of(succeed_received(alice, first, relationship(PEER, "other"))) == "successionMustNotChangeKey"


@pytest.mark.parametrize("status", [DeletionStatus.DELETED_BY_EMITTER, DeletionStatus.TO_BE_DELETED])
async def test_4_what_the_peer_deleted_has_no_new_versions_but_what_is_to_be_deleted_may(
    alice: Holder, status: DeletionStatus
) -> None:
    first = await alice.of_peer(PEER)
    await alice.run(lambda work: set_deletion_of_attribute(first, status, work.now, work))
    new_version = succeed_received(alice, first, identity(PEER, "B"))
    if status is DeletionStatus.TO_BE_DELETED:
        await new_version
    else:
        assert await code_of(new_version) == "cannotSucceedSharedAttributesDeletedByPeer"


async def test_5_the_id_must_be_new(alice: Holder) -> None:
    first, taken = await alice.of_peer(PEER), await alice.own()
    again = succeed_received(alice, first, identity(PEER, "B"), taken["id"])
    assert await code_of(again) == "successorMustNotYetExist"


async def test_6_only_the_newest_version_has_a_successor(alice: Holder) -> None:
    first = await alice.own()
    await alice.succeed(first, "B")
    assert await code_of(succeed_own(alice, first, identity(alice.address, "C"))) == (
        "cannotSucceedAttributesWithASuccessor"
    )


async def test_7_something_must_change_and_tags_count(alice: Holder) -> None:
    first = await alice.own("Ada", ["x:a"])
    same = identity(alice.address, "Ada", ["x:a"])
    assert await code_of(succeed_own(alice, first, same)) == "successionMustChangeContent"
    await succeed_own(alice, first, identity(alice.address, "Ada", ["x:b"]))


async def test_8_the_owner_must_stay(alice: Holder) -> None:
    first = await alice.of_peer(PEER)
    assert await code_of(succeed_received(alice, first, identity(OTHER, "B"))) == "successionMustNotChangeOwner"


async def test_9_the_class_of_the_content_must_stay(alice: Holder) -> None:
    first = await alice.of_peer(PEER)
    assert await code_of(succeed_received(alice, first, relationship(PEER))) == "successionMustNotChangeContentType"


async def test_10_the_type_of_the_value_must_stay(alice: Holder) -> None:
    first = await alice.own()
    surname = identity(alice.address, "B", value_type="Surname")
    assert await code_of(succeed_own(alice, first, surname)) == "successionMustNotChangeValueType"


async def test_11_the_characters_must_be_allowed(alice: Holder) -> None:
    first = await alice.own()
    assert await code_of(succeed_own(alice, first, identity(alice.address, "Ж"))) == "forbiddenCharactersInAttribute"


async def test_the_first_failure_wins(alice: Holder) -> None:
    first = await alice.of_peer_relationship(PEER)
    await alice.run(lambda work: set_deletion_of_attribute(first, DeletionStatus.DELETED_BY_EMITTER, work.now, work))
    assert await code_of(succeed_received(alice, first, relationship(OTHER, "other"), first["id"])) == (
        "successionMustNotChangeKey"
    )
    assert await code_of(succeed_received(alice, first, relationship(OTHER), first["id"])) == (
        "cannotSucceedSharedAttributesDeletedByPeer"
    )


async def test_each_operation_has_its_class(alice: Holder) -> None:
    own, received = await alice.own(), await alice.of_peer(PEER)
    assert await code_of(succeed_own(alice, received, identity(PEER, "B"))) == "isNotOwnIdentityAttribute"
    assert await code_of(succeed_received(alice, own, identity(alice.address, "B"))) == "wrongTypeOfAttribute"
    checked = await alice.attributes.checks.successor_content(identity(PEER, "B"), checks_tags=False)
    successions = alice.attributes.successions
    wrong = alice.run(lambda work: successions.succeed_own_relationship(received["id"], checked, NOTIFICATION, work))
    assert await code_of(wrong) == "isNotOwnRelationshipAttribute"
    assert await code_of(succeed_own(alice, {"id": NEW}, identity(alice.address, "B"))) == "recordNotFound"


async def test_both_versions_name_each_other_and_the_new_one_is_trimmed(alice: Holder) -> None:
    first = await alice.own()
    made = await succeed_own(alice, first, identity(alice.address, " B "))
    assert await alice.get(first["id"]) == {**first, "succeededBy": made.successor["id"]}
    stored = await alice.get(made.successor["id"])
    assert stored is not None
    assert stored["succeeds"] == first["id"]
    assert stored["content"]["value"]["value"] == "B"
    event = (await alice.events())[-1]
    assert event["type"] == "consumption.attributeSucceeded"
    assert (event["data"]["predecessor"]["id"], event["data"]["successor"]["id"]) == (first["id"], stored["id"])


async def test_a_received_version_has_the_id_of_its_owner_and_tells_by_what_it_came(alice: Holder) -> None:
    first = await alice.of_third_party(PEER, OTHER)
    made = await succeed_received(alice, first, {**first["content"], "value": relationship(PEER, value="w")["value"]})
    assert made.successor["id"] == NEW
    assert made.successor["sourceReference"] == NOTIFICATION
    assert (made.successor["peer"], made.successor["initialAttributePeer"]) == (PEER, OTHER)


async def test_a_new_version_of_an_own_relationship_attribute_keeps_all_but_the_value(alice: Holder) -> None:
    first = await alice.own_of_relationship(PEER, isTechnical=True, confidentiality="protected")
    value = {"@type": "ProprietaryString", "title": "New", "value": "w"}
    content = relationship_successor(first, value)
    checked = await alice.attributes.checks.successor_content(content, checks_tags=False)
    made = await alice.run(
        lambda work: alice.attributes.successions.succeed_own_relationship(first["id"], checked, NOTIFICATION, work)
    )
    assert made.successor["content"] == {**first["content"], "value": value}
    assert made.successor["sourceReference"] == NOTIFICATION != REQUEST


async def test_of_two_successors_made_at_once_one_is_refused(alice: Holder) -> None:
    first = await alice.own()
    results = await asyncio.gather(*(alice.succeed(first, name) for name in ("B", "C", "D")), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["HasSuccessor", "HasSuccessor", "dict"]
    assert len(await alice.all()) == 2


async def test_versions_shared_with_a_peer_are_those_it_got(alice: Holder) -> None:
    first = await alice.own()
    second = await alice.succeed(first, "B")
    third = await alice.succeed(second, "C")
    for attribute in (first, second):
        await alice.forward(attribute, PEER)
    store = alice.transport.context.store
    shared = await repository.versions_shared_with(store, third, PEER, only_newest=False)
    assert [one["id"] for one in shared] == [second["id"], first["id"]]
    first = await repository.require(store, first["id"])
    assert [one["id"] for one in await repository.versions_shared_with(store, first, PEER)] == [second["id"]]
    assert await repository.versions_shared_with(store, first, OTHER) == []


async def test_a_chain_that_bites_its_tail_ends(alice: Holder) -> None:
    first = await alice.own()
    second = await alice.succeed(first, "B")

    async def bend(work: Any) -> None:
        stored = await repository.require(work, first["id"])
        await work.save("Attributes", {**stored, "succeeds": second["id"]})

    await alice.run(bend)
    stored = await repository.require(alice.transport.context.store, first["id"])
    assert len(await repository.versions(alice.transport.context.store, stored)) <= 3
