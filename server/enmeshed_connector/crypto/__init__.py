"""The network's cryptography over PyNaCl, byte for byte: primitives, containers and what travels encrypted.

Nothing here does I/O, decides policy or persists. Verification raises, secret types print as `<redacted>`.
"""

from __future__ import annotations

from .derivation import PasswordProtection, argon2, derive_key, hash_password
from .errors import (
    CounterOutOfOrder,
    CounterOutOfRange,
    CounterUsed,
    DecryptionFailed,
    HashMismatch,
    KeyExchangeFailed,
    NeitherNonceNorCounter,
    NonceAndCounter,
    RecipientMismatch,
    SignatureInvalid,
    UnknownSecretType,
)
from .exchange import ExchangeKeypair, ExchangePrivateKey, ExchangePublicKey, ExchangeSecrets, TemplatePublicKey
from .hashes import HashAlgorithm, check_hash, hash_bytes, hash_text
from .signatures import Signature, SignatureKeypair, SignatureLabel, SignaturePrivateKey, SignaturePublicKey
from .states import PublicState, ReceiveState, TransmitState
from .symmetric import (
    Cipher,
    SecretKey,
    decrypt,
    decrypt_with_counter,
    encrypt,
    encrypt_with_counter,
    nonce_at,
    open_text,
    seal_text,
)

__all__ = [
    "Cipher",
    "CounterOutOfOrder",
    "CounterOutOfRange",
    "CounterUsed",
    "DecryptionFailed",
    "ExchangeKeypair",
    "ExchangePrivateKey",
    "ExchangePublicKey",
    "ExchangeSecrets",
    "HashAlgorithm",
    "HashMismatch",
    "KeyExchangeFailed",
    "NeitherNonceNorCounter",
    "NonceAndCounter",
    "PasswordProtection",
    "PublicState",
    "ReceiveState",
    "RecipientMismatch",
    "SecretKey",
    "Signature",
    "SignatureInvalid",
    "SignatureKeypair",
    "SignatureLabel",
    "SignaturePrivateKey",
    "SignaturePublicKey",
    "TemplatePublicKey",
    "TransmitState",
    "UnknownSecretType",
    "argon2",
    "check_hash",
    "decrypt",
    "decrypt_with_counter",
    "derive_key",
    "encrypt",
    "encrypt_with_counter",
    "hash_bytes",
    "hash_password",
    "hash_text",
    "nonce_at",
    "open_text",
    "seal_text",
]
