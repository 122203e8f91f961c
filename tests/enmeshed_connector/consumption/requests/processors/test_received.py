"""Whatever a peer answers, nothing of others is touched, and what comes with it is stored."""

from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.documents import FORWARDING_DETAILS, DeletionStatus
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.transport.objects import Document
from tests.support.consumption import identity, relationship
from tests.support.request_items import (
    CAROL,
    OTHER,
    Side,
    exchange,
    identity_query,
    iql_query,
    item_of,
    relationship_query,
    third_party_query,
)

NEW, NEWER = "ATT0000000000000NEW1", "ATT0000000000000NEW2"
CREATED, READ = "CreateAttributeAcceptResponseItem", "ReadAttributeAcceptResponseItem"
PROPOSED = "ProposeAttributeAcceptResponseItem"
NAMES = item_of("ReadAttribute", query=identity_query())
CREATE = item_of("CreateAttribute", attribute=identity(""))


def accepted(kind: str, **more: Any) -> dict[str, Any]:
    return {"@type": kind, "result": "Accepted", **more}


def succession(predecessor: str, content: Any, successor: str = NEWER) -> dict[str, Any]:
    return accepted(
        "AttributeSuccessionAcceptResponseItem",
        predecessorId=predecessor,
        successorContent=content,
        successorId=successor,
    )


def already(attribute_id: str) -> dict[str, Any]:
    return accepted("AttributeAlreadySharedAcceptResponseItem", attributeId=attribute_id)


async def to_be_deleted(side: Side, attribute: Document) -> None:
    await side.holder.run(
        lambda work: set_deletion_of_attribute(attribute, DeletionStatus.TO_BE_DELETED, work.now, work)
    )


@pytest.mark.parametrize(
    "identifier",
    ["", "ATT1", "REQ00000000000000001", "ATT" + "0" * 5000, "ATT\ud80000000000000000", "ATT 000000000000001"],
)
async def test_an_id_that_is_none_is_not_used(alice: Side, identifier: str) -> None:
    await alice.apply(accepted(CREATED, attributeId=identifier), CREATE)
    content = identity(alice.peer or "")
    await alice.apply(accepted(READ, attributeId=identifier, attribute=content), NAMES)
    await alice.apply(already(identifier), NAMES)
    await alice.apply(succession(identifier, content, identifier), NAMES)
    assert await alice.holder.all() == []


@pytest.mark.parametrize("item", [CREATE, NAMES, item_of("FormField", title="t", settings={}), item_of("Consent")])
@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"attributeId": None},
        {"attributeId": 5, "attribute": 5, "deletionDate": 5},
        {"attributeId": {"a": []}, "attribute": {}, "predecessorId": {}, "successorId": [], "successorContent": None},
    ],
)
async def test_an_answer_of_a_wrong_form_is_left_out(alice: Side, item: Any, answer: Any) -> None:
    for kind in alice.processor(item["@type"]).response_types:
        await alice.apply({"@type": kind, "result": "Accepted", **answer}, item)
    assert await alice.holder.all() == []


@pytest.mark.parametrize(
    "content",
    [
        {"@type": "IdentityAttribute", "owner": 5, "value": []},
        {"@type": "IdentityAttribute", "owner": "", "value": {"@type": "No"}},
        {"@type": "IdentityAttribute", "owner": "", "value": {"@type": "GivenName", "value": "a" * 101}},
        {"@type": "Mail"},
        [],
    ],
)
async def test_an_attribute_of_a_wrong_form_is_left_out(alice: Side, content: Any) -> None:
    proposal = item_of("ProposeAttribute", query=identity_query(), attribute=identity(""))
    await alice.apply(accepted(READ, attributeId=NEW, attribute=content), NAMES)
    await alice.apply(accepted(PROPOSED, attributeId=NEW, attribute=content), proposal)
    assert await alice.holder.all() == []


async def test_an_id_that_is_taken_is_not_overwritten(alice: Side) -> None:
    own = await alice.holder.own()
    of_carol = await alice.holder.of_peer(CAROL, "Carol")
    before = await alice.holder.all()
    for identifier in (own["id"], of_carol["id"]):
        await alice.apply(accepted(CREATED, attributeId=identifier), CREATE)
        content = identity(alice.peer or "")
        await alice.apply(accepted(READ, attributeId=identifier, attribute=content), NAMES)
    assert await alice.holder.all() == before


