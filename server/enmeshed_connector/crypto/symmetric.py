"""Symmetric encryption: XChaCha20-Poly1305 with a random nonce, or with a base nonce and a counter.

Source: `spec/crypto.md` sections 4.1, 4.2 and 5.
"""

from __future__ import annotations

import os
from typing import ClassVar

from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_decrypt as _aead_decrypt,
)
from nacl.bindings import (
    crypto_aead_xchacha20poly1305_ietf_encrypt as _aead_encrypt,
)
from nacl.exceptions import CryptoError

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.encodings import from_base64url, from_utf8, to_base64url, to_utf8
from enmeshed_connector.core.malformed import MissingValue, TooLarge, WrongLength, WrongType
from enmeshed_connector.core.secret_bytes import SecretBytes

from ._container import Container, RandomSource, check_algorithm, member, read_bytes, read_integer, required
from .errors import CounterOutOfRange, DecryptionFailed, NeitherNonceNorCounter, NonceAndCounter

KEY_LENGTH = 32
NONCE_LENGTH = 24
TAG_LENGTH = 16
MAX_COUNTER = 2**32 - 1
MIN_CIPHERTEXT_LENGTH = 2
MAX_CIPHERTEXT_LENGTH = 100 * 1024 * 1024
"""Bytes of the largest ciphertext that peers take."""

XCHACHA20_POLY1305 = 3
_ALGORITHM_CODE = "error.crypto.wrongEncryptionAlgorithm"
_KEY_CODE = "error.crypto.encryption.wrongSecretKey"
_NONCE_CODE = "error.crypto.encryption.wrongNonce"
_COUNTER_CODE = "error.crypto.encryption.wrongCounter"
_BUFFER_CODE = "error.crypto.wrongSerializedBuffer"


class SecretKey(SecretBytes, Container):
    """A key of 32 bytes for symmetric encryption and derivation."""

    __slots__ = ()

    type_name: ClassVar[str] = "CryptoSecretKey"

    def __init__(self, data: bytes | SecretBytes) -> None:
        """Takes the 32 bytes, bare or from a reference; raises WrongLength for another number."""
        raw = data.reveal() if isinstance(data, SecretBytes) else data
        if len(raw) != KEY_LENGTH:
            raise WrongLength("key", f"must have {KEY_LENGTH} bytes", official_code=_KEY_CODE)
        super().__init__(raw)

    @classmethod
    def generate(cls, random: RandomSource = os.urandom) -> SecretKey:
        """Returns a fresh random key."""
        return cls(random(KEY_LENGTH))

    def _members(self) -> JsonObject:
        return {"key": to_base64url(self._data), "alg": XCHACHA20_POLY1305}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> SecretKey:
        check_algorithm(members, XCHACHA20_POLY1305, field, _ALGORITHM_CODE)
        return cls(read_bytes(members, "key", "secretKey", field, KEY_LENGTH, _KEY_CODE))


