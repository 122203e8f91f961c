"""Events for what other devices of the identity did (architecture.md, decision 5).

Official devices publish nothing for changes that come through the datawallet. Here they cause the same events as if
they had happened on this device, with origin DATAWALLET, so that readers of the log see everything once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from enmeshed_connector.transport import events
from enmeshed_connector.transport.objects import (
    FILES,
    IDENTITY_DELETION_PROCESSES,
    MESSAGES,
    RELATIONSHIPS,
    TEMPLATES,
    ConsequentEvent,
    Document,
)

_REACTIVATION_ENDS = {"AcceptanceOfReactivation", "RejectionOfReactivation", "RevocationOfReactivation"}
_PARTS = {
    MESSAGES: ("createdBy", "content"),
    RELATIONSHIPS: ("peer", "templateId"),
    TEMPLATES: ("createdBy", "content"),
    FILES: ("owner", "filename"),
}
"""What is in each part of a document that events show: one property for each category that travels by itself."""
_PEER_DELETION_EVENTS = {"ToBeDeleted": events.PEER_TO_BE_DELETED, "Deleted": events.PEER_DELETED}


def events_of_change(collection: str, before: Document | None, after: Document | None) -> Iterator[ConsequentEvent]:
    """Yields the events for a document that another device made, changed or deleted, in their order.

    The parts of a new document may come in several commits; it is told of when it is all there.
    """
    parts = _PARTS.get(collection, ())
    if before is not None and not before.keys() >= set(parts):
        before = None
    if after is not None and not after.keys() >= set(parts):
        return
    if collection == MESSAGES:
        yield from _of_message(before, after)
    elif collection == RELATIONSHIPS:
        yield from _of_relationship(before, after)
    elif collection == FILES:
        yield from _of_file(before, after)
    elif collection == TEMPLATES:
        if before is None and after is not None and after.get("isOwn") is False:
            yield ConsequentEvent(
                events.PEER_RELATIONSHIP_TEMPLATE_LOADED, after, _texts(after["id"], after.get("createdBy"))
            )
    elif collection == IDENTITY_DELETION_PROCESSES:
        yield ConsequentEvent(events.IDENTITY_DELETION_PROCESS_STATUS_CHANGED, after, ())


def subjects_of_message(message: Document) -> tuple[str, ...]:
    """Returns what an event about a message is erased by: its id, the creator, and the recipients with
    relationships.
    """
    recipients = message.get("recipients")
    entries = recipients if isinstance(recipients, list) else []
    return _texts(
        message["id"],
        message.get("createdBy"),
        *(entry.get(name) for entry in entries if isinstance(entry, dict) for name in ("address", "relationshipId")),
    )


def subjects_of_relationship(relationship: Document) -> tuple[str, ...]:
    """Returns what an event about a relationship is erased by: its id and the peer's address."""
    peer = relationship.get("peer")
    return _texts(relationship["id"], peer.get("address") if isinstance(peer, dict) else None)


def _of_message(before: Document | None, after: Document | None) -> Iterator[ConsequentEvent]:
    if after is None:
        return
    subjects = subjects_of_message(after)
    if before is None:
        yield ConsequentEvent(events.MESSAGE_SENT if after.get("isOwn") else events.MESSAGE_RECEIVED, after, subjects)
    elif before.get("wasReadAt") != after.get("wasReadAt"):
        yield ConsequentEvent(events.MESSAGE_WAS_READ_AT_CHANGED, after, subjects)


def _of_relationship(before: Document | None, after: Document | None) -> Iterator[ConsequentEvent]:
    if after is None:
        if before is not None:
            # Without subjects: this is the one event about the relationship that stays readable.
            yield ConsequentEvent(events.RELATIONSHIP_DECOMPOSED_BY_SELF, {"relationshipId": before["id"]}, ())
        return
    subjects = subjects_of_relationship(after)
    new_entries = _audit_log(after)[len(_audit_log(before)) :]
    if before is None or new_entries:
        yield ConsequentEvent(events.RELATIONSHIP_CHANGED, after, subjects)
    for entry in new_entries if before is not None else ():
        if entry.get("reason") == "ReactivationRequested":
            yield ConsequentEvent(events.RELATIONSHIP_REACTIVATION_REQUESTED, after, subjects)
        elif entry.get("reason") in _REACTIVATION_ENDS:
            yield ConsequentEvent(events.RELATIONSHIP_REACTIVATION_COMPLETED, after, subjects)
    status, former = _deletion_status(after), _deletion_status(before)
    if status != former and status in _PEER_DELETION_EVENTS:
        yield ConsequentEvent(_PEER_DELETION_EVENTS[status], after, subjects)
    elif not status and former == "ToBeDeleted":
        yield ConsequentEvent(events.PEER_DELETION_CANCELLED, after, subjects)


def _of_file(before: Document | None, after: Document | None) -> Iterator[ConsequentEvent]:
    if before is None or after is None:
        if after is not None:
            yield ConsequentEvent(events.FILE_STORED, after, _texts(after["id"]))
        elif before is not None:
            yield ConsequentEvent(events.FILE_DELETED, before, _texts(before["id"]))
        return
    subjects = _texts(after["id"])
    if after.get("ownershipIsLocked") and not before.get("ownershipIsLocked"):
        yield ConsequentEvent(events.FILE_OWNERSHIP_LOCKED, after, subjects)
    if before.get("isOwn") and not after.get("isOwn"):
        yield ConsequentEvent(events.FILE_OWNERSHIP_CLAIMED, after, subjects)


def _audit_log(relationship: Document | None) -> list[Document]:
    entries = (relationship or {}).get("auditLog")
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _deletion_status(relationship: Document | None) -> str:
    info = (relationship or {}).get("peerDeletionInfo")
    return str(info.get("deletionStatus")) if isinstance(info, dict) else ""


def _texts(*values: Any) -> tuple[str, ...]:  # members of documents of other devices have every type
    return tuple(value for value in values if isinstance(value, str))
