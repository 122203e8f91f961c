"""The life of a relationship between an account of ours and an official peer, with each of them in each part."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from enmeshed_connector.transport import relationship_operations as steps
from enmeshed_connector.transport.errors import (
    NotYetDecomposedByPeer,
    ReactivationNotRequested,
    RecordMissing,
    RelationshipExists,
    WrongRelationshipStatus,
)
from tests.interop.conftest import OurAccounts, Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.our_side import OurSide
from tests.interop.steps import (
    ask,
    change,
    get_relationship,
    has_status,
    load,
    offer,
    reasons,
    receive,
    send_mail,
)

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

CREATED = "relationshipChanged LOCAL"
HEARD = "relationshipChanged EXTERNAL"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def official(peers: Peers) -> OfficialPeer:
    """The official peer of all tests here; each test has an account of ours of its own."""
    return await peers.start()


@pytest_asyncio.fixture(loop_scope="module")
async def ours(accounts: OurAccounts) -> OurSide:
    """A fresh account of ours."""
    return await accounts.open()


async def asked_by_official(ours: OurSide, official: OfficialPeer) -> str:
    """Gets a pending relationship that the official peer asked for, known to both; returns its id."""
    relationship = await ask(official, await ours.offer())
    await ours.sync()
    return str(relationship["id"])


async def asked_by_us(ours: OurSide, official: OfficialPeer) -> str:
    """Gets a pending relationship that we asked for, known to both; returns its id."""
    relationship = await ours.ask(await offer(official))
    await official.sync()
    await official.wait_for("transport.relationshipChanged", has_status(relationship["id"], "Pending"))
    return str(relationship["id"])


async def terminated(ours: OurSide, official: OfficialPeer) -> str:
    """Gets a relationship that the official peer terminated, known to both; returns its id."""
    relationship_id = await asked_by_official(ours, official)
    await ours.accept(relationship_id)
    await official.sync()
    await change(official, "terminateRelationship", relationship_id)
    await ours.sync()
    assert (await ours.relationship(relationship_id))["status"] == "Terminated"
    return relationship_id


def about(identifier: str) -> Any:
    """Returns a predicate for events about the object of that id."""
    return lambda data: data["id"] == identifier


async def assert_messages_flow(ours: OurSide, official: OfficialPeer) -> None:
    sent = await ours.send_mail(official, body="From us.")
    assert (await receive(official, sent["id"]))["content"]["body"] == "From us."
    reply = await send_mail(official, ours, body="To us.")
    assert (await ours.receive(reply["id"]))["content"]["body"] == "To us."


async def assert_same(ours: OurSide, official: OfficialPeer, relationship_id: str, status: str) -> None:
    """Both sides tell the same story."""
    mine, theirs = await ours.relationship(relationship_id), await get_relationship(official, relationship_id)
    assert (mine["status"], theirs["status"]) == (status, status)
    assert mine["auditLog"] == theirs["auditLog"]
    assert mine["creationContent"] == theirs["creationContent"]
    assert (mine["peer"], theirs["peer"]) == (official.address, ours.address)
    info = await official.call("transport.account.getIdentityInfo")
    assert mine["peerIdentity"] == {"address": info["address"], "publicKey": info["publicKey"]}
    assert theirs["peerIdentity"]["publicKey"] == ours.does.account.identity()["publicKey"]


async def test_our_template_is_answered_and_accepted(ours: OurSide, official: OfficialPeer) -> None:
    template = await ours.offer({"@type": "ArbitraryRelationshipTemplateContent", "value": {"text": "Grüße", "n": 1.5}})
    loaded = await load(official, template)
    relationship_id = await asked_by_official(ours, official)
    pending = await ours.relationship(relationship_id)

    await ours.accept(relationship_id)
    await official.sync()
    await official.wait_for("transport.relationshipChanged", has_status(relationship_id, "Active"))

    assert (loaded["content"], loaded["createdBy"]) == (template["content"], ours.address)
    assert (pending["status"], pending["peer"]) == ("Pending", official.address)
    assert pending["creationContent"] == {"@type": "ArbitraryRelationshipCreationContent", "value": {"ask": True}}
    await assert_same(ours, official, relationship_id, "Active")
    assert await ours.told(relationship_id) == [HEARD, CREATED]
    await assert_messages_flow(ours, official)


async def test_our_request_is_accepted(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await asked_by_us(ours, official)

    await change(official, "acceptRelationship", relationship_id)
    await ours.sync()

    await assert_same(ours, official, relationship_id, "Active")
    assert await ours.told(relationship_id) == [CREATED, HEARD]
    await assert_messages_flow(ours, official)


async def test_we_reject_a_request(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await asked_by_official(ours, official)

    await ours.take(steps.REJECT, relationship_id)
    await official.sync()
    seen = await official.wait_for("transport.relationshipChanged", has_status(relationship_id, "Rejected"))

    assert reasons(seen) == ["Creation", "RejectionOfCreation"]
    await assert_same(ours, official, relationship_id, "Rejected")


async def test_our_request_is_rejected_and_another_one_possible(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await asked_by_us(ours, official)

    await change(official, "rejectRelationship", relationship_id)
    await ours.sync()

    await assert_same(ours, official, relationship_id, "Rejected")
    assert await ours.told(relationship_id) == [CREATED, HEARD]
    second = await asked_by_us(ours, official)
    await change(official, "acceptRelationship", second)
    await ours.sync()
    await assert_messages_flow(ours, official)


async def test_we_revoke_our_request(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await asked_by_us(ours, official)

    await ours.take(steps.REVOKE, relationship_id)
    await official.sync()
    await official.wait_for("transport.relationshipChanged", has_status(relationship_id, "Revoked"))

    await assert_same(ours, official, relationship_id, "Revoked")
    with pytest.raises(OfficialPeerError) as refused:
        await change(official, "acceptRelationship", relationship_id)
    assert refused.value.code == "error.transport.relationships.wrongRelationshipStatus"


async def test_a_request_to_us_is_revoked(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await asked_by_official(ours, official)

    await change(official, "revokeRelationship", relationship_id)
    await ours.sync()

    await assert_same(ours, official, relationship_id, "Revoked")
    assert await ours.told(relationship_id) == [HEARD, HEARD]
    with pytest.raises(WrongRelationshipStatus):
        await ours.accept(relationship_id)


async def test_a_second_request_is_refused_on_both_sides(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await asked_by_us(ours, official)
    await change(official, "acceptRelationship", relationship_id)
    await ours.sync()

    with pytest.raises(RelationshipExists):
        await ours.ask(await offer(official))
    mine = await load(official, await ours.offer())
    answer = await official.call("transport.relationships.canCreateRelationship", {"templateId": mine["id"]})

    assert answer["code"] == "error.transport.relationships.relationshipCurrentlyExists"


async def test_our_acceptance_and_a_first_message_arrive_with_one_sync(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await asked_by_official(ours, official)
    await ours.accept(relationship_id)
    sent = await ours.send_mail(official, body="Welcome.")

    received = await receive(official, sent["id"])

    assert received["content"]["body"] == "Welcome."


async def test_an_acceptance_and_a_first_message_reach_us_with_one_sync(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await asked_by_us(ours, official)
    await change(official, "acceptRelationship", relationship_id)
    sent = await send_mail(official, ours, body="Welcome.")

    received = await ours.receive(sent["id"])

    assert received["content"]["body"] == "Welcome."
    order = [name for name, _, data in await ours.events() if data and data["id"] in (relationship_id, sent["id"])]
    assert order == ["relationshipChanged", "relationshipChanged", "messageReceived"]


async def test_the_maker_hears_that_a_template_is_used_up(ours: OurSide, official: OfficialPeer) -> None:
    template = await ours.offer(maximum_allocations=1)
    theirs = await offer(official, maxNumberOfAllocations=1)

    await load(official, template)
    await ours.sync()
    await ours.load(theirs)
    await official.sync()
    told = await official.wait_for("transport.relationshipTemplateAllocationsExhausted", about(theirs["id"]))

    assert await ours.told(template["id"]) == ["relationshipTemplateAllocationsExhausted EXTERNAL"]
    assert told["maxNumberOfAllocations"] == 1


@pytest.mark.parametrize("is_ours", [True, False], ids=["by us", "by the official peer"])
async def test_a_relationship_is_terminated_and_messages_still_arrive(
    ours: OurSide, official: OfficialPeer, is_ours: bool
) -> None:
    relationship_id = await asked_by_official(ours, official)
    await ours.accept(relationship_id)
    await official.sync()

    if is_ours:
        await ours.take(steps.TERMINATE, relationship_id)
        await official.sync()
        await official.wait_for("transport.relationshipChanged", has_status(relationship_id, "Terminated"))
    else:
        await change(official, "terminateRelationship", relationship_id)
        await ours.sync()

    await assert_same(ours, official, relationship_id, "Terminated")
    assert await ours.told(relationship_id) == [HEARD, CREATED, CREATED if is_ours else HEARD]


@pytest.mark.parametrize(
    ("step", "status", "reason"),
    [
        (steps.ACCEPT_REACTIVATION, "Active", "AcceptanceOfReactivation"),
        (steps.REJECT_REACTIVATION, "Terminated", "RejectionOfReactivation"),
    ],
    ids=["accept", "reject"],
)
async def test_we_answer_a_reactivation(
    ours: OurSide, official: OfficialPeer, step: steps.Step, status: str, reason: str
) -> None:
    relationship_id = await terminated(ours, official)
    before = await ours.told(relationship_id)
    await change(official, "requestRelationshipReactivation", relationship_id)
    await ours.sync()

    await ours.take(step, relationship_id)
    await official.sync()
    answered = await official.wait_for("transport.relationshipReactivationCompleted", about(relationship_id))

    assert reasons(answered)[-2:] == ["ReactivationRequested", reason]
    await assert_same(ours, official, relationship_id, status)
    assert (await ours.told(relationship_id))[len(before) :] == [
        "relationshipReactivationRequested EXTERNAL",
        HEARD,
        CREATED,
        "relationshipReactivationCompleted LOCAL",
    ]
    if status == "Active":
        await assert_messages_flow(ours, official)


@pytest.mark.parametrize(
    ("transition", "status", "reason"),
    [
        ("acceptRelationshipReactivation", "Active", "AcceptanceOfReactivation"),
        ("rejectRelationshipReactivation", "Terminated", "RejectionOfReactivation"),
    ],
    ids=["accept", "reject"],
)
async def test_our_reactivation_is_answered(
    ours: OurSide, official: OfficialPeer, transition: str, status: str, reason: str
) -> None:
    relationship_id = await terminated(ours, official)
    before = await ours.told(relationship_id)
    await ours.take(steps.REQUEST_REACTIVATION, relationship_id)
    await official.sync()
    await official.wait_for("transport.relationshipReactivationRequested", about(relationship_id))

    await change(official, transition, relationship_id)
    await ours.sync()

    await assert_same(ours, official, relationship_id, status)
    assert reasons(await ours.relationship(relationship_id))[-2:] == ["ReactivationRequested", reason]
    assert (await ours.told(relationship_id))[len(before) :] == [
        CREATED,
        "relationshipReactivationRequested LOCAL",
        "relationshipReactivationCompleted EXTERNAL",
        HEARD,
    ]
    if status == "Active":
        await assert_messages_flow(ours, official)


async def test_we_revoke_our_reactivation(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await terminated(ours, official)
    await ours.take(steps.REQUEST_REACTIVATION, relationship_id)
    await ours.take(steps.REVOKE_REACTIVATION, relationship_id)

    await official.sync()
    told = await official.wait_for("transport.relationshipReactivationCompleted", about(relationship_id))
    with pytest.raises(OfficialPeerError) as refused:
        await change(official, "acceptRelationshipReactivation", relationship_id)

    assert reasons(told)[-2:] == ["ReactivationRequested", "RevocationOfReactivation"]
    assert refused.value.code == "error.transport.relationships.reactivationNotRequested"
    await assert_same(ours, official, relationship_id, "Terminated")


async def test_a_reactivation_is_revoked_before_we_answer(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await terminated(ours, official)
    await change(official, "requestRelationshipReactivation", relationship_id)
    await ours.sync()
    await change(official, "revokeRelationshipReactivation", relationship_id)
    await ours.sync()

    with pytest.raises(ReactivationNotRequested):
        await ours.take(steps.ACCEPT_REACTIVATION, relationship_id)

    await assert_same(ours, official, relationship_id, "Terminated")
    assert (await ours.told(relationship_id))[-2:] == ["relationshipReactivationCompleted EXTERNAL", HEARD]


async def test_we_decompose_first(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await terminated(ours, official)

    await ours.decompose(relationship_id)
    await official.sync()
    told = await official.wait_for("transport.relationshipChanged", has_status(relationship_id, "DeletionProposed"))

    assert reasons(told)[-1] == "Decomposition"
    with pytest.raises(RecordMissing):
        await ours.relationship(relationship_id)
    with pytest.raises(NotYetDecomposedByPeer):
        await ours.ask(await offer(official))
    await change(official, "decomposeRelationship", relationship_id)
    await assert_a_new_start(ours, official, relationship_id)


async def test_the_official_peer_decomposes_first(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await terminated(ours, official)

    await change(official, "decomposeRelationship", relationship_id)
    await official.wait_for("transport.relationshipDecomposedBySelf")
    await ours.sync()
    proposed = await ours.relationship(relationship_id)
    await ours.decompose(relationship_id)

    assert (proposed["status"], reasons(proposed)[-1]) == ("DeletionProposed", "Decomposition")
    await assert_a_new_start(ours, official, relationship_id)


async def assert_a_new_start(ours: OurSide, official: OfficialPeer, former: str) -> None:
    """After both sides have left, nothing of it is there, and the next relationship works."""
    events = await ours.events()
    assert [name for name, _, data in events if (data or {}).get("relationshipId") == former] == [
        "relationshipDecomposedBySelf"
    ]
    # What the log told of the former relationship is erased with it.
    assert not any(holds(data, former) for name, _, data in events if name != "relationshipDecomposedBySelf")
    second = await asked_by_us(ours, official)
    assert second != former
    await change(official, "acceptRelationship", second)
    await ours.sync()
    await assert_messages_flow(ours, official)


def holds(data: Any, text: str) -> bool:
    """Tells whether a text is anywhere in JSON."""
    if isinstance(data, dict):
        return any(holds(value, text) for value in data.values())
    if isinstance(data, list):
        return any(holds(value, text) for value in data)
    return bool(data == text)
