"""Reactivation of terminated relationships: one asks, the other answers, or the one who asked takes it back.

Source: specification of the Consumer API, §8.4.
"""

from __future__ import annotations

from ..errors import refused
from ..http.call import Access, Call, Reply, Route
from ..store import Row, Transaction
from .relationships import (
    Reason,
    Status,
    answer,
    move,
    newest_audit_entry,
    notify,
    peer_of,
    require_relationship,
    wrong_status,
)

_CODES = "validation.relationship."


def request(call: Call, transaction: Transaction) -> Reply:
    """Asks the peer to make a terminated relationship active again."""
    relationship = require_relationship(call, transaction)
    if _asker(transaction, relationship) is not None:
        raise refused(
            _CODES + "cannotRequestReactivationWhenThereIsAnOpenReactivationRequest",
            "A request for reactivation is open already.",
        )
    if relationship["status"] != Status.TERMINATED:
        raise wrong_status()
    return _go(
        call, transaction, relationship, (Status.TERMINATED, Reason.REACTIVATION_REQUESTED),
        "RelationshipReactivationRequested",
    )  # fmt: skip


def accept(call: Call, transaction: Transaction) -> Reply:
    """Accepts the peer's request."""
    relationship = require_relationship(call, transaction)
    if _asker(transaction, relationship) in (None, call.address):
        raise refused(_CODES + "noAcceptableRelationshipReactivationRequestExists", "There is nothing to accept.")
    return _complete(call, transaction, relationship, Status.ACTIVE, Reason.ACCEPTANCE_OF_REACTIVATION)


def reject(call: Call, transaction: Transaction) -> Reply:
    """Rejects the peer's request."""
    relationship = require_relationship(call, transaction)
    if _asker(transaction, relationship) in (None, call.address):
        raise refused(_CODES + "noRejectableReactivationRequestExists", "There is nothing to reject.")
    return _complete(call, transaction, relationship, Status.TERMINATED, Reason.REJECTION_OF_REACTIVATION)


def revoke(call: Call, transaction: Transaction) -> Reply:
    """Takes the caller's own request back."""
    relationship = require_relationship(call, transaction)
    if _asker(transaction, relationship) != call.address:
        raise refused(_CODES + "noRevocableReactivationRequestExists", "There is nothing to revoke.")
    return _complete(call, transaction, relationship, Status.TERMINATED, Reason.REVOCATION_OF_REACTIVATION)


def _asker(transaction: Transaction, relationship: Row) -> str | None:
    entry = newest_audit_entry(transaction, relationship["id"])
    return entry["created_by"] if entry["reason"] == Reason.REACTIVATION_REQUESTED else None


def _complete(call: Call, transaction: Transaction, relationship: Row, status: Status, reason: Reason) -> Reply:
    return _go(call, transaction, relationship, (status, reason), "RelationshipReactivationCompleted")


def _go(call: Call, transaction: Transaction, relationship: Row, step: tuple[Status, Reason], event: str) -> Reply:
    status, reason = step
    move(transaction, relationship, status, reason, by=call.address, device=call.me.device_id)
    notify(call.services.ids, transaction, peer_of(relationship, call.address), event, relationship["id"])
    return answer(transaction, relationship["id"])


ROUTES = (
    Route("PUT", "/api/v2/Relationships/{id}/Reactivate", request, access=Access.WRITE),
    Route("PUT", "/api/v2/Relationships/{id}/Reactivate/Accept", accept, access=Access.WRITE),
    Route("PUT", "/api/v2/Relationships/{id}/Reactivate/Reject", reject, access=Access.WRITE),
    Route("PUT", "/api/v2/Relationships/{id}/Reactivate/Revoke", revoke, access=Access.WRITE),
)
