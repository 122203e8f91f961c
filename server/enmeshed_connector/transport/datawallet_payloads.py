"""Payloads of the datawallet: sealed under the index that a modification will have.

Source: transport.md, sections 11.3 and 11.4; crypto.md, section 7.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from enmeshed_connector.backbone.endpoints.datawallet import Modification as BackboneModification
from enmeshed_connector.backbone.endpoints.datawallet import NewModification
from enmeshed_connector.core.canonical_json import DEFAULT_MAX_BYTES, JsonObject, dumps
from enmeshed_connector.core.encodings import from_utf8, to_utf8
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.core.foreign_content import loads_with_content
from enmeshed_connector.crypto.derivation import DATAWALLET_CONTEXT, derive_key
from enmeshed_connector.crypto.symmetric import Cipher, SecretKey, decrypt, encrypt
from enmeshed_connector.transport.errors import DatawalletNotReadable
from enmeshed_connector.transport.modifications import ModificationType
from enmeshed_connector.transport.objects import Category, Document

_CONTENTS = ("content", "creationContent")
_TYPES = {kind.value for kind in ModificationType}
_CATEGORIES = {category.value for category in Category}


@dataclass(frozen=True)
class PulledModification:
    """One modification of any device of the identity, opened."""

    index: int
    object_id: str
    collection: str
    type: ModificationType
    payload: JsonObject | None
    created_by_device: str
    category: Category | None = None
    content_text: str | None = None
    """The exact text of the content in the payload, where that does not tell all of it."""


class PayloadCipher:
    """Seals and opens payloads with the identity's synchronisation key."""

    def __init__(self, key: SecretKey, random: Callable[[int], bytes]) -> None:
        """Takes the key, and where nonces come from."""
        self._key = key
        self._random = random

    def seal(self, records: Sequence[Document], base: int) -> list[NewModification]:
        """Returns the records as the Backbone takes them; the first gets the index `base` + 1."""
        return [self._seal(record, base + 1 + offset) for offset, record in enumerate(records)]

    def open(self, modification: BackboneModification) -> PulledModification:
        """Returns what a pulled modification says.

        Raises:
            DatawalletNotReadable: It is of an unknown type or category, or its payload cannot be opened.
        """
        facts = {"modification": modification.id, "index": str(modification.index)}
        if modification.type not in _TYPES:
            raise DatawalletNotReadable(f"Modification {modification.index} has an unknown type.", facts=facts)
        if modification.payload_category is not None and modification.payload_category not in _CATEGORIES:
            raise DatawalletNotReadable(f"Modification {modification.index} has an unknown category.", facts=facts)
        payload = content_text = None
        if modification.encrypted_payload is not None:
            try:
                cipher = Cipher.from_text(modification.encrypted_payload, "encryptedPayload")
                plain = decrypt(derive_key(self._key, modification.index, DATAWALLET_CONTEXT), cipher)
                payload, content_text = loads_with_content(
                    from_utf8(plain, "payload"), _CONTENTS, field="payload", max_bytes=DEFAULT_MAX_BYTES
                )
            except DomainError as error:
                raise DatawalletNotReadable(
                    f"Modification {modification.index} of the datawallet cannot be opened.", facts=facts
                ) from error
        return PulledModification(
            modification.index,
            modification.object_identifier,
            modification.collection,
            ModificationType(modification.type),
            payload,
            modification.created_by_device,
            None if modification.payload_category is None else Category(modification.payload_category),
            content_text,
        )

    def _seal(self, record: Document, index: int) -> NewModification:
        payload: Any = record.get("payload")
        encrypted = None
        if payload is not None:
            key = derive_key(self._key, index, DATAWALLET_CONTEXT)
            encrypted = to_utf8(encrypt(key, to_utf8(dumps(payload)), random=self._random).to_text())
        return NewModification(
            object_identifier=record["objectIdentifier"],
            collection=record["collection"],
            type=record["type"],
            datawallet_version=record["datawalletVersion"],
            payload_category=record.get("payloadCategory"),
            encrypted_payload=encrypted,
        )
