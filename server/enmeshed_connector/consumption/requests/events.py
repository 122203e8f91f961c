"""The events about requests. Source: consumption.md, section 17."""

from __future__ import annotations

from typing import Final

from enmeshed_connector.transport.message_documents import subjects_of_message
from enmeshed_connector.transport.objects import Document, public_part, without_unset
from enmeshed_connector.transport.pulled_changes import PulledChange, PulledChanges
from enmeshed_connector.transport.work import Work

INCOMING_RECEIVED: Final = "consumption.incomingRequestReceived"
INCOMING_STATUS_CHANGED: Final = "consumption.incomingRequestStatusChanged"
OUTGOING_CREATED: Final = "consumption.outgoingRequestCreated"
OUTGOING_STATUS_CHANGED: Final = "consumption.outgoingRequestStatusChanged"
OUTGOING_CREATED_AND_COMPLETED: Final = "consumption.outgoingRequestCreatedAndCompleted"
OUTGOING_FROM_RELATIONSHIP: Final = "consumption.outgoingRequestFromRelationshipCreationCreatedAndCompleted"
MESSAGE_PROCESSED: Final = "consumption.messageProcessed"
TEMPLATE_PROCESSED: Final = "consumption.relationshipTemplateProcessed"
RESPONSE_DELIVERY_FAILED: Final = "connector.responseDeliveryFailed"
"""Ours: a response cannot be sent to the peer and is given up; the data is the decided request."""

OF_REQUESTS: Final = frozenset(
    {
        INCOMING_RECEIVED,
        INCOMING_STATUS_CHANGED,
        OUTGOING_CREATED,
        OUTGOING_STATUS_CHANGED,
        OUTGOING_CREATED_AND_COMPLETED,
    }
)
"""One of these is in each commit that makes or changes a request."""


async def tell_change(change: PulledChange, pulled: PulledChanges) -> None:
    """Publishes the events for a request that another device of this identity made or changed."""
    request = change.after
    if request is None or not _is_readable(request):
        return
    # A new request comes in parts: what was not all there was not told of, either.
    before = change.before if change.before is not None and _is_readable(change.before) else None
    if before is None:
        publish(pulled.work, OUTGOING_CREATED if request["isOwn"] else INCOMING_RECEIVED, request)
    event_type = OUTGOING_STATUS_CHANGED if request["isOwn"] else INCOMING_STATUS_CHANGED
    for entry in _log_of(request)[len(_log_of(before)) :]:
        # One change may bring several states; each is told with the request as it is now.
        data = {"request": public_part(request), "oldStatus": entry["oldStatus"], "newStatus": entry["newStatus"]}
        pulled.work.publish(event_type, data, subjects=(request["peer"],))


def _is_readable(request: Document) -> bool:
    return (
        isinstance(request.get("isOwn"), bool)
        and all(isinstance(request.get(name), str) for name in ("peer", "status", "createdAt"))
        and isinstance(request.get("content"), dict)
    )


def _log_of(request: Document | None) -> list[Document]:
    entries = (request or {}).get("statusLog")
    return [
        entry
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and all(isinstance(entry.get(name), str) for name in ("oldStatus", "newStatus"))
    ]


def publish(work: Work, event_type: str, request: Document) -> None:
    """Publishes an event about a request as it is."""
    work.publish(event_type, request, subjects=[request["peer"]])


def publish_status(work: Work, request: Document) -> None:
    """Publishes the newest change of the state of a request."""
    entry = request["statusLog"][-1]
    event_type = OUTGOING_STATUS_CHANGED if request["isOwn"] else INCOMING_STATUS_CHANGED
    data = {"request": public_part(request), "oldStatus": entry["oldStatus"], "newStatus": entry["newStatus"]}
    work.publish(event_type, data, subjects=[request["peer"]])


def publish_message_processed(work: Work, message: Document, result: str) -> None:
    """Publishes what came of a received message; `result` is the network's word."""
    subjects = [*subjects_of_message(message), message["createdBy"]]
    work.publish(MESSAGE_PROCESSED, {"message": public_part(message), "result": result}, subjects=subjects)


def publish_template_processed(
    work: Work,
    template: Document,
    result: str,
    *,
    request_id: str | None = None,
    relationship_id: str | None = None,
) -> None:
    """Publishes what came of a loaded template.

    Args:
        work: The commit.
        template: The template.
        result: The network's word.
        request_id: The request that it brought, or that is in its way.
        relationship_id: The relationship that is in its way.
    """
    data = without_unset(
        template=public_part(template), result=result, requestId=request_id, relationshipId=relationship_id
    )
    work.publish(TEMPLATE_PROCESSED, data, subjects=[template["createdBy"]])
