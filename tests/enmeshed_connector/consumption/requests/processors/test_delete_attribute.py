"""The peer is asked to delete what it got: consumption.md, sections 9.3 and 12.3."""

from typing import Any

import pytest

from enmeshed_connector.consumption.attributes.documents import FORWARDING_DETAILS, DeletionStatus
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.transport.objects import Document
from tests.support.consumption import identity, relationship
from tests.support.request_items import (
    CAROL,
    INVALID_DECISION,
    INVALID_ITEM,
    Side,
    code_of,
    exchange,
    item_of,
)

SOON = "2099-01-01T00:00:00.000Z"
YES = {"accept": True, "deletionDate": SOON}


def delete(attribute: Document) -> dict[str, Any]:
    return item_of("DeleteAttribute", attributeId=attribute["id"])


async def shared(alice: Side, bob: Side) -> Document:
    """Returns an own identity attribute of Alice that Bob has."""
    own = await alice.holder.own()
    await exchange(alice, bob, item_of("ShareAttribute", attribute=own["content"], attributeId=own["id"]))
    return own


async def details_of(side: Side) -> dict[str, Any]:
    return {one["attributeId"]: one.get("deletionInfo") for one in await side.holder.all(FORWARDING_DETAILS)}


async def set_status(side: Side, attribute: Document, status: DeletionStatus) -> None:
    async def change(work: Any) -> None:
        if attribute["@type"] == "OwnRelationshipAttribute" and attribute["peer"] == side.peer:
            await set_deletion_of_attribute(attribute, status, SOON, work)
        else:
            forwarding = side.holder.attributes.forwarding
            await forwarding.set_deletion(attribute["id"], side.peer or "", status, SOON, work)

    await side.holder.run(change)


STATUSES = [
    (None, ""),
    (DeletionStatus.REQUEST_SENT, ""),
    (DeletionStatus.REQUEST_REJECTED, ""),
    (DeletionStatus.TO_BE_DELETED_BY_RECIPIENT, INVALID_ITEM),
    (DeletionStatus.DELETED_BY_RECIPIENT, INVALID_ITEM),
]


@pytest.mark.parametrize(("status", "code"), STATUSES)
async def test_an_own_identity_attribute_must_be_with_the_peer(
    alice: Side, status: DeletionStatus | None, code: str
) -> None:
    own = await alice.holder.own()
    assert code_of(await alice.can_create(delete(own))) == INVALID_ITEM
    await alice.holder.forward(own, alice.peer or "")
    if status is not None:
        await set_status(alice, own, status)
    assert code_of(await alice.can_create(delete(own))) == code
    assert code_of(await alice.facing(CAROL).can_create(delete(own))) == INVALID_ITEM
    assert code_of(await alice.facing(None).can_create(delete(own))) == INVALID_ITEM


@pytest.mark.parametrize(("status", "code"), STATUSES)
async def test_an_own_relationship_attribute_is_with_the_peer(
    alice: Side, status: DeletionStatus | None, code: str
) -> None:
    own = await alice.holder.own_of_relationship(alice.peer or "")
    if status is not None:
        await set_status(alice, own, status)
    assert code_of(await alice.can_create(delete(own))) == code
    assert code_of(await alice.facing(CAROL).can_create(delete(own))) == INVALID_ITEM
    await alice.holder.forward(own, CAROL)
    assert code_of(await alice.facing(CAROL).can_create(delete(own))) == ""


async def test_what_belongs_to_the_peer_is_not_asked_back(alice: Side) -> None:
    of_peer = await alice.holder.of_peer_relationship(alice.peer or "")
    assert code_of(await alice.can_create(delete(of_peer))) == INVALID_ITEM
    assert code_of(await alice.facing(CAROL).can_create(delete(of_peer))) == INVALID_ITEM
    await alice.holder.forward(of_peer, CAROL)
    assert code_of(await alice.facing(CAROL).can_create(delete(of_peer))) == ""


async def test_what_came_from_others_is_not_asked_back(alice: Side) -> None:
    peer = alice.peer or ""
    for attribute in (await alice.holder.of_peer(peer), await alice.holder.of_third_party(peer, CAROL)):
        assert code_of(await alice.can_create(delete(attribute))) == INVALID_ITEM
    assert code_of(await alice.can_create(item_of("DeleteAttribute", attributeId="ATT00000000000000404"))) == (
        INVALID_ITEM
    )


async def test_both_sides_note_what_is_promised(alice: Side, bob: Side) -> None:
    own = await shared(alice, bob)
    answer = await exchange(alice, bob, delete(own), YES)
    assert answer == {"@type": "DeleteAttributeAcceptResponseItem", "deletionDate": SOON, "result": "Accepted"}
    (at_bob,) = await bob.holder.all()
    assert at_bob["deletionInfo"] == {"deletionDate": SOON, "deletionStatus": "ToBeDeleted"}
    assert (await details_of(alice))[own["id"]] == {"deletionDate": SOON, "deletionStatus": "ToBeDeletedByRecipient"}


async def test_an_attribute_of_the_relationship_notes_it_itself(alice: Side, bob: Side) -> None:
    create = item_of("CreateAttribute", attribute=relationship(alice.holder.address))
    await exchange(alice, bob, create)
    (own,) = await alice.holder.all()
    await exchange(alice, bob, delete(own), YES)
    (at_alice,), (at_bob,) = await alice.holder.all(), await bob.holder.all()
    assert at_alice["deletionInfo"]["deletionStatus"] == "ToBeDeletedByRecipient"
    assert at_bob["deletionInfo"]["deletionStatus"] == "ToBeDeleted"


