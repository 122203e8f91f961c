"""Whom attributes in requests belong to. Source: consumption.md, sections 10.4 and 12.2."""

from __future__ import annotations

from enmeshed_connector.core.canonical_json import JsonObject


def content_with_owner(content: JsonObject, owner: str) -> JsonObject:
    """Returns the content of an attribute; an empty owner is replaced."""
    return content if content["owner"] else {**content, "owner": owner}


def item_with_owner(item: JsonObject, owner: str) -> JsonObject:
    """Returns an accepted item as it is kept in the stored request: an empty owner is replaced by the actual one.

    This is so for attributes that the item asks to create. What is read or proposed stands in the response.

    Args:
        item: An accepted item, not a group.
        owner: Who accepted it: this identity for an incoming request, the peer for an outgoing one.
    """
    if item["@type"] != "CreateAttributeRequestItem":
        return item
    return {**item, "attribute": content_with_owner(item["attribute"], owner)}
