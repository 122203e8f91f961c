"""Local attributes: views as messages of the contract. Source: connector.md, section 5.2."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enmeshed.connector.v1 import attribute_pb2, attributes_service_pb2
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.api.conversion.values import enum_number, set_time
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.runtime.views import View

_TYPE_SUFFIX = "Attribute"


def attribute(converter: Converter, view: View) -> attribute_pb2.LocalAttribute:
    """Returns a local attribute."""
    content = view.get("content")
    message = attribute_pb2.LocalAttribute(
        id=view["id"],
        type=enum_number(  # type: ignore[arg-type]
            attribute_pb2.LocalAttributeType, "LOCAL_ATTRIBUTE_TYPE", view["@type"].removesuffix(_TYPE_SUFFIX)
        ),
        value_type=_value_type(content),
        succeeds=view.get("succeeds", ""),
        succeeded_by=view.get("succeededBy", ""),
        is_default=view.get("isDefault", False),
        peer=view.get("peer", ""),
        source_reference=view.get("sourceReference", ""),
        initial_attribute_peer=view.get("initialAttributePeer", ""),
        number_of_forwards=view.get("numberOfForwards"),
    )
    if converter.is_full and content is not None:
        converter.codec.fill_content(message.content, content)
    set_time(message.create_time, view["createdAt"])
    set_time(message.view_time, view.get("wasViewedAt"))
    _set_deletion_info(message.deletion_info, view.get("deletionInfo"))
    return message


def forwarding_details(view: View) -> attribute_pb2.AttributeForwardingDetails:
    """Returns one time that an attribute was given to somebody."""
    message = attribute_pb2.AttributeForwardingDetails(peer=view["peer"], source_reference=view["sourceReference"])
    set_time(message.share_time, view["sharedAt"])
    _set_deletion_info(message.deletion_info, view.get("deletionInfo"))
    return message


def tag_definitions(target: Mapping[str, attributes_service_pb2.TagDefinition], tags: Mapping[str, Any]) -> None:
    """Fills a map of tags with those of the tag collection."""
    for name, tag in tags.items():
        definition = target[name]
        definition.display_names.update(tag["displayNames"])
        tag_definitions(definition.children, tag.get("children", {}))


def _set_deletion_info(target: attribute_pb2.AttributeDeletionInfo, view: View | None) -> None:
    if view is None:
        return
    target.deletion_status = enum_number(  # type: ignore[assignment]
        attribute_pb2.AttributeDeletionStatus, "ATTRIBUTE_DELETION_STATUS", view["deletionStatus"]
    )
    set_time(target.deletion_time, view["deletionDate"])


def _value_type(content: Json) -> str:
    value = content.get("value") if isinstance(content, dict) else None
    kind = value.get("@type") if isinstance(value, dict) else None
    return kind if isinstance(kind, str) else ""
