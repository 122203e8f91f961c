"""The deletion of an identity, lived through by an account of ours and an official peer, each of them in each part."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio

from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.runtime.use_cases.common import PeerInDeletion
from enmeshed_connector.transport.errors import TemplateOwnerInDeletion
from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import OurAccounts, Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.our_side import OurSide
from tests.interop.steps import ask, get_relationship, has_status, load, offer, reasons, receive, send_mail

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

INITIATE = "transport.identityDeletionProcesses.initiateIdentityDeletionProcess"
CANCEL = "transport.identityDeletionProcesses.cancelIdentityDeletionProcess"
HEARD = "relationshipChanged EXTERNAL"


@pytest.fixture(scope="module")
def backbone() -> Iterator[BackboneProcess]:
    """A Backbone of this module's own, since its clock is moved."""
    with BackboneProcess.start() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def ours(accounts: OurAccounts) -> OurSide:
    """A fresh account of ours."""
    return await accounts.open()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def official(peers: Peers) -> OfficialPeer:
    """An official peer that stays to the end."""
    return await peers.start()


async def connect(ours: OurSide, official: OfficialPeer) -> str:
    """Gets an active relationship known to both and returns its id."""
    relationship = await ask(official, await ours.offer())
    await ours.sync()
    await ours.accept(relationship["id"])
    await official.sync()
    return str(relationship["id"])


def about(identifier: str) -> Any:
    """Returns a predicate for events about the object of that id."""
    return lambda data: data["id"] == identifier


async def test_we_hear_that_a_peer_is_to_be_deleted_and_that_it_stays(ours: OurSide, official: OfficialPeer) -> None:
    relationship_id = await connect(ours, official)
    before = await ours.told(relationship_id)

    process = await official.call(INITIATE, {"lengthOfGracePeriodInDays": 14})
    await ours.sync()
    warned = await ours.relationship(relationship_id)
    with pytest.raises(PeerInDeletion):
        await ours.send_mail(official, body="One last thing.")
    await official.call(CANCEL)
    await ours.sync()

    assert warned["peerDeletionInfo"] == {
        "deletionStatus": "ToBeDeleted",
        "deletionDate": process["gracePeriodEndsAt"],
    }
    assert warned["status"] == "Active"
    assert "peerDeletionInfo" not in await ours.relationship(relationship_id)
    assert (await ours.told(relationship_id))[len(before) :] == [
        "peerToBeDeleted EXTERNAL",
        "peerDeletionCancelled EXTERNAL",
    ]
    sent = await ours.send_mail(official, body="You stay.")
    assert (await receive(official, sent["id"]))["content"]["body"] == "You stay."


async def test_we_ask_nobody_who_is_to_be_deleted(ours: OurSide, official: OfficialPeer) -> None:
    template = await offer(official)
    await official.call(INITIATE)

    with pytest.raises(TemplateOwnerInDeletion) as refused:
        await ours.ask(template)
    await official.call(CANCEL)

    code = "error.transport.relationships.activeIdentityDeletionProcessOfOwnerOfRelationshipTemplate"
    assert refused.value.official_code == code
    assert (await ours.ask(template))["status"] == "Pending"


