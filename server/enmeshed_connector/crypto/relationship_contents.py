"""What both sides say when a relationship begins: creation content and response. `spec/crypto.md` section 10."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar

from enmeshed_connector.core.canonical_json import Json, JsonObject, dumps, loads_object
from enmeshed_connector.core.encodings import from_utf8, to_utf8
from enmeshed_connector.core.foreign_content import loads_with_content
from enmeshed_connector.core.ids import RELATIONSHIP, TEMPLATE, RelationshipId, TemplateId, parse_id
from enmeshed_connector.core.malformed import Mismatch

from ._container import Container, RandomSource, read_text, required
from .identities import IdentityKey
from .relationship_secrets import PublicRequest, PublicResponse, RelationshipSecrets, RequestSecrets
from .signatures import Signature, SignatureLabel, SignaturePrivateKey, SignaturePublicKey
from .symmetric import MAX_CIPHERTEXT_LENGTH, Cipher, SecretKey, decrypt, encrypt


@dataclass(frozen=True, slots=True)
class CreationContentCipher(Container):
    """The encrypted creation content with the requestor's public keys beside it; the wire form is its base64url."""

    type_name: ClassVar[str] = "RelationshipCreationContentCipher"
    type_comes_first: ClassVar[bool] = True
    max_text_bytes: ClassVar[int] = Cipher.max_text_bytes + 4096

    cipher: Cipher
    public_request: PublicRequest

    def _members(self) -> JsonObject:
        return {
            "cipher": self.cipher.to_json(verbose=False),
            "publicCreationContentCrypto": self.public_request.to_json(verbose=False),
        }

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> CreationContentCipher:
        name = "publicCreationContentCrypto"
        return cls(
            Cipher.from_json(required(members, "cipher", "cipher", field), f"{field}.cipher"),
            PublicRequest.from_json(required(members, name, name, field), f"{field}.{name}"),
        )


@dataclass(frozen=True, slots=True)
class CreationResponseCipher(Container):
    """The encrypted response with the templator's public keys beside it; the wire form is its base64url."""

    type_name: ClassVar[str] = "RelationshipCreationResponseContentCipher"
    type_comes_first: ClassVar[bool] = True
    max_text_bytes: ClassVar[int] = Cipher.max_text_bytes + 4096

    cipher: Cipher
    public_response: PublicResponse

    def _members(self) -> JsonObject:
        return {
            "cipher": self.cipher.to_json(verbose=False),
            "publicCreationResponseContentCrypto": self.public_response.to_json(verbose=False),
        }

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> CreationResponseCipher:
        name = "publicCreationResponseContentCrypto"
        return cls(
            Cipher.from_json(required(members, "cipher", "cipher", field), f"{field}.cipher"),
            PublicResponse.from_json(required(members, name, name, field), f"{field}.{name}"),
        )


@dataclass(frozen=True)
class OpenedCreationContent:
    """A creation content whose relationship signature was checked."""

    text: str
    """The signed text, as it travelled."""
    content: Json
    """What the requestor says; foreign and not yet checked."""
    identity: IdentityKey
    """The requestor, address and key bound to each other."""
    template_id: TemplateId
    content_text: str | None = None
    """The exact text of the content, where `content` does not tell all (`core.foreign_content`)."""


def creation_text(content: Json, identity: IdentityKey, template_id: TemplateId) -> str:
    """Returns the text of a creation content that gets signed; content as in `template_text`."""
    return dumps(
        {
            "@type": "RelationshipCreationContentWrapper",
            "content": content,
            "identity": identity.to_json(verbose=False),
            "templateId": template_id,
        }
    )


def response_text(relationship_id: RelationshipId) -> str:
    """Returns the text of a creation response that gets signed."""
    return dumps({"@type": "RelationshipCreationResponseContentWrapper", "relationshipId": relationship_id})


def sign_creation(text: str, device_key: SignaturePrivateKey, secrets: RequestSecrets) -> str:
    """Returns the signed creation content as text, without `@type`."""
    return _sign(text, "serializedCreationContent", device_key, secrets)


def seal_creation(
    text: str,
    device_key: SignaturePrivateKey,
    secrets: RequestSecrets,
    *,
    nonce: bytes | None = None,
    random: RandomSource = os.urandom,
) -> CreationContentCipher:
    """Returns the creation content signed by device and relationship key and encrypted with the request key."""
    signed = to_utf8(sign_creation(text, device_key, secrets))
    return CreationContentCipher(
        encrypt(secrets.request_key, signed, nonce=nonce, random=random), secrets.public_request()
    )


