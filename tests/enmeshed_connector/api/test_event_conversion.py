"""Every event type of the contract has its typed payload, redacted for its reader."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
import structlog

from enmeshed.connector.v1 import attribute_pb2, event_pb2, notification_pb2, relationship_pb2, request_pb2
from enmeshed_connector.api.conversion.events import event_message
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.api.permissions import EVENTS
from enmeshed_connector.api.scopes import EVERYTHING, Scopes
from enmeshed_connector.content.codec import ContentCodec
from enmeshed_connector.storage import LogEvent, Position
from tests.enmeshed_connector.api.conversion_samples import (
    ALICE,
    ATTRIBUTE,
    BOB,
    DATE,
    FILE,
    MESSAGE,
    NOTIFICATION,
    PROCESS,
    RELATIONSHIP,
    REQUEST,
    TEMPLATE,
)

CODEC = ContentCodec()
CHANGED = {"request": REQUEST, "oldStatus": "Open", "newStatus": "DecisionRequired"}
FAILED = {"id": "EVE1", "type": "MessageReceived", "reason": "SIGNATURE_NOT_VALID", "createdAt": DATE}
CREDENTIAL = {"credentialOfferUrl": "https://example.org/offer", "accepted": True, "peer": BOB}
PROCESSED = {"template": TEMPLATE, "result": "RelationshipExists", "relationshipId": "REL1"}
PAYLOADS: dict[str, Any] = {
    "message": MESSAGE,
    "relationship": RELATIONSHIP,
    "relationship_template": TEMPLATE,
    "file": FILE,
    "identity_deletion_process": PROCESS,
    "attribute": ATTRIBUTE,
    "request": REQUEST,
    "notification": NOTIFICATION,
    "relationship_decomposed": {"relationshipId": "REL1"},
    "attribute_succeeded": {"predecessor": ATTRIBUTE, "successor": ATTRIBUTE},
    "request_status_changed": CHANGED,
    "message_processed": {"message": MESSAGE, "result": "NoRequest"},
    "relationship_template_processed": PROCESSED,
    "credential_offer_processed": CREDENTIAL,
    "datawallet_synchronized": None,
    "runtime_phase": None,
    "cursor_truncated": {"subscription": "mine", "oldestResumeToken": "AQ"},
    "failed_event": FAILED,
    "outcome": {"method": "/x/Y", "idempotencyKey": "k", "succeeded": True},
    "json": {"any": [1, "thing"]},
}


def documented_field(event_type: str) -> str:
    """Returns the field of `data` that the comment of `Event` names for a type."""
    import re
    from pathlib import Path

    proto = Path(__file__).parents[3] / "protos/enmeshed/connector/v1/event.proto"
    for types, field in re.findall(r"^// \| (`[^|]+) \| (\w+)[^|]* \| `[^`]+` \|$", proto.read_text(), re.MULTILINE):
        prefix = ""
        for name in re.findall(r"`([^`]+)`", types):
            prefix = prefix if name.startswith(".") else name.partition(".")[0]
            full = prefix + name if name.startswith(".") else name
            if full.replace("<relationship id>", "*") == event_type:
                return str(field)
    return "json"


def converted(event_type: str, data: Any, *, scopes: Scopes = EVERYTHING, is_full: bool = True) -> event_pb2.Event:
    stored: dict[str, Any] = {"type": event_type, "id": "EVT1", "createdAt": DATE, "origin": "LOCAL"}
    if data is not None:
        stored["data"] = data
    entry = LogEvent(Position(3, 1), datetime(2026, 11, 24, tzinfo=UTC), stored)
    return event_message(
        Converter(CODEC, scopes, is_full=is_full), entry, account="alice", view_of=lambda _type, view: view
    )


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_every_event_type_fills_the_field_that_its_documentation_names(event_type: str) -> None:
    field = documented_field(event_type)
    made = converted(event_type.replace("*.**", "mine.happened").replace("*", "REL1"), PAYLOADS[field])
    assert made.WhichOneof("data") == field
    assert event_pb2.Event.FromString(made.SerializeToString()) == made


def test_every_field_of_the_data_is_used_by_some_type() -> None:
    fields = {field.name for field in event_pb2.Event.DESCRIPTOR.oneofs_by_name["data"].fields}
    assert fields == PAYLOADS.keys()
    assert {documented_field(event_type) for event_type in EVENTS} == fields


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_no_secret_is_in_an_event_for_a_reader_without_the_permission(event_type: str) -> None:
    name = event_type.replace("*.**", "mine.happened").replace("*", "REL1")
    data = converted(name, PAYLOADS[documented_field(event_type)], scopes=Scopes(["*:read"])).SerializeToString()
    for secret in (b"hunter2", b"owner-secret", b"UkxUsecret", b"RklMsecret", b"#secret"):
        assert secret not in data


def test_a_request_is_shown_with_its_answer_and_its_history() -> None:
    request = converted("consumption.incomingRequestReceived", REQUEST).request
    assert request.status == request_pb2.LOCAL_REQUEST_STATUS_MANUAL_DECISION_REQUIRED
    assert request.source.type == request_pb2.REQUEST_SOURCE_TYPE_RELATIONSHIP_TEMPLATE
    assert request.content.request.items[0].consent.consent == "Yes?"
    assert request.expire_time.ToJsonString() == "2026-11-24T06:00:00.123Z"
    assert request.response.accepted
    assert request.response.content.response.items
    assert request.response.source.type == request_pb2.REQUEST_SOURCE_TYPE_MESSAGE
    assert [entry.new_status for entry in request.status_log] == [request_pb2.LOCAL_REQUEST_STATUS_DECISION_REQUIRED]
    assert request.was_automatically_decided
    basic = converted("consumption.incomingRequestReceived", REQUEST, is_full=False).request
    assert not basic.HasField("content")
    assert not basic.response.HasField("content")
    assert basic.response.accepted


def test_an_attribute_is_shown_with_its_deletion() -> None:
    attribute = converted("consumption.attributeCreated", ATTRIBUTE).attribute
    assert attribute.type == attribute_pb2.LOCAL_ATTRIBUTE_TYPE_PEER_RELATIONSHIP
    assert attribute.value_type == "ProprietaryString"
    assert attribute.content.relationship_attribute.key == "customer"
    status = attribute_pb2.ATTRIBUTE_DELETION_STATUS_TO_BE_DELETED_BY_RECIPIENT
    assert attribute.deletion_info.deletion_status == status
    assert attribute.HasField("number_of_forwards")
    assert not converted("consumption.attributeCreated", ATTRIBUTE, is_full=False).attribute.HasField("content")


@pytest.mark.parametrize("kind", ["OwnIdentity", "PeerIdentity", "OwnRelationship", "ThirdPartyRelationship"])
def test_every_kind_of_attribute_is_known(kind: str) -> None:
    view = ATTRIBUTE | {"@type": f"{kind}Attribute"}
    assert converted("consumption.attributeCreated", view).attribute.type != 0


def test_a_notification_is_shown_with_its_state() -> None:
    notification = converted("connector.notificationStatusChanged", NOTIFICATION).notification
    assert notification.status == notification_pb2.LOCAL_NOTIFICATION_STATUS_ERROR
    assert notification.message_id == "MSG" + "1" * 17
    assert notification.content.notification.items


def test_words_that_this_version_does_not_know_are_unspecified() -> None:
    relationship = converted("transport.relationshipChanged", RELATIONSHIP | {"status": "Paused"}).relationship
    assert relationship.status == relationship_pb2.RELATIONSHIP_STATUS_UNSPECIFIED
    assert converted("consumption.attributeCreated", ATTRIBUTE | {"@type": "New"}).attribute.type == 0


def test_what_a_module_says_breaks_nothing() -> None:
    odd = converted("module.mine.happened", {"big": 10**400, "text": "\ud800", "own": ALICE})
    assert odd.WhichOneof("data") == "json"
    odd.SerializeToString()


def test_an_event_that_cannot_be_shown_is_delivered_without_its_data() -> None:
    with structlog.testing.capture_logs() as logs:
        broken = converted("transport.relationshipChanged", {"id": "REL1"})
    assert (broken.id, broken.WhichOneof("data")) == ("EVT1", None)
    assert [entry["log_level"] for entry in logs] == ["error"]
