"""What callers see of documents: the objects of the official interface, without keys.

References, ownership tokens and passwords are in them; whoever hands them on leaves those out for callers that may not
see them. Source: connector.md, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enmeshed_connector.core.addresses import parse_address, truncated_address
from enmeshed_connector.core.references import (
    FileReference,
    Reference,
    RelationshipTemplateReference,
    SharedPasswordProtection,
    TokenReference,
)
from enmeshed_connector.crypto.signatures import SignaturePublicKey
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.transport.objects import EXACT_CONTENT, Document
from enmeshed_connector.transport.protection import protection_of

View = dict[str, Any]
"""One object as callers see it, JSON. `exactContent`, where it is there, is the JSON text of a content that says more
than `content` or `creationContent` does."""

LOCATIONS: Mapping[int, str] = {
    0: "RecoveryKit",
    1: "Self",
    2: "Letter",
    3: "RegistrationLetter",
    4: "Email",
    5: "SMS",
    6: "Website",
}
"""Where a password is found, by its number; numbers from 50 on have no name."""


class Views:
    """Makes views for one Backbone."""

    def __init__(self, base_url: str) -> None:
        """Takes the address of the Backbone, which references carry."""
        self._base_url = base_url

    def message(self, document: Document) -> View:
        """Returns a message."""
        recipients = [
            _pick(recipient, "address", "receivedAt", "receivedByDevice", "relationshipId")
            for recipient in document["recipients"]
        ]
        view = _pick(
            document,
            "id",
            "isOwn",
            "content",
            "createdBy",
            "createdByDevice",
            "createdAt",
            "attachments",
            "wasReadAt",
        )
        return {**view, **_exact(document), "recipients": recipients}

    def relationship(self, document: Document) -> View:
        """Returns a relationship."""
        peer = document["peer"]
        key = SignaturePublicKey.from_json(peer["publicKey"], "peer.publicKey")
        view = _pick(document, "id", "templateId", "status", "creationContent", "auditLog", "peerDeletionInfo")
        return {
            **view,
            **_exact(document),
            "peer": peer["address"],
            "peerIdentity": {"address": peer["address"], "publicKey": key.to_base64(verbose=False)},
        }

    def template(self, document: Document) -> View:
        """Returns a relationship template."""
        view = _pick(
            document,
            "id",
            "isOwn",
            "createdBy",
            "createdByDevice",
            "createdAt",
            "forIdentity",
            "content",
            "expiresAt",
            "maxNumberOfAllocations",
        )
        return {**view, **_exact(document), **self._protected(document, RelationshipTemplateReference)}

    def token(self, document: Document, *, is_ephemeral: bool = False) -> View:
        """Returns a token."""
        view = _pick(
            document,
            "id",
            "isOwn",
            "createdBy",
            "createdByDevice",
            "content",
            "createdAt",
            "expiresAt",
            "forIdentity",
        )
        protected = self._protected(document, TokenReference)
        return {**view, **_exact(document), **protected, "isEphemeral": is_ephemeral}

    def file(self, document: Document) -> View:
        """Returns a file."""
        view = _pick(
            document,
            "id",
            "isOwn",
            "filename",
            "tags",
            "filesize",
            "createdAt",
            "createdBy",
            "createdByDevice",
            "expiresAt",
            "mimetype",
            "title",
            "description",
            "owner",
            "ownershipToken",
            "ownershipIsLocked",
        )
        key = SecretKey.from_json(document["secretKey"], "secretKey")
        return {**view, "reference": _reference(FileReference(document["id"], key, self._base_url))}

    def deletion_process(self, document: Document) -> View:
        """Returns an identity deletion process."""
        return _pick(
            document,
            "id",
            "status",
            "createdAt",
            "createdByDevice",
            "gracePeriodEndsAt",
            "cancelledAt",
            "cancelledByDevice",
        )

    def device(self, document: Document, *, current: str) -> View:
        """Returns a device.

        Args:
            document: The device.
            current: The id of this device.
        """
        view = _pick(
            document,
            "id",
            "type",
            "name",
            "description",
            "createdAt",
            "createdByDevice",
            "operatingSystem",
            "lastLoginAt",
            "username",
            "isOffboarded",
            "isBackupDevice",
        )
        key = document.get("publicKey")
        if key is not None:
            view["publicKey"] = SignaturePublicKey.from_json(key, "publicKey").to_base64(verbose=False)
        return {
            **view,
            "isAdmin": bool(document.get("isAdmin")) or document["createdByDevice"] == document["id"],
            "isCurrentDevice": document["id"] == current,
        }

    def event_data(self, event_type: str, data: Document) -> View:
        """Returns the view of what an event is about; objects without a view of their own as they are."""
        match data.get("@type"):
            case "Message":
                return self.message(data)
            case "Relationship":
                return self.relationship(data)
            case "RelationshipTemplate":
                return self.template(data)
            case "File":
                return self.file(data)
            case "Token":
                return self.token(data)
        match event_type:
            case "transport.identityDeletionProcessStatusChanged":
                return self.deletion_process(data)
            case "consumption.messageProcessed":
                return {**data, "message": self.message(data["message"])}
            case "consumption.relationshipTemplateProcessed":
                return {**data, "template": self.template(data["template"])}
        return data

    def _protected(self, document: Document, kind: type[Reference]) -> View:
        """Returns the reference, and the password protection where there is one."""
        protection = protection_of(document)
        for_identity = document.get("forIdentity")
        reference = kind(
            document["id"],
            SecretKey.from_json(document["secretKey"], "secretKey"),
            self._base_url,
            None if for_identity is None else truncated_address(parse_address(for_identity)),
            None if protection is None else protection.shared,
        )
        view: View = {"reference": _reference(reference)}
        if protection is not None:
            view["passwordProtection"] = {
                "password": protection.password.reveal_text(),
                **_protection(protection.shared),
            }
        return view


def _protection(shared: SharedPasswordProtection) -> View:
    view: View = {}
    if shared.password_type.startswith("pin"):
        view["passwordIsPin"] = True
    if shared.location_indicator is not None:
        view["passwordLocationIndicator"] = LOCATIONS.get(shared.location_indicator, shared.location_indicator)
    return view


def _reference(reference: Reference) -> View:
    return {"truncated": reference.to_truncated(), "url": reference.to_url()}


def _exact(document: Mapping[str, Any]) -> View:
    return {"exactContent": document[EXACT_CONTENT]} if EXACT_CONTENT in document else {}


def _pick(document: Mapping[str, Any], *names: str) -> View:
    return {name: document[name] for name in names if name in document}
