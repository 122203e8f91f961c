"""Notifications between two accounts of a small network."""

from __future__ import annotations

from typing import Any

from enmeshed_connector.consumption.notifications.documents import NOTIFICATIONS
from enmeshed_connector.core.ids import NOTIFICATION
from enmeshed_connector.transport.objects import Document, public_part
from tests.support.consumption import Holder


def succeeded(predecessor_id: str, successor_id: str, content: dict[str, Any]) -> dict[str, Any]:
    """Returns the item by which an owner tells of a new version."""
    return {
        "@type": "PeerAttributeSucceededNotificationItem",
        "predecessorId": predecessor_id,
        "successorContent": content,
        "successorId": successor_id,
    }


def deleted(kind: str, attribute_id: str) -> dict[str, Any]:
    """Returns an item that tells of a deletion; `kind` is what stands in its type before `NotificationItem`."""
    return {"@type": f"{kind}NotificationItem", "attributeId": attribute_id}


async def tell(
    sender: Holder, receiver: Holder, *items: dict[str, Any], identifier: str | None = None
) -> Document | None:
    """Sends a notification, whatever it says, and returns it as the receiver has stored it; None when it has not."""
    notification_id = identifier or sender.transport.context.ids.new(NOTIFICATION)
    content = {"@type": "Notification", "id": notification_id, "items": list(items)}
    await sender.transport.messages.send([receiver.address], content)
    await receiver.transport.sync.sync()
    return await stored(receiver, notification_id)


async def stored(holder: Holder, notification_id: str) -> Document | None:
    """Returns a notification as it is stored, None when it is not."""
    found = await holder.transport.context.store.get(NOTIFICATIONS, notification_id)
    return None if found is None else public_part(found)