def open_creation(
    sealed: CreationContentCipher, request_key: SecretKey, signer: SignaturePublicKey | None = None
) -> OpenedCreationContent:
    """Returns the creation content of a request.

    Only the relationship signature is checked, since no peer knows the device key. The caller still compares the
    requestor's address with the creator that the Backbone names, and the template id with the template.

    Args:
        sealed: The parsed wire form.
        request_key: The request key of the own secrets.
        signer: The requestor's relationship key; that of the public request unless given.

    Raises:
        MalformedValue: Something in it is wrong.
        DecryptionFailed: It was sealed with another key, or altered.
        SignatureInvalid: The requestor did not sign this text.
        Mismatch: The requestor's address does not derive from the requestor's key.
    """
    plaintext = decrypt(request_key, sealed.cipher)
    text = _verified_text(
        plaintext, "serializedCreationContent", signer or sealed.public_request.signature_key, "creationContent"
    )
    field = "creationContent.serializedCreationContent"
    members, content_text = loads_with_content(text, ("content",), field=field, max_bytes=MAX_CIPHERTEXT_LENGTH)
    identity = IdentityKey.from_json(required(members, "identity", "identity", field), f"{field}.identity")
    identity.check_binding(f"{field}.identity")
    template_id = parse_id(TEMPLATE, read_text(members, "templateId", "templateId", field), f"{field}.templateId")
    content = required(members, "content", "content", field)
    return OpenedCreationContent(text, content, identity, template_id, content_text)


def sign_response(text: str, device_key: SignaturePrivateKey, secrets: RelationshipSecrets) -> str:
    """Returns the signed creation response as text, without `@type`."""
    return _sign(text, "serializedCreationResponseContent", device_key, secrets)


def seal_response(
    text: str, device_key: SignaturePrivateKey, secrets: RelationshipSecrets, *, counter: int
) -> CreationResponseCipher:
    """Returns the response signed by device and relationship key and encrypted for the requestor.

    Raises:
        CounterUsed: The counter was used before with this channel; nothing was encrypted.
    """
    signed = to_utf8(sign_response(text, device_key, secrets))
    return CreationResponseCipher(secrets.encrypt(signed, counter=counter), secrets.public_response())


def open_response(sealed: CreationResponseCipher, secrets: RelationshipSecrets, relationship_id: RelationshipId) -> str:
    """Returns the signed text of a response, after what official requestors leave out: decryption and verification.

    Args:
        sealed: The parsed wire form.
        secrets: The requestor's secrets, made from the public part of this response.
        relationship_id: The relationship that it must speak of.

    Raises:
        MalformedValue: Something in it is wrong.
        DecryptionFailed: It was sealed with another key, or altered.
        SignatureInvalid: The templator did not sign this text.
        Mismatch: It speaks of another relationship.
    """
    name = "serializedCreationResponseContent"
    text = _verified_text(
        secrets.decrypt_peer(sealed.cipher), name, secrets.peer_signature_key, "creationResponseContent"
    )
    field = f"creationResponseContent.{name}"
    members = loads_object(text, field=field, max_bytes=MAX_CIPHERTEXT_LENGTH)
    named = parse_id(
        RELATIONSHIP, read_text(members, "relationshipId", "relationshipId", field), f"{field}.relationshipId"
    )
    if named != relationship_id:
        raise Mismatch(f"{field}.relationshipId", "is another relationship")
    return text


def _sign(text: str, name: str, device_key: SignaturePrivateKey, secrets: RequestSecrets | RelationshipSecrets) -> str:
    message = to_utf8(text)
    return dumps(
        {
            "deviceSignature": device_key.sign(message, SignatureLabel.IDENTITY).to_json(verbose=False),
            "relationshipSignature": secrets.sign(message).to_json(verbose=False),
            name: text,
        }
    )


def _verified_text(plaintext: bytes, name: str, signer: SignaturePublicKey, field: str) -> str:
    signed = loads_object(from_utf8(plaintext, field), field=field, max_bytes=MAX_CIPHERTEXT_LENGTH)
    text = read_text(signed, name, name, field)
    signature = Signature.from_json(
        required(signed, "relationshipSignature", "relationshipSignature", field), f"{field}.relationshipSignature"
    )
    signer.verify(to_utf8(text), signature)
    return text