async def test_we_hear_that_a_peer_is_deleted(ours: OurSide, peers: Peers, backbone: BackboneProcess) -> None:
    leaving = await peers.start()
    relationship_id = await connect(ours, leaving)
    last = await send_mail(leaving, ours, body="Goodbye.")
    mine = await ours.send_mail(leaving, body="Goodbye to you.")
    before = await ours.told(relationship_id)
    process = await leaving.call(INITIATE, {"lengthOfGracePeriodInDays": 3})
    await ours.sync()

    await backbone.move_clock(timedelta(days=3, minutes=1))
    await backbone.run_deletion_job()
    await ours.sync()

    relationship = await ours.relationship(relationship_id)
    assert relationship["status"] == "DeletionProposed"
    assert relationship["peerDeletionInfo"]["deletionStatus"] == "Deleted"
    assert relationship["peerDeletionInfo"]["deletionDate"] >= process["gracePeriodEndsAt"]
    assert reasons(relationship)[-1] == "DecompositionDueToIdentityDeletion"
    told = (await ours.told(relationship_id))[len(before) :]
    assert sorted(told) == ["peerDeleted EXTERNAL", "peerToBeDeleted EXTERNAL", HEARD]
    assert (await ours.does.messages.get(last["id"]))["content"]["body"] == "Goodbye."
    with pytest.raises(DomainError) as refused:
        await ours.send_mail(leaving, body="Are you there?")
    assert refused.value.reason == "RELATIONSHIP_NOT_ACTIVE"

    await ours.decompose(relationship_id)

    for message_id in (last["id"], mine["id"]):
        with pytest.raises(DomainError) as gone:
            await ours.does.messages.get(message_id)
        assert gone.value.reason == "NOT_FOUND"


async def test_an_official_peer_hears_that_we_are_to_be_deleted_and_that_we_stay(
    ours: OurSide, official: OfficialPeer
) -> None:
    relationship_id = await connect(ours, official)

    process = await ours.transport.identity_deletion.start(14)
    await official.sync()
    warned = await official.wait_for("transport.peerToBeDeleted", about(relationship_id))
    cancelled = await ours.transport.identity_deletion.cancel(process["id"])
    await official.sync()
    relieved = await official.wait_for("transport.peerDeletionCancelled", about(relationship_id))

    assert warned["peerDeletionInfo"] == {
        "deletionStatus": "ToBeDeleted",
        "deletionDate": process["gracePeriodEndsAt"],
    }
    assert relieved.get("peerDeletionInfo") is None
    assert (process["status"], cancelled["status"]) == ("Active", "Cancelled")
    assert await ours.told(process["id"]) == ["identityDeletionProcessStatusChanged LOCAL"] * 2
    sent = await ours.send_mail(official, body="I stay.")
    assert (await receive(official, sent["id"]))["content"]["body"] == "I stay."


async def test_nobody_connects_to_us_when_we_are_to_be_deleted(ours: OurSide, official: OfficialPeer) -> None:
    template = await ours.offer()
    process = await ours.transport.identity_deletion.start(14)

    await ours.sync()
    answer = await official.call(
        "transport.relationships.canCreateRelationship", {"templateId": (await load(official, template))["id"]}
    )

    assert await ours.told(process["id"]) == ["identityDeletionProcessStatusChanged LOCAL"]
    assert answer["code"] == "error.transport.relationships.activeIdentityDeletionProcessOfOwnerOfRelationshipTemplate"


async def test_an_official_peer_hears_that_we_are_deleted(
    ours: OurSide, official: OfficialPeer, backbone: BackboneProcess
) -> None:
    relationship_id = await connect(ours, official)
    await ours.transport.identity_deletion.start(3)
    before = await ours.transport.identity_deletion.is_deleted()

    await backbone.move_clock(timedelta(days=3, minutes=1))
    await backbone.run_deletion_job()
    await official.sync()
    told = await official.wait_for("transport.peerDeleted", about(relationship_id))
    await official.wait_for("transport.relationshipChanged", has_status(relationship_id, "DeletionProposed"))

    assert told["peerDeletionInfo"]["deletionStatus"] == "Deleted"
    assert reasons(await get_relationship(official, relationship_id))[-1] == "DecompositionDueToIdentityDeletion"
    after = await ours.does.account.deletion_state()
    assert (before.is_deleted, after.is_deleted) == (False, True)
    assert after.deletion_date is not None
    with pytest.raises(OfficialPeerError) as refused:
        await send_mail(official, ours, body="Are you there?")
    assert refused.value.code == "error.runtime.messages.hasNoActiveRelationship"