class Cipher(Container):
    """A ciphertext with the nonce that it was made with, or with the counter that gives the nonce."""

    __slots__ = ("ciphertext", "counter", "nonce")

    type_name: ClassVar[str] = "CryptoCipher"
    field_name: ClassVar[str] = "cipher"
    max_text_bytes: ClassVar[int] = MAX_CIPHERTEXT_LENGTH // 3 * 4 + 4096

    ciphertext: bytes
    """The encrypted bytes, the 16-byte tag last."""
    nonce: bytes | None
    """24 bytes, or None in counter mode."""
    counter: int | None
    """0 to 4294967295, or None with a nonce."""

    def __init__(
        self, ciphertext: bytes, *, nonce: bytes | None = None, counter: int | None = None, field: str = "cipher"
    ) -> None:
        """Takes the parts; exactly one of nonce and counter. Errors name paths below `field`.

        Raises:
            NonceAndCounter: Both are given.
            NeitherNonceNorCounter: None of them is.
            CounterOutOfRange: The counter is not 0 to 4294967295.
            WrongLength: The ciphertext has under 2 bytes or over 100 MiB, or the nonce not 24 bytes.
        """
        if nonce is None:
            if counter is None:
                raise NeitherNonceNorCounter(
                    field, "needs nnc or cnt", official_code="error.crypto.validation.noNonceNorCounter"
                )
            check_counter(counter, f"{field}.cnt")
        elif counter is not None:
            raise NonceAndCounter(
                field, "has both nnc and cnt", official_code="error.crypto.validation.nonceAndCounter"
            )
        elif len(nonce) != NONCE_LENGTH:
            raise WrongLength(f"{field}.nnc", f"must have {NONCE_LENGTH} bytes", official_code=_NONCE_CODE)
        if not MIN_CIPHERTEXT_LENGTH <= len(ciphertext) <= MAX_CIPHERTEXT_LENGTH:
            raise WrongLength(
                f"{field}.cph", "must have 2 bytes at least and 100 MiB at most", official_code=_BUFFER_CODE
            )
        self.ciphertext = ciphertext
        self.nonce = nonce
        self.counter = counter

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Cipher):
            return NotImplemented
        return (self.ciphertext, self.nonce, self.counter) == (other.ciphertext, other.nonce, other.counter)

    def __hash__(self) -> int:
        return hash((self.ciphertext, self.nonce, self.counter))

    def __repr__(self) -> str:
        mode = "nonce" if self.nonce is not None else f"counter={self.counter}"
        return f"Cipher({len(self.ciphertext)} bytes, {mode})"

    def to_text(self, *, verbose: bool = True) -> str:
        """Returns the JSON text."""
        # All parts are plain ASCII, so that the text needs no JSON writer; this is the hot path of every upload.
        mode = f'"cnt":{self.counter}' if self.nonce is None else f'"nnc":"{to_base64url(self.nonce)}"'
        type_member = ',"@type":"CryptoCipher"' if verbose else ""
        return f'{{"cph":"{to_base64url(self.ciphertext)}","alg":{XCHACHA20_POLY1305},{mode}{type_member}}}'

    def _members(self) -> JsonObject:
        members: JsonObject = {"cph": to_base64url(self.ciphertext), "alg": XCHACHA20_POLY1305}
        if self.nonce is None:
            members["cnt"] = self.counter
        else:
            members["nnc"] = to_base64url(self.nonce)
        return members

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> Cipher:
        check_algorithm(members, XCHACHA20_POLY1305, field, _ALGORITHM_CODE)
        text = required(members, "cph", "cipher", field)
        if isinstance(text, str) and len(text) > cls.max_text_bytes:
            raise TooLarge(f"{field}.cph", "is over 100 MiB")
        nonce = counter = None
        if member(members, "cnt", "counter") is not None:
            counter = read_counter(members, field)
        if member(members, "nnc", "nonce") is not None:
            # A nonce beside a counter is refused below, whatever its form.
            nonce = (
                b"" if counter is not None else read_bytes(members, "nnc", "nonce", field, NONCE_LENGTH, _BUFFER_CODE)
            )
        return cls(from_base64url(text, f"{field}.cph"), nonce=nonce, counter=counter, field=field)


def check_counter(counter: int, field: str = "counter") -> int:
    """Returns the counter when it is an integer from 0 to 4294967295, else raises CounterOutOfRange."""
    if not isinstance(counter, int) or isinstance(counter, bool) or not 0 <= counter <= MAX_COUNTER:
        raise CounterOutOfRange(field, f"must be 0 to {MAX_COUNTER}", official_code=_COUNTER_CODE)
    return counter


def read_counter(members: JsonObject, field: str) -> int:
    """Returns the `cnt` member of a cipher or state."""
    return check_counter(read_integer(members, "cnt", "counter", field), f"{field}.cnt")


def nonce_at(base_nonce: bytes, counter: int) -> bytes:
    """Returns the nonce of a counter: the base nonce with the counter added to its last four bytes, little-endian.

    Raises:
        WrongLength: The base nonce has not 24 bytes.
        CounterOutOfRange: The counter is not 0 to 4294967295.
    """
    if len(base_nonce) != NONCE_LENGTH:
        raise WrongLength("nonce", f"must have {NONCE_LENGTH} bytes", official_code=_NONCE_CODE)
    check_counter(counter)
    last = (int.from_bytes(base_nonce[20:], "little") + counter) & 0xFFFFFFFF
    return base_nonce[:20] + last.to_bytes(4, "little")


