"""Typed filters of requests as filters of the store."""

from __future__ import annotations

from typing import Any

from enmeshed.connector.v1 import request_filter_pb2, request_pb2
from enmeshed_connector.api.conversion.filters import conditions, flag, id_filter, time_filter
from enmeshed_connector.api.conversion.values import enum_word
from enmeshed_connector.storage import Filter, all_of, where


def request_filter(condition: request_filter_pb2.LocalRequestFilter) -> Filter:
    """Returns a condition on requests of either direction."""
    parts = conditions(
        condition,
        ("id", "id", id_filter),
        ("peer", "peer", id_filter),
        ("create_time", "createdAt", time_filter),
        ("expire_time", "content.expiresAt", time_filter),
        ("item_type", "content.items.@type", id_filter),
        ("group_item_type", "content.items.items.@type", id_filter),
        ("source_reference", "source.reference", id_filter),
        ("response_create_time", "response.createdAt", time_filter),
        ("response_source_reference", "response.source.reference", id_filter),
        ("response_item_type", "response.content.items.@type", id_filter),
        ("response_group_item_type", "response.content.items.items.@type", id_filter),
    )
    enums: tuple[tuple[str, Any, str, Any], ...] = (
        ("status", request_pb2.LocalRequestStatus, "LOCAL_REQUEST_STATUS", condition.statuses),
        ("source.type", request_pb2.RequestSourceType, "REQUEST_SOURCE_TYPE", condition.source_types),
        ("response.source.type", request_pb2.RequestSourceType, "REQUEST_SOURCE_TYPE", condition.response_source_types),
    )
    for path, enum, prefix, numbers in enums:
        if numbers:
            parts.append(where(path).is_in([enum_word(enum, prefix, number) for number in numbers]))
    if condition.HasField("response_accepted"):
        parts.append(where("response.content.result").eq("Accepted" if condition.response_accepted else "Rejected"))
    if condition.HasField("was_automatically_decided"):
        parts.append(flag("wasAutomaticallyDecided", condition.was_automatically_decided))
    return all_of(*parts)
