"""Requests and their items. Source: `spec/content.md` sections 5, 6 and 17."""

from __future__ import annotations

from typing import Final

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.core.references import FileReference

from .attributes import ADDRESS, ATTRIBUTE, ID, IDENTITY_QUERY, PROPOSE_QUERY, READ_QUERY, THIRD_PARTY_QUERY
from .forms import FORM_FIELD_SETTINGS
from .rules import (
    Boolean,
    Check,
    Date,
    FreeObject,
    ListOf,
    ObjectType,
    OneOf,
    Property,
    Text,
    by_name,
    optional,
    required,
)
from .values import LINK, LINK_TEXT, link_text_needs_link

TITLE: Final = Text(max=200)
METADATA: Final = FreeObject(anything_received=True)

_ITEM: Final = {
    "mustBeAccepted": required(Boolean()),
    "description": optional(Text(max=500)),
    "metadata": optional(METADATA),
}


def _is_file_reference(text: str) -> bool:
    try:
        FileReference.parse(text)
    except MalformedValue:
        return False
    return True


_FILE_REFERENCE: Final = Text(test=_is_file_reference, meaning="the reference of a file")
_FORWARDED: Final = optional(ADDRESS, null=True, alias="thirdPartyAddress")
_FORWARDED_OLD: Final = optional(ADDRESS, null=True)


def _query_fits_attribute(item: JsonObject, path: str, check: Check) -> None:
    query, attribute = item["query"], item["attribute"]
    kind = query["@type"]
    if attribute["@type"] == "RelationshipAttribute":
        if kind != "RelationshipAttributeQuery":
            check.fail(f"{path}.query", "must be a RelationshipAttributeQuery, as the attribute is of a relationship")
            return
        sought = query["attributeCreationHints"]["valueType"]
    elif kind == "RelationshipAttributeQuery":
        check.fail(f"{path}.query", "must not be a RelationshipAttributeQuery, as the attribute is of an identity")
        return
    elif kind == "IdentityAttributeQuery":
        sought = query["valueType"]
    else:
        sought = (query.get("attributeCreationHints") or {}).get("valueType")
    if sought is not None and attribute["value"]["@type"] != sought:
        check.fail(f"{path}.attribute.value.@type", f"must be {sought}, which the query asks for")


REQUEST_ITEM_TYPES: Final = by_name(
    ObjectType("AuthenticationRequestItem", _ITEM | {"title": required(TITLE)}),
    ObjectType(
        "ConsentRequestItem",
        _ITEM
        | {
            "consent": required(Text(max=10_000)),
            "link": optional(LINK),
            "linkDisplayText": optional(LINK_TEXT),
            "requiresInteraction": optional(Boolean()),
        },
        (link_text_needs_link,),
    ),
    ObjectType("CreateAttributeRequestItem", _ITEM | {"attribute": required(ATTRIBUTE)}),
    ObjectType("DeleteAttributeRequestItem", _ITEM | {"attributeId": required(ID)}),
    ObjectType("FormFieldRequestItem", _ITEM | {"title": required(TITLE), "settings": required(FORM_FIELD_SETTINGS)}),
    ObjectType(
        "ProposeAttributeRequestItem",
        _ITEM | {"query": required(PROPOSE_QUERY), "attribute": required(ATTRIBUTE)},
        (_query_fits_attribute,),
    ),
    ObjectType("ReadAttributeRequestItem", _ITEM | {"query": required(READ_QUERY)}),
    ObjectType(
        "ShareAttributeRequestItem",
        _ITEM
        | {
            "attribute": required(ATTRIBUTE),
            "attributeId": required(ID, alias="sourceAttributeId"),
            "initialAttributePeer": _FORWARDED,
            "thirdPartyAddress": _FORWARDED_OLD,
        },
    ),
    ObjectType("ShareAuthorizationRequestRequestItem", _ITEM | {"authorizationRequestUrl": required(Text())}),
    ObjectType("ShareCredentialOfferRequestItem", _ITEM | {"credentialOfferUrl": required(Text())}),
    ObjectType(
        "TransferFileOwnershipRequestItem",
        _ITEM | {"fileReference": required(_FILE_REFERENCE), "ownershipToken": Property(Text(), required_to_send=True)},
    ),
)
"""The items that can be asked."""

OLD_REQUEST_ITEM_TYPES: Final = by_name(
    ObjectType("FreeTextRequestItem", _ITEM | {"freeText": required(Text())}),
    ObjectType(
        "RegisterAttributeListenerRequestItem",
        _ITEM | {"query": required(OneOf(by_name(IDENTITY_QUERY, THIRD_PARTY_QUERY)))},
    ),
)
"""Items that releases up to 6 may send. They can be shown, and nothing answers them."""

REQUEST_ITEM: Final = OneOf(REQUEST_ITEM_TYPES, tolerated=OLD_REQUEST_ITEM_TYPES)
"""One item, not a group."""

REQUEST_ITEM_GROUP: Final = ObjectType(
    "RequestItemGroup",
    {
        "title": optional(TITLE),
        "description": optional(Text(max=500)),
        "items": required(ListOf(REQUEST_ITEM, min=1)),
        "metadata": optional(METADATA),
    },
)

REQUEST: Final = ObjectType(
    "Request",
    {
        "id": optional(ID, null=True),
        "expiresAt": optional(Date()),
        "items": required(
            ListOf(
                OneOf({**REQUEST_ITEM_TYPES, **by_name(REQUEST_ITEM_GROUP)}, tolerated=OLD_REQUEST_ITEM_TYPES), min=1
            )
        ),
        "title": optional(TITLE),
        "description": optional(Text(max=500)),
        "metadata": optional(METADATA),
    },
)
"""A request."""
