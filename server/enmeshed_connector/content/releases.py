"""What differs between the releases of official peers. Source: `spec/content.md` section 17."""

from __future__ import annotations

from enmeshed_connector.core.canonical_json import Json, JsonObject, sort_members
from enmeshed_connector.core.references import FileReference

from .types import TYPES_AFTER_7_0_0


def initial_attribute_peer(item: JsonObject) -> str | None:
    """Returns the peer of the relationship that a forwarded attribute comes from, under whichever name it is given.

    Args:
        item: The JSON of a ShareAttributeRequestItem or a ReadAttributeAcceptResponseItem.
    """
    for key in ("initialAttributePeer", "thirdPartyAddress"):
        address = item.get(key)
        if isinstance(address, str):
            return address
    return None


def with_initial_attribute_peer(item: JsonObject, address: str) -> JsonObject:
    """Returns an item that names the peer of a forwarded attribute for releases before and after 7.0.0.

    Args:
        item: The JSON of a ShareAttributeRequestItem or a ReadAttributeAcceptResponseItem.
        address: The address of the peer of the relationship that the attribute comes from.
    """
    return sort_members({**item, "initialAttributePeer": address, "thirdPartyAddress": address})


def request_for_all_releases(request: JsonObject) -> JsonObject:
    """Returns a request in the form that all releases read.

    Attributes of other relationships name their initial peer by both names. References to files are truncated, in
    whichever form the caller gave them: only that one is for the wire (`spec/content.md` section 6).

    Args:
        request: A request or a group of items, valid by the rules of its type.
    """
    return {**request, "items": [_item_for_all_releases(item) for item in request["items"]]}


def _item_for_all_releases(item: JsonObject) -> JsonObject:
    if item["@type"] == "RequestItemGroup":
        return request_for_all_releases(item)
    if item["@type"] == "ShareAttributeRequestItem":
        address = initial_attribute_peer(item)
        return item if address is None else with_initial_attribute_peer(item, address)
    if item["@type"] == "TransferFileOwnershipRequestItem":
        return {**item, "fileReference": FileReference.parse(item["fileReference"]).to_truncated()}
    return item


def types_after_7_0_0(content: Json) -> frozenset[str]:
    """Returns the types in a content that releases up to 7.0.0 cannot read, for a warning before it is sent."""
    found = set()
    pending = [content]
    while pending:
        value = pending.pop()
        if isinstance(value, dict):
            for key in ("@type", "valueType"):
                name = value.get(key)
                if isinstance(name, str) and name in TYPES_AFTER_7_0_0:
                    found.add(name)
            pending.extend(value.values())
        elif isinstance(value, list):
            pending.extend(value)
    return frozenset(found)
