"""External events: what the owner's devices learn of what others did, in an order of their own.

They are made in the transaction of what they tell of, so no event is ever lost or early.

Source: specification of the Consumer API, §13.5.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from ..ids import IdMaker
from ..store import Transaction


def emit(
    ids: IdMaker,
    transaction: Transaction,
    owner: str,
    kind: str,
    payload: Mapping[str, str],
    *,
    context: str | None = None,
    is_blocked: bool = False,
) -> None:
    """Adds an event for an identity, and a push when the identity is active.

    Args:
        ids: Makes the id of the event.
        transaction: The one of the cause.
        owner: Who learns of it; an identity that is gone learns of nothing.
        kind: The type, for example `MessageReceived`.
        payload: Names and values as clients see them.
        context: The relationship that can unblock or take back the event.
        is_blocked: The event waits until its relationship becomes active. The push goes out all the same, as the
            official server does.
    """
    status = transaction.value("SELECT status FROM identities WHERE address = ?", owner)
    if status is None:
        return
    index = transaction.value(
        "INSERT INTO event_counters (owner, next) VALUES (?, 1) "
        "ON CONFLICT (owner) DO UPDATE SET next = next + 1 RETURNING next - 1",
        owner,
    )
    transaction.insert(
        "external_events",
        id=ids.make("SYI"),
        owner=owner,
        idx=index,
        type=kind,
        created_at=transaction.now,
        payload=orjson.dumps(payload).decode(),
        context=context,
        is_blocked=is_blocked,
    )
    if status == "Active":
        transaction.push(owner, "ExternalEventCreated")


def unblock(transaction: Transaction, context: str) -> None:
    """Lets the waiting events of a relationship that became active go out."""
    transaction.run("UPDATE external_events SET is_blocked = 0 WHERE context = ? AND is_blocked = 1", context)


def drop_blocked(transaction: Transaction, context: str) -> None:
    """Deletes the waiting events of a relationship that will not become active."""
    transaction.run("DELETE FROM external_events WHERE context = ? AND is_blocked = 1", context)


def drop_unassigned_messages(transaction: Transaction, context: str, owner: str) -> None:
    """Deletes the events of messages that an identity did not fetch before it decomposed the relationship."""
    transaction.run(
        "DELETE FROM external_events WHERE context = ? AND owner = ? AND type = 'MessageReceived' "
        "AND sync_run_id IS NULL AND is_synced = 0",
        context,
        owner,
    )
