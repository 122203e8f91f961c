"""What stored attributes look like.

Source: consumption.md, sections 2 and 3.
"""

from __future__ import annotations

import enum
from typing import Any, Final

from enmeshed_connector.core.canonical_json import Json, JsonObject, sort_members
from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.transport.objects import Document

ATTRIBUTES: Final = "Attributes"
FORWARDING_DETAILS: Final = "AttributeForwardingDetails"
TAG_COLLECTION: Final = "TagCollection"
"""Map: `tagCollection`, `etag`, `cacheTimestamp`. Never synchronised."""
GUARDS: Final = "_AttributeGuards"
"""What commits read and write that depend on something *not* being stored, so that two of them cannot both find it
missing."""


class Kind(enum.StrEnum):
    """The classes of local attributes, as `@type` names them."""

    OWN_IDENTITY = "OwnIdentityAttribute"
    """Says something of this identity; may be forwarded."""
    PEER_IDENTITY = "PeerIdentityAttribute"
    """A peer said it of itself."""
    OWN_RELATIONSHIP = "OwnRelationshipAttribute"
    """Belongs to a relationship and to this identity; may be forwarded to third parties."""
    PEER_RELATIONSHIP = "PeerRelationshipAttribute"
    """Belongs to a relationship and to the peer; may be forwarded to third parties."""
    THIRD_PARTY = "ThirdPartyRelationshipAttribute"
    """Belongs to a relationship of the peer with somebody else."""


FORWARDABLE: Final = (Kind.OWN_IDENTITY, Kind.OWN_RELATIONSHIP, Kind.PEER_RELATIONSHIP)
OWN: Final = (Kind.OWN_IDENTITY, Kind.OWN_RELATIONSHIP)
OF_PEERS: Final = (Kind.PEER_IDENTITY, Kind.PEER_RELATIONSHIP, Kind.THIRD_PARTY)


class DeletionStatus(enum.StrEnum):
    """What becomes of an attribute, here or where it was given to."""

    REQUEST_SENT = "DeletionRequestSent"
    REQUEST_REJECTED = "DeletionRequestRejected"
    TO_BE_DELETED_BY_RECIPIENT = "ToBeDeletedByRecipient"
    DELETED_BY_RECIPIENT = "DeletedByRecipient"
    TO_BE_DELETED = "ToBeDeleted"
    DELETED_BY_EMITTER = "DeletedByEmitter"


EMITTED: Final = frozenset(
    {
        DeletionStatus.REQUEST_SENT,
        DeletionStatus.REQUEST_REJECTED,
        DeletionStatus.TO_BE_DELETED_BY_RECIPIENT,
        DeletionStatus.DELETED_BY_RECIPIENT,
    }
)
"""What a recipient may do with own data."""
RECEIVED: Final = frozenset({DeletionStatus.TO_BE_DELETED, DeletionStatus.DELETED_BY_EMITTER})
"""What may become of data of others."""
FINAL: Final = frozenset(
    {
        DeletionStatus.TO_BE_DELETED_BY_RECIPIENT,
        DeletionStatus.DELETED_BY_RECIPIENT,
        DeletionStatus.TO_BE_DELETED,
        DeletionStatus.DELETED_BY_EMITTER,
    }
)
"""What is not replaced unless somebody insists."""
DELETED: Final = frozenset({DeletionStatus.DELETED_BY_RECIPIENT, DeletionStatus.DELETED_BY_EMITTER})

ATTRIBUTE_SCHEMA: Final[tuple[CollectionSpec, ...]] = (
    CollectionSpec(
        ATTRIBUTES,
        indexes=(
            "@type",
            "content.@type",
            "content.value.@type",
            "content.value.value",
            "content.key",
            "peer",
            "succeededBy",
        ),
        sortable=("createdAt",),
    ),
    CollectionSpec(FORWARDING_DETAILS, indexes=("attributeId", "peer"), sortable=("sharedAt",)),
    CollectionSpec(TAG_COLLECTION, id_field="name"),
    CollectionSpec(GUARDS),
)


def attribute_document(kind: Kind, identifier: str, content: JsonObject, created_at: str, **more: Json) -> Document:
    """Returns a new attribute; properties that are None are left out."""
    return sort_members(
        {
            "@type": kind.value,
            "content": content,
            "createdAt": created_at,
            "id": identifier,
            **{name: value for name, value in more.items() if value is not None},
        }
    )


def kind_of(attribute: Document) -> Kind:
    """Returns the class of a stored attribute."""
    return Kind(attribute["@type"])


def value_type_of(content: JsonObject) -> str:
    """Returns the type of the value of an attribute's content."""
    return str(content["value"]["@type"])


def deletion_status_of(document: Document) -> str | None:
    """Returns the deletion status of an attribute or of forwarding details, None when there is none."""
    info = document.get("deletionInfo")
    return None if info is None else str(info["deletionStatus"])


def with_property(document: Document, name: str, value: Json) -> Document:
    """Returns the document with a property changed, or without it for None."""
    rest = {key: kept for key, kept in document.items() if key != name}
    return rest if value is None else sort_members({**rest, name: value})


def deletion_info(status: DeletionStatus, date: str) -> Document:
    """Returns what is written as `deletionInfo`."""
    return {"deletionDate": date, "deletionStatus": status.value}


def same_json(one: Any, other: Any) -> bool:
    """Returns whether two JSON values are equal; other than in Python, true is not one."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(value, other[name]) for name, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
