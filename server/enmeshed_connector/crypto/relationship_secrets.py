"""The secrets of a relationship, on both sides, and what they exchange in the open.

The requestor sends a `PublicRequest`, the templator answers with a `PublicResponse`; afterwards both hold
`RelationshipSecrets` whose channels fit. Source: `spec/crypto.md` sections 5 and 10.
"""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass, replace
from typing import ClassVar

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.malformed import WrongForm, WrongLength

from ._container import Container, RandomSource, member, read_bytes, read_integer, read_optional_text, required
from .derivation import REQUEST_CONTEXT, REQUESTOR_CHANNEL_CONTEXT, TEMPLATOR_CHANNEL_CONTEXT, derive_key
from .exchange import (
    ExchangeKeypair,
    ExchangePublicKey,
    nested_exchange_public_key,
    read_exchange_public_key,
)
from .signatures import Signature, SignatureKeypair, SignatureLabel, SignaturePublicKey
from .states import PublicState, ReceiveState, TransmitState
from .symmetric import NONCE_LENGTH, Cipher, SecretKey, decrypt, encrypt

_NONCE_CODE = "error.crypto.encryption.wrongNonce"


class RelationshipSide(enum.IntEnum):
    """Which side of a relationship this is; written as `typ`."""

    TEMPLATOR = 1
    REQUESTOR = 2


@dataclass(frozen=True, slots=True)
class PublicRequest(Container):
    """The public keys and the nonce that the requestor sends in the open."""

    type_name: ClassVar[str] = "CryptoRelationshipPublicRequest"

    exchange_key: ExchangePublicKey
    signature_key: SignaturePublicKey
    ephemeral_key: ExchangePublicKey
    nonce: bytes
    """24 bytes: the base nonce of the channel from requestor to templator."""

    def __post_init__(self) -> None:
        if len(self.nonce) != NONCE_LENGTH:
            raise WrongLength("publicRequest.nnc", f"must have {NONCE_LENGTH} bytes", official_code=_NONCE_CODE)

    def _members(self) -> JsonObject:
        return {
            "exc": self.exchange_key.to_json(verbose=False),
            "sig": self.signature_key.to_json(verbose=False),
            "eph": self.ephemeral_key.to_json(verbose=False),
            "nnc": to_base64url(self.nonce),
        }

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> PublicRequest:
        return cls(
            ExchangePublicKey.from_json(required(members, "exc", "exchangeKey", field), f"{field}.exc"),
            SignaturePublicKey.from_json(required(members, "sig", "signatureKey", field), f"{field}.sig"),
            ExchangePublicKey.from_json(required(members, "eph", "ephemeralKey", field), f"{field}.eph"),
            read_bytes(members, "nnc", "nonce", field, NONCE_LENGTH, _NONCE_CODE),
        )


@dataclass(frozen=True, slots=True)
class PublicResponse(Container):
    """The public keys and the state that the templator sends in the open."""

    type_name: ClassVar[str] = "CryptoRelationshipPublicResponse"

    exchange_key: ExchangePublicKey
    signature_key: SignaturePublicKey
    state: PublicState
    """Holds the base nonce of the channel from templator to requestor."""
    id: str | None = None

    def _members(self) -> JsonObject:
        members: JsonObject = {
            "exc": self.exchange_key.to_json(verbose=False),
            "sig": self.signature_key.to_json(verbose=False),
            "sta": self.state.to_json(verbose=False),
        }
        if self.id is not None:
            members["id"] = self.id
        return members

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> PublicResponse:
        return cls(
            ExchangePublicKey.from_json(required(members, "exc", "exchangeKey", field), f"{field}.exc"),
            SignaturePublicKey.from_json(required(members, "sig", "signatureKey", field), f"{field}.sig"),
            PublicState.from_json(required(members, "sta", "state", field), f"{field}.sta"),
            read_optional_text(members, "id", field),
        )


