"""Responses and their items. Source: `spec/content.md` sections 7, 8 and 17."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import FieldViolation

from .attributes import ADDRESS, ATTRIBUTE, ID, IDENTITY_ATTRIBUTE
from .forms import FormFieldAnswerRule
from .rules import Check, Date, ListOf, ObjectType, OneOf, Property, Text, by_name, one_of, optional, required

_REJECTION_TEXTS: Final[Mapping[str, Text]] = MappingProxyType({"code": Text(max=200), "message": Text(max=1000)})

_ACCEPTED: Final = {"result": required(one_of("Accepted"))}


def _accept(name: str, **properties: Property) -> ObjectType:
    return ObjectType(name, _ACCEPTED | properties)


RESPONSE_ITEM_TYPES: Final = by_name(
    _accept("AcceptResponseItem"),
    ObjectType(
        "RejectResponseItem",
        {
            "result": required(one_of("Rejected")),
            **{name: optional(rule) for name, rule in _REJECTION_TEXTS.items()},
        },
    ),
    ObjectType(
        "ErrorResponseItem",
        {
            "result": required(one_of("Error")),
            **{name: required(rule) for name, rule in _REJECTION_TEXTS.items()},
        },
    ),
    _accept("AttributeAlreadySharedAcceptResponseItem", attributeId=required(ID)),
    _accept(
        "AttributeSuccessionAcceptResponseItem",
        predecessorId=required(ID),
        successorId=required(ID),
        successorContent=required(ATTRIBUTE),
    ),
    _accept("CreateAttributeAcceptResponseItem", attributeId=required(ID)),
    _accept("DeleteAttributeAcceptResponseItem", deletionDate=required(Date())),
    _accept("FormFieldAcceptResponseItem", response=required(FormFieldAnswerRule())),
    _accept("ProposeAttributeAcceptResponseItem", attributeId=required(ID), attribute=required(ATTRIBUTE)),
    _accept(
        "ReadAttributeAcceptResponseItem",
        attributeId=required(ID),
        attribute=required(ATTRIBUTE),
        initialAttributePeer=optional(ADDRESS, null=True, alias="thirdPartyAddress"),
        thirdPartyAddress=optional(ADDRESS, null=True),
    ),
    _accept(
        "TransferFileOwnershipAcceptResponseItem", attributeId=required(ID), attribute=required(IDENTITY_ATTRIBUTE)
    ),
)
"""The answers to an item."""

OLD_RESPONSE_ITEM_TYPES: Final = by_name(
    _accept("ShareAttributeAcceptResponseItem", attributeId=required(ID)),
    _accept("FreeTextAcceptResponseItem", freeText=required(Text())),
    _accept("RegisterAttributeListenerAcceptResponseItem", listenerId=required(Text(max=30))),
)
"""Answers that releases up to 6 may send."""

_ALREADY_KNOWN: Final = ("AttributeAlreadySharedAcceptResponseItem", "AttributeSuccessionAcceptResponseItem")

ACCEPTING_TYPES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "AuthenticationRequestItem": ("AcceptResponseItem",),
        "ConsentRequestItem": ("AcceptResponseItem",),
        "ShareCredentialOfferRequestItem": ("AcceptResponseItem",),
        "ShareAuthorizationRequestRequestItem": ("AcceptResponseItem",),
        "CreateAttributeRequestItem": ("CreateAttributeAcceptResponseItem", *_ALREADY_KNOWN),
        "DeleteAttributeRequestItem": ("DeleteAttributeAcceptResponseItem", "AcceptResponseItem"),
        "FormFieldRequestItem": ("FormFieldAcceptResponseItem",),
        "ProposeAttributeRequestItem": ("ProposeAttributeAcceptResponseItem", *_ALREADY_KNOWN),
        "ReadAttributeRequestItem": ("ReadAttributeAcceptResponseItem", *_ALREADY_KNOWN),
        "ShareAttributeRequestItem": (
            "AcceptResponseItem",
            "AttributeAlreadySharedAcceptResponseItem",
            "ShareAttributeAcceptResponseItem",
        ),
        "TransferFileOwnershipRequestItem": ("TransferFileOwnershipAcceptResponseItem",),
    }
)
"""A request item to the answers that accept it. For attributes of a relationship, creation has the first one only."""

RESPONSE_ITEM_GROUP: Final = ObjectType(
    "ResponseItemGroup",
    {"items": required(ListOf(OneOf(RESPONSE_ITEM_TYPES, tolerated=OLD_RESPONSE_ITEM_TYPES), min=1))},
)

RESPONSE: Final = ObjectType(
    "Response",
    {
        "result": required(one_of("Accepted", "Rejected")),
        "requestId": required(ID),
        "items": required(
            ListOf(
                OneOf(
                    {**RESPONSE_ITEM_TYPES, **by_name(RESPONSE_ITEM_GROUP)},
                    tolerated=OLD_RESPONSE_ITEM_TYPES,
                ),
                min=1,
            )
        ),
    },
)
"""The response to a request."""

RESPONSE_WRAPPER: Final = ObjectType(
    "ResponseWrapper",
    {
        "requestId": required(ID),
        "requestSourceReference": required(ID),
        "requestSourceType": required(one_of("Message", "RelationshipTemplate")),
        "response": required(RESPONSE),
    },
)
"""A response with the request's origin."""


def rejection_violations(decision: JsonObject, path: str) -> tuple[FieldViolation, ...]:
    """Returns what is wrong with `code` and `message` of a rejection, which become those of its response item.

    Args:
        decision: The rejection; both may be left out.
        path: What the paths of fields begin with.
    """
    # No rule of theirs is about time.
    check = Check(datetime.max.replace(tzinfo=UTC), tolerant=False)
    for name, rule in _REJECTION_TEXTS.items():
        if name in decision:
            rule.check(decision[name], f"{path}.{name}", check)
    return tuple(check.violations)
