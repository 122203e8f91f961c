"""X25519 key exchange in libsodium's kx form. Source: `spec/crypto.md` sections 4.4 and 5."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from nacl.bindings import (
    crypto_kx_client_session_keys,
    crypto_kx_server_session_keys,
    crypto_scalarmult_base,
)
from nacl.exceptions import CryptoError

from enmeshed_connector.core.canonical_json import Json, JsonObject
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.ids import TEMPLATE_KEY, TemplateKeyId, parse_id
from enmeshed_connector.core.malformed import Mismatch, WrongLength
from enmeshed_connector.core.secret_bytes import SecretBytes

from ._container import Container, RandomSource, check_algorithm, read_bytes, read_text, required
from .errors import KeyExchangeFailed
from .symmetric import SecretKey

X25519 = 3
EXCHANGE_KEY_LENGTH = 32
_ALGORITHM_CODE = "error.crypto.exchange.wrongAlgorithm"
_BUFFER_CODE = "error.crypto.wrongBuffer"


@dataclass(frozen=True, slots=True)
class ExchangePublicKey(Container):
    """The public key that a peer exchanges keys with."""

    type_name: ClassVar[str] = "CryptoExchangePublicKey"
    type_comes_first: ClassVar[bool] = True

    data: bytes
    """32 bytes."""

    def __post_init__(self) -> None:
        if len(self.data) != EXCHANGE_KEY_LENGTH:
            raise WrongLength("publicKey", f"must have {EXCHANGE_KEY_LENGTH} bytes", official_code=_BUFFER_CODE)

    def _members(self) -> JsonObject:
        return {"pub": to_base64url(self.data), "alg": X25519}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> ExchangePublicKey:
        return cls(_read_key(members, "pub", "publicKey", field))


@dataclass(frozen=True, slots=True)
class TemplatePublicKey(ExchangePublicKey):
    """The public exchange key of a template, with the id under which its owner keeps the keypair."""

    type_name: ClassVar[str] = "RelationshipTemplatePublicKey"
    type_comes_first: ClassVar[bool] = False

    id: TemplateKeyId
    """Begins with TRPRTK."""

    def _members(self) -> JsonObject:
        return {"id": self.id, "pub": to_base64url(self.data), "alg": X25519}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> TemplatePublicKey:
        key_id = parse_id(TEMPLATE_KEY, read_text(members, "id", "id", field), f"{field}.id")
        return cls(_read_key(members, "pub", "publicKey", field), key_id)


class ExchangePrivateKey(SecretBytes, Container):
    """A private exchange key of 32 bytes."""

    __slots__ = ()

    type_name: ClassVar[str] = "CryptoExchangePrivateKey"

    def __init__(self, data: bytes) -> None:
        """Takes the 32 bytes; raises WrongLength for another number."""
        if len(data) != EXCHANGE_KEY_LENGTH:
            raise WrongLength("privateKey", f"must have {EXCHANGE_KEY_LENGTH} bytes", official_code=_BUFFER_CODE)
        super().__init__(data)

    def public_key(self) -> ExchangePublicKey:
        """Returns the public key that belongs to it."""
        return ExchangePublicKey(crypto_scalarmult_base(self._data))

    def _members(self) -> JsonObject:
        return {"prv": to_base64url(self._data), "alg": X25519}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> ExchangePrivateKey:
        return cls(_read_key(members, "prv", "privateKey", field))


@dataclass(frozen=True, slots=True)
class ExchangeSecrets(Container):
    """What a key exchange gives: one key for each direction."""

    type_name: ClassVar[str] = "CryptoExchangeSecrets"

    receive: SecretKey
    """The key of what the peer sends."""
    transmit: SecretKey
    """The key of what this side sends."""

    def _members(self) -> JsonObject:
        return {"rx": to_base64url(self.receive.reveal()), "tx": to_base64url(self.transmit.reveal()), "alg": X25519}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> ExchangeSecrets:
        check_algorithm(members, X25519, field, _ALGORITHM_CODE)
        return cls(
            SecretKey(read_bytes(members, "rx", "receivingKey", field, 32)),
            SecretKey(read_bytes(members, "tx", "transmissionKey", field, 32)),
        )


@dataclass(frozen=True, slots=True)
class ExchangeKeypair(Container):
    """A private exchange key with its public key."""

    type_name: ClassVar[str] = "CryptoExchangeKeypair"

    public_key: ExchangePublicKey
    private_key: ExchangePrivateKey

    @classmethod
    def generate(cls, random: RandomSource = os.urandom) -> ExchangeKeypair:
        """Returns a fresh random keypair."""
        return cls.from_private_key(ExchangePrivateKey(random(EXCHANGE_KEY_LENGTH)))

    @classmethod
    def from_private_key(cls, private_key: ExchangePrivateKey) -> ExchangeKeypair:
        """Returns the keypair of a private key."""
        return cls(private_key.public_key(), private_key)

    def derive_as_requestor(self, peer: ExchangePublicKey) -> ExchangeSecrets:
        """Returns the keys shared with a templator (libsodium's server side).

        Raises:
            KeyExchangeFailed: The peer's key gives no shared key.
        """
        return self._derive(crypto_kx_server_session_keys, peer)

    def derive_as_templator(self, peer: ExchangePublicKey) -> ExchangeSecrets:
        """Returns the keys shared with a requestor (libsodium's client side).

        Raises:
            KeyExchangeFailed: The peer's key gives no shared key.
        """
        return self._derive(crypto_kx_client_session_keys, peer)

    def _derive(self, side: Json, peer: ExchangePublicKey) -> ExchangeSecrets:
        try:
            receive, transmit = side(self.public_key.data, self.private_key.reveal(), peer.data)
        except CryptoError:
            raise KeyExchangeFailed("the peer's public key gives no shared key") from None
        return ExchangeSecrets(SecretKey(receive), SecretKey(transmit))

    def _members(self) -> JsonObject:
        return {"pub": self.public_key.to_json(verbose=False), "prv": self.private_key.to_json(verbose=False)}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> ExchangeKeypair:
        public = ExchangePublicKey.from_json(required(members, "pub", "publicKey", field), f"{field}.pub")
        private = ExchangePrivateKey.from_json(required(members, "prv", "privateKey", field), f"{field}.prv")
        if private.public_key() != public:
            raise Mismatch(f"{field}.pub", "does not belong to the private key")
        return cls(public, private)


def read_exchange_public_key(value: Json, field: str) -> ExchangePublicKey:
    """Returns a public exchange key, as a template's key when its `@type` says so."""
    if isinstance(value, dict) and value.get("@type") == TemplatePublicKey.type_name:
        return TemplatePublicKey.from_json(value, field)
    return ExchangePublicKey.from_json(value, field)


def nested_exchange_public_key(key: ExchangePublicKey) -> JsonObject:
    """Returns the JSON of a public exchange key inside another object: with `@type` only for a template's key."""
    return key.to_json(verbose=isinstance(key, TemplatePublicKey))


def _read_key(members: JsonObject, short: str, long: str, field: str) -> bytes:
    check_algorithm(members, X25519, field, _ALGORITHM_CODE)
    return read_bytes(members, short, long, field, EXCHANGE_KEY_LENGTH, _BUFFER_CODE)