@dataclass(frozen=True, slots=True)
class RequestSecrets(Container):
    """What the requestor holds until the templator answers."""

    type_name: ClassVar[str] = "CryptoRelationshipRequestSecrets"
    type_comes_first: ClassVar[bool] = True

    exchange_keypair: ExchangeKeypair
    ephemeral_keypair: ExchangeKeypair
    signature_keypair: SignatureKeypair
    peer_identity_key: SignaturePublicKey
    """The identity key of the templator, from the template."""
    peer_exchange_key: ExchangePublicKey
    """The template key."""
    request_key: SecretKey
    """The key of the creation content."""
    nonce: bytes
    """24 bytes: the base nonce of the channel from requestor to templator."""
    id: str | None = None

    def __post_init__(self) -> None:
        if len(self.nonce) != NONCE_LENGTH:
            raise WrongLength("requestSecrets.nnc", f"must have {NONCE_LENGTH} bytes", official_code=_NONCE_CODE)

    @classmethod
    def create(
        cls,
        template_key: ExchangePublicKey,
        templator_identity_key: SignaturePublicKey,
        random: RandomSource = os.urandom,
    ) -> RequestSecrets:
        """Returns fresh secrets for a request to the owner of a template.

        Raises:
            KeyExchangeFailed: The template key gives no shared key.
        """
        exchange, ephemeral = ExchangeKeypair.generate(random), ExchangeKeypair.generate(random)
        return cls(
            exchange,
            ephemeral,
            SignatureKeypair.generate(random),
            templator_identity_key,
            template_key,
            derive_key(ephemeral.derive_as_requestor(template_key).transmit, 1, REQUEST_CONTEXT),
            random(NONCE_LENGTH),
        )

    def public_request(self) -> PublicRequest:
        """Returns what the templator needs of them."""
        return PublicRequest(
            self.exchange_keypair.public_key,
            self.signature_keypair.public_key,
            self.ephemeral_keypair.public_key,
            self.nonce,
        )

    def sign(self, message: bytes) -> Signature:
        """Returns the signature of the relationship key over the bytes."""
        return self.signature_keypair.private_key.sign(message, SignatureLabel.RELATIONSHIP)

    def verify_own(self, message: bytes, signature: Signature) -> None:
        """Returns when this side made the signature; raises SignatureInvalid otherwise."""
        self.signature_keypair.public_key.verify(message, signature)

    def _members(self) -> JsonObject:
        members: JsonObject = {
            "eph": self.ephemeral_keypair.to_json(verbose=False),
            "exc": self.exchange_keypair.to_json(verbose=False),
        }
        if self.id is not None:
            members["id"] = self.id
        members["key"] = self.request_key.to_json(verbose=False)
        members["nnc"] = to_base64url(self.nonce)
        members["pik"] = self.peer_identity_key.to_json(verbose=False)
        members["pxk"] = nested_exchange_public_key(self.peer_exchange_key)
        members["sig"] = self.signature_keypair.to_json(verbose=False)
        return members

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> RequestSecrets:
        return cls(
            ExchangeKeypair.from_json(required(members, "exc", "exchangeKeypair", field), f"{field}.exc"),
            ExchangeKeypair.from_json(required(members, "eph", "ephemeralKeypair", field), f"{field}.eph"),
            SignatureKeypair.from_json(required(members, "sig", "signatureKeypair", field), f"{field}.sig"),
            SignaturePublicKey.from_json(required(members, "pik", "peerIdentityKey", field), f"{field}.pik"),
            read_exchange_public_key(required(members, "pxk", "peerExchangeKey", field), f"{field}.pxk"),
            SecretKey.from_json(required(members, "key", "secretKey", field), f"{field}.key"),
            read_bytes(members, "nnc", "nonce", field, NONCE_LENGTH, _NONCE_CODE),
            read_optional_text(members, "id", field),
        )


