"""Whom attributes in requests belong to. Source: consumption.md, sections 10.4 and 12.2."""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.consumption.requests.documents import is_group
from enmeshed_connector.core.canonical_json import JsonObject


def content_with_owner(content: JsonObject, owner: str) -> JsonObject:
    """Returns the content of an attribute; an empty owner is replaced."""
    return content if content["owner"] else {**content, "owner": owner}


def request_with_owners(content: JsonObject, answers: Sequence[JsonObject], owner: str) -> JsonObject:
    """Returns the content of a request as it is kept once it is answered; see `item_with_owner`.

    Args:
        content: The content.
        answers: The items and groups of the response, which fit those of the request.
        owner: Who answered: this identity for an incoming request, the peer for an outgoing one.
    """
    elements = zip(content["items"], answers, strict=True)
    return {**content, "items": [_element_with_owners(element, answer, owner) for element, answer in elements]}


def _element_with_owners(element: JsonObject, answer: JsonObject, owner: str) -> JsonObject:
    if is_group(element):
        return request_with_owners(element, answer["items"], owner)
    return item_with_owner(element, owner) if answer["result"] == "Accepted" else element


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
