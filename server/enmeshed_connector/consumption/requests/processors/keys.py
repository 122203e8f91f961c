"""Within a relationship there is one attribute of each owner, key and value type: no request may ask for two.

Against what is stored each item is checked by its processor. Source: consumption.md, section 11.3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from enmeshed_connector.consumption.attributes.checks import RELATIONSHIP
from enmeshed_connector.consumption.attributes.documents import value_type_of
from enmeshed_connector.consumption.requests.processors.errors import KeyUniquenessViolated
from enmeshed_connector.consumption.requests.processors.failures import invalid_decision, key_taken
from enmeshed_connector.consumption.requests.processors.queries import RELATIONSHIP_QUERY
from enmeshed_connector.consumption.requests.results import SUCCESS, ValidationResult
from enmeshed_connector.core.canonical_json import JsonObject


@dataclass(frozen=True)
class AttributeKey:
    """What tells the attributes of one relationship apart."""

    owner: str
    key: str
    value_type: str


def key_of_query(query: JsonObject, recipient: str) -> AttributeKey | None:
    """Returns the key of what a query makes the recipient create, None for a query of another type."""
    if query["@type"] != RELATIONSHIP_QUERY:
        return None
    return AttributeKey(query["owner"] or recipient, query["key"], query["attributeCreationHints"]["valueType"])


def key_of_content(content: JsonObject, recipient: str) -> AttributeKey | None:
    """Returns the key of an attribute that a recipient is asked to take, None for an identity attribute."""
    if content["@type"] != RELATIONSHIP:
        return None
    return AttributeKey(content["owner"] or recipient, content["key"], value_type_of(content))


def check_key_uniqueness_for_creation(content: JsonObject, peer: str | None) -> ValidationResult:
    """Tells whether the items of an outgoing request that must be accepted can all be accepted.

    Args:
        content: The request.
        peer: Who is asked, where that is known.
    """
    duplicate = _first_duplicate(_keys(_items_that_must_be_accepted(content), peer or ""))
    return SUCCESS if duplicate is None else key_taken(_message(duplicate))


def check_key_uniqueness_for_acceptance(
    content: JsonObject, decisions: Sequence[JsonObject], own_address: str
) -> ValidationResult:
    """Tells whether the items that are accepted of an incoming request can be accepted together.

    Official peers look at an empty owner as at an owner of its own here; here it is this identity, which it becomes.

    Args:
        content: The request.
        decisions: What is decided of each item and group, in their order.
        own_address: The address of this identity, which accepts.

    Raises:
        KeyUniquenessViolated: Already those that must be accepted cannot be: the request can only be rejected.
    """
    duplicate = _first_duplicate(_keys(_items_that_must_be_accepted(content), own_address))
    if duplicate is not None:
        raise KeyUniquenessViolated(_message(duplicate), facts={"key": duplicate.key})
    duplicate = _first_duplicate(_keys(_accepted_items(content["items"], decisions), own_address))
    return SUCCESS if duplicate is None else invalid_decision(_message(duplicate))


def _message(duplicate: AttributeKey) -> str:
    return (
        f"The request brings more than one attribute of type {duplicate.value_type} with the key "
        f"{duplicate.key!r} and the same owner."
    )


def _items_that_must_be_accepted(content: JsonObject) -> Iterator[JsonObject]:
    for element in content["items"]:
        for item in element["items"] if element["@type"] == "RequestItemGroup" else (element,):
            if item.get("mustBeAccepted") is True:
                yield item


def _accepted_items(elements: Sequence[JsonObject], decisions: Sequence[JsonObject]) -> Iterator[JsonObject]:
    # Whether both have the same structure is checked elsewhere.
    for element, decision in zip(elements, decisions, strict=False):
        if element["@type"] == "RequestItemGroup":
            yield from _accepted_items(element["items"], decision.get("items") or ())
        elif decision.get("accept") is True:
            yield element


def _keys(items: Iterable[JsonObject], recipient: str) -> Iterator[AttributeKey]:
    for item in items:
        key = None
        if item["@type"] == "CreateAttributeRequestItem":
            key = key_of_content(item["attribute"], recipient)
        elif item["@type"] in ("ReadAttributeRequestItem", "ProposeAttributeRequestItem"):
            key = key_of_query(item["query"], recipient)
        if key is not None:
            yield key


def _first_duplicate(keys: Iterable[AttributeKey]) -> AttributeKey | None:
    seen = set()
    for key in keys:
        if key in seen:
            return key
        seen.add(key)
    return None
