"""Challenges of a Backbone and the signatures over them. Source: `spec/crypto.md` section 8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from enmeshed_connector.core.canonical_json import Json, JsonObject, dumps, sort_members
from enmeshed_connector.core.encodings import to_utf8

from ._container import Container, read_text
from .signatures import Signature, SignatureLabel, SignaturePrivateKey, SignaturePublicKey


@dataclass(frozen=True, slots=True)
class SignedChallenge(Container):
    """A challenge with the signature over its text."""

    type_name: ClassVar[str] = "ChallengeSigned"

    challenge: str
    """The text that was signed."""
    signature: Signature

    def verify(self, public_key: SignaturePublicKey) -> None:
        """Returns when the key signed exactly this text; raises SignatureInvalid otherwise."""
        public_key.verify(to_utf8(self.challenge), self.signature)

    def _members(self) -> JsonObject:
        return {"challenge": self.challenge, "signature": self.signature.to_base64()}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> SignedChallenge:
        return cls(
            read_text(members, "challenge", "challenge", field),
            Signature.from_base64(read_text(members, "signature", "signature", field), f"{field}.signature"),
        )


def challenge_text(members: dict[str, Json]) -> str:
    """Returns the text of a challenge that gets signed: its members `createdBy`, `createdByDevice`, `expiresAt`, `id`
    and `type`, as far as they are there, in sorted order.
    """
    return dumps(sort_members(members))


def sign_challenge(
    text: str, private_key: SignaturePrivateKey, label: SignatureLabel = SignatureLabel.IDENTITY
) -> SignedChallenge:
    """Returns the challenge signed by an identity or device key, or, with its label, by a relationship key.

    Raises:
        WrongLength: The text is empty.
    """
    return SignedChallenge(text, private_key.sign(to_utf8(text), label))
