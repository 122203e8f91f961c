"""Relationships: their state machine, audit log and views. Reactivation and decomposition have files of their own.

Source: specification of the Consumer API, §8.
"""

from __future__ import annotations

import enum
from typing import Any

from .. import addresses, dates
from ..errors import ApiError, invalid_property, not_found, refused
from ..http import binary
from ..http.call import Access, BodyKind, Call, Reply, Route, created, ok, paged
from ..ids import IdMaker, is_id
from ..store import Row, Transaction
from . import external_events, quotas, templates
from .identities import require_identity

RELATIONSHIP_EXISTS = "validation.relationship.relationshipToTargetAlreadyExists"
PEER_IS_TO_BE_DELETED = "validation.relationship.peerIsToBeDeleted"


class Status(enum.StrEnum):
    """The states of a relationship."""

    PENDING = "Pending"
    ACTIVE = "Active"
    REJECTED = "Rejected"
    REVOKED = "Revoked"
    TERMINATED = "Terminated"
    DELETION_PROPOSED = "DeletionProposed"
    READY_FOR_DELETION = "ReadyForDeletion"


class Reason(enum.StrEnum):
    """Why a relationship has an entry in its audit log."""

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


LIVING = (Status.PENDING, Status.ACTIVE, Status.TERMINATED)
"""The states in which two identities know each other."""


def wrong_status() -> ApiError:
    """Returns the 400 of a transition that the present state does not allow."""
    return refused(
        "validation.relationship.relationshipIsNotInCorrectStatus",
        "The status of the relationship does not allow this.",
    )


def peer_of(relationship: Row, address: str) -> str:
    """Returns the other participant."""
    peer: str = relationship["receiver"] if relationship["sender"] == address else relationship["sender"]
    return peer


def has_decomposed(relationship: Row, address: str) -> bool:
    """Returns whether that participant has decomposed it."""
    side = "sender" if relationship["sender"] == address else "receiver"
    return bool(relationship[f"{side}_has_decomposed"])


def require_relationship(call: Call, transaction: Transaction) -> Row:
    """Returns the relationship of the path, of which the caller is a participant, or raises the 400 or 404."""
    relationship_id = call.parameters["id"]
    if not is_id("REL", relationship_id):
        raise invalid_property("The id is none of a relationship.")
    relationship = transaction.one(
        "SELECT * FROM relationships WHERE id = ?1 AND ?2 IN (sender, receiver)", relationship_id, call.address
    )
    if relationship is None:
        raise not_found("Relationship")
    return relationship


def youngest_between(transaction: Transaction, address: str, peer: str) -> Row | None:
    """Returns the newest relationship between two identities."""
    return transaction.one(
        "SELECT * FROM (SELECT rowid AS number, * FROM relationships WHERE sender = ?1 AND receiver = ?2 "
        "UNION ALL SELECT rowid AS number, * FROM relationships WHERE sender = ?2 AND receiver = ?1) "
        "ORDER BY created_at DESC, number DESC LIMIT 1",
        address,
        peer,
    )


def living_peers(transaction: Transaction, address: str, statuses: tuple[Status, ...] = LIVING) -> list[Row]:
    """Returns the relationships of an identity in these states."""
    rows = transaction.all(
        "SELECT * FROM relationships WHERE sender = ?1 OR receiver = ?1 ORDER BY created_at, rowid", address
    )
    return [row for row in rows if row["status"] in statuses]


def move(
    transaction: Transaction,
    relationship: Row,
    new_status: Status,
    reason: Reason,
    *,
    by: str,
    device: str | None,
) -> None:
    """Sets the status and writes the audit log. Events of messages that the status holds back or frees follow it."""
    relationship_id = relationship["id"]
    transaction.run("UPDATE relationships SET status = ? WHERE id = ?", new_status.value, relationship_id)
    audit(transaction, relationship_id, relationship["status"], new_status, reason, by=by, device=device)
    if new_status is Status.ACTIVE:
        external_events.unblock(transaction, relationship_id)
    elif new_status in (Status.REJECTED, Status.REVOKED):
        external_events.drop_blocked(transaction, relationship_id)


def audit(
    transaction: Transaction,
    relationship_id: str,
    old_status: str | None,
    new_status: str,
    reason: Reason,
    *,
    by: str,
    device: str | None,
) -> None:
    """Adds an entry to the audit log."""
    newest = transaction.value(
        "SELECT max(created_at) FROM relationship_audit WHERE relationship_id = ?", relationship_id
    )
    transaction.insert(
        "relationship_audit",
        relationship_id=relationship_id,
        # Clients sort by this moment: two steps in one millisecond would lose their order.
        created_at=max(transaction.now, (newest or 0) + 1),
        created_by=by,
        created_by_device=device,
        reason=reason.value,
        old_status=old_status,
        new_status=str(new_status),
    )


