"""Typed filters of the contract as filters of the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

from enmeshed.connector.v1 import (
    files_service_pb2,
    filters_pb2,
    messages_service_pb2,
    relationship_pb2,
    relationship_templates_service_pb2,
    relationships_service_pb2,
    tokens_service_pb2,
)
from enmeshed_connector.api.conversion.values import enum_word, time_of
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.runtime.views import LOCATIONS
from enmeshed_connector.storage import Filter, Sort, all_of, any_of, where

_MILLISECOND = timedelta(milliseconds=1)


def id_filter(path: str, condition: filters_pb2.IdFilter) -> Filter:
    """Returns a condition on an exact word."""
    parts: list[Filter] = []
    if condition.any_of:
        parts.append(where(path).is_in(condition.any_of))
    if condition.none_of:
        parts.append(where(path).not_in(condition.none_of))
    if condition.HasField("exists"):
        parts.append(exists(path, condition.exists))
    return all_of(*parts)


def number_filter(path: str, condition: filters_pb2.NumberFilter) -> Filter:
    """Returns a condition on a whole number."""
    parts: list[Filter] = []
    if condition.any_of:
        parts.append(where(path).is_in(list(condition.any_of)))
    if condition.none_of:
        parts.append(where(path).not_in(list(condition.none_of)))
    if condition.HasField("at_least"):
        parts.append(where(path).gte(condition.at_least))
    if condition.HasField("at_most"):
        parts.append(where(path).lte(condition.at_most))
    if condition.HasField("exists"):
        parts.append(exists(path, condition.exists))
    return all_of(*parts)


def time_filter(path: str, condition: filters_pb2.TimeFilter) -> Filter:
    """Returns a condition on a moment; dates are kept to the millisecond, as texts that sort like the moments."""
    parts: list[Filter] = []
    moment = where(path)
    compare: tuple[tuple[str, Callable[[str], Filter]], ...] = (
        ("at_or_after", moment.gte),
        ("after", moment.gt),
        ("at_or_before", moment.lte),
        ("before", moment.lt),
    )
    for field, holds in compare:
        bound = time_of(condition, field)
        if bound is not None:
            # A bound between two milliseconds is cut down; what must not be before it then begins at the next one.
            is_between = field in ("at_or_after", "before") and bound.microsecond % 1000
            parts.append(holds(format_date(bound + _MILLISECOND if is_between else bound)))
    if condition.HasField("exists"):
        parts.append(exists(path, condition.exists))
    return all_of(*parts)


def text_filter(path: str, condition: filters_pb2.TextFilter) -> Filter:
    """Returns a condition on a text."""
    parts: list[Filter] = []
    if condition.any_of:
        parts.append(where(path).is_in(condition.any_of))
    if condition.none_of:
        parts.append(where(path).not_in(condition.none_of))
    if condition.starts_with:
        parts.append(where(path).starts_with(condition.starts_with))
    if condition.ends_with:
        parts.append(where(path).ends_with(condition.ends_with))
    if condition.contains:
        parts.append(where(path).has_text(condition.contains))
    if condition.HasField("exists"):
        parts.append(exists(path, condition.exists))
    return all_of(*parts)


def tag_filter(path: str, condition: filters_pb2.TagFilter) -> Filter:
    """Returns a condition on a list of tags."""
    return where(path).is_in(condition.any_of) if condition.any_of else all_of()


def flag(path: str, value: bool) -> Filter:
    """Returns a condition on a member that is `true` or absent."""
    return where(path).eq(True) if value else where(path).ne(True)


def protection_filter(condition: filters_pb2.PasswordProtectionFilter) -> Filter:
    """Returns a condition on a password protection."""
    parts: list[Filter] = []
    path = "passwordProtection"
    if condition.HasField("exists"):
        parts.append(exists(f"{path}.passwordType", condition.exists))
    if condition.HasField("is_pin"):
        is_pin = where(f"{path}.passwordType").starts_with("pin")
        parts.append(is_pin if condition.is_pin else where(f"{path}.passwordType").is_in(["pw", None]))
    if condition.HasField("location_indicator"):
        location = condition.location_indicator
        numbers = {name: number for number, name in LOCATIONS.items()}
        for words, negate in ((location.any_of, False), (location.none_of, True)):
            if words:
                found = [numbers.get(word, int(word) if word.isascii() and word.isdigit() else -1) for word in words]
                indicator = where(f"{path}.passwordLocationIndicator")
                parts.append(indicator.not_in(found) if negate else indicator.is_in(found))
        if location.HasField("exists"):
            parts.append(exists(f"{path}.passwordLocationIndicator", location.exists))
    if condition.HasField("password"):
        parts.append(id_filter(f"{path}.password", condition.password))
    return all_of(*parts)


def message_filter(condition: messages_service_pb2.MessageFilter) -> Filter:
    """Returns a condition on messages."""
    parts = conditions(
        condition,
        ("created_by", "createdBy", id_filter),
        ("created_by_device", "createdByDevice", id_filter),
        ("create_time", "createdAt", time_filter),
        ("content_type", "content.@type", id_filter),
        ("mail_subject", "content.subject", text_filter),
        ("mail_body", "content.body", text_filter),
        ("mail_body_format", "content.bodyFormat", id_filter),
        ("attachment_id", "attachments", id_filter),
        ("recipient", "recipients.address", id_filter),
        ("recipient_relationship_id", "recipients.relationshipId", id_filter),
        ("read_time", "wasReadAt", time_filter),
    )
    if condition.HasField("is_own"):
        parts.append(where("isOwn").eq(condition.is_own))
    if condition.HasField("participant"):
        named = condition.participant
        if named.any_of:
            parts.append(
                any_of(where("createdBy").is_in(named.any_of), where("recipients.address").is_in(named.any_of))
            )
        if named.none_of:
            parts.append(where("createdBy").not_in(named.none_of))
            parts.append(where("recipients.address").not_in(named.none_of))
    return all_of(*parts)


def relationship_filter(condition: relationships_service_pb2.RelationshipFilter) -> Filter:
    """Returns a condition on relationships."""
    parts = conditions(condition, ("peer", "peer.address", id_filter), ("template_id", "templateId", id_filter))
    if condition.statuses:
        words = [
            enum_word(relationship_pb2.RelationshipStatus, "RELATIONSHIP_STATUS", number)
            for number in condition.statuses
        ]
        parts.append(where("status").is_in(words))
    return all_of(*parts)


def template_filter(condition: relationship_templates_service_pb2.RelationshipTemplateFilter) -> Filter:
    """Returns a condition on templates."""
    parts = conditions(
        condition,
        ("create_time", "createdAt", time_filter),
        ("expire_time", "expiresAt", time_filter),
        ("created_by", "createdBy", id_filter),
        ("created_by_device", "createdByDevice", id_filter),
        ("max_number_of_allocations", "maxNumberOfAllocations", number_filter),
        ("for_identity", "forIdentity", id_filter),
    )
    if condition.HasField("is_own"):
        parts.append(where("isOwn").eq(condition.is_own))
    if condition.HasField("password_protection"):
        parts.append(protection_filter(condition.password_protection))
    return all_of(*parts)


def token_filter(condition: tokens_service_pb2.TokenFilter) -> Filter:
    """Returns a condition on tokens. Empty tokens, which hold nothing yet, are in no list."""
    parts = conditions(
        condition,
        ("create_time", "createdAt", time_filter),
        ("expire_time", "expiresAt", time_filter),
        ("created_by", "createdBy", id_filter),
        ("created_by_device", "createdByDevice", id_filter),
        ("for_identity", "forIdentity", id_filter),
        ("content_type", "content.@type", id_filter),
    )
    parts.append(where("@type").eq("Token"))
    if condition.HasField("is_own"):
        parts.append(where("isOwn").eq(condition.is_own))
    if condition.HasField("password_protection"):
        parts.append(protection_filter(condition.password_protection))
    return all_of(*parts)


def file_filter(condition: files_service_pb2.FileFilter) -> Filter:
    """Returns a condition on files."""
    parts = conditions(
        condition,
        ("create_time", "createdAt", time_filter),
        ("created_by", "createdBy", id_filter),
        ("created_by_device", "createdByDevice", id_filter),
        ("description", "description", text_filter),
        ("expire_time", "expiresAt", time_filter),
        ("filename", "filename", text_filter),
        ("size_bytes", "filesize", number_filter),
        ("media_type", "mimetype", text_filter),
        ("title", "title", text_filter),
        ("tags", "tags", tag_filter),
        ("ownership_token", "ownershipToken", id_filter),
    )
    if condition.HasField("is_own"):
        parts.append(where("isOwn").eq(condition.is_own))
    if condition.HasField("ownership_is_locked"):
        parts.append(flag("ownershipIsLocked", condition.ownership_is_locked))
    return all_of(*parts)


def order(order_by: str, *, newest_first: bool, path: str = "createdAt") -> Sequence[Sort]:
    """Returns the order of a list by creation.

    Args:
        order_by: `create_time`, `create_time desc`, or empty for the default.
        newest_first: The default of the list.
        path: Where documents have the moment of their creation.
    """
    descending = newest_first if not order_by else order_by.endswith(" desc")
    return (Sort(path, descending),)


def exists(path: str, is_wanted: bool) -> Filter:
    """Returns a condition on whether there is a value."""
    return where(path).is_present() if is_wanted else where(path).is_absent()


def conditions(
    condition: object, *rows: tuple[str, str, Callable[[str, object], Filter] | Callable[..., Filter]]
) -> list[Filter]:
    """Returns the conditions of those fields of a filter that are set.

    Args:
        condition: The message of the filter.
        rows: Field, path in documents, and what makes the condition.
    """
    return [
        convert(path, getattr(condition, field))
        for field, path, convert in rows
        if condition.HasField(field)  # type: ignore[attr-defined]  # every filter message has it
    ]