async def test_of_two_answers_with_one_id_the_first_counts(alice: Side) -> None:
    processor = alice.processor(CREATE["@type"])
    others = {**CREATE, "attribute": identity("", "Other")}

    async def both(work: Any) -> None:
        await processor.apply(accepted(CREATED, attributeId=NEW), CREATE, alice.asked, work)
        await processor.apply(accepted(CREATED, attributeId=NEW), others, alice.asked, work)

    await alice.holder.run(both)
    assert [one["content"]["value"]["value"] for one in await alice.holder.all()] == ["Ada"]


@pytest.mark.parametrize(
    ("query", "content"),
    [
        (identity_query(), identity("self")),
        (identity_query(), identity(CAROL)),
        (identity_query(), identity("")),
        (identity_query(), identity("peer", value_type="Surname")),
        (identity_query(), identity("peer", "Ада")),
        (identity_query(), identity("peer", " " * 101)),
        (identity_query(), relationship("self")),
        (identity_query(), relationship("peer")),
        (iql_query(), relationship("self")),
        (relationship_query(), relationship("self")),
        (relationship_query(), relationship(CAROL)),
        (relationship_query(), relationship("peer", "other")),
        (relationship_query(), identity("peer")),
        (third_party_query(CAROL), relationship("self")),
        (third_party_query(CAROL), relationship(CAROL)),
        (third_party_query(CAROL), relationship("peer")),
        (third_party_query(CAROL), identity("peer")),
    ],
)
async def test_what_was_not_asked_for_is_not_stored(alice: Side, query: Any, content: Any) -> None:
    owners = {"self": alice.holder.address, "peer": alice.peer}
    content = {**content, "owner": owners.get(content["owner"], content["owner"])}
    await alice.apply(accepted(READ, attributeId=NEW, attribute=content), item_of("ReadAttribute", query=query))
    if query["@type"] != "ThirdPartyRelationshipAttributeQuery":
        proposal = item_of("ProposeAttribute", query=query, attribute=content)
        await alice.apply(accepted(PROPOSED, attributeId=NEWER, attribute=content), proposal)
    assert await alice.holder.all() == []


@pytest.mark.parametrize("initial", ["self", "peer", "other", None, "", "Carol"])
async def test_a_relationship_that_was_not_asked_for_is_not_stored(alice: Side, initial: str | None) -> None:
    names = {"self": alice.holder.address, "peer": alice.peer, "other": OTHER}
    answer = accepted(READ, attributeId=NEW, attribute=relationship(alice.peer or ""))
    if initial is not None:
        answer["initialAttributePeer"] = names.get(initial, initial)
    await alice.apply(answer, item_of("ReadAttribute", query=third_party_query(CAROL)))
    assert await alice.holder.all() == []
    anybody = item_of("ReadAttribute", query=third_party_query(""))
    await alice.apply(answer, anybody)
    assert len(await alice.holder.all()) == (1 if initial == "other" else 0)


@pytest.mark.parametrize("name", ["initialAttributePeer", "thirdPartyAddress"])
async def test_a_peer_of_an_older_release_names_the_third_party_too(alice: Side, name: str) -> None:
    answer = accepted(READ, attributeId=NEW, attribute=relationship(alice.peer or ""), **{name: CAROL})
    await alice.apply(answer, item_of("ReadAttribute", query=third_party_query(CAROL)))
    assert [one["initialAttributePeer"] for one in await alice.holder.all()] == [CAROL]


async def test_only_copies_of_the_peer_are_kept(alice: Side) -> None:
    of_carol = await alice.holder.of_peer(CAROL, "Carol")
    of_relationship = await alice.holder.of_peer_relationship(alice.peer or "")
    for attribute in (of_carol, of_relationship):
        await to_be_deleted(alice, attribute)
    for item in (NAMES, CREATE, item_of("ProposeAttribute", query=identity_query(), attribute=identity(""))):
        for attribute in (of_carol, of_relationship):
            await alice.apply(already(attribute["id"]), item)
    assert {one["deletionInfo"]["deletionStatus"] for one in await alice.holder.all()} == {"ToBeDeleted"}


async def test_a_third_party_attribute_is_kept_by_reading_only(alice: Side) -> None:
    third = await alice.holder.of_third_party(alice.peer or "", CAROL)
    await to_be_deleted(alice, third)
    await alice.apply(already(third["id"]), item_of("ProposeAttribute", query=identity_query(), attribute=identity("")))
    assert "deletionInfo" in (await alice.holder.all())[0]
    await alice.apply(already(third["id"]), item_of("ReadAttribute", query=third_party_query(CAROL)))
    assert "deletionInfo" not in (await alice.holder.all())[0]


