"""Typed filters of notifications as filters of the store."""

from __future__ import annotations

from enmeshed.connector.v1 import notification_pb2, notifications_service_pb2
from enmeshed_connector.api.conversion.filters import conditions, id_filter, time_filter
from enmeshed_connector.api.conversion.values import enum_word
from enmeshed_connector.storage import Filter, all_of, where


def notification_filter(condition: notifications_service_pb2.NotificationFilter) -> Filter:
    """Returns a condition on notifications."""
    parts = conditions(
        condition,
        ("peer", "peer", id_filter),
        ("create_time", "createdAt", time_filter),
        ("received_by_device", "receivedByDevice", id_filter),
        ("message_id", "source.reference", id_filter),
        ("item_type", "content.items.@type", id_filter),
    )
    if condition.HasField("is_own"):
        parts.append(where("isOwn").eq(condition.is_own))
    if condition.statuses:
        words = [
            enum_word(notification_pb2.LocalNotificationStatus, "LOCAL_NOTIFICATION_STATUS", number)
            for number in condition.statuses
        ]
        parts.append(where("status").is_in(words))
    return all_of(*parts)
