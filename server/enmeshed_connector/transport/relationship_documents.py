"""Relationships as they are stored, and how a state from the Backbone becomes one of ours.

Source: transport.md, sections 8.1, 16.5 and 16.6.
"""

from __future__ import annotations

import enum
from typing import Any

from enmeshed_connector.backbone.endpoints.relationships import AuditLogEntry, BackboneRelationship
from enmeshed_connector.core.canonical_json import JsonObject, sort_members
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.crypto.identities import IdentityKey
from enmeshed_connector.storage import Store, where
from enmeshed_connector.transport.objects import CREATED_AT, EXACT_CONTENT, RELATIONSHIPS, Document, without_unset
from enmeshed_connector.transport.work import Work


class Status(enum.StrEnum):
    """The status of a relationship."""

    PENDING = "Pending"
    ACTIVE = "Active"
    REJECTED = "Rejected"
    REVOKED = "Revoked"
    TERMINATED = "Terminated"
    DELETION_PROPOSED = "DeletionProposed"


EXISTING = (Status.PENDING, Status.ACTIVE, Status.TERMINATED, Status.DELETION_PROPOSED)
"""While a relationship has one of these, there cannot be another one to its peer."""


class Reason(enum.StrEnum):
    """Why an entry of the audit log was made."""

    CREATION = "Creation"
    ACCEPTANCE_OF_CREATION = "AcceptanceOfCreation"
    REJECTION_OF_CREATION = "RejectionOfCreation"
    REVOCATION_OF_CREATION = "RevocationOfCreation"
    TERMINATION = "Termination"
    REACTIVATION_REQUESTED = "ReactivationRequested"
    ACCEPTANCE_OF_REACTIVATION = "AcceptanceOfReactivation"
    REJECTION_OF_REACTIVATION = "RejectionOfReactivation"
    REVOCATION_OF_REACTIVATION = "RevocationOfReactivation"
    DECOMPOSITION = "Decomposition"
    DECOMPOSITION_DUE_TO_IDENTITY_DELETION = "DecompositionDueToIdentityDeletion"


def audit_log(entries: tuple[AuditLogEntry, ...]) -> list[Document]:
    """Returns the audit log as it is stored, oldest entry first."""
    return [
        without_unset(
            createdAt=format_date(entry.created_at),
            createdBy=entry.created_by,
            createdByDevice=entry.created_by_device,
            newStatus=entry.new_status,
            oldStatus=entry.old_status,
            reason=entry.reason,
        )
        for entry in entries
    ]


def new_relationship(
    remote: BackboneRelationship,
    *,
    secret_id: str,
    peer: IdentityKey,
    template_id: str,
    creation_content: Any,  # JSON of a peer, or of the caller.
    creation_text: str | None = None,
) -> Document:
    """Returns the document of a relationship as it begins, in status Pending.

    Args:
        remote: The relationship at the Backbone.
        secret_id: The container of its secrets.
        peer: The other side.
        template_id: The template it was asked for with.
        creation_content: What the requestor says.
        creation_text: The exact text of that, where it says more.
    """
    created: list[AuditLogEntry] = [entry for entry in remote.audit_log if entry.reason == Reason.CREATION]
    return with_creation_time(
        {
            "@type": "Relationship",
            "auditLog": audit_log(tuple(created[:1])),
            "creationContent": creation_content,
            "id": remote.id,
            "peer": peer.to_json(verbose=False),
            "relationshipSecretId": secret_id,
            "status": Status.PENDING.value,
            "templateId": template_id,
            **({} if creation_text is None else {EXACT_CONTENT: creation_text}),
        }
    )


def with_creation_time(document: Document) -> Document:
    """Returns a relationship with the moment that lists of relationships are ordered by."""
    log = document.get("auditLog") or ()
    # What other devices sent may lack the moment; then it sorts before all others.
    created_at = log[0].get("createdAt") if log else None
    return sort_members(document | ({CREATED_AT: created_at} if isinstance(created_at, str) else {}))


def state_of(remote: BackboneRelationship) -> JsonObject:
    """Returns the part of a relationship that its steps change, as JSON for pending operations."""
    return {"status": remote.status, "auditLog": audit_log(remote.audit_log)}


def advanced(document: Document, state: JsonObject) -> Document | None:
    """Returns the document with a newer state, None when the state is not newer than what it has.

    A state counts as newer when its audit log is longer: answers of the Backbone may overtake each other.
    """
    log = state["auditLog"]
    if len(log) <= len(document["auditLog"]):
        return None
    return document | {"auditLog": log, "status": state["status"]}


def last_entry(document: Document) -> Document:
    """Returns the newest entry of the audit log."""
    entry: Document = document["auditLog"][-1]
    return entry


def subjects_of(document: Document) -> tuple[str, str]:
    """Returns under what the events about a relationship are erased once it is decomposed."""
    return document["id"], document["peer"]["address"]


async def relationship_with(reader: Store | Work, address: str, *statuses: Status) -> Document | None:
    """Returns the newest relationship with a peer, None when there is none.

    Args:
        reader: The store, or a work that then depends on it.
        address: The peer's address.
        statuses: Only relationships with one of these; all when none is given.
    """
    found = await reader.find(RELATIONSHIPS, where("peer.address").eq(address))
    fitting = [document for document in found if not statuses or document["status"] in statuses]
    return max(fitting, key=lambda document: document["auditLog"][0]["createdAt"], default=None)