def encrypt(
    key: SecretKey, plaintext: bytes, *, nonce: bytes | None = None, random: RandomSource = os.urandom
) -> Cipher:
    """Returns the cipher of a plaintext with a random nonce.

    Args:
        key: The key.
        plaintext: At most 100 MiB less 16 bytes; may be empty.
        nonce: 24 bytes that were never used with this key, for replays of recorded exchanges; drawn when absent.
        random: Where the nonce comes from.

    Raises:
        WrongLength: The nonce has not 24 bytes, or the plaintext is over the limit.
    """
    if nonce is None:
        nonce = random(NONCE_LENGTH)
    if len(nonce) != NONCE_LENGTH:
        raise WrongLength("nonce", f"must have {NONCE_LENGTH} bytes", official_code=_NONCE_CODE)
    _check_plaintext(plaintext)
    return Cipher(_aead_encrypt(plaintext, None, nonce, key._data), nonce=nonce)


def decrypt(key: SecretKey, cipher: Cipher) -> bytes:
    """Returns the plaintext of a cipher that carries its nonce.

    Raises:
        MissingValue: The cipher has a counter instead of a nonce.
        DecryptionFailed: The tag does not fit.
    """
    if cipher.nonce is None:
        raise MissingValue("cipher.nnc", "is needed with this key, not cnt", official_code=_NONCE_CODE)
    return _open(cipher.ciphertext, cipher.nonce, key)


def encrypt_with_counter(key: SecretKey, plaintext: bytes, *, base_nonce: bytes, counter: int) -> Cipher:
    """Returns the cipher of a plaintext in counter mode. Only `TransmitState` keeps a counter from being used twice.

    Raises:
        CounterOutOfRange: The counter is not 0 to 4294967295.
        WrongLength: The base nonce has not 24 bytes, or the plaintext is over the limit.
    """
    nonce = nonce_at(base_nonce, counter)
    _check_plaintext(plaintext)
    return Cipher(_aead_encrypt(plaintext, None, nonce, key._data), counter=counter)


def decrypt_with_counter(key: SecretKey, cipher: Cipher, *, base_nonce: bytes) -> bytes:
    """Returns the plaintext of a counter-mode cipher.

    Raises:
        MissingValue: The cipher has a nonce instead of a counter.
        DecryptionFailed: The tag does not fit.
    """
    if cipher.counter is None:
        raise MissingValue("cipher.cnt", "is needed with this state, not nnc", official_code=_COUNTER_CODE)
    return _open(cipher.ciphertext, nonce_at(base_nonce, cipher.counter), key)


def seal_text(key: SecretKey, text: str, *, nonce: bytes | None = None, random: RandomSource = os.urandom) -> str:
    """Returns the wire form of an encrypted text: base64url of the verbose cipher.

    Raises:
        WrongLength: As `encrypt`.
    """
    return encrypt(key, to_utf8(text), nonce=nonce, random=random).to_base64()


def open_text(key: SecretKey, wire: str, field: str = "cipher") -> str:
    """Returns the text inside a wire form made as `seal_text` does.

    Raises:
        MalformedValue: The wire form is wrong, or the decrypted bytes are not UTF-8.
        DecryptionFailed: The tag does not fit.
    """
    return from_utf8(decrypt(key, Cipher.from_base64(wire, field)), field)


def _check_plaintext(plaintext: bytes) -> None:
    if not isinstance(plaintext, bytes):
        raise WrongType("plaintext", "must be bytes")
    if len(plaintext) > MAX_CIPHERTEXT_LENGTH - TAG_LENGTH:
        raise WrongLength("plaintext", "must have 100 MiB at most, with the tag")


def _open(ciphertext: bytes, nonce: bytes, key: SecretKey) -> bytes:
    if len(ciphertext) < TAG_LENGTH:
        raise DecryptionFailed("the cipher cannot be decrypted")
    try:
        return _aead_decrypt(ciphertext, None, nonce, key._data)
    except CryptoError:
        raise DecryptionFailed("the cipher cannot be decrypted") from None
