"""Messages: a key per message, sealed for each recipient, a signature per relationship. `spec/crypto.md` section 11."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.canonical_json import Json, JsonObject, dumps, loads_object
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.encodings import from_utf8, to_utf8
from enmeshed_connector.core.foreign_content import loads_with_content
from enmeshed_connector.core.malformed import WrongType
from enmeshed_connector.core.references import FileReference

from ._container import RandomSource, read_text, required
from .errors import RecipientMismatch, SignatureInvalid
from .relationship_secrets import RelationshipSecrets
from .signatures import Signature
from .symmetric import MAX_CIPHERTEXT_LENGTH, Cipher, SecretKey, open_text, seal_text

_SIGNATURE_CODE = "error.transport.messages.signatureNotValid"


@dataclass(frozen=True)
class MessageRecipient:
    """One recipient of a message to be sealed."""

    address: Address
    secrets: RelationshipSecrets
    """The own secrets of the relationship with the recipient."""
    counter: int
    """A counter that was never used with this relationship's channel."""


@dataclass(frozen=True)
class SealedMessage:
    """The wire forms of a message."""

    body: str
    encrypted_keys: Mapping[Address, str]
    """The message key, encrypted for each recipient; in the recipients' order."""


@dataclass(frozen=True)
class OpenedMessage:
    """A message whose signature and recipients were checked."""

    key: SecretKey
    """The message's own key; it opens the body later."""
    text: str
    """The signed text, as it travelled."""
    members: JsonObject
    """The parsed text: `attachments`, `content`, `createdAt`, `recipients`; foreign and not yet checked."""
    content_text: str | None = None
    """The exact text of the content, where the parsed one does not tell all (`core.foreign_content`)."""


def message_text(
    content: Json, recipients: Iterable[Address], created_at: datetime, attachments: Iterable[FileReference] = ()
) -> str:
    """Returns the text of a message that gets signed; content as in `template_text`."""
    return dumps(
        {
            "@type": "MessageContentWrapper",
            "attachments": [reference.to_json(verbose=False) for reference in attachments],
            "content": content,
            "createdAt": format_date(created_at),
            "recipients": list(recipients),
        }
    )


def sign_message(text: str, recipients: Iterable[MessageRecipient]) -> str:
    """Returns the signed message as text: one signature per recipient, each by the key of that relationship."""
    message = to_utf8(text)
    return dumps(
        {
            "@type": "MessageSigned",
            "message": text,
            "signatures": [
                {
                    "recipient": recipient.address,
                    "signature": recipient.secrets.sign(message).to_text(verbose=False),
                }
                for recipient in recipients
            ],
        }
    )


def seal_message(
    text: str,
    recipients: Sequence[MessageRecipient],
    key: SecretKey,
    *,
    nonce: bytes | None = None,
    random: RandomSource = os.urandom,
) -> SealedMessage:
    """Returns the wire forms of a message.

    Args:
        text: From `message_text`.
        recipients: At least one.
        key: A fresh key, for this message only.
        nonce: For replays of recorded exchanges; drawn when absent.
        random: Where the nonce comes from.

    Raises:
        CounterUsed: A recipient's counter was used before; no wire form was made.
    """
    key_text = key.to_text(verbose=False).encode("ascii")
    # Before anything else, as a used counter must stop the whole message.
    encrypted_keys = {
        recipient.address: recipient.secrets.encrypt(key_text, counter=recipient.counter).to_base64()
        for recipient in recipients
    }
    return SealedMessage(seal_text(key, sign_message(text, recipients), nonce=nonce, random=random), encrypted_keys)


def open_message_key(encrypted_key: str, secrets: RelationshipSecrets) -> SecretKey:
    """Returns the key of a message from the envelope's entry for this side, with whatever counter it has.

    Raises:
        MalformedValue: The entry or the key in it is wrong.
        DecryptionFailed: It was sealed for another relationship, or altered.
    """
    cipher = Cipher.from_base64(encrypted_key, "encryptedKey")
    return SecretKey.from_text(from_utf8(secrets.decrypt_peer(cipher), "encryptedKey"), "encryptedKey")


def open_message(
    own_address: Address, encrypted_keys: Mapping[Address, str], body: str, secrets: RelationshipSecrets
) -> OpenedMessage:
    """Returns a message that a peer sent to this side.

    Args:
        own_address: The address that must be among the recipients of envelope, signatures and signed text.
        encrypted_keys: The envelope's recipients with their entries.
        body: The wire form of the body.
        secrets: The own secrets of the relationship with the creator that the Backbone names.

    Raises:
        MalformedValue: Something in it is wrong.
        RecipientMismatch: The own address is missing in one of the three places.
        DecryptionFailed: It was sealed with another key, or altered.
        SignatureInvalid: The peer did not sign this text.
    """
    encrypted_key = encrypted_keys.get(own_address)
    if encrypted_key is None:
        raise RecipientMismatch(
            "the message is not for this address", official_code="error.transport.messages.ownAddressNotInList"
        )
    key = open_message_key(encrypted_key, secrets)
    signed = loads_object(open_text(key, body, "message"), field="message", max_bytes=MAX_CIPHERTEXT_LENGTH)
    text = read_text(signed, "message", "message", "message")
    signature = _signature_for(own_address, signed)
    try:
        secrets.verify_peer(to_utf8(text), signature)
    except SignatureInvalid:
        raise SignatureInvalid("the signature of the message is not valid", official_code=_SIGNATURE_CODE) from None
    members, content_text = loads_with_content(
        text, ("content",), field="message.message", max_bytes=MAX_CIPHERTEXT_LENGTH
    )
    recipients = required(members, "recipients", "recipients", "message.message")
    if not isinstance(recipients, list):
        raise WrongType("message.message.recipients", "must be a list")
    if own_address not in recipients:
        raise RecipientMismatch(
            "the signed text is not for this address", official_code="error.transport.messages.plaintextMismatch"
        )
    return OpenedMessage(key, text, members, content_text)


def open_own_message(body: str, key: SecretKey) -> str:
    """Returns the signed text of a message that this side sent, with the key kept of it.

    Raises:
        MalformedValue: Something in it is wrong.
        DecryptionFailed: It was sealed with another key, or altered.
    """
    signed = loads_object(open_text(key, body, "message"), field="message", max_bytes=MAX_CIPHERTEXT_LENGTH)
    return read_text(signed, "message", "message", "message")


def _signature_for(address: Address, signed: JsonObject) -> Signature:
    entries = required(signed, "signatures", "signatures", "message")
    if not isinstance(entries, list):
        raise WrongType("message.signatures", "must be a list")
    for place, entry in enumerate(entries):
        field = f"message.signatures[{place}]"
        if not isinstance(entry, dict):
            raise WrongType(field, "must be a JSON object")
        if entry.get("recipient") == address:
            return Signature.from_text(read_text(entry, "signature", "signature", field), f"{field}.signature")
    raise RecipientMismatch(
        "the message holds no signature for this address",
        official_code="error.transport.messages.signatureListMismatch",
    )
