"""The life of a relationship between official peers: template, answer, end, return, decomposition."""

from __future__ import annotations

import pytest
import pytest_asyncio

from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.steps import (
    ask,
    ask_and_sync,
    change,
    connect,
    get_relationship,
    has_status,
    load,
    offer,
    reasons,
    receive,
    send_mail,
)

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

Pair = tuple[OfficialPeer, OfficialPeer]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def strangers(peers: Peers) -> Pair:
    """Two peers that have no relationship which would stand in the way of another one, before and after each test."""
    anna, bert = await peers.start_many(2)
    return anna, bert


@pytest_asyncio.fixture(loop_scope="module")
async def terminated(peers: Peers) -> tuple[OfficialPeer, OfficialPeer, str]:
    """Two peers whose relationship anna terminated, known to both."""
    anna, bert = await peers.start_many(2)
    relationship_id = await connect(anna, bert)
    await change(anna, "terminateRelationship", relationship_id)
    await bert.sync()
    await bert.wait_for("transport.relationshipChanged", has_status(relationship_id, "Terminated"))
    return anna, bert, relationship_id


async def test_an_accepted_request_makes_both_sides_active(peers: Peers) -> None:
    anna, bert = await peers.start_many(2)

    relationship_id = await connect(anna, bert)

    hers, his = await get_relationship(anna, relationship_id), await get_relationship(bert, relationship_id)
    assert (hers["status"], his["status"]) == ("Active", "Active")
    assert (hers["peer"], his["peer"]) == (bert.address, anna.address)
    assert hers["creationContent"] == {"@type": "ArbitraryRelationshipCreationContent", "value": {"ask": True}}
    assert hers["auditLog"] == his["auditLog"]
    assert reasons(his) == ["Creation", "AcceptanceOfCreation"]
    assert [entry["createdBy"] for entry in his["auditLog"]] == [bert.address, anna.address]


async def test_a_rejected_request_is_over_and_leaves_room_for_another(strangers: Pair) -> None:
    anna, bert = strangers
    relationship_id = await ask_and_sync(anna, bert)

    await change(anna, "rejectRelationship", relationship_id)
    await bert.sync()
    seen = await bert.wait_for("transport.relationshipChanged", has_status(relationship_id, "Rejected"))

    assert reasons(seen) == ["Creation", "RejectionOfCreation"]
    assert (
        await bert.call(
            "transport.relationships.canCreateRelationship", {"templateId": (await load(bert, await offer(anna)))["id"]}
        )
    )["isSuccess"]


async def test_a_revoked_request_is_over_for_the_one_who_was_asked(strangers: Pair) -> None:
    anna, bert = strangers
    relationship_id = await ask_and_sync(anna, bert)

    await change(bert, "revokeRelationship", relationship_id)
    await anna.sync()
    seen = await anna.wait_for("transport.relationshipChanged", has_status(relationship_id, "Revoked"))

    assert reasons(seen) == ["Creation", "RevocationOfCreation"]
    with pytest.raises(OfficialPeerError) as refused:
        await change(anna, "acceptRelationship", relationship_id)
    assert refused.value.code == "error.transport.relationships.wrongRelationshipStatus"