def newest_audit_entry(transaction: Transaction, relationship_id: str) -> Row:
    """Returns the last entry of the audit log."""
    entry = transaction.one(
        "SELECT * FROM relationship_audit WHERE relationship_id = ? ORDER BY rowid DESC LIMIT 1", relationship_id
    )
    if entry is None:
        raise AssertionError("Every relationship has the entry of its creation.")
    return entry


def notify(ids: IdMaker, transaction: Transaction, owner: str, kind: str, relationship_id: str) -> None:
    """Tells a participant of a change by an external event."""
    external_events.emit(ids, transaction, owner, kind, {"relationshipId": relationship_id})


def metadata(transaction: Transaction, relationship: Row) -> dict[str, Any]:
    """Returns a relationship as answers to changes show it."""
    entries = transaction.all(
        "SELECT * FROM relationship_audit WHERE relationship_id = ? ORDER BY rowid", relationship["id"]
    )
    return {
        "id": relationship["id"],
        "relationshipTemplateId": relationship["template_id"],
        "from": relationship["sender"],
        "to": relationship["receiver"],
        "createdAt": dates.network_text(relationship["created_at"]),
        "status": relationship["status"],
        "auditLog": [
            {
                "createdAt": dates.network_text(entry["created_at"]),
                "createdBy": entry["created_by"],
                "createdByDevice": entry["created_by_device"],
                "reason": entry["reason"],
                "oldStatus": entry["old_status"],
                "newStatus": entry["new_status"],
            }
            for entry in entries
        ],
    }


def view(transaction: Transaction, relationship: Row) -> dict[str, Any]:
    """Returns a relationship as reads show it."""
    return metadata(transaction, relationship) | {
        "creationContent": binary.encode_or_none(relationship["creation_content"]),
        "creationResponseContent": binary.encode_or_none(relationship["creation_response_content"]),
    }


def answer(transaction: Transaction, relationship_id: str) -> Reply:
    """Returns the 200 of a change."""
    return ok(metadata(transaction, _reload(transaction, relationship_id)))


def can_create(call: Call, transaction: Transaction) -> Reply:
    """Answers whether the caller could ask a peer for a relationship, and the code of what is against it."""
    peer = call.query.text("peer")
    if not addresses.is_address(peer):
        raise invalid_property("peer must be an identity address.")
    identity = require_identity(transaction, peer)
    code = None
    if identity["status"] != "Active":
        code = PEER_IS_TO_BE_DELETED
    elif _is_known(transaction, call.address, peer):
        code = RELATIONSHIP_EXISTS
    return ok({"canCreate": code is None, "code": code and f"error.platform.{code}"})


def create(call: Call, transaction: Transaction) -> Reply:
    """Asks the creator of a template for a relationship."""
    body = call.body
    template_id, content = body.text("relationshipTemplateId"), body.data_or_none("creationContent")
    template = templates.allocate(call, transaction, template_id, None)
    peer = template["created_by"]
    if require_identity(transaction, peer)["status"] != "Active":
        raise refused(PEER_IS_TO_BE_DELETED, "The peer is about to be deleted.")
    if content is not None:
        templates.require_content(content, call.services.settings.max_content_bytes, name="creationContent")
    quotas.enforce(call, transaction, quotas.Metric.RELATIONSHIPS)
    if _is_known(transaction, call.address, peer):
        raise refused(RELATIONSHIP_EXISTS, "There is a relationship with this identity already.")
    if peer == call.address:
        raise refused("validation.relationship.cannotCreateRelationshipWithYourself", "The template is your own.")
    relationship_id = call.services.ids.make("REL")
    transaction.insert(
        "relationships",
        id=relationship_id,
        template_id=template["id"],
        sender=call.address,
        receiver=peer,
        created_at=transaction.now,
        status=Status.PENDING.value,
        creation_content=content,
    )
    audit(
        transaction,
        relationship_id,
        None,
        Status.PENDING,
        Reason.CREATION,
        by=call.address,
        device=call.me.device_id,
    )
    notify(call.services.ids, transaction, peer, "RelationshipStatusChanged", relationship_id)
    return created(metadata(transaction, _reload(transaction, relationship_id)))


def accept(call: Call, transaction: Transaction) -> Reply:
    """Accepts a relationship that the caller was asked for."""
    response = call.body.data_or_none("creationResponseContent") or b""
    relationship = require_relationship(call, transaction)
    quotas.enforce(call, transaction, quotas.Metric.RELATIONSHIPS)
    return _decide(call, transaction, relationship, Status.ACTIVE, Reason.ACCEPTANCE_OF_CREATION, response)


