"""How notifications are shared with the other devices of the identity, and the events for what those did with them.

A notification is processed by the device that received it, and told of by all, with the same events.
Source: consumption.md, sections 2, 13.3 and 17.
"""

from __future__ import annotations

from typing import Final

from enmeshed_connector.consumption.attributes import events as attribute_events
from enmeshed_connector.consumption.attributes.deletion import (
    FORWARDED_DELETED,
    OWN_DELETED,
    PEER_RELATIONSHIP_DELETED,
)
from enmeshed_connector.consumption.attributes.documents import DeletionStatus
from enmeshed_connector.consumption.attributes.synchronisation import told_attribute
from enmeshed_connector.consumption.notifications import events
from enmeshed_connector.consumption.notifications.documents import NOTIFICATIONS, NotificationStatus
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.transport.objects import Document, SynchronizedCollection
from enmeshed_connector.transport.pulled_changes import PulledChange, PulledChanges

_BY_ITEM: Final = {
    OWN_DELETED: events.OWN_ATTRIBUTE_DELETED_BY_OWNER,
    PEER_RELATIONSHIP_DELETED: events.PEER_RELATIONSHIP_ATTRIBUTE_DELETED_BY_PEER,
    FORWARDED_DELETED: events.FORWARDED_ATTRIBUTE_DELETED_BY_PEER,
}
"""What is told of attributes when an item is processed. New versions are told of by the attributes themselves."""


async def tell_of_notification(change: PulledChange, pulled: PulledChanges) -> None:
    """Publishes the events for a notification that another device sent, received or processed."""
    notification = change.after
    if notification is None or not _is_readable(notification):
        return
    # A new notification comes in parts: what was not all there was not told of, either.
    before = change.before if change.before is not None and _is_readable(change.before) else None
    if before is not None and before["status"] == notification["status"]:
        return
    if notification["status"] == NotificationStatus.OPEN:
        # Its device tells nothing before it has processed it, either.
        return
    if not notification["isOwn"] and notification["status"] == NotificationStatus.COMPLETED:
        for item in notification["content"]["items"]:
            await _tell_of_item(item, pulled)
    events.publish_status(pulled.work, notification)


async def _tell_of_item(item: Json, pulled: PulledChanges) -> None:
    if not isinstance(item, dict) or not isinstance(attribute_id := item.get("attributeId"), str):
        return
    event_type = _BY_ITEM.get(str(item.get("@type")))
    attribute = None if event_type is None else await told_attribute(pulled, attribute_id)
    if event_type is None or attribute is None:
        return
    info = attribute.get("deletionInfo")
    is_promised = isinstance(info, dict) and info.get("deletionStatus") == DeletionStatus.TO_BE_DELETED
    if event_type == events.OWN_ATTRIBUTE_DELETED_BY_OWNER and is_promised:
        # Nothing was done, as it will be deleted here anyway.
        return
    await attribute_events.publish(pulled.work, event_type, attribute)


def _is_readable(notification: Document) -> bool:
    content, source = notification.get("content"), notification.get("source")
    return (
        isinstance(notification.get("isOwn"), bool)
        and all(isinstance(notification.get(name), str) for name in ("peer", "status", "createdAt"))
        and isinstance(content, dict)
        and isinstance(content.get("items"), list)
        and isinstance(source, dict)
        and isinstance(source.get("reference"), str)
    )


NOTIFICATION_COLLECTION: Final = SynchronizedCollection(
    NOTIFICATIONS,
    technical_data=("@type", "@context", "isOwn", "peer", "createdAt", "receivedByDevice", "status", "source"),
    userdata=("content",),
    events=tell_of_notification,
)