@dataclass(frozen=True, slots=True)
class RelationshipSecrets(Container):
    """What one side of an established relationship holds."""

    type_name: ClassVar[str] = "CryptoRelationshipSecrets"
    type_comes_first: ClassVar[bool] = True

    side: RelationshipSide
    exchange_keypair: ExchangeKeypair
    signature_keypair: SignatureKeypair
    peer_exchange_key: ExchangePublicKey
    peer_signature_key: SignaturePublicKey
    peer_template_key: ExchangePublicKey
    """The template key on the requestor's side, the requestor's ephemeral key on the templator's."""
    request_key: SecretKey
    """The key of the creation content."""
    receive_state: ReceiveState
    transmit_state: TransmitState
    peer_identity_key: SignaturePublicKey | None = None
    """The templator's identity key; only on the requestor's side."""
    id: str | None = None

    @classmethod
    def from_request(
        cls, request: PublicRequest, template_keypair: ExchangeKeypair, random: RandomSource = os.urandom
    ) -> RelationshipSecrets:
        """Returns fresh secrets of the templator for an incoming request; made when it arrives, not when accepted.

        Raises:
            KeyExchangeFailed: A key of the request gives no shared key.
        """
        exchange = ExchangeKeypair.generate(random)
        signature = SignatureKeypair.generate(random)
        nonce = random(NONCE_LENGTH)
        channel = exchange.derive_as_templator(request.exchange_key)
        request_key = template_keypair.derive_as_templator(request.ephemeral_key).receive
        return cls(
            RelationshipSide.TEMPLATOR,
            exchange,
            signature,
            request.exchange_key,
            request.signature_key,
            request.ephemeral_key,
            derive_key(request_key, 1, REQUEST_CONTEXT),
            ReceiveState(derive_key(channel.receive, 1, REQUESTOR_CHANNEL_CONTEXT), request.nonce),
            TransmitState(derive_key(channel.transmit, 1, TEMPLATOR_CHANNEL_CONTEXT), nonce),
        )

    @classmethod
    def from_response(cls, request_secrets: RequestSecrets, response: PublicResponse) -> RelationshipSecrets:
        """Returns the secrets of the requestor once the templator has answered.

        Raises:
            KeyExchangeFailed: The key of the response gives no shared key.
        """
        channel = request_secrets.exchange_keypair.derive_as_requestor(response.exchange_key)
        return cls(
            RelationshipSide.REQUESTOR,
            request_secrets.exchange_keypair,
            request_secrets.signature_keypair,
            response.exchange_key,
            response.signature_key,
            request_secrets.peer_exchange_key,
            request_secrets.request_key,
            ReceiveState(
                derive_key(channel.receive, 1, TEMPLATOR_CHANNEL_CONTEXT), response.state.nonce, id=response.state.id
            ),
            TransmitState(derive_key(channel.transmit, 1, REQUESTOR_CHANNEL_CONTEXT), request_secrets.nonce),
            request_secrets.peer_identity_key,
        )

    def public_response(self) -> PublicResponse:
        """Returns what the requestor needs of a templator's secrets."""
        return PublicResponse(
            self.exchange_keypair.public_key,
            self.signature_keypair.public_key,
            self.transmit_state.public_state(),
            self.id,
        )

    def sign(self, message: bytes) -> Signature:
        """Returns the signature of the own relationship key over the bytes."""
        return self.signature_keypair.private_key.sign(message, SignatureLabel.RELATIONSHIP)

    def verify_peer(self, message: bytes, signature: Signature) -> None:
        """Returns when the peer's relationship key made the signature; raises SignatureInvalid otherwise."""
        self.peer_signature_key.verify(message, signature)

    def verify_own(self, message: bytes, signature: Signature) -> None:
        """Returns when the own relationship key made the signature; raises SignatureInvalid otherwise."""
        self.signature_keypair.public_key.verify(message, signature)

    def encrypt(self, plaintext: bytes, *, counter: int) -> Cipher:
        """Returns the cipher for the peer; `TransmitState.encrypt` tells of counters and errors."""
        return self.transmit_state.encrypt(plaintext, counter=counter)

    def decrypt_peer(self, cipher: Cipher) -> bytes:
        """Returns the plaintext of a cipher of the peer, whatever its counter.

        Raises:
            MissingValue: The cipher has a nonce instead of a counter.
            DecryptionFailed: The tag does not fit.
        """
        return self.receive_state.decrypt(cipher)

    def decrypt_peer_in_order(self, cipher: Cipher) -> tuple[bytes, RelationshipSecrets]:
        """Returns the plaintext of the peer's next cipher and the secrets that expect the one after it.

        Raises:
            CounterOutOfOrder: The cipher has another counter than the expected one.
            DecryptionFailed: The tag does not fit.
        """
        plaintext, state = self.receive_state.decrypt_in_order(cipher)
        return plaintext, replace(self, receive_state=state)

    def decrypt_own(self, cipher: Cipher) -> bytes:
        """Returns the plaintext of a cipher that this side made for the peer."""
        return self.transmit_state.decrypt(cipher)

    def encrypt_request(self, plaintext: bytes, *, nonce: bytes | None = None) -> Cipher:
        """Returns the cipher of a plaintext under the request key."""
        return encrypt(self.request_key, plaintext, nonce=nonce)

    def decrypt_request(self, cipher: Cipher) -> bytes:
        """Returns the plaintext of a cipher under the request key.

        Raises:
            MissingValue: The cipher has a counter instead of a nonce.
            DecryptionFailed: The tag does not fit.
        """
        return decrypt(self.request_key, cipher)

    def _members(self) -> JsonObject:
        members: JsonObject = {"exc": self.exchange_keypair.to_json(verbose=False)}
        if self.id is not None:
            members["id"] = self.id
        if self.peer_identity_key is not None:
            members["pik"] = self.peer_identity_key.to_json(verbose=False)
        members["psk"] = self.peer_signature_key.to_json(verbose=False)
        members["ptk"] = nested_exchange_public_key(self.peer_template_key)
        members["pxk"] = nested_exchange_public_key(self.peer_exchange_key)
        members["rsk"] = self.request_key.to_json(verbose=False)
        members["rx"] = self.receive_state.to_json()
        members["sig"] = self.signature_keypair.to_json(verbose=False)
        members["tx"] = self.transmit_state.to_json()
        members["typ"] = int(self.side)
        return members

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> RelationshipSecrets:
        side = read_integer(members, "typ", "type", field)
        if side not in (1, 2):
            raise WrongForm(f"{field}.typ", "must be 1 or 2")
        identity_key = member(members, "pik", "peerIdentityKey")
        return cls(
            RelationshipSide(side),
            ExchangeKeypair.from_json(required(members, "exc", "exchangeKeypair", field), f"{field}.exc"),
            SignatureKeypair.from_json(required(members, "sig", "signatureKeypair", field), f"{field}.sig"),
            read_exchange_public_key(required(members, "pxk", "peerExchangeKey", field), f"{field}.pxk"),
            SignaturePublicKey.from_json(required(members, "psk", "peerSignatureKey", field), f"{field}.psk"),
            read_exchange_public_key(required(members, "ptk", "peerTemplateKey", field), f"{field}.ptk"),
            SecretKey.from_json(required(members, "rsk", "requestSecretKey", field), f"{field}.rsk"),
            ReceiveState.from_json(required(members, "rx", "receiveState", field), f"{field}.rx"),
            TransmitState.from_json(required(members, "tx", "transmitState", field), f"{field}.tx"),
            None if identity_key is None else SignaturePublicKey.from_json(identity_key, f"{field}.pik"),
            read_optional_text(members, "id", field),
        )
