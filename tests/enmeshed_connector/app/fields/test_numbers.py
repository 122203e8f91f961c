"""Arbitrary JSON that callers give, wherever they may, holds only numbers that JSON has."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from enmeshed.connector.v1 import attributes_service_pb2 as attributes_pb
from enmeshed.connector.v1 import drafts_service_pb2 as drafts_pb
from enmeshed.connector.v1 import identity_metadata_service_pb2 as metadata_pb
from enmeshed.connector.v1 import messages_service_pb2 as messages_pb
from enmeshed.connector.v1 import outgoing_requests_service_pb2 as outgoing_pb
from enmeshed.connector.v1 import relationship_templates_service_pb2 as templates_pb
from enmeshed.connector.v1 import relationships_service_pb2 as relationships_pb
from enmeshed.connector.v1 import settings_service_pb2 as settings_pb
from enmeshed.connector.v1 import tokens_service_pb2 as tokens_pb
from enmeshed.content.v1 import arbitrary_pb2, attribute_pb2, content_pb2, request_pb2
from enmeshed_client import Connector as Client
from enmeshed_client import ConnectorError
from tests.support.connector import RunningConnector
from tests.support.named_calls import call

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN = "0" * 17


def deep(number: float) -> Struct:
    """Returns `{"a": {"b": [1, NUMBER]}}`."""
    found = Struct()
    found.get_or_create_struct("a").get_or_create_list("b").extend([1, number])
    return found


def value(number: float) -> Value:
    return Value(struct_value=deep(number))


def consent(**more: Any) -> request_pb2.RequestItem:
    item = request_pb2.RequestItem()
    item.consent.consent = "c"
    for name, given in more.items():
        getattr(item.consent, name).CopyFrom(given)
    return item


def asks(*items: request_pb2.RequestItem, **more: Any) -> content_pb2.Content:
    return content_pb2.Content(request=request_pb2.Request(items=items or [consent()], **more))


def relationship_attribute(given: Value | None = None) -> attribute_pb2.RelationshipAttribute:
    public = attribute_pb2.RELATIONSHIP_ATTRIBUTE_CONFIDENTIALITY_PUBLIC
    attribute = attribute_pb2.RelationshipAttribute(key="k", confidentiality=public)
    if given is not None:
        attribute.value.proprietary_json.title = "t"
        attribute.value.proprietary_json.value.CopyFrom(given)
    else:
        attribute.value.proprietary_string.title, attribute.value.proprietary_string.value = "t", "v"
    return attribute


def calls(number: float, peer: str = "") -> dict[str, tuple[str, Any, str]]:
    """Returns calls that give a number somewhere: service and method, the request, and the field."""
    texts = attributes_pb.RequestTexts(metadata=deep(number))
    template = content_pb2.Content()
    template.relationship_template_content.on_new_relationship.items.append(consent())
    template.relationship_template_content.metadata.CopyFrom(deep(number))
    asked = request_pb2.RequestItem()
    asked.create_attribute.attribute.relationship.CopyFrom(relationship_attribute(value(number)))
    group = request_pb2.RequestItem(group=request_pb2.RequestItemGroup(items=[consent()], metadata=deep(number)))
    message = content_pb2.Content(arbitrary_message_content=arbitrary_pb2.ArbitraryMessageContent(value=value(number)))
    offer = content_pb2.Content()
    offer.arbitrary_relationship_template_content.value.CopyFrom(value(number))
    creation = content_pb2.Content()
    creation.arbitrary_relationship_creation_content.value.CopyFrom(value(number))
    raw = content_pb2.Content(json=deep(number))
    raw.json.fields["@type"].string_value = "ArbitraryMessageContent"
    outgoing = outgoing_pb.CreateOutgoingRequestRequest
    end = Timestamp(seconds=4_070_908_800)
    return {
        "share": (
            "Attributes.ShareAttribute",
            attributes_pb.ShareAttributeRequest(peer=peer, request=texts),
            "request.metadata.a.b[1]",
        ),
        "create and share": (
            "Attributes.CreateAndShareRelationshipAttribute",
            attributes_pb.CreateAndShareRelationshipAttributeRequest(
                peer=peer, attribute=relationship_attribute(), request=texts
            ),
            "request.metadata.a.b[1]",
        ),
        "create and share json": (
            "Attributes.CreateAndShareRelationshipAttribute",
            attributes_pb.CreateAndShareRelationshipAttributeRequest(
                peer=peer, attribute=relationship_attribute(value(number))
            ),
            "attribute.value.value.a.b[1]",
        ),
        "request": (
            "OutgoingRequests.CreateOutgoingRequest",
            outgoing(peer=peer, content=asks(metadata=deep(number))),
            "content.metadata.a.b[1]",
        ),
        "item": (
            "OutgoingRequests.CreateOutgoingRequest",
            outgoing(peer=peer, content=asks(consent(), consent(metadata=deep(number)))),
            "content.items[1].metadata.a.b[1]",
        ),
        "group": (
            "OutgoingRequests.CreateOutgoingRequest",
            outgoing(peer=peer, content=asks(group)),
            "content.items[0].metadata.a.b[1]",
        ),
        "attribute of an item": (
            "Messages.SendRequest",
            messages_pb.SendRequestRequest(peer=peer, content=asks(asked)),
            "content.items[0].attribute.value.value.a.b[1]",
        ),
        "message": (
            "Messages.SendMessage",
            messages_pb.SendMessageRequest(recipients=[peer], content=message),
            "content.value.a.b[1]",
        ),
        "message of json": (
            "Messages.SendMessage",
            messages_pb.SendMessageRequest(recipients=[peer], content=raw),
            "content.a.b[1]",
        ),
        "template": (
            "RelationshipTemplates.CreateTemplate",
            templates_pb.CreateTemplateRequest(content=offer, expire_time=end),
            "content.value.a.b[1]",
        ),
        "metadata of a template": (
            "RelationshipTemplates.CreateTemplate",
            templates_pb.CreateTemplateRequest(content=template, expire_time=end),
            "content.metadata.a.b[1]",
        ),
        "relationship": (
            "Relationships.CreateRelationship",
            relationships_pb.CreateRelationshipRequest(template_id=f"RLT{UNKNOWN}", creation_content=creation),
            "creation_content.value.a.b[1]",
        ),
        "token": (
            "Tokens.CreateToken",
            tokens_pb.CreateTokenRequest(content=raw, expire_time=end),
            "content.a.b[1]",
        ),
        "draft": ("Drafts.CreateDraft", drafts_pb.CreateDraftRequest(content=raw), "content.a.b[1]"),
        "setting": (
            "Settings.CreateSetting",
            settings_pb.CreateSettingRequest(key=settings_pb.SettingKey(key="a"), value=deep(number)),
            "value.a.b[1]",
        ),
        "changed setting": (
            "Settings.UpdateSetting",
            settings_pb.UpdateSettingRequest(id=f"LCLSET{UNKNOWN}"[:20], value=deep(number)),
            "value.a.b[1]",
        ),
        "identity metadata": (
            "IdentityMetadata.UpsertMetadata",
            metadata_pb.UpsertMetadataRequest(reference=peer, value=value(number)),
            "value.a.b[1]",
        ),
    }


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("what", sorted(calls(1)))
async def test_numbers_that_json_lacks_are_refused_where_they_are(
    running: RunningConnector, alice: Client, what: str, number: float
) -> None:
    method, request, field = calls(number, running.accounts["bob"])[what]
    if what == "share":
        # That the attribute exists is looked at before the texts of the request.
        own = await call(alice, "Attributes.CreateAttribute", value={"givenName": {"value": f"Ada {number}"}})
        request.attribute_id = own.attribute.id
    service, _, name = method.partition(".")
    with pytest.raises(ConnectorError) as caught:
        await alice.call(getattr(alice.service(service), name), request)
    assert [violation.field for violation in caught.value.violations] == [field], caught.value.reason