async def test_only_versions_of_the_peer_are_succeeded(alice: Side) -> None:
    peer = alice.peer or ""
    own = await alice.holder.own()
    of_carol = await alice.holder.of_peer(CAROL, "Carol")
    mine = await alice.holder.of_peer(peer, "Bob", NEW)
    relations = await alice.holder.of_peer_relationship(peer)
    before = await alice.holder.all()
    wrong = [
        succession(own["id"], identity(alice.holder.address, "Eve")),
        succession(of_carol["id"], identity(CAROL, "Eve")),
        succession(of_carol["id"], identity(peer, "Eve")),
        succession(relations["id"], relationship(peer, value="changed")),
        succession("ATT00000000000000404", identity(peer, "Eve")),
        succession(mine["id"], identity(peer, "Bob")),
        succession(mine["id"], identity(CAROL, "Eve")),
        succession(mine["id"], identity(peer, "Eve", value_type="Surname")),
        succession(mine["id"], identity(peer, "Ада")),
        succession(mine["id"], relationship(peer)),
        succession(mine["id"], identity(peer, "Eve"), own["id"]),
        succession(mine["id"], identity(peer, "Eve"), mine["id"]),
        succession(mine["id"], identity(peer, "Eve"), "none"),
    ]
    proposal = item_of("ProposeAttribute", query=identity_query(), attribute=identity(""))
    for item in (NAMES, CREATE, proposal):
        for answer in wrong:
            await alice.apply(answer, item)
    assert await alice.holder.all() == before
    await alice.apply(succession(mine["id"], identity(peer, "Robert")), NAMES)
    # The chain does not fork.
    await alice.apply(succession(mine["id"], identity(peer, "Rob"), "ATT0000000000000NEW3"), NAMES)
    assert len(await alice.holder.all()) == len(before) + 1


async def test_an_attribute_of_the_relationship_is_created_in_one_way_only(alice: Side) -> None:
    peer = alice.peer or ""
    mine = await alice.holder.of_peer(peer, "Bob", NEW)
    await to_be_deleted(alice, mine)
    item = item_of("CreateAttribute", attribute=relationship(""))
    await alice.apply(already(mine["id"]), item)
    await alice.apply(succession(mine["id"], identity(peer, "Robert")), item)
    (stored,) = await alice.holder.all()
    assert stored["deletionInfo"]["deletionStatus"] == "ToBeDeleted"
    assert "succeededBy" not in stored


@pytest.mark.parametrize("tags", [["unknown"], ["x:\ud800"], ["x:\U0001f600"]])
async def test_tags_of_a_peer_are_its_own_affair(alice: Side, tags: list[str]) -> None:
    await alice.apply(accepted(READ, attributeId=NEW, attribute=identity(alice.peer or "", tags=tags)), NAMES)
    assert [one["content"]["tags"] for one in await alice.holder.all()] == [tags]


@pytest.mark.parametrize("value", [2**60, -(2**80), 1.5, "\ud800", [[[[]]]], {"a": {"b": [None, True]}}])
async def test_any_json_of_a_peer_is_stored(alice: Side, value: Any) -> None:
    content = relationship(alice.peer or "")
    content["value"] = {"@type": "ProprietaryJSON", "title": "Title", "value": value}
    item = item_of("ReadAttribute", query=relationship_query(valueType="ProprietaryJSON"))
    await alice.apply(accepted(READ, attributeId=NEW, attribute=content), item)
    stored = await alice.holder.all()
    # Lone surrogates are no characters of attributes.
    assert [one["content"]["value"]["value"] for one in stored] == ([] if value == "\ud800" else [value])


async def test_a_rejection_changes_nothing(alice: Side, bob: Side) -> None:
    await exchange(alice, bob, NAMES, {"accept": True, "newAttribute": identity("", "Bob")})
    before = await alice.holder.all()
    for item in (NAMES, CREATE, item_of("ProposeAttribute", query=identity_query(), attribute=identity(""))):
        await alice.apply({"@type": "RejectResponseItem", "result": "Rejected"}, item)
        await alice.apply({"@type": "ErrorResponseItem", "code": "c", "message": "m", "result": "Error"}, item)
    assert await alice.holder.all() == before
    assert await alice.holder.all(FORWARDING_DETAILS) == []
