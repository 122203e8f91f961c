"""What several types of items check: characters, tags, stored attributes of the same key, who got what.

Paths of wrong fields begin at the attribute or query that is looked at.
"""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.checks import IDENTITY, check_characters
from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.documents import DeletionStatus, deletion_status_of, value_type_of
from enmeshed_connector.consumption.attributes.errors import ForbiddenCharacters, TagsInvalid
from enmeshed_connector.consumption.attributes.repository import (
    NOT_DELETED_BY_RECIPIENT,
    Reader,
    forwarding_details,
    hold,
    successors,
    with_key,
)
from enmeshed_connector.consumption.requests.processors.keys import AttributeKey
from enmeshed_connector.consumption.requests.processors.queries import tags_of_query
from enmeshed_connector.consumption.requests.results import Problem
from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.ids import ATTRIBUTE, parse_id
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.storage import where
from enmeshed_connector.transport.relationship_documents import Status, relationship_with
from enmeshed_connector.transport.work import Work

ESTABLISHED = (Status.ACTIVE, Status.TERMINATED, Status.DELETION_PROPOSED)
"""Relationships whose attributes may be given to third parties."""


async def tags_violation(attributes: AttributeController, reader: Reader, content: JsonObject) -> Problem | None:
    """Returns why an attribute cannot bear its tags, None when it can, or within a commit, which asks nobody.

    Raises:
        BackboneError: Whether it may bear them cannot be found out now.
    """
    if content["@type"] != IDENTITY:
        return None
    return await _tags_violation(attributes, reader, value_type_of(content), content.get("tags") or [])


async def query_tags_violation(attributes: AttributeController, reader: Reader, query: JsonObject) -> Problem | None:
    """Returns why a query cannot ask for its tags; else as `tags_violation`."""
    asked = tags_of_query(query)
    if asked is None:
        return None
    problem = await _tags_violation(attributes, reader, asked.value_type, asked.tags)
    return None if problem is None else problem.within(asked.place)


async def _tags_violation(
    attributes: AttributeController, reader: Reader, value_type: str, tags: list[str]
) -> Problem | None:
    if isinstance(reader, Work):
        return None
    try:
        await attributes.tags.check(value_type, tags)
    except TagsInvalid as error:
        return Problem(error.message, error.violations)
    return None


def characters_violation(content: JsonObject) -> Problem | None:
    """Returns which texts hold characters that attributes may not hold, None when there are none."""
    try:
        check_characters(content)
    except ForbiddenCharacters as error:
        return Problem(error.message, error.violations)
    return None


async def stored_key_violation(reader: Reader, key: AttributeKey | None, peer: str) -> Problem | None:
    """Returns which stored attribute of the relationship has this key already, None when there is none.

    Within a commit: None when there will be none but by this commit.
    """
    if key is None:
        return None
    if isinstance(reader, Work):
        # Before looking: two requests at once must not both find the key free.
        await hold(reader, f"keys:{peer}")
    found = await with_key(reader, owner=key.owner, key=key.key, value_type=key.value_type, peer=peer)
    if not found:
        return None
    return Problem.at("key", f"Attribute {found[0]['id']} has the same owner, key and value type.")


async def is_forwarded_for_good(reader: Reader, attribute_id: str, peer: str) -> bool:
    """Returns whether a peer was given an attribute, and has neither deleted it nor promised to."""
    details = await forwarding_details(reader, attribute_id, NOT_DELETED_BY_RECIPIENT, where("peer").eq(peer))
    return any(deletion_status_of(one) != DeletionStatus.TO_BE_DELETED_BY_RECIPIENT for one in details)


async def has_forwarded_successor(reader: Reader, attribute: JsonObject, peer: str) -> bool:
    """Returns whether a peer was given a newer version, and has neither deleted it nor promised to."""
    async for version in successors(reader, attribute):
        if await is_forwarded_for_good(reader, version["id"], peer):
            return True
    return False


async def has_established_relationship(reader: Reader, peer: str) -> bool:
    """Returns whether there is a relationship with a peer that is not pending, nor ended before it began."""
    return await relationship_with(reader, peer, *ESTABLISHED) is not None


def is_address(text: str) -> bool:
    """Returns whether a peer's text can be the address of an identity."""
    try:
        parse_address(text)
    except MalformedValue:
        return False
    return True


def is_attribute_id(text: str) -> bool:
    """Returns whether a peer's text can be the id of an attribute."""
    try:
        parse_id(ATTRIBUTE, text)
    except MalformedValue:
        return False
    return True
