"""CreateAttributeRequestItem: the peer is asked to keep an attribute. Source: consumption.md, section 12.2."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.checks import IDENTITY, RELATIONSHIP, check_characters
from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.documents import Kind
from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.processors.answers import ALREADY_SHARED, CREATED, SUCCEEDED, Answers
from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.errors import KeyUniquenessViolated
from enmeshed_connector.consumption.requests.processors.failures import invalid_decision, invalid_item
from enmeshed_connector.consumption.requests.processors.item_checks import (
    characters_violation,
    stored_key_violation,
    tags_violation,
)
from enmeshed_connector.consumption.requests.processors.keys import key_of_content
from enmeshed_connector.consumption.requests.processors.owners import content_with_owner
from enmeshed_connector.consumption.requests.processors.received import Received
from enmeshed_connector.consumption.requests.results import SUCCESS, ValidationResult
from enmeshed_connector.content.responses import ACCEPTING_TYPES
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.work import Work


class CreateAttributeProcessor(ItemProcessor):
    """Items that bring an attribute."""

    response_types = frozenset(ACCEPTING_TYPES["CreateAttributeRequestItem"])

    def __init__(
        self, context: AccountContext, attributes: AttributeController, answers: Answers, received: Received
    ) -> None:
        """Takes the account, and who keeps its attributes."""
        self._own_address = context.identity.address
        self._attributes = attributes
        self._answers = answers
        self._received = received

    async def can_create(self, item: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        """Tells whether the attribute may be brought, and whether its key is free."""
        content = item["attribute"]
        is_of_relationship = content["@type"] == RELATIONSHIP
        problem = characters_violation(content) or await tags_violation(self._attributes, reader, content)
        if problem is not None:
            return invalid_item(problem, "attribute")
        owners = {"", asked.peer or "", *([self._own_address] if is_of_relationship else [])}
        if content["owner"] not in owners:
            if content["owner"] == self._own_address:
                return invalid_item(
                    "An own identity attribute is given with a ShareAttributeRequestItem.", "attribute.owner"
                )
            return invalid_item("The owner must be one of those who take part, or empty.", "attribute.owner")
        if asked.peer is not None:
            taken = await stored_key_violation(reader, key_of_content(content, asked.peer), asked.peer)
            if taken is not None:
                return invalid_item(taken, "attribute")
        return SUCCESS

    async def can_accept(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells whether the attribute may be kept here, as far as the key and the tags are concerned.

        Raises:
            ForbiddenCharacters: The value holds characters that attributes may not hold.
            KeyUniquenessViolated: The key is taken, and the item must be accepted.
        """
        peer = asked.peer or ""
        content = content_with_owner(item["attribute"], self._own_address)
        check_characters(content)
        owners = {self._own_address, *([peer] if content["@type"] == RELATIONSHIP else [])}
        if content["owner"] not in owners:
            # Official peers find this out while they accept.
            return invalid_item("The owner of the attribute takes no part in the request.")
        taken = await stored_key_violation(reader, key_of_content(content, self._own_address), peer)
        if taken is not None:
            if item.get("mustBeAccepted") is True:
                raise KeyUniquenessViolated(taken.message, facts={"key": content["key"]})
            return invalid_decision(taken.message)
        problem = await tags_violation(self._attributes, reader, content)
        if problem is None:
            problem = await self._answers.new_violation(reader, content)
        return SUCCESS if problem is None else invalid_item(problem.message)

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Keeps the attribute, and gives it to the peer where it says something of this identity."""
        content = content_with_owner(item["attribute"], self._own_address)
        checked = self._attributes.checks.content_without_tags(content, received=True)
        return await self._answers.with_new(CREATED, checked, asked, work)

    async def apply(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        """Stores what the peer keeps, under its id of it.

        A copy that was to be deleted stays when the peer says that it is shared; official peers leave that to the user.
        """
        if not self._received.is_readable(response_item):
            return
        _, peer = asked.settled()
        content, answer = content_with_owner(item["attribute"], peer), response_item["@type"]
        if answer == CREATED:
            if content["@type"] == IDENTITY:
                await self._received.peer_identity(response_item["attributeId"], content, asked, work)
            else:
                await self._received.of_relationship(response_item["attributeId"], content, asked, work)
        elif content["@type"] == IDENTITY and answer == ALREADY_SHARED:
            await self._received.keep(response_item["attributeId"], asked, work, Kind.PEER_IDENTITY)
        elif content["@type"] == IDENTITY and answer == SUCCEEDED:
            await self._received.succession(response_item, asked, work, Kind.PEER_IDENTITY)