def reject(call: Call, transaction: Transaction) -> Reply:
    """Rejects a relationship that the caller was asked for."""
    response = call.body.data_or_none("creationResponseContent") or b""
    relationship = require_relationship(call, transaction)
    return _decide(call, transaction, relationship, Status.REJECTED, Reason.REJECTION_OF_CREATION, response)


def revoke(call: Call, transaction: Transaction) -> Reply:
    """Takes back what the caller asked for."""
    response = call.body.data_or_none("creationResponseContent") or b""
    relationship = require_relationship(call, transaction)
    if relationship["status"] != Status.PENDING:
        raise wrong_status()
    if relationship["sender"] != call.address:
        raise refused(
            "validation.relationship.cannotRevokeRelationshipNotCreatedByYourself", "Only who asked can revoke."
        )
    return _settle(call, transaction, relationship, Status.REVOKED, Reason.REVOCATION_OF_CREATION, response)


def terminate(call: Call, transaction: Transaction) -> Reply:
    """Ends an active relationship."""
    relationship = require_relationship(call, transaction)
    if relationship["status"] != Status.ACTIVE:
        raise wrong_status()
    return _settle(call, transaction, relationship, Status.TERMINATED, Reason.TERMINATION, None)


def get(call: Call, transaction: Transaction) -> Reply:
    """Answers a relationship that the caller has not decomposed."""
    relationship = require_relationship(call, transaction)
    if has_decomposed(relationship, call.address):
        raise refused("validation.relationship.relationshipAlreadyDecomposed", "You have decomposed the relationship.")
    return ok(view(transaction, relationship))


def list_relationships(call: Call, transaction: Transaction) -> Reply:
    """Answers those of the given relationships that the caller takes part in, decomposed ones included."""
    page, wanted = call.page(), call.query.texts("ids")
    if not wanted or not all(is_id("REL", relationship_id) for relationship_id in wanted):
        raise invalid_property("There must be one id of a relationship or more.")
    rows = transaction.all(
        "SELECT * FROM relationships WHERE sender = ?1 OR receiver = ?1 ORDER BY created_at, rowid", call.address
    )
    chosen = [row for row in rows if row["id"] in wanted]
    shown = chosen[page.offset : page.offset + page.size]
    return paged([view(transaction, row) for row in shown], len(chosen), page)


def _is_known(transaction: Transaction, address: str, peer: str) -> bool:
    known = (*LIVING, Status.DELETION_PROPOSED)
    return any(peer_of(row, address) == peer for row in living_peers(transaction, address, known))


def _decide(
    call: Call, transaction: Transaction, relationship: Row, status: Status, reason: Reason, response: bytes
) -> Reply:
    if relationship["status"] != Status.PENDING:
        raise wrong_status()
    if relationship["receiver"] != call.address:
        raise refused(
            "validation.relationship.cannotAcceptOrRejectRelationshipAddressedToSomeoneElse",
            "Only who was asked can accept or reject.",
        )
    return _settle(call, transaction, relationship, status, reason, response)


def _settle(
    call: Call, transaction: Transaction, relationship: Row, status: Status, reason: Reason, response: bytes | None
) -> Reply:
    relationship_id = relationship["id"]
    if response is not None:
        transaction.run(
            "UPDATE relationships SET creation_response_content = ? WHERE id = ?", response, relationship_id
        )
    move(transaction, relationship, status, reason, by=call.address, device=call.me.device_id)
    peer = peer_of(relationship, call.address)
    notify(call.services.ids, transaction, peer, "RelationshipStatusChanged", relationship_id)
    return answer(transaction, relationship_id)


def _reload(transaction: Transaction, relationship_id: str) -> Row:
    row = transaction.one("SELECT * FROM relationships WHERE id = ?", relationship_id)
    if row is None:
        raise not_found("Relationship")
    return row


_CHANGE: dict[str, Any] = {"access": Access.WRITE, "body": BodyKind.JSON}

ROUTES = (
    Route("GET", "/api/v2/Relationships/CanCreate", can_create),
    Route("POST", "/api/v2/Relationships", create, access=Access.WRITE, body=BodyKind.JSON),
    Route("GET", "/api/v2/Relationships", list_relationships),
    Route("GET", "/api/v2/Relationships/{id}", get),
    Route("PUT", "/api/v2/Relationships/{id}/Accept", accept, **_CHANGE),
    Route("PUT", "/api/v2/Relationships/{id}/Reject", reject, **_CHANGE),
    Route("PUT", "/api/v2/Relationships/{id}/Revoke", revoke, **_CHANGE),
    Route("PUT", "/api/v2/Relationships/{id}/Terminate", terminate, access=Access.WRITE),
)
