"""Files: content and metadata each under a key of their own, bound by hashes. Source: `spec/crypto.md` section 12."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from typing import ClassVar

from enmeshed_connector.core.canonical_json import MAX_SAFE_INTEGER, JsonObject
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.malformed import NumberOutOfRange, WrongType

from ._container import Container, RandomSource, read_integer, read_optional_text, read_text, required
from .hashes import check_hash, hash_text
from .signatures import Signature, SignatureLabel, SignaturePrivateKey
from .symmetric import Cipher, SecretKey, decrypt, encrypt, open_text, seal_text

_CIPHER_CODE = "error.transport.files.cipherMismatch"
_PLAINTEXT_CODE = "error.transport.files.plaintextHashMismatch"


@dataclass(frozen=True)
class SealedFile:
    """The encrypted content of a file."""

    body: bytes
    """What is uploaded: the JSON text of the cipher."""
    cipher_hash: str
    """The SHA-512 hash of the body."""
    plaintext_hash: str
    """The SHA-512 hash of the content."""
    owner_signature: Signature
    """By the device key, over the 64 bytes of the plaintext hash; no reader can check it."""


@dataclass(frozen=True, slots=True)
class FileMetadata(Container):
    """What is known of a file; encrypted, under the key that references carry."""

    type_name: ClassVar[str] = "FileMetadata"
    type_comes_first: ClassVar[bool] = True

    filename: str
    filesize: int
    """Bytes of the content."""
    mimetype: str
    plaintext_hash: str
    """The SHA-512 hash of the content."""
    secret_key: SecretKey
    """The key of the content."""
    title: str | None = None
    description: str | None = None
    file_modified: str | None = None
    """A date of the network, as text."""
    tags: tuple[str, ...] | None = None

    def _members(self) -> JsonObject:
        members: JsonObject = {
            "description": self.description,
            "filemodified": self.file_modified,
            "filename": self.filename,
            "filesize": self.filesize,
            "mimetype": self.mimetype,
            "plaintextHash": self.plaintext_hash,
            "secretKey": self.secret_key.to_json(verbose=False),
            "tags": None if self.tags is None else list(self.tags),
            "title": self.title,
        }
        return {name: value for name, value in members.items() if value is not None}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> FileMetadata:
        size = read_integer(members, "filesize", "filesize", field)
        # Past it a JavaScript reader takes another number, and so would whoever reads what is written of it here.
        if not 0 <= size <= MAX_SAFE_INTEGER:
            raise NumberOutOfRange(f"{field}.filesize", f"must be 0 to {MAX_SAFE_INTEGER}")
        tags = members.get("tags")
        if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
            raise WrongType(f"{field}.tags", "must be a list of texts")
        return cls(
            read_text(members, "filename", "filename", field),
            size,
            read_text(members, "mimetype", "mimetype", field),
            read_text(members, "plaintextHash", "plaintextHash", field),
            SecretKey.from_json(required(members, "secretKey", "secretKey", field), f"{field}.secretKey"),
            read_optional_text(members, "title", field),
            read_optional_text(members, "description", field),
            read_optional_text(members, "filemodified", field),
            None if tags is None else tuple(tags),
        )


def seal_file(
    content: bytes,
    key: SecretKey,
    device_key: SignaturePrivateKey,
    *,
    nonce: bytes | None = None,
    random: RandomSource = os.urandom,
) -> SealedFile:
    """Returns the encrypted content with its hashes and the owner's signature.

    Takes a few times the content's size in memory, and past some 64 KiB it belongs in a worker thread.

    Raises:
        WrongLength: The content is over 100 MiB.
    """
    digest = hashlib.sha512(content).digest()
    body = encrypt(key, content, nonce=nonce, random=random).to_text().encode("ascii")
    return SealedFile(body, hash_text(body), to_base64url(digest), device_key.sign(digest, SignatureLabel.IDENTITY))


def open_file(body: bytes, key: SecretKey, *, cipher_hash: str, plaintext_hash: str) -> bytes:
    """Returns the content of a file.

    Args:
        body: The downloaded bytes.
        key: The key from the metadata.
        cipher_hash: The hash that the Backbone tells.
        plaintext_hash: The hash from the metadata.

    Raises:
        HashMismatch: The body or the content has another hash.
        MalformedValue: The body is no cipher, or a hash is no hash.
        DecryptionFailed: The key does not fit.
    """
    check_hash(body, cipher_hash, "cipherHash", official_code=_CIPHER_CODE)
    content = decrypt(key, Cipher.from_text(body, "file"))
    check_hash(content, plaintext_hash, "plaintextHash", official_code=_PLAINTEXT_CODE)
    return content


def seal_metadata(
    metadata: FileMetadata, key: SecretKey, *, nonce: bytes | None = None, random: RandomSource = os.urandom
) -> str:
    """Returns the wire form of a file's metadata."""
    return seal_text(key, metadata.to_text(), nonce=nonce, random=random)


def open_metadata(wire: str, key: SecretKey) -> FileMetadata:
    """Returns the metadata of a file.

    Raises:
        MalformedValue: The wire form or a member is wrong.
        DecryptionFailed: It was sealed with another key, or altered.
    """
    return FileMetadata.from_text(open_text(key, wire, "encryptedProperties"), "encryptedProperties")
