"""What stored notifications look like. Source: consumption.md, sections 2 and 13.1."""

from __future__ import annotations

import enum
from typing import Final

from enmeshed_connector.core.canonical_json import JsonObject, sort_members
from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.transport.objects import Document, without_unset

NOTIFICATIONS: Final = "Notifications"


class NotificationStatus(enum.StrEnum):
    """How far a notification is."""

    OPEN = "Open"
    """Received, and not processed yet."""
    SENT = "Sent"
    """An own one that the peer can fetch."""
    COMPLETED = "Completed"
    """Processed."""
    ERROR = "Error"
    """Could not be processed; nothing of it was done."""


NOTIFICATION_SCHEMA: Final = CollectionSpec(
    NOTIFICATIONS, indexes=("isOwn", "peer", "status", "source.reference"), sortable=("createdAt",)
)


def unsent_document(delivery: Document) -> Document:
    """Returns what is shown of an own notification that no message carries yet; it is not stored so."""
    status = NotificationStatus.OPEN if "nextAttemptAt" in delivery else NotificationStatus.ERROR
    message = {"createdAt": delivery["createdAt"], "id": "", "isOwn": True}
    return notification_document(message, delivery["content"], peer=delivery["peer"], status=status, received_by=None)


def notification_document(
    message: Document, content: JsonObject, *, peer: str, status: NotificationStatus, received_by: str | None
) -> Document:
    """Returns a new notification.

    Args:
        message: What carried it.
        content: The notification in the message, checked.
        peer: The other side.
        status: Where it begins.
        received_by: The device that received it; None for own ones.
    """
    return sort_members(
        without_unset(
            **{
                "@type": "LocalNotification",
                "content": {name: value for name, value in content.items() if name != "@type"},
                "createdAt": message["createdAt"],
                "id": content["id"],
                "isOwn": message["isOwn"],
                "peer": peer,
                "receivedByDevice": received_by,
                "source": {"reference": message["id"], "type": "Message"},
                "status": status.value,
            }
        )
    )
