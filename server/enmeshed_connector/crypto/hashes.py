"""Hashes of content: SHA-256 and SHA-512, and the network's text form of them. Source: `spec/crypto.md` section 4.7."""

from __future__ import annotations

import enum
import hashlib
import hmac

from enmeshed_connector.core.encodings import from_base64url, to_base64url
from enmeshed_connector.core.malformed import UnknownAlgorithm, WrongLength

from .errors import HashMismatch


class HashAlgorithm(enum.IntEnum):
    """The hashes in use, by their number in the network."""

    SHA256 = 1
    SHA512 = 2


def hash_bytes(data: bytes, algorithm: int = HashAlgorithm.SHA512) -> bytes:
    """Returns the digest.

    Raises:
        UnknownAlgorithm: The number is neither 1 nor 2.
    """
    if algorithm == HashAlgorithm.SHA256:
        return hashlib.sha256(data).digest()
    if algorithm == HashAlgorithm.SHA512:
        return hashlib.sha512(data).digest()
    raise UnknownAlgorithm("hash.alg", "must be 1 or 2")


def hash_text(data: bytes) -> str:
    """Returns the network's text of the SHA-512 digest: base64url without padding."""
    return to_base64url(hashlib.sha512(data).digest())


def check_hash(data: bytes, expected: str, field: str = "hash", *, official_code: str | None = None) -> None:
    """Returns when the text is the SHA-512 hash of the bytes.

    Raises:
        MalformedValue: The text is no base64url of 64 bytes.
        HashMismatch: It is the hash of something else.
    """
    digest = from_base64url(expected, field)
    if len(digest) != 64:
        raise WrongLength(field, "must be a SHA-512 hash of 64 bytes")
    if not hmac.compare_digest(digest, hashlib.sha512(data).digest()):
        raise HashMismatch(
            f"{field} is not the hash of the content", official_code=official_code, facts={"field": field}
        )
