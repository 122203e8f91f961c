"""Relationship templates: signed by the identity, sealed with a key that travels in the reference. Section 9."""

from __future__ import annotations

import os
from dataclasses import dataclass

from enmeshed_connector.core.canonical_json import Json, dumps, loads_object
from enmeshed_connector.core.encodings import to_utf8
from enmeshed_connector.core.foreign_content import loads_with_content

from ._container import RandomSource, read_text, required
from .exchange import TemplatePublicKey
from .identities import IdentityKey
from .signatures import Signature, SignatureLabel, SignaturePrivateKey
from .symmetric import MAX_CIPHERTEXT_LENGTH, SecretKey, open_text, seal_text


@dataclass(frozen=True)
class OpenedTemplate:
    """A template whose signature was checked."""

    text: str
    """The signed text, as it travelled."""
    content: Json
    """What the owner offers; foreign and not yet checked."""
    identity: IdentityKey
    """The owner, address and key bound to each other."""
    template_key: TemplatePublicKey
    """The key that a request is made with."""
    content_text: str | None = None
    """The exact text of the content, where `content` does not tell all (`core.foreign_content`)."""


def template_text(content: Json, identity: IdentityKey, template_key: TemplatePublicKey) -> str:
    """Returns the text of a template that gets signed.

    Args:
        content: Untyped content is written as it is; typed content must already be in the network's order.
        identity: The owner.
        template_key: The public part of the template's keypair.
    """
    return dumps(
        {
            "@type": "RelationshipTemplateContentWrapper",
            "content": content,
            "identity": identity.to_json(verbose=False),
            "templateKey": template_key.to_json(verbose=False),
        }
    )


def sign_template(text: str, identity_key: SignaturePrivateKey) -> str:
    """Returns the signed template as text. The member is called deviceSignature, and the identity key makes it."""
    signature = identity_key.sign(to_utf8(text), SignatureLabel.IDENTITY)
    return dumps(
        {
            "@type": "RelationshipTemplateSigned",
            "deviceSignature": signature.to_json(verbose=False),
            "serializedTemplate": text,
        }
    )


def seal_template(
    text: str,
    identity_key: SignaturePrivateKey,
    key: SecretKey,
    *,
    nonce: bytes | None = None,
    random: RandomSource = os.urandom,
) -> str:
    """Returns the wire form of a template: signed, then encrypted with the key of its reference."""
    return seal_text(key, sign_template(text, identity_key), nonce=nonce, random=random)


def open_template(wire: str, key: SecretKey) -> OpenedTemplate:
    """Returns the template inside a wire form.

    The caller still compares the owner's address with the creator that the Backbone names.

    Raises:
        MalformedValue: The wire form or something in it is wrong.
        DecryptionFailed: It was sealed with another key, or altered.
        SignatureInvalid: The owner did not sign this text.
        Mismatch: The owner's address does not derive from the owner's key.
    """
    signed = loads_object(open_text(key, wire, "template"), field="template", max_bytes=MAX_CIPHERTEXT_LENGTH)
    text = read_text(signed, "serializedTemplate", "serializedTemplate", "template")
    signature = Signature.from_json(
        required(signed, "deviceSignature", "deviceSignature", "template"), "template.deviceSignature"
    )
    members, content_text = loads_with_content(
        text, ("content",), field="template.serializedTemplate", max_bytes=MAX_CIPHERTEXT_LENGTH
    )
    identity = IdentityKey.from_json(required(members, "identity", "identity", "template"), "template.identity")
    identity.public_key.verify(to_utf8(text), signature)
    identity.check_binding("template.identity")
    template_key = TemplatePublicKey.from_json(
        required(members, "templateKey", "templateKey", "template"), "template.templateKey"
    )
    content = required(members, "content", "content", "template")
    return OpenedTemplate(text, content, identity, template_key, content_text)
