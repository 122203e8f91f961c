"""Notifications and their items. Source: `spec/content.md` sections 9.1 and 17."""

from __future__ import annotations

from typing import Final

from .attributes import ATTRIBUTE, ID
from .rules import ListOf, ObjectType, OneOf, by_name, required

_DELETED: Final = {"attributeId": required(ID)}
_SUCCEEDED: Final = {
    "predecessorId": required(ID),
    "successorId": required(ID),
    "successorContent": required(ATTRIBUTE),
}

NOTIFICATION_ITEM_TYPES: Final = by_name(
    ObjectType("PeerAttributeSucceededNotificationItem", _SUCCEEDED),
    ObjectType("OwnAttributeDeletedByOwnerNotificationItem", _DELETED),
    ObjectType("PeerRelationshipAttributeDeletedByPeerNotificationItem", _DELETED),
    ObjectType("ForwardedAttributeDeletedByPeerNotificationItem", _DELETED),
)
"""What can happen to attributes."""

OLD_NOTIFICATION_ITEM_TYPES: Final = by_name(
    ObjectType("PeerSharedAttributeSucceededNotificationItem", _SUCCEEDED),
    ObjectType("OwnSharedAttributeDeletedByOwnerNotificationItem", _DELETED),
    ObjectType("PeerSharedAttributeDeletedByPeerNotificationItem", _DELETED),
    ObjectType("ThirdPartyRelationshipAttributeDeletedByPeerNotificationItem", _DELETED),
    ObjectType("ThirdPartyOwnedRelationshipAttributeDeletedByPeerNotificationItem", _DELETED),
)
"""What releases up to 6 call the same."""

NOTIFICATION: Final = ObjectType(
    "Notification",
    {
        "id": required(ID),
        "items": required(ListOf(OneOf(NOTIFICATION_ITEM_TYPES, tolerated=OLD_NOTIFICATION_ITEM_TYPES), min=1)),
    },
)
"""A notification."""
