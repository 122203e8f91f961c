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
from enmeshed_connector.consumption.requests.results import (
    DECISION_PATHS,
    SUCCESS,
    Paths,
    Problem,
    ValidationResult,
    request_paths,
)
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import FieldViolation


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


@dataclass(frozen=True)
class _Asked:
    """An attribute that an item brings into the relationship."""

    key: AttributeKey
    item_path: str
    """The path of the item, or of the decision on it."""
    key_path: str
    """The path of the key in the request."""


def check_key_uniqueness_for_creation(content: JsonObject, peer: str | None) -> ValidationResult:
    """Tells whether the items of an outgoing request that must be accepted can all be accepted.

    Args:
        content: The request.
        peer: Who is asked, where that is known.
    """
    items = _items_that_must_be_accepted(content, request_paths(""))
    duplicate = _first_duplicate(_attributes_of(items, peer or ""))
    return SUCCESS if duplicate is None else key_taken(Problem.at(duplicate.key_path, _message(duplicate.key)))


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
    required = _items_that_must_be_accepted(content, DECISION_PATHS)
    duplicate = _first_duplicate(_attributes_of(required, own_address))
    if duplicate is not None:
        message = _message(duplicate.key)
        raise KeyUniquenessViolated(
            message,
            facts={"key": duplicate.key.key},
            violations=[FieldViolation(f"{duplicate.item_path}.accept", message)],
        )
    accepted = _accepted_items(content["items"], decisions, DECISION_PATHS)
    duplicate = _first_duplicate(_attributes_of(accepted, own_address))
    if duplicate is None:
        return SUCCESS
    return invalid_decision(Problem.at(f"{duplicate.item_path}.accept", _message(duplicate.key)))


def _message(duplicate: AttributeKey) -> str:
    return (
        f"The request brings more than one attribute of type {duplicate.value_type} with the key "
        f"{duplicate.key!r} and the same owner."
    )


def _items_that_must_be_accepted(content: JsonObject, paths: Paths) -> Iterator[tuple[str, JsonObject]]:
    for path, element in _elements(content["items"], "", paths):
        is_group = element["@type"] == "RequestItemGroup"
        inner = _elements(element["items"], paths.container(path), paths) if is_group else [(path, element)]
        yield from ((place, item) for place, item in inner if item.get("mustBeAccepted") is True)


def _accepted_items(
    elements: Sequence[JsonObject], decisions: Sequence[JsonObject], paths: Paths, container: str = ""
) -> Iterator[tuple[str, JsonObject]]:
    # Whether both have the same structure is checked elsewhere.
    for (path, element), decision in zip(_elements(elements, container, paths), decisions, strict=False):
        if element["@type"] == "RequestItemGroup":
            yield from _accepted_items(element["items"], decision.get("items") or (), paths, paths.container(path))
        elif decision.get("accept") is True:
            yield path, element


def _elements(elements: Sequence[JsonObject], container: str, paths: Paths) -> Iterator[tuple[str, JsonObject]]:
    for place, element in enumerate(elements):
        yield paths.element(container, place), element


def _attributes_of(items: Iterable[tuple[str, JsonObject]], recipient: str) -> Iterator[_Asked]:
    for path, item in items:
        if item["@type"] == "CreateAttributeRequestItem":
            key, member = key_of_content(item["attribute"], recipient), "attribute"
        elif item["@type"] in ("ReadAttributeRequestItem", "ProposeAttributeRequestItem"):
            key, member = key_of_query(item["query"], recipient), "query"
        else:
            continue
        if key is not None:
            yield _Asked(key, path, f"{path}.{member}.key")


def _first_duplicate(attributes: Iterable[_Asked]) -> _Asked | None:
    """Returns the first one whose key another one before it has."""
    seen = set()
    for attribute in attributes:
        if attribute.key in seen:
            return attribute
        seen.add(attribute.key)
    return None
