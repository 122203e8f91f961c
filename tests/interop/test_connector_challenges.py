"""Proofs of identity between an account of ours and an official peer, in both directions."""

from __future__ import annotations

import pytest
import pytest_asyncio

from enmeshed_connector.transport.errors import ActiveRelationshipRequired, NotSupported, RecordMissing
from tests.interop.conftest import OurAccounts, Peers
from tests.interop.official_peer.official_peer import OfficialPeer, OfficialPeerError
from tests.interop.our_side import OurSide
from tests.interop.steps import Json, ask, change, offer

pytestmark = [pytest.mark.node, pytest.mark.asyncio(loop_scope="module")]

Connected = tuple[OurSide, OfficialPeer, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def official(peers: Peers) -> OfficialPeer:
    """The official peer of all tests here."""
    return await peers.start()


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=[True, False], ids=["we asked", "we were asked"])
async def connected(request: pytest.FixtureRequest, accounts: OurAccounts, official: OfficialPeer) -> Connected:
    """An account of ours and an official peer with an active relationship, and its id."""
    ours = await accounts.open()
    if request.param:
        relationship = await ours.ask(await offer(official))
        await official.sync()
        await change(official, "acceptRelationship", relationship["id"])
        await ours.sync()
    else:
        relationship = await ask(official, await ours.offer())
        await ours.sync()
        await ours.accept(relationship["id"])
        await official.sync()
    return ours, official, str(relationship["id"])


async def create(official: OfficialPeer, kind: str, relationship_id: str | None = None) -> Json:
    params = {"challengeType": kind} | ({} if relationship_id is None else {"relationship": relationship_id})
    return await official.call("transport.challenges.createChallenge", params)


async def validate(official: OfficialPeer, challenge: Json) -> Json:
    proof = {name: challenge[name] for name in ("challengeString", "signature")}
    return await official.call("transport.challenges.validateChallenge", proof)


@pytest.mark.parametrize("kind", ["Identity", "Relationship"])
async def test_our_proof_is_accepted(connected: Connected, kind: str) -> None:
    ours, official, relationship_id = connected
    challenge = await ours.does.account.create_challenge(kind, relationship_id if kind == "Relationship" else None)

    answer = await validate(official, challenge)

    assert answer["isValid"] is True
    assert answer["correspondingRelationship"]["id"] == relationship_id
    assert (challenge["type"], challenge["createdBy"]) == (kind, ours.address)
    assert challenge["createdByDevice"] == ours.device_id


@pytest.mark.parametrize("kind", ["Identity", "Relationship"])
async def test_an_official_proof_is_accepted(connected: Connected, kind: str) -> None:
    ours, official, relationship_id = connected
    challenge = await create(official, kind, relationship_id if kind == "Relationship" else None)

    is_valid, relationship = await ours.does.account.validate_challenge(
        challenge["challengeString"], challenge["signature"]
    )

    assert is_valid
    assert relationship is not None
    assert relationship["id"] == relationship_id


@pytest.mark.parametrize("kind", ["Identity", "Relationship"])
async def test_a_signature_of_another_challenge_is_not_accepted(connected: Connected, kind: str) -> None:
    ours, official, relationship_id = connected
    place = relationship_id if kind == "Relationship" else None
    mine, other = [await ours.does.account.create_challenge(kind, place) for _ in range(2)]
    theirs, another = [await create(official, kind, place) for _ in range(2)]

    answer = await validate(official, {**mine, "signature": other["signature"]})
    is_valid, relationship = await ours.does.account.validate_challenge(theirs["challengeString"], another["signature"])

    assert answer["isValid"] is False
    assert (is_valid, relationship) == (False, None)


async def test_an_altered_challenge_is_not_accepted(connected: Connected) -> None:
    ours, official, _ = connected
    challenge = await create(official, "Identity")
    altered = challenge["challengeString"].replace('"type":"Identity"', '"type":"Relationship"')
    assert altered != challenge["challengeString"]

    assert await ours.does.account.validate_challenge(altered, challenge["signature"]) == (False, None)


async def test_proofs_of_devices_can_be_made_and_are_checked_by_nobody(connected: Connected) -> None:
    ours, official, _ = connected
    mine, theirs = await ours.does.account.create_challenge("Device", None), await create(official, "Device")

    with pytest.raises(OfficialPeerError) as refused:
        await validate(official, mine)
    with pytest.raises(NotSupported) as typed:
        await ours.does.account.validate_challenge(theirs["challengeString"], theirs["signature"])

    assert refused.value.code == typed.value.official_code == "error.runtime.notSupported"


async def test_proofs_of_strangers_are_not_accepted(connected: Connected, accounts: OurAccounts) -> None:
    ours, official, _ = connected
    stranger = await accounts.open()
    challenge = await stranger.does.account.create_challenge("Identity", None)

    with pytest.raises(OfficialPeerError) as refused:
        await validate(official, challenge)
    with pytest.raises(RecordMissing) as typed:
        await ours.does.account.validate_challenge(challenge["challengeString"], challenge["signature"])

    assert refused.value.code == typed.value.official_code == "error.transport.recordNotFound"


async def test_a_proof_for_a_relationship_needs_an_active_one(accounts: OurAccounts, connected: Connected) -> None:
    _, official, _ = connected
    stranger = await accounts.open()
    pending = await stranger.ask(await offer(official))

    with pytest.raises(ActiveRelationshipRequired) as typed:
        await stranger.does.account.create_challenge("Relationship", pending["id"])
    await official.sync()
    with pytest.raises(OfficialPeerError) as refused:
        await create(official, "Relationship", pending["id"])

    code = "error.transport.challenges.challengeTypeRequiresActiveRelationship"
    assert refused.value.code == typed.value.official_code == code
