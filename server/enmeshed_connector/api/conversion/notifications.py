"""Local notifications: views as messages of the contract. Source: connector.md, section 5.7."""

from __future__ import annotations

from enmeshed.connector.v1 import notification_pb2
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.api.conversion.values import enum_number, set_time
from enmeshed_connector.runtime.views import View


def notification(converter: Converter, view: View) -> notification_pb2.LocalNotification:
    """Returns a local notification."""
    message = notification_pb2.LocalNotification(
        id=view["id"],
        is_own=view["isOwn"],
        peer=view["peer"],
        received_by_device=view.get("receivedByDevice", ""),
        status=enum_number(  # type: ignore[arg-type]
            notification_pb2.LocalNotificationStatus, "LOCAL_NOTIFICATION_STATUS", view["status"]
        ),
        message_id=view["source"]["reference"],
    )
    set_time(message.create_time, view["createdAt"])
    if converter.is_full:
        content = view["content"]
        typed = content if "@type" in content else {"@type": "Notification", **content}
        message.content.CopyFrom(converter.codec.content_from_json(typed))
    return message