async def test_a_request_that_is_sent_is_noted_for_all_versions_that_were_given(alice: Side, bob: Side) -> None:
    first = await shared(alice, bob)
    # The peer never got the second version; official peers fail on it.
    second = await alice.holder.succeed(first, "Augusta")
    third = await alice.holder.succeed(second, "Countess")
    await alice.holder.forward(third, alice.peer or "")
    await alice.sent(delete(third))
    info = await details_of(alice)
    assert info.keys() == {first["id"], third["id"]}
    assert {one["deletionStatus"] for one in info.values()} == {"DeletionRequestSent"}


async def test_a_request_that_is_sent_is_noted_on_the_attribute_of_the_relationship(alice: Side) -> None:
    own = await alice.holder.own_of_relationship(alice.peer or "")
    await alice.holder.forward(own, CAROL)
    await alice.facing(CAROL).sent(delete(own))
    assert "deletionInfo" not in (await alice.holder.all())[0]
    await alice.sent(delete(own))
    assert (await alice.holder.all())[0]["deletionInfo"]["deletionStatus"] == "DeletionRequestSent"
    assert (await details_of(alice))[own["id"]]["deletionStatus"] == "DeletionRequestSent"


async def test_what_was_deleted_meanwhile_is_passed_over(alice: Side) -> None:
    gone = item_of("DeleteAttribute", attributeId="ATT00000000000000404")
    await alice.sent(gone)
    await alice.apply({"@type": "RejectResponseItem", "result": "Rejected"}, gone)
    assert await alice.holder.events() == []


async def test_a_rejection_is_noted(alice: Side, bob: Side) -> None:
    own = await shared(alice, bob)
    await alice.sent(delete(own))
    await alice.apply(await bob.reject(delete(own)), delete(own))
    assert (await details_of(alice))[own["id"]]["deletionStatus"] == "DeletionRequestRejected"
    assert "deletionInfo" not in (await bob.holder.all())[0]


async def test_all_versions_are_to_be_deleted(alice: Side, bob: Side) -> None:
    item = item_of("CreateAttribute", attribute=identity("", "Bob"))
    first = await exchange(alice, bob, item)
    tagged = item_of("CreateAttribute", attribute=identity("", "Bob", ["x:a"]))
    second = await exchange(alice, bob, tagged)
    await exchange(bob, alice, item_of("DeleteAttribute", attributeId=second["successorId"]), YES)
    assert {one["id"]: one["deletionInfo"]["deletionStatus"] for one in await alice.holder.all()} == {
        first["attributeId"]: "ToBeDeleted",
        second["successorId"]: "ToBeDeleted",
    }
    assert {one["deletionStatus"] for one in (await details_of(bob)).values()} == {"ToBeDeletedByRecipient"}


@pytest.mark.parametrize(
    ("date", "code"),
    [
        (SOON, ""),
        ("2000-01-01T00:00:00.000Z", INVALID_DECISION),
        ("tomorrow", INVALID_DECISION),
        (None, INVALID_DECISION),
        (5, INVALID_DECISION),
    ],
)
async def test_the_date_lies_ahead(alice: Side, bob: Side, date: Any, code: str) -> None:
    own = await shared(alice, bob)
    decision = {"accept": True, **({} if date is None else {"deletionDate": date})}
    assert code_of(await bob.can_accept(delete(own), decision)) == code


async def test_only_who_gave_it_may_ask(alice: Side, bob: Side) -> None:
    own = await shared(alice, bob)
    assert code_of(await bob.facing(CAROL).can_accept(delete(own), YES)) == INVALID_ITEM
    mine = await bob.holder.own()
    assert code_of(await bob.can_accept(delete(mine), YES)) == INVALID_ITEM


async def test_what_is_unknown_is_as_good_as_deleted(bob: Side) -> None:
    unknown = item_of("DeleteAttribute", attributeId="ATT00000000000000404")
    assert await bob.accept(unknown, {"accept": True}) == {"@type": "AcceptResponseItem", "result": "Accepted"}


async def test_a_plain_acceptance_changes_nothing(alice: Side, bob: Side) -> None:
    own = await shared(alice, bob)
    await alice.apply({"@type": "AcceptResponseItem", "result": "Accepted"}, delete(own))
    await alice.apply({"@type": "ErrorResponseItem", "result": "Error", "code": "c", "message": "m"}, delete(own))
    assert (await details_of(alice))[own["id"]] is None


@pytest.mark.parametrize("date", [1e300, "never", None, True, -(10**30), {"date": SOON}])
async def test_a_date_that_is_none_is_left_out(alice: Side, bob: Side, date: Any) -> None:
    own = await shared(alice, bob)
    answer = {"@type": "DeleteAttributeAcceptResponseItem", "deletionDate": date, "result": "Accepted"}
    await alice.apply(answer, delete(own))
    assert (await details_of(alice))[own["id"]] is None


async def test_a_date_in_milliseconds_is_read(alice: Side, bob: Side) -> None:
    own = await shared(alice, bob)
    answer = {"@type": "DeleteAttributeAcceptResponseItem", "deletionDate": 4070908800000, "result": "Accepted"}
    await alice.apply(answer, delete(own))
    assert (await details_of(alice))[own["id"]]["deletionDate"] == SOON


async def test_final_states_stay(alice: Side, bob: Side) -> None:
    own = await shared(alice, bob)
    await set_status(alice, own, DeletionStatus.DELETED_BY_RECIPIENT)
    await alice.apply({"@type": "RejectResponseItem", "result": "Rejected"}, delete(own))
    assert (await details_of(alice))[own["id"]]["deletionStatus"] == "DeletedByRecipient"
