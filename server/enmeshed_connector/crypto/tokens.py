"""Tokens: small contents under the key of their reference, unsigned. Source: `spec/crypto.md` section 13."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from enmeshed_connector.core.addresses import Address, parse_address
from enmeshed_connector.core.canonical_json import Json, JsonObject, dumps, loads
from enmeshed_connector.core.ids import FILE, TEMPLATE, FileId, TemplateId, parse_id
from enmeshed_connector.core.references import SharedPasswordProtection

from ._container import Container, RandomSource, read_text, required
from .errors import UnknownSecretType
from .stored_secrets import DeviceSharedSecret
from .symmetric import MAX_CIPHERTEXT_LENGTH, SecretKey, open_text, seal_text


@dataclass(frozen=True, slots=True)
class TokenContentFile(Container):
    """A token that leads to a file."""

    type_name: ClassVar[str] = "TokenContentFile"
    type_comes_first: ClassVar[bool] = True

    file_id: FileId
    secret_key: SecretKey
    """The key of the file's metadata."""

    def _members(self) -> JsonObject:
        return {"fileId": self.file_id, "secretKey": self.secret_key.to_json(verbose=False)}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> TokenContentFile:
        return cls(
            parse_id(FILE, read_text(members, "fileId", "fileId", field), f"{field}.fileId"),
            SecretKey.from_json(required(members, "secretKey", "secretKey", field), f"{field}.secretKey"),
        )


@dataclass(frozen=True, slots=True)
class TokenContentRelationshipTemplate(Container):
    """A token that leads to a relationship template."""

    type_name: ClassVar[str] = "TokenContentRelationshipTemplate"
    type_comes_first: ClassVar[bool] = True

    template_id: TemplateId
    secret_key: SecretKey
    """The key of the template."""
    for_identity: Address | None = None
    """The only address that may open the template."""
    password_protection: SharedPasswordProtection | None = None

    def _members(self) -> JsonObject:
        members: JsonObject = {}
        if self.for_identity is not None:
            members["forIdentity"] = self.for_identity
        if self.password_protection is not None:
            members["passwordProtection"] = self.password_protection.to_json()
        members["secretKey"] = self.secret_key.to_json(verbose=False)
        members["templateId"] = self.template_id
        return members

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> TokenContentRelationshipTemplate:
        address, protection = members.get("forIdentity"), members.get("passwordProtection")
        return cls(
            parse_id(TEMPLATE, read_text(members, "templateId", "templateId", field), f"{field}.templateId"),
            SecretKey.from_json(required(members, "secretKey", "secretKey", field), f"{field}.secretKey"),
            None if address is None else parse_address(address, f"{field}.forIdentity"),
            None
            if protection is None
            else SharedPasswordProtection.from_json(protection, f"{field}.passwordProtection"),
        )


@dataclass(frozen=True, slots=True)
class TokenContentDeviceSharedSecret(Container):
    """A token that onboards a device or recovers an identity."""

    type_name: ClassVar[str] = "TokenContentDeviceSharedSecret"
    type_comes_first: ClassVar[bool] = True

    shared_secret: DeviceSharedSecret

    def _members(self) -> JsonObject:
        return {"sharedSecret": self.shared_secret.to_json(verbose=False)}

    @classmethod
    def _read(cls, members: JsonObject, field: str) -> TokenContentDeviceSharedSecret:
        value = required(members, "sharedSecret", "sharedSecret", field)
        return cls(DeviceSharedSecret.from_json(value, f"{field}.sharedSecret"))


TokenContent: TypeAlias = TokenContentFile | TokenContentRelationshipTemplate | TokenContentDeviceSharedSecret
"""The typed contents of tokens."""

_TYPES: dict[str, type[TokenContentFile | TokenContentRelationshipTemplate | TokenContentDeviceSharedSecret]] = {
    kind.type_name: kind
    for kind in (TokenContentFile, TokenContentRelationshipTemplate, TokenContentDeviceSharedSecret)
}


def parse_token_content(value: Json, field: str = "token") -> TokenContent | Json:
    """Returns the content of a token: typed by its `@type`, or the JSON itself when it has none.

    Raises:
        UnknownSecretType: The `@type` is none of the network's token contents. Readers of typed attributes and the like
            in tokens take the text from `open_token_text` instead.
        MalformedValue: A member is missing or wrong.
    """
    if not isinstance(value, dict) or "@type" not in value:
        return value
    name = value["@type"]
    kind = _TYPES.get(name) if isinstance(name, str) else None
    if kind is None:
        raise UnknownSecretType(f"{field}.@type", "is no content of a token")
    return kind.from_json(value, field)


def seal_token(
    content: TokenContent | Json,
    key: SecretKey,
    *,
    nonce: bytes | None = None,
    random: RandomSource = os.urandom,
) -> str:
    """Returns the wire form of a token's content, typed or JSON in the network's order."""
    text = content.to_text() if isinstance(content, Container) else dumps(content)
    return seal_text(key, text, nonce=nonce, random=random)


def open_token_text(wire: str, key: SecretKey) -> str:
    """Returns the JSON text of a token's content.

    Raises:
        MalformedValue: The wire form is wrong.
        DecryptionFailed: It was sealed with another key, or altered.
    """
    return open_text(key, wire, "token")


def open_token(wire: str, key: SecretKey) -> TokenContent | Json:
    """Returns the content of a token, as `parse_token_content` does.

    Raises:
        MalformedValue: The wire form or a member is wrong.
        DecryptionFailed: It was sealed with another key, or altered.
    """
    return parse_token_content(loads(open_token_text(wire, key), field="token", max_bytes=MAX_CIPHERTEXT_LENGTH))
