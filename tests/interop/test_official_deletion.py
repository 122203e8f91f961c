"""The deletion of an identity as official peers live through it: started, cancelled, carried out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeerError
from tests.interop.steps import connect, get_relationship, has_status, load, offer, reasons, send_mail

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

INITIATE = "transport.identityDeletionProcesses.initiateIdentityDeletionProcess"
CANCEL = "transport.identityDeletionProcesses.cancelIdentityDeletionProcess"


@pytest.fixture(scope="module")
def backbone() -> Iterator[BackboneProcess]:
    """A Backbone of this module's own, since its clock is moved."""
    with BackboneProcess.start() as running:
        yield running


async def test_a_started_deletion_is_told_to_peers_and_stops_what_would_be_new(peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    relationship_id = await connect(anna, bert)

    process = await anna.call(INITIATE, {"lengthOfGracePeriodInDays": 14})
    await bert.sync()
    told = await bert.wait_for("transport.peerToBeDeleted")

    assert process["status"] == "Active"
    assert told["id"] == relationship_id
    assert told["peerDeletionInfo"] == {
        "deletionStatus": "ToBeDeleted",
        "deletionDate": process["gracePeriodEndsAt"],
    }
    with pytest.raises(OfficialPeerError) as refused:
        await send_mail(anna, bert, body="One last thing.")
    assert refused.value.code == "error.platform.unexpected"
    with pytest.raises(OfficialPeerError) as again:
        await anna.call(INITIATE)
    assert again.value.code == "error.runtime.identityDeletionProcess.activeIdentityDeletionProcessAlreadyExists"


async def test_a_cancelled_deletion_leaves_everything_as_it_was(peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    relationship_id = await connect(anna, bert)
    process = await anna.call(INITIATE)
    await bert.sync()
    await bert.wait_for("transport.peerToBeDeleted")

    cancelled = await anna.call(CANCEL)
    await bert.sync()
    told = await bert.wait_for("transport.peerDeletionCancelled")

    assert (cancelled["id"], cancelled["status"]) == (process["id"], "Cancelled")
    assert told.get("peerDeletionInfo") is None
    sent = await send_mail(anna, bert, body="I stay.")
    await bert.sync()
    assert (await bert.wait_for("transport.messageReceived"))["id"] == sent["id"]
    assert (await get_relationship(bert, relationship_id))["status"] == "Active"


async def test_nobody_connects_to_an_identity_that_is_to_be_deleted(peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    template = await load(bert, await offer(anna))
    await anna.call(INITIATE)

    answer = await bert.call("transport.relationships.canCreateRelationship", {"templateId": template["id"]})

    assert answer["isSuccess"] is False
    assert answer["code"] == "error.transport.relationships.activeIdentityDeletionProcessOfOwnerOfRelationshipTemplate"


async def test_a_deletion_is_carried_out_when_its_time_has_come(backbone: BackboneProcess, peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    relationship_id = await connect(anna, bert)
    await send_mail(bert, anna, body="Goodbye.")
    process = await anna.call(INITIATE, {"lengthOfGracePeriodInDays": 3})

    await backbone.run_deletion_job()
    early = await bert.sync()
    await backbone.move_clock(timedelta(days=3, minutes=1))
    await backbone.run_deletion_job()
    await bert.sync()
    told = await bert.wait_for("transport.peerDeleted")

    assert early["relationships"][0]["peerDeletionInfo"]["deletionStatus"] == "ToBeDeleted"
    assert told["id"] == relationship_id
    assert told["peerDeletionInfo"]["deletionStatus"] == "Deleted"
    await bert.wait_for("transport.relationshipChanged", has_status(relationship_id, "DeletionProposed"))
    ended = await get_relationship(bert, relationship_id)
    assert reasons(ended)[-1] == "DecompositionDueToIdentityDeletion"
    gone = await anna.call("transport.account.checkIfIdentityIsDeleted")
    assert gone["isDeleted"] is True
    assert gone["deletionDate"] >= process["gracePeriodEndsAt"]
    with pytest.raises(OfficialPeerError) as refused:
        await send_mail(bert, anna, body="Are you there?")
    assert refused.value.code == "error.runtime.messages.hasNoActiveRelationship"