async def test_a_second_request_between_the_same_two_is_refused(peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    await connect(anna, bert)
    template = await load(bert, await offer(anna))

    answer = await bert.call("transport.relationships.canCreateRelationship", {"templateId": template["id"]})

    assert answer["isSuccess"] is False
    assert answer["code"] == "error.transport.relationships.relationshipCurrentlyExists"


async def test_a_template_for_one_use_is_gone_after_it_and_its_owner_is_told(peers: Peers) -> None:
    anna, bert, carl = await peers.start_many(3)
    template = await offer(anna, maxNumberOfAllocations=1)
    await load(bert, template)

    with pytest.raises(OfficialPeerError) as refused:
        await load(carl, template)
    await anna.sync()
    told = await anna.wait_for("transport.relationshipTemplateAllocationsExhausted")

    assert refused.value.code == "error.platform.validation.relationshipTemplate.maxNumberOfAllocationsExhausted"
    assert told["id"] == template["id"]


async def test_a_template_for_somebody_else_is_not_found(peers: Peers) -> None:
    anna, bert, carl = await peers.start_many(3)
    template = await offer(anna, forIdentity=bert.address)

    with pytest.raises(OfficialPeerError) as refused:
        await load(carl, template)

    assert refused.value.code == "error.transport.general.notIntendedForYou"
    assert (await load(bert, template))["id"] == template["id"]


async def test_a_template_with_a_password_opens_with_it_only(strangers: Pair) -> None:
    anna, bert = strangers
    template = await offer(anna, passwordProtection={"password": "open sesame"})

    with pytest.raises(OfficialPeerError) as refused:
        await load(bert, template, "open says me")

    assert refused.value.code == "error.runtime.recordNotFound"
    assert (await load(bert, template, "open sesame"))["content"] == template["content"]


async def test_a_deleted_template_is_not_found(strangers: Pair) -> None:
    anna, bert = strangers
    template = await offer(anna)
    await anna.call("transport.relationshipTemplates.deleteRelationshipTemplate", {"templateId": template["id"]})

    with pytest.raises(OfficialPeerError) as refused:
        await load(bert, template)

    assert refused.value.code == "error.runtime.recordNotFound"


async def test_a_message_to_a_pending_relationship_arrives_with_the_acceptance(peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    relationship = await ask(bert, await offer(anna))
    await anna.sync()
    await anna.wait_for("transport.relationshipChanged", has_status(relationship["id"], "Pending"))

    await change(anna, "acceptRelationship", relationship["id"])
    sent = await send_mail(anna, bert, body="Welcome.")
    await bert.sync()

    assert (await bert.wait_for("transport.messageReceived"))["id"] == sent["id"]
    assert (await get_relationship(bert, relationship["id"]))["status"] == "Active"


async def test_an_accepted_reactivation_makes_both_sides_active_again(
    terminated: tuple[OfficialPeer, OfficialPeer, str],
) -> None:
    anna, bert, relationship_id = terminated
    await change(bert, "requestRelationshipReactivation", relationship_id)
    await anna.sync()
    asked = await anna.wait_for("transport.relationshipReactivationRequested")

    await change(anna, "acceptRelationshipReactivation", relationship_id)
    await bert.sync()
    answered = await bert.wait_for("transport.relationshipReactivationCompleted")

    assert asked["id"] == relationship_id
    assert (answered["id"], answered["status"]) == (relationship_id, "Active")
    assert reasons(answered)[2:] == ["Termination", "ReactivationRequested", "AcceptanceOfReactivation"]
    sent = await send_mail(bert, anna, body="Hello again.")
    assert (await receive(anna, sent["id"]))["content"]["body"] == "Hello again."


async def test_a_rejected_reactivation_leaves_the_relationship_terminated_and_may_be_repeated(
    terminated: tuple[OfficialPeer, OfficialPeer, str],
) -> None:
    anna, bert, relationship_id = terminated
    await change(bert, "requestRelationshipReactivation", relationship_id)
    await anna.sync()
    await anna.wait_for("transport.relationshipReactivationRequested")

    await change(anna, "rejectRelationshipReactivation", relationship_id)
    await bert.sync()
    answered = await bert.wait_for("transport.relationshipReactivationCompleted")
    again = await change(bert, "requestRelationshipReactivation", relationship_id)

    assert answered["status"] == "Terminated"
    assert reasons(answered)[-1] == "RejectionOfReactivation"
    assert reasons(again)[-1] == "ReactivationRequested"


async def test_a_revoked_reactivation_can_no_longer_be_accepted(
    terminated: tuple[OfficialPeer, OfficialPeer, str],
) -> None:
    anna, bert, relationship_id = terminated
    await change(bert, "requestRelationshipReactivation", relationship_id)
    await change(bert, "revokeRelationshipReactivation", relationship_id)

    await anna.sync()
    told = await anna.wait_for("transport.relationshipReactivationCompleted")
    with pytest.raises(OfficialPeerError) as refused:
        await change(anna, "acceptRelationshipReactivation", relationship_id)

    assert reasons(told)[-2:] == ["ReactivationRequested", "RevocationOfReactivation"]
    assert refused.value.code == "error.transport.relationships.reactivationNotRequested"


async def test_a_decomposition_answers_a_reactivation_for_good(
    terminated: tuple[OfficialPeer, OfficialPeer, str],
) -> None:
    anna, bert, relationship_id = terminated
    await change(bert, "requestRelationshipReactivation", relationship_id)
    await anna.sync()
    await anna.wait_for("transport.relationshipReactivationRequested")

    await change(anna, "decomposeRelationship", relationship_id)
    await anna.wait_for("transport.relationshipDecomposedBySelf")
    await bert.sync()
    told = await bert.wait_for("transport.relationshipChanged", has_status(relationship_id, "DeletionProposed"))

    assert reasons(told)[-1] == "Decomposition"
    with pytest.raises(OfficialPeerError) as gone:
        await get_relationship(anna, relationship_id)
    assert gone.value.code == "error.runtime.recordNotFound"


async def test_a_relationship_that_both_sides_decomposed_makes_room_for_a_new_one(
    terminated: tuple[OfficialPeer, OfficialPeer, str],
) -> None:
    anna, bert, relationship_id = terminated
    await change(anna, "decomposeRelationship", relationship_id)
    await bert.sync()
    await bert.wait_for("transport.relationshipChanged", has_status(relationship_id, "DeletionProposed"))
    template = await load(bert, await offer(anna))
    before = await bert.call("transport.relationships.canCreateRelationship", {"templateId": template["id"]})

    await change(bert, "decomposeRelationship", relationship_id)
    second = await connect(anna, bert)

    assert before["isSuccess"] is False
    assert second != relationship_id
    assert [kept["id"] for kept in await bert.call("transport.relationships.getRelationships")] == [second]
    sent = await send_mail(anna, bert, body="A new start.")
    assert (await receive(bert, sent["id"]))["content"]["body"] == "A new start."
