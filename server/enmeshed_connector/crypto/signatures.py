"""Ed25519 signatures, detached, over the bytes as they are. Source: `spec/crypto.md` sections 4.3 and 5."""

from __future__ import annotations

import enum
import os
from dataclasses import dataclass
from typing import ClassVar

from nacl.bindings import crypto_sign, crypto_sign_ed25519_sk_to_pk, crypto_sign_open, crypto_sign_seed_keypair
from nacl.exceptions import BadSignatureError

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.malformed import Mismatch, UnknownAlgorithm, WrongLength
from enmeshed_connector.core.secret_bytes import SecretBytes

from ._container import (
    Container,
    RandomSource,
    check_algorithm,
    read_bytes,
    read_integer,
    read_optional_text,
    required,
)
from .errors import SignatureInvalid

ED25519 = 3
PUBLIC_KEY_LENGTH = 32
PRIVATE_KEY_LENGTH = 64
SEED_LENGTH = 32
SIGNATURE_LENGTH = 64
_ALGORITHM_CODE = "error.crypto.signature.wrongAlgorithm"
_BUFFER_CODE = "error.crypto.wrongBuffer"


class SignatureLabel(enum.IntEnum):
    """The `alg` of a signature object: a label that tells the signer's kind and has no part in the computation."""

    RELATIONSHIP = 1
    """Made by a relationship key."""
    IDENTITY = 2
    """Made by an identity or device key."""
    UNUSED = 3
    """Enumerated by the network and used by nobody; read and passed on."""


@dataclass(frozen=True, slots=True)
class Signature(Container):
    """A signature with its label."""

    type_name: ClassVar[str] = "CryptoSignature"

    data: bytes
    """64 bytes."""
    label: SignatureLabel
    """Written as `alg`; verifiers ignore it."""

    def __post_init__(self) -> None:
        if len(self.data) != SIGNATURE_LENGTH:
            raise WrongLength("signature.sig", f"must have {SIGNATURE_LENGTH} bytes", official_code=_BUFFER_CODE)

    def _members(self) -> JsonObject:
        return {"sig": to_base64url(self.data), "alg": int(self.label)}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> Signature:
        number = read_integer(members, "alg", "algorithm", field)
        if number not in (1, 2, 3):
            raise UnknownAlgorithm(f"{field}.alg", "must be 1, 2 or 3", official_code=_ALGORITHM_CODE)
        return cls(
            read_bytes(members, "sig", "signature", field, SIGNATURE_LENGTH, _BUFFER_CODE), SignatureLabel(number)
        )


@dataclass(frozen=True, slots=True)
class SignaturePublicKey(Container):
    """The public key that verifies signatures of one signer."""

    type_name: ClassVar[str] = "CryptoSignaturePublicKey"

    data: bytes
    """32 bytes."""

    def __post_init__(self) -> None:
        if len(self.data) != PUBLIC_KEY_LENGTH:
            raise WrongLength("publicKey", f"must have {PUBLIC_KEY_LENGTH} bytes", official_code=_BUFFER_CODE)

    def verify(self, message: bytes, signature: Signature) -> None:
        """Returns when the signature was made by this key over exactly these bytes.

        Args:
            message: The bytes as they travelled; never parsed and serialised again. At least one.
            signature: The signature; its label does not matter.

        Raises:
            WrongLength: The message is empty.
            SignatureInvalid: The signature does not belong to message and key.
        """
        if not message:
            raise WrongLength("message", "must not be empty")
        try:
            crypto_sign_open(signature.data + message, self.data)
        except BadSignatureError:
            raise SignatureInvalid("the signature is not valid") from None

    def _members(self) -> JsonObject:
        return {"pub": to_base64url(self.data), "alg": ED25519}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> SignaturePublicKey:
        check_algorithm(members, ED25519, field, _ALGORITHM_CODE)
        return cls(read_bytes(members, "pub", "publicKey", field, PUBLIC_KEY_LENGTH, _BUFFER_CODE))


class SignaturePrivateKey(SecretBytes, Container):
    """A private signature key: 64 bytes, the seed and then the public key."""

    __slots__ = ("id",)

    type_name: ClassVar[str] = "CryptoSignaturePrivateKey"

    def __init__(self, data: bytes, id: str | None = None) -> None:
        """Takes the 64 bytes; raises WrongLength for another number."""
        if len(data) != PRIVATE_KEY_LENGTH:
            raise WrongLength("privateKey", f"must have {PRIVATE_KEY_LENGTH} bytes", official_code=_BUFFER_CODE)
        super().__init__(data)
        self.id = id

    def public_key(self) -> SignaturePublicKey:
        """Returns the public key that belongs to it."""
        return SignaturePublicKey(crypto_sign_ed25519_sk_to_pk(self._data))

    def sign(self, message: bytes, label: SignatureLabel) -> Signature:
        """Returns the signature over the bytes.

        Raises:
            WrongLength: The message is empty.
        """
        if not message:
            raise WrongLength("message", "must not be empty")
        return Signature(crypto_sign(message, self._data)[:SIGNATURE_LENGTH], label)

    def _members(self) -> JsonObject:
        members: JsonObject = {"prv": to_base64url(self._data), "alg": ED25519}
        if self.id is not None:
            members["id"] = self.id
        return members

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> SignaturePrivateKey:
        check_algorithm(members, ED25519, field, _ALGORITHM_CODE)
        data = read_bytes(members, "prv", "privateKey", field, PRIVATE_KEY_LENGTH, _BUFFER_CODE)
        # Signing with a foreign second half would reveal the key, so that a damaged one is refused here.
        if crypto_sign_seed_keypair(data[:SEED_LENGTH])[0] != data[SEED_LENGTH:]:
            raise Mismatch(f"{field}.prv", "does not hold the public key that belongs to it")
        return cls(data, read_optional_text(members, "id", field))


@dataclass(frozen=True, slots=True)
class SignatureKeypair(Container):
    """A private signature key with its public key."""

    type_name: ClassVar[str] = "CryptoSignatureKeypair"

    public_key: SignaturePublicKey
    private_key: SignaturePrivateKey

    @classmethod
    def generate(cls, random: RandomSource = os.urandom) -> SignatureKeypair:
        """Returns a fresh random keypair."""
        return cls.from_seed(random(SEED_LENGTH))

    @classmethod
    def from_seed(cls, seed: bytes) -> SignatureKeypair:
        """Returns the keypair of a seed of 32 secret bytes; raises WrongLength for another number."""
        if len(seed) != SEED_LENGTH:
            raise WrongLength("seed", f"must have {SEED_LENGTH} bytes", official_code=_BUFFER_CODE)
        public, private = crypto_sign_seed_keypair(seed)
        return cls(SignaturePublicKey(public), SignaturePrivateKey(private))

    @classmethod
    def from_private_key(cls, private_key: SignaturePrivateKey) -> SignatureKeypair:
        """Returns the keypair of a private key."""
        return cls(private_key.public_key(), private_key)

    def _members(self) -> JsonObject:
        return {"pub": self.public_key.to_json(verbose=False), "prv": self.private_key.to_json(verbose=False)}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> SignatureKeypair:
        public = SignaturePublicKey.from_json(required(members, "pub", "publicKey", field), f"{field}.pub")
        private = SignaturePrivateKey.from_json(required(members, "prv", "privateKey", field), f"{field}.prv")
        if private.public_key() != public:
            raise Mismatch(f"{field}.pub", "does not belong to the private key")
        return cls(public, private)
