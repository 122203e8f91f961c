"""Requests that are about to be sent, as values and as documents of `_PendingOperations`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.transport.objects import Document

_INSIDE_CHARACTERS = 64 * 1024
"""A longer wire, that of a file, is a document of its own: it is read only by who sends it or looks for it."""


@dataclass(frozen=True)
class Ticket:
    """The caller's idempotency key, with what it was used for."""

    key: str
    """Scope and key in one text: account, method, credential, idempotency key."""
    request_digest: str
    """Digest of the request."""
    caller_key: str = ""
    """The key as the caller knows it, for errors."""
    method: str = ""
    """The full name of the caller's method, for events about what became of the call; empty: nobody is told."""

    def step(self, name: str) -> Ticket:
        """Returns the ticket of one of several requests that the caller's one needs; its outcome is not told."""
        return Ticket(f"{self.key}#{name}", self.request_digest, self.caller_key)


@dataclass(frozen=True)
class PendingOperation:
    """A request that was about to be sent, and may have been."""

    id: str
    kind: str
    wire: str = field(repr=False)
    """The exact text to be sent, or the part of it that must not be made anew."""
    plan: Mapping[str, Any] = field(repr=False)
    """What `complete` needs: JSON made by the controller, documents without their id and the like."""
    created_at: datetime
    """When it was made durable, by the clock of the process that did."""
    ticket: Ticket | None
    attempts: int = 1
    """How often it was about to be sent so far, by any process."""


def is_apart(wire: str) -> bool:
    """Tells whether a wire is a document of its own."""
    return len(wire) > _INSIDE_CHARACTERS


def to_document(pending: PendingOperation) -> Document:
    """Returns the document of a request that is about to be sent for the first time; without a wire that is apart."""
    document: Document = {
        "id": pending.id,
        "kind": pending.kind,
        "createdAt": format_date(pending.created_at),
        "plan": dict(pending.plan),
    }
    if not is_apart(pending.wire):
        document["wire"] = pending.wire
    if pending.ticket is not None:
        document["ticket"] = {
            "key": pending.ticket.key,
            "requestDigest": pending.ticket.request_digest,
            "callerKey": pending.ticket.caller_key,
            "method": pending.ticket.method,
        }
    return document


def from_document(document: Document, wire: str) -> PendingOperation:
    """Returns what a document and its wire say."""
    ticket = document.get("ticket")
    return PendingOperation(
        document["id"],
        document["kind"],
        wire,
        document["plan"],
        parse_date(document["createdAt"]),
        Ticket(ticket["key"], ticket["requestDigest"], ticket["callerKey"], ticket.get("method", ""))
        if ticket
        else None,
        document.get("attempts", 1),
    )
