"""Decomposition: a participant lets go of a relationship and of the messages exchanged in it.

Source: specification of the Consumer API, §8.4 and §9.3.
"""

from __future__ import annotations

from .. import addresses
from ..errors import refused
from ..http.call import Access, Call, Reply, Route
from ..ids import IdMaker
from ..store import Row, Transaction
from . import external_events
from .relationships import (
    Reason,
    Status,
    answer,
    has_decomposed,
    move,
    notify,
    peer_of,
    require_relationship,
    wrong_status,
)

_FIRST = (Status.TERMINATED, Status.REJECTED, Status.REVOKED)


def decompose(call: Call, transaction: Transaction) -> Reply:
    """Lets the caller go of a relationship that is over."""
    relationship = require_relationship(call, transaction)
    if has_decomposed(relationship, call.address):
        raise refused("validation.relationship.relationshipAlreadyDecomposed", "You have decomposed it already.")
    if relationship["status"] not in (*_FIRST, Status.DELETION_PROPOSED):
        raise wrong_status()
    carry_out(
        call.services.ids,
        transaction,
        relationship,
        call.address,
        device=call.me.device_id,
        reason=Reason.DECOMPOSITION,
        did_host=call.services.settings.did_host,
    )
    return answer(transaction, relationship["id"])


def carry_out(
    ids: IdMaker,
    transaction: Transaction,
    relationship: Row,
    address: str,
    *,
    device: str | None,
    reason: Reason,
    did_host: str,
) -> None:
    """Decomposes for one participant: status, audit log, messages, waiting events and the peer's event."""
    is_first = relationship["status"] != Status.DELETION_PROPOSED
    side = "sender" if relationship["sender"] == address else "receiver"
    relationship_id = relationship["id"]
    transaction.run(f"UPDATE relationships SET {side}_has_decomposed = 1 WHERE id = ?", relationship_id)  # noqa: S608
    status = Status.DELETION_PROPOSED if is_first else Status.READY_FOR_DELETION
    move(transaction, relationship, status, reason, by=address, device=device)
    external_events.drop_unassigned_messages(transaction, relationship_id, address)
    _let_go_of_messages(transaction, relationship_id, address, addresses.anonymised(did_host))
    if is_first:
        peer = peer_of(relationship, address)
        notify(ids, transaction, peer, "RelationshipStatusChanged", relationship_id)


def _let_go_of_messages(transaction: Transaction, relationship_id: str, address: str, nobody: str) -> None:
    transaction.run(
        "UPDATE message_recipients SET sender_has_decomposed = sender_has_decomposed OR sender = ?1, "
        "recipient_has_decomposed = recipient_has_decomposed OR address = ?1 WHERE relationship_id = ?2",
        address,
        relationship_id,
    )
    transaction.run(
        "UPDATE message_recipients SET address = ? "
        "WHERE relationship_id = ? AND sender_has_decomposed AND recipient_has_decomposed",
        nobody,
        relationship_id,
    )
    anonymise_abandoned_senders(transaction, relationship_id, nobody)


def anonymise_abandoned_senders(transaction: Transaction, relationship_id: str, nobody: str) -> None:
    """Replaces the senders of messages whose every recipient is anonymised."""
    rows = transaction.all(
        "SELECT DISTINCT message_id FROM message_recipients AS mine WHERE relationship_id = ? AND NOT EXISTS "
        "(SELECT 1 FROM message_recipients AS other WHERE other.message_id = mine.message_id AND other.address != ?)",
        relationship_id,
        nobody,
    )
    for row in rows:
        transaction.run("UPDATE messages SET created_by = ? WHERE id = ?", nobody, row["message_id"])
        transaction.run("UPDATE message_recipients SET sender = ? WHERE message_id = ?", nobody, row["message_id"])


ROUTES = (Route("PUT", "/api/v2/Relationships/{id}/Decompose", decompose, access=Access.WRITE),)
