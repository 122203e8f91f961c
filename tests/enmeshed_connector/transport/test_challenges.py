from __future__ import annotations

import json
from datetime import timedelta

import pytest

from enmeshed_connector.core.errors import InvalidArgument
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.transport.challenges import ChallengeType
from enmeshed_connector.transport.errors import ActiveRelationshipRequired, NotSupported, RecordMissing
from enmeshed_connector.transport.relationship_operations import TERMINATE
from tests.support.network import Network


@pytest.mark.parametrize("challenge_type", [ChallengeType.IDENTITY, ChallengeType.RELATIONSHIP])
async def test_a_peer_accepts_what_this_identity_signed(network: Network, challenge_type: ChallengeType) -> None:
    anna, bert = await network.account("anna"), await network.account("bert")
    relationship_id = await network.befriend(anna, bert)

    signed = await anna.account.challenges.create(challenge_type, relationship_id)
    validity = await bert.account.challenges.validate(signed.challenge, signed.signature)

    assert validity.is_valid
    assert validity.relationship is not None
    assert validity.relationship["id"] == relationship_id
    assert json.loads(signed.challenge)["type"] == challenge_type.value
    assert list(json.loads(signed.challenge)) == ["createdBy", "createdByDevice", "expiresAt", "id", "type"]


async def test_an_altered_or_foreign_or_expired_proof_is_not_valid(network: Network) -> None:
    anna, bert = await network.account("anna"), await network.account("bert")
    carl = await network.account("carl")
    await network.befriend(anna, bert)
    await network.befriend(carl, bert)
    signed = await anna.account.challenges.create(ChallengeType.IDENTITY)
    other = await carl.account.challenges.create(ChallengeType.IDENTITY)
    validate = bert.account.challenges.validate

    assert not (await validate(signed.challenge, other.signature)).is_valid
    assert not (await validate(signed.challenge.replace("Identity", "Relationship"), signed.signature)).is_valid
    assert not (await validate(signed.challenge, signed.signature, ChallengeType.RELATIONSHIP)).is_valid
    assert not (await validate(signed.challenge.replace(anna.address, carl.address), signed.signature)).is_valid
    network.clock.advance(timedelta(minutes=11))
    assert not (await validate(signed.challenge, signed.signature)).is_valid


async def test_proofs_of_strangers_and_devices_and_nonsense_are_refused(network: Network) -> None:
    anna, bert = await network.account("anna"), await network.account("bert")
    signed = await anna.account.challenges.create(ChallengeType.IDENTITY)
    by_device = await anna.account.challenges.create(ChallengeType.DEVICE)

    with pytest.raises(RecordMissing):
        await bert.account.challenges.validate(signed.challenge, signed.signature)
    with pytest.raises(NotSupported):
        await bert.account.challenges.validate(by_device.challenge, by_device.signature)
    for text in ("", "{}", "[]", '{"type":"Identity"}', "x" * 100):
        with pytest.raises(MalformedValue):
            await bert.account.challenges.validate(text, signed.signature)


async def test_a_relationship_challenge_needs_an_active_relationship(network: Network) -> None:
    anna, bert = await network.account("anna"), await network.account("bert")
    with pytest.raises(InvalidArgument):
        await anna.account.challenges.create(ChallengeType.RELATIONSHIP)
    with pytest.raises(RecordMissing):
        await anna.account.challenges.create(ChallengeType.RELATIONSHIP, "RELunknown")
    relationship_id = await network.befriend(anna, bert)
    await anna.account.relationships.take(TERMINATE, relationship_id)

    with pytest.raises(ActiveRelationshipRequired):
        await anna.account.challenges.create(ChallengeType.RELATIONSHIP, relationship_id)
