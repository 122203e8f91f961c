"""Derivation of sub-keys and of hashes of passwords. Source: `spec/crypto.md` sections 4.5 and 4.6."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass

from nacl.bindings import crypto_pwhash_alg
from nacl.exceptions import CryptoError

from enmeshed_connector.core.encodings import to_base64, to_utf8
from enmeshed_connector.core.malformed import NumberOutOfRange, UnknownAlgorithm, WrongForm, WrongLength
from enmeshed_connector.core.references import SharedPasswordProtection
from enmeshed_connector.core.secret_bytes import SecretText

from ._container import RandomSource
from .symmetric import SecretKey

CONTEXT_LENGTH = 8
MAX_KEY_ID = 2**31 - 1

REQUEST_CONTEXT = "REQTMP01"
"""The key of a relationship's creation content."""
REQUESTOR_CHANNEL_CONTEXT = "RELREQ01"
"""The channel from requestor to templator."""
TEMPLATOR_CHANNEL_CONTEXT = "RELTEM01"
"""The channel from templator to requestor."""
DEVICE_SECRET_CONTEXT = "DEVICE01"  # noqa: S105 - A public context.
"""Device secrets, kept in the local database."""
SYNCHRONISED_SECRET_CONTEXT = "SECRET01"  # noqa: S105 - A public context.
"""Secrets that all devices share."""
DATAWALLET_CONTEXT = "DataSync"
"""Payloads of the datawallet."""

SALT_LENGTH = 16
_ARGON2_ALGORITHMS = {"argon2i": 1, "argon2id": 2}
_PROFILE_OPERATIONS = 3
_PROFILE_MEMORY_BYTES = 20 * 1024 * 1024
_MIN_MEMORY_BYTES = 8192
_MAX_MEMORY_BYTES = 1024 * 1024 * 1024


def derive_key(base: SecretKey, key_id: int, context: str) -> SecretKey:
    """Returns the sub-key of a base key.

    Args:
        base: The base key.
        key_id: 0 to 2147483647.
        context: Exactly 8 ASCII characters, one of the contexts of this module.

    Raises:
        NumberOutOfRange: The id is out of range.
        WrongLength: The context has not 8 characters.
        WrongForm: The context is not ASCII.
    """
    if not isinstance(key_id, int) or isinstance(key_id, bool) or not 0 <= key_id <= MAX_KEY_ID:
        raise NumberOutOfRange("keyId", f"must be 0 to {MAX_KEY_ID}")
    if len(context) != CONTEXT_LENGTH:
        raise WrongLength("context", f"must have {CONTEXT_LENGTH} characters")
    if not context.isascii():
        raise WrongForm("context", "must be ASCII")
    return SecretKey(
        hashlib.blake2b(
            b"",
            digest_size=32,
            key=base.reveal(),
            salt=key_id.to_bytes(8, "little") + bytes(8),
            person=context.encode("ascii") + bytes(8),
        ).digest()
    )


def argon2(
    password: bytes,
    salt: bytes,
    *,
    algorithm: str = "argon2id",
    operations: int = _PROFILE_OPERATIONS,
    memory_bytes: int = _PROFILE_MEMORY_BYTES,
    length: int = 32,
) -> bytes:
    """Returns the Argon2 hash of a password. Takes some 50 ms with the defaults: call it in a worker thread.

    Raises:
        UnknownAlgorithm: The algorithm is neither `argon2i` nor `argon2id`.
        WrongLength: The salt has not 16 bytes, or the length asked for is not 16 to 64.
        NumberOutOfRange: Operations or memory are outside of what the algorithm takes, or memory is over 1 GiB.
    """
    number = _ARGON2_ALGORITHMS.get(algorithm)
    if number is None:
        raise UnknownAlgorithm("algorithm", "must be argon2i or argon2id")
    if len(salt) != SALT_LENGTH:
        raise WrongLength("salt", f"must have {SALT_LENGTH} bytes")
    if not 16 <= length <= 64:
        raise WrongLength("length", "must be 16 to 64")
    if not _MIN_MEMORY_BYTES <= memory_bytes <= _MAX_MEMORY_BYTES:
        raise NumberOutOfRange("memoryBytes", f"must be {_MIN_MEMORY_BYTES} to {_MAX_MEMORY_BYTES}")
    if not 1 <= operations <= 2**32 - 1:
        raise NumberOutOfRange("operations", "must be 1 to 4294967295")
    try:
        return crypto_pwhash_alg(length, password, salt, operations, memory_bytes, number)
    except CryptoError:
        raise NumberOutOfRange("operations", "are too few for this algorithm") from None


def hash_password(password: str | SecretText, salt: bytes) -> str:
    """Returns what stands for a password at a Backbone: the padded base64 of its hash under the network's one profile.

    Takes some 50 ms: call it in a worker thread. The password is taken as it is, without normalisation.

    Args:
        password: The password.
        salt: The 16 bytes of the password protection.

    Raises:
        WrongLength: The salt has not 16 bytes.
    """
    return to_base64(argon2(_password_bytes(password), salt))


@dataclass(frozen=True)
class PasswordProtection:
    """A password with how it is shared: for the owner of a token or template."""

    password: SecretText
    shared: SharedPasswordProtection

    @classmethod
    def create(
        cls,
        password: str | SecretText,
        *,
        is_pin: bool = False,
        location_indicator: int | None = None,
        random: RandomSource = os.urandom,
    ) -> PasswordProtection:
        """Returns the protection of a password, with a fresh salt.

        Args:
            password: Not empty; 4 to 16 digits when it is a PIN.
            is_pin: Whether readers are told that it is a PIN of so many digits.
            location_indicator: Where the password is found, 0 to 99, or not told.
            random: Where the salt comes from.

        Raises:
            WrongForm: The password is empty, or a PIN that is not 4 to 16 digits.
            NumberOutOfRange: The indicator is not 0 to 99.
        """
        secret = password if isinstance(password, SecretText) else SecretText(password)
        text = secret.reveal_text()
        if not text:
            raise WrongForm("password", "must not be empty")
        if is_pin and not (text.isascii() and text.isdigit() and 4 <= len(text) <= 16):
            raise WrongForm("password", "must be 4 to 16 digits, as it is a PIN")
        password_type = f"pin{len(text)}" if is_pin else "pw"
        return cls(secret, SharedPasswordProtection(password_type, random(SALT_LENGTH), location_indicator))

    def hashed(self) -> str:
        """Returns `hash_password` of it; takes some 50 ms."""
        return hash_password(self.password, self.shared.salt)


def _password_bytes(password: str | SecretText) -> bytes:
    return to_utf8(password.reveal_text() if isinstance(password, SecretText) else password)
