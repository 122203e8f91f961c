"""Events of the log as messages of the contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Final

import structlog
from google.protobuf.message import Message

from enmeshed.connector.v1 import error_reason_pb2, event_pb2
from enmeshed_connector.api.conversion.attributes import attribute
from enmeshed_connector.api.conversion.notifications import notification
from enmeshed_connector.api.conversion.requests import request, request_status
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.api.conversion.values import enum_number, set_time
from enmeshed_connector.api.reasons import public_reason
from enmeshed_connector.content.plain_json import as_struct
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import LogEvent

logger = structlog.get_logger("enmeshed_connector.api")

DataFiller = Callable[[Converter, View, event_pb2.Event], None]
"""Fills the `data` of an event from the view of what it is about."""

_ORIGINS: Final = {
    "LOCAL": event_pb2.ORIGIN_LOCAL,
    "EXTERNAL": event_pb2.ORIGIN_BACKBONE,
    "DATAWALLET": event_pb2.ORIGIN_DATAWALLET,
}


def event_message(
    converter: Converter, entry: LogEvent, *, account: str, view_of: Callable[[str, JsonObject], View]
) -> event_pb2.Event:
    """Returns an event for one reader.

    Args:
        converter: Knows what the reader may see.
        entry: The event as it stands in the log.
        account: The name of the account.
        view_of: Makes the view of what an event is about, from its type and data.
    """
    stored = entry.event
    kind: str = stored["type"]
    message = event_pb2.Event(
        id=stored.get("id") or f"{entry.position.entry}.{entry.position.index}",
        type=kind,
        account=account,
        correlation_id=stored.get("correlationId", ""),
        origin=_ORIGINS.get(stored.get("origin", ""), event_pb2.ORIGIN_UNSPECIFIED),
    )
    if "createdAt" in stored:
        set_time(message.create_time, stored["createdAt"])
    else:
        message.create_time.FromDatetime(entry.recorded_at.astimezone(UTC))
    data = stored.get("data")
    if data is not None:
        try:
            _filler_of(kind)(converter, view_of(kind, data), message)
        except (KeyError, ValueError, TypeError, AttributeError, OverflowError, DomainError) as error:
            # One event that cannot be shown must not end the streams of everybody for ever: it is delivered without
            # data.
            logger.error("an event cannot be shown", event_id=message.id, type=kind, error=type(error).__name__)
            message.ClearField("data")
    elif kind in _WITHOUT_DATA:
        getattr(message, _WITHOUT_DATA[kind]).SetInParent()
    return message


def _filler_of(kind: str) -> DataFiller:
    filler = _FILLERS.get(kind)
    if filler is not None:
        return filler
    return _message if kind.startswith("consumption.relationshipEvent.") else _json


def _copy(field: str, convert: Callable[[Converter, View], Message]) -> DataFiller:
    def fill(converter: Converter, view: View, target: event_pb2.Event) -> None:
        getattr(target, field).CopyFrom(convert(converter, view))

    return fill


def _message(converter: Converter, view: View, target: event_pb2.Event) -> None:
    target.message.CopyFrom(converter.message(view))


def _json(_converter: Converter, view: View, target: event_pb2.Event) -> None:
    # Modules of this server may publish what a Struct cannot hold; no stream may break because of that.
    target.json.CopyFrom(as_struct(view))


def _decomposed(_converter: Converter, view: View, target: event_pb2.Event) -> None:
    target.relationship_decomposed.relationship_id = view["relationshipId"]


def _succeeded(converter: Converter, view: View, target: event_pb2.Event) -> None:
    target.attribute_succeeded.predecessor.CopyFrom(attribute(converter, view["predecessor"]))
    target.attribute_succeeded.successor.CopyFrom(attribute(converter, view["successor"]))


def _request_status(converter: Converter, view: View, target: event_pb2.Event) -> None:
    changed = target.request_status_changed
    changed.request.CopyFrom(request(converter, view["request"]))
    changed.old_status = request_status(view["oldStatus"])
    changed.new_status = request_status(view["newStatus"])


def _result(word: str) -> event_pb2.ProcessingResult.ValueType:
    return enum_number(event_pb2.ProcessingResult, "PROCESSING_RESULT", word)  # type: ignore[return-value]


def _message_processed(converter: Converter, view: View, target: event_pb2.Event) -> None:
    target.message_processed.message.CopyFrom(converter.message(view["message"]))
    target.message_processed.result = _result(view["result"])


def _template_processed(converter: Converter, view: View, target: event_pb2.Event) -> None:
    processed = target.relationship_template_processed
    processed.template.CopyFrom(converter.template(view["template"]))
    processed.result = _result(view["result"])
    processed.request_id = view.get("requestId", "")
    processed.relationship_id = view.get("relationshipId", "")


def _credential_offer(_converter: Converter, view: View, target: event_pb2.Event) -> None:
    processed = target.credential_offer_processed
    processed.credential_offer_url = view["credentialOfferUrl"]
    processed.accepted = view["accepted"]
    processed.peer = view["peer"]


def _cursor_truncated(_converter: Converter, view: View, target: event_pb2.Event) -> None:
    target.cursor_truncated.subscription = view["subscription"]
    target.cursor_truncated.oldest_resume_token = view.get("oldestResumeToken", "")


def failed_event(view: View) -> event_pb2.FailedEvent:
    """Returns an event of the Backbone that could not be processed."""
    reason = public_reason(view.get("reason", ""))
    failed = event_pb2.FailedEvent(
        id=view["id"],
        type=view["type"],
        # Errors that are not ours are kept by their class.
        error_reason=reason if f"ERROR_REASON_{reason}" in error_reason_pb2.ErrorReason.keys() else "INTERNAL",  # noqa: SIM118 - a wrapper, no mapping
        error_message=view.get("message", ""),
        attempts=view.get("failures", 1),
        resolved=view.get("resolved", False),
    )
    set_time(failed.create_time, view.get("createdAt"))
    set_time(failed.last_failure_time, view.get("lastFailedAt"))
    return failed


def _failed_event(_converter: Converter, view: View, target: event_pb2.Event) -> None:
    target.failed_event.CopyFrom(failed_event(view))


def _outcome(_converter: Converter, view: View, target: event_pb2.Event) -> None:
    target.outcome.method = view["method"]
    target.outcome.idempotency_key = view.get("idempotencyKey", "")
    target.outcome.succeeded = view.get("succeeded", False)
    target.outcome.resource_id = view.get("resourceId", "")


def _fillers() -> dict[str, DataFiller]:
    rows: tuple[tuple[str, str, DataFiller], ...] = (
        ("transport.", "messageReceived messageSent messageDelivered messageWasReadAtChanged", _message),
        (
            "transport.",
            "relationshipChanged relationshipReactivationRequested relationshipReactivationCompleted peerToBeDeleted "
            "peerDeletionCancelled peerDeleted",
            _copy("relationship", Converter.relationship),
        ),
        (
            "transport.",
            "peerRelationshipTemplateLoaded relationshipTemplateAllocationsExhausted",
            _copy("relationship_template", Converter.template),
        ),
        ("transport.", "fileOwnershipLocked fileOwnershipClaimed", _copy("file", Converter.file)),
        ("transport.", "relationshipDecomposedBySelf", _decomposed),
        (
            "transport.",
            "identityDeletionProcessStatusChanged",
            _copy("identity_deletion_process", Converter.deletion_process),
        ),
        (
            "consumption.",
            "attributeCreated attributeDeleted attributeForwardingDetailsChanged attributeWasViewedAtChanged "
            "ownAttributeDeletedByOwner peerRelationshipAttributeDeletedByPeer forwardedAttributeDeletedByPeer",
            _copy("attribute", attribute),
        ),
        ("consumption.", "attributeSucceeded", _succeeded),
        (
            "consumption.",
            "incomingRequestReceived outgoingRequestCreated outgoingRequestCreatedAndCompleted "
            "outgoingRequestFromRelationshipCreationCreatedAndCompleted",
            _copy("request", request),
        ),
        ("consumption.", "incomingRequestStatusChanged outgoingRequestStatusChanged", _request_status),
        ("consumption.", "messageProcessed", _message_processed),
        ("consumption.", "relationshipTemplateProcessed", _template_processed),
        ("consumption.", "shareCredentialOfferRequestItemProcessedByRecipient", _credential_offer),
        ("consumption.", "mailReceived", _message),
        ("connector.", "cursorTruncated", _cursor_truncated),
        ("connector.", "externalEventFailed externalEventRecovered", _failed_event),
        ("connector.", "outcomeUnknown outcomeResolved", _outcome),
        ("connector.", "notificationStatusChanged", _copy("notification", notification)),
        ("connector.", "fileStored fileDeleted", _copy("file", Converter.file)),
        ("connector.", "responseDeliveryFailed", _copy("request", request)),
    )
    return {prefix + name: filler for prefix, names, filler in rows for name in names.split()}


_FILLERS: Final[Mapping[str, DataFiller]] = _fillers()

_WITHOUT_DATA: Final[Mapping[str, str]] = {
    "transport.datawalletSynchronized": "datawallet_synchronized",
    **{
        f"runtime.{phase}": "runtime_phase"
        for phase in ("initializing", "initialized", "modulesLoaded", "modulesInitialized", "modulesStarted")
    },
}
