"""Challenges: proving to a peer who this is, and checking a peer's proof.

Source: transport.md, section 14.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from enmeshed_connector.backbone.endpoints.challenges import Challenges
from enmeshed_connector.backbone.errors import RecordNotFound
from enmeshed_connector.core.canonical_json import loads_object
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.encodings import to_utf8
from enmeshed_connector.core.errors import InvalidArgument
from enmeshed_connector.core.ids import CHALLENGE, parse_id
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.crypto.challenges import SignedChallenge, challenge_text
from enmeshed_connector.crypto.errors import SignatureInvalid
from enmeshed_connector.crypto.relationship_secrets import RelationshipSecrets
from enmeshed_connector.crypto.signatures import Signature, SignaturePublicKey
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import ActiveRelationshipRequired, NotSupported, RecordMissing
from enmeshed_connector.transport.objects import RELATIONSHIPS, Document, public_part, without_unset


class ChallengeType(enum.Enum):
    """Whose key signs."""

    IDENTITY = "Identity"
    DEVICE = "Device"
    RELATIONSHIP = "Relationship"


@dataclass(frozen=True)
class ChallengeValidity:
    """What checking a proof gave."""

    is_valid: bool
    relationship: Document | None = None
    """The relationship to whoever signed, when it is valid."""


class ChallengeController:
    """Signs own challenges and checks those of peers."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context

    async def create(self, challenge_type: ChallengeType, relationship_id: str | None = None) -> SignedChallenge:
        """Returns a fresh challenge of the Backbone, signed. It is valid for ten minutes.

        Args:
            challenge_type: Whose key signs.
            relationship_id: The relationship, for that type.

        Raises:
            InvalidArgument: The relationship is missing.
            RecordMissing: There is no such relationship.
            ActiveRelationshipRequired: It is not active.
            IdentityKeyMissing: This is not an admin device, and the identity should sign.
            BackboneError: The Backbone is away.
        """
        secrets = None
        if challenge_type is ChallengeType.RELATIONSHIP:
            if relationship_id is None:
                raise InvalidArgument("A challenge of type Relationship needs a relationship.")
            secrets = await self._active_secrets(relationship_id)
        challenge = await Challenges(self._context.backbone).create()
        text = challenge_text(
            without_unset(
                createdBy=challenge.created_by,
                createdByDevice=challenge.created_by_device,
                expiresAt=format_date(challenge.expires_at),
                id=challenge.id,
                type=challenge_type.value,
            )
        )
        if secrets is not None:
            signature = secrets.sign(to_utf8(text))
        elif challenge_type is ChallengeType.IDENTITY:
            signature = self._context.keys.sign_as_identity(text)
        else:
            signature = self._context.keys.sign_as_device(text)
        return SignedChallenge(text, signature)

    async def validate(
        self, text: str, signature: Signature, required_type: ChallengeType | None = None
    ) -> ChallengeValidity:
        """Tells whether a peer of this identity signed a challenge that it made itself and that has not expired.

        Args:
            text: The challenge's text, exactly as it was signed.
            signature: The signature.
            required_type: The only type that counts, when given.

        Raises:
            MalformedValue: The text is no challenge.
            NotSupported: It is signed by a device: nobody knows the keys of a peer's devices.
            RecordMissing: Whoever made the challenge has no active relationship with this identity.
            BackboneError: The Backbone is away.
        """
        members = loads_object(text, field="challenge")
        challenge_type = _type_of(members.get("type"))
        if required_type is not None and challenge_type is not required_type:
            return ChallengeValidity(False)
        if challenge_type is ChallengeType.DEVICE:
            raise NotSupported("Challenges that were signed by a device cannot be checked.")
        if parse_date(members.get("expiresAt", ""), "challenge.expiresAt") <= self._context.clock.now():
            return ChallengeValidity(False)
        creator = members.get("createdBy")
        if not isinstance(creator, str):
            return ChallengeValidity(False)
        try:
            known = await Challenges(self._context.backbone).get(parse_id(CHALLENGE, members.get("id", "")))
        except RecordNotFound:
            return ChallengeValidity(False)
        if (
            known.id != members.get("id")
            or known.created_by != creator
            or known.expires_at <= self._context.clock.now()
        ):
            return ChallengeValidity(False)
        relationship = await self._context.store.find_one(RELATIONSHIPS, {"peer.address": creator, "status": "Active"})
        if relationship is None:
            raise RecordMissing("active relationship to", creator, official_code="error.transport.recordNotFound")
        try:
            await self._verify(challenge_type, relationship, to_utf8(text), signature)
        except SignatureInvalid:
            return ChallengeValidity(False)
        return ChallengeValidity(True, public_part(relationship))

    async def _verify(
        self, challenge_type: ChallengeType, relationship: Document, signed: bytes, signature: Signature
    ) -> None:
        if challenge_type is ChallengeType.IDENTITY:
            SignaturePublicKey.from_json(relationship["peer"]["publicKey"]).verify(signed, signature)
            return
        secrets = await self._context.secrets.load(relationship["relationshipSecretId"], RelationshipSecrets)
        secrets.verify_peer(signed, signature)

    async def _active_secrets(self, relationship_id: str) -> RelationshipSecrets:
        relationship = await self._context.store.get(RELATIONSHIPS, relationship_id)
        if relationship is None:
            raise RecordMissing("relationship", relationship_id)
        if relationship["status"] != "Active":
            raise ActiveRelationshipRequired(
                f"The relationship {relationship_id} is not active.", facts={"id": relationship_id}
            )
        return await self._context.secrets.load(relationship["relationshipSecretId"], RelationshipSecrets)


def _type_of(value: object) -> ChallengeType:
    try:
        return ChallengeType(value)
    except ValueError:
        raise MalformedValue("challenge.type", "must be Identity, Device or Relationship") from None
