"""Official peers create identities, log in again and look at each other, with only our Backbone between them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.interop.backbone_process import BackboneProcess
from tests.interop.conftest import Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.steps import connect

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]


async def test_a_new_identity_gets_an_address_of_its_own_at_the_host_of_the_backbone(peers: Peers) -> None:
    anna, bert = await peers.start_many(2)

    assert anna.address.startswith("did:e:localhost:dids:")
    assert anna.address != bert.address
    assert (await anna.call("transport.account.getIdentityInfo"))["address"] == anna.address


async def test_the_same_folder_logs_in_to_the_same_identity(backbone: BackboneProcess, tmp_path: Path) -> None:
    folder = tmp_path / "anna"
    async with OfficialPeer.start(base_url=backbone.base_url, db_folder=folder) as anna:
        device = await anna.call("transport.account.getDeviceInfo")
        address = anna.address

    async with OfficialPeer.start(base_url=backbone.base_url, db_folder=folder) as again:
        challenge = await again.call("transport.challenges.createChallenge", {"challengeType": "Device"})

        assert again.address == address
        assert (await again.call("transport.account.getDeviceInfo"))["id"] == device["id"]
        # The Backbone says in its answer who asked, so this is its view of the second login.
        assert f'"createdBy":"{address}"' in challenge["challengeString"]
        assert f'"createdByDevice":"{device["id"]}"' in challenge["challengeString"]


async def test_a_wrong_client_secret_is_refused(backbone: BackboneProcess) -> None:
    with pytest.raises(OfficialPeerError) as refused:
        async with OfficialPeer.start(base_url=backbone.base_url, client_secret="wrong"):
            pass

    assert refused.value.code == "error.transport.general.platformClientInvalid"


async def test_the_backbone_is_of_a_version_that_the_runtime_takes(peers: Peers) -> None:
    anna = await peers.start()

    answer = await anna.call("anonymous.backboneCompatibility.checkBackboneCompatibility")

    assert answer["isCompatible"] is True


async def test_a_living_identity_is_not_deleted(peers: Peers) -> None:
    anna = await peers.start()

    assert (await anna.call("transport.account.checkIfIdentityIsDeleted"))["isDeleted"] is False


async def test_a_signed_challenge_is_valid_for_the_peer_and_only_as_it_was_signed(peers: Peers) -> None:
    anna, bert = await peers.start_many(2)
    relationship_id = await connect(anna, bert)
    signed = await bert.call("transport.challenges.createChallenge", {"challengeType": "Identity"})
    other = await bert.call("transport.challenges.createChallenge", {"challengeType": "Identity"})

    genuine = await anna.call(
        "transport.challenges.validateChallenge",
        {"challengeString": signed["challengeString"], "signature": signed["signature"]},
    )
    swapped = await anna.call(
        "transport.challenges.validateChallenge",
        {"challengeString": signed["challengeString"], "signature": other["signature"]},
    )

    assert genuine["isValid"] is True
    assert genuine["correspondingRelationship"]["id"] == relationship_id
    assert swapped["isValid"] is False
