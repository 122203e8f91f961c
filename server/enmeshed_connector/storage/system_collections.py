"""The store's own collections that are kept as ordinary documents, and the shapes of their documents."""

from __future__ import annotations

from ..core.canonical_json import JsonObject
from ..core.dates import format_date, parse_date
from .port import CollectionSpec, IdempotencyRecord, Position

IDEMPOTENCY = CollectionSpec("_Idempotency", id_field="key", indexes=("createdAt",))
"""One document per idempotency key in use."""

CURSORS = CollectionSpec("_Cursors", id_field="name")
"""One document per named reader of the log."""

LEASES = CollectionSpec("_Leases", id_field="name")
"""One document per lease. Its revision is the lease's epoch, so that fencing is an ordinary check of a revision."""

COUNTERS = CollectionSpec("_Counters", id_field="name")
"""One document per counter; SQLite has a table of its own instead."""

MARKS = CollectionSpec("_Marks", id_field="name")
"""Places in the log that only move forward; SQLite keeps them in a table of its own."""

OLDEST = "oldest"
"""The mark after the last event that retention removed."""

SYSTEM_COLLECTIONS = (IDEMPOTENCY, CURSORS, LEASES)


def idempotency_document(record: IdempotencyRecord) -> JsonObject:
    """Returns the document of a record."""
    return {
        "key": record.key,
        "requestDigest": record.request_digest,
        "state": record.state,
        "createdAt": format_date(record.created_at),
        "worker": record.worker,
        "answer": record.answer,
    }


def idempotency_record(document: JsonObject) -> IdempotencyRecord:
    """Returns the record of a document."""
    return IdempotencyRecord(
        key=document["key"],
        request_digest=document["requestDigest"],
        state=document["state"],
        created_at=parse_date(document["createdAt"]),
        worker=document["worker"],
        answer=document["answer"],
    )


def cursor_document(name: str, position: Position) -> JsonObject:
    """Returns the document of a named cursor."""
    return {"name": name, "entry": position.entry, "index": position.index}


def cursor_position(document: JsonObject) -> Position:
    """Returns where a named cursor stands."""
    return Position(document["entry"], document["index"])


def lease_document(name: str, holder: str | None) -> JsonObject:
    """Returns the document of a lease; without a holder it is free."""
    return {"name": name, "holder": holder}
