"""Typed filters of attributes as filters of the store."""

from __future__ import annotations

from enmeshed.connector.v1 import attribute_pb2, attributes_service_pb2
from enmeshed_connector.api.conversion.filters import (
    conditions,
    exists,
    flag,
    id_filter,
    tag_filter,
    text_filter,
    time_filter,
)
from enmeshed_connector.api.conversion.values import enum_word
from enmeshed_connector.storage import Filter, all_of, where


def attribute_filter(condition: attributes_service_pb2.AttributeFilter) -> Filter:
    """Returns a condition on attributes."""
    parts = conditions(
        condition,
        ("create_time", "createdAt", time_filter),
        ("succeeds", "succeeds", id_filter),
        ("succeeded_by", "succeededBy", id_filter),
        ("view_time", "wasViewedAt", time_filter),
        ("content_type", "content.@type", id_filter),
        ("tags", "content.tags", tag_filter),
        ("owner", "content.owner", id_filter),
        ("key", "content.key", text_filter),
        ("confidentiality", "content.confidentiality", id_filter),
        ("value_type", "content.value.@type", id_filter),
        ("peer", "peer", id_filter),
        ("source_reference", "sourceReference", id_filter),
        ("initial_attribute_peer", "initialAttributePeer", id_filter),
        ("deletion_info", "deletionInfo", deletion_filter),
    )
    if condition.types:
        words = [
            enum_word(attribute_pb2.LocalAttributeType, "LOCAL_ATTRIBUTE_TYPE", number) for number in condition.types
        ]
        parts.append(where("@type").is_in([f"{word}Attribute" for word in words]))
    if condition.HasField("is_default"):
        parts.append(flag("isDefault", condition.is_default))
    if condition.HasField("is_technical"):
        technical = where("content.isTechnical").eq(True)
        relationship = where("content.@type").eq("RelationshipAttribute")
        parts.append(technical if condition.is_technical else all_of(relationship, ~technical))
    return all_of(*parts)


def forwarding_filter(condition: attributes_service_pb2.ForwardingDetailsFilter) -> Filter:
    """Returns a condition on forwarding details."""
    return all_of(
        *conditions(
            condition,
            ("peer", "peer", id_filter),
            ("source_reference", "sourceReference", id_filter),
            ("share_time", "sharedAt", time_filter),
            ("deletion_info", "deletionInfo", deletion_filter),
        )
    )


def deletion_filter(path: str, condition: attributes_service_pb2.AttributeDeletionFilter) -> Filter:
    """Returns a condition on what becomes of an attribute."""
    parts = conditions(condition, ("deletion_time", f"{path}.deletionDate", time_filter))
    if condition.HasField("exists"):
        parts.append(exists(f"{path}.deletionStatus", condition.exists))
    if condition.statuses:
        words = [
            enum_word(attribute_pb2.AttributeDeletionStatus, "ATTRIBUTE_DELETION_STATUS", number)
            for number in condition.statuses
        ]
        parts.append(where(f"{path}.deletionStatus").is_in(words))
    return all_of(*parts)
