"""What content must fulfil before it becomes an attribute.

Checks may ask the Backbone (for tags), so they happen before a commit. What they return proves that they were made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from enmeshed_connector.consumption.attributes.documents import value_type_of
from enmeshed_connector.consumption.attributes.errors import ForbiddenCharacters, SuccessorNotValid
from enmeshed_connector.consumption.attributes.tags import TagController
from enmeshed_connector.content.characters import forbidden_character_keys
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.errors import FieldViolation

_WHITE_SPACE: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
"""What JavaScript trims, which is not what Python strips."""

IDENTITY: Final = "IdentityAttribute"
RELATIONSHIP: Final = "RelationshipAttribute"


@dataclass(frozen=True)
class AttributeContent:
    """Content that may become a new attribute. Made by `AttributeChecks.new_content` only."""

    json: JsonObject
    """As it is stored."""


@dataclass(frozen=True)
class SuccessorContent:
    """Content that may be tried as a successor. Made by `AttributeChecks.successor_content` only."""

    json: JsonObject
    """As it was given: white space is trimmed when it is stored."""


class AttributeChecks:
    """Checks content of attributes."""

    def __init__(self, clock: Clock, tags: TagController) -> None:
        """Takes the clock, as dates of birth must not lie ahead, and who knows the tags."""
        self._clock = clock
        self._tags = tags

    async def new_content(self, content: JsonObject, *, received: bool = False) -> AttributeContent:
        """Returns content for a new attribute as it is stored: of an identity attribute the texts are trimmed.

        Args:
            content: The JSON of an IdentityAttribute or RelationshipAttribute, with `@type`.
            received: Whether it came from a peer.

        Raises:
            ContentInvalid: It breaks a rule of its type.
            ForbiddenCharacters: The value holds characters that attributes may not hold.
            TagsInvalid: It bears tags that it may not bear.
            BackboneError: Whether it may bear its tags cannot be found out now.
        """
        checked = self.content_without_tags(content, received=received)
        if checked.json["@type"] == IDENTITY:
            await self._tags.check(value_type_of(checked.json), checked.json.get("tags", []))
        return checked

    def content_without_tags(self, content: JsonObject, *, received: bool = False) -> AttributeContent:
        """Returns the same as `new_content` without looking at tags, which asks nobody: for use within a commit.

        The tags were looked at before, or a peer answers for them.

        Raises:
            ContentInvalid: It breaks a rule of its type.
            ForbiddenCharacters: The value holds characters that attributes may not hold.
        """
        self._validate(content, received=received)
        trimmed = trimmed_content(content)
        if trimmed is not content:
            # What is left may be too short, or nothing.
            self._validate(trimmed, received=received)
        check_characters(trimmed)
        return AttributeContent(trimmed)

    async def successor_content(
        self, content: JsonObject, *, checks_tags: bool, received: bool = False
    ) -> SuccessorContent:
        """Returns content that may succeed something; the rest is checked with its predecessor.

        Args:
            content: As for `new_content`.
            checks_tags: Whether tags are looked at: for own identity attributes.
            received: Whether it came from a peer.

        Raises:
            SuccessorNotValid: It breaks a rule of its type.
            TagsInvalid: It bears tags that it may not bear.
            BackboneError: Whether it may bear its tags cannot be found out now.
        """
        try:
            self._validate(content, received=received)
            trimmed = trimmed_content(content)
            if trimmed is not content:
                self._validate(trimmed, received=received)
        except ContentInvalid as error:
            raise SuccessorNotValid(error.violations) from None
        if checks_tags and content["@type"] == IDENTITY:
            await self._tags.check(value_type_of(content), content.get("tags", []))
        return SuccessorContent(content)

    def _validate(self, content: JsonObject, *, received: bool) -> None:
        try:
            ContentValidator(self._clock.now(), received=received).validate_attribute(content)
        except ContentInvalid as error:
            # As the other checks name them: callers give values and tags, and know of no content.
            error.rename_fields(lambda field: field.removeprefix("content."))
            raise


def trimmed_content(content: JsonObject) -> JsonObject:
    """Returns the content of an identity attribute without white space around the texts directly in its value.

    Returns the very content given when there is nothing to trim, or when it is a relationship attribute's.
    """
    if content.get("@type") != IDENTITY:
        return content
    value = {
        name: part.strip(_WHITE_SPACE) if isinstance(part, str) else part for name, part in content["value"].items()
    }
    return content if value == content["value"] else {**content, "value": value}


def check_characters(content: JsonObject) -> None:
    """Returns when the value holds only characters that attributes may hold.

    Raises:
        ForbiddenCharacters: It holds others; the fields are named.
    """
    keys = list(forbidden_character_keys(content))
    if keys:
        raise ForbiddenCharacters(
            f"The value holds characters that attributes may not hold: {', '.join(keys)}.",
            facts={"fields": ",".join(keys)},
            violations=[FieldViolation(f"value.{key}", "holds characters that are not allowed") for key in keys],
        )
