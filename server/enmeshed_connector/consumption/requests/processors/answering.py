"""What reading and proposing have in common: a query, answered with an attribute that exists or a new one.

Source: consumption.md, sections 12.4 and 12.5.
"""

from __future__ import annotations

from typing import ClassVar

from enmeshed_connector.consumption.attributes.checks import IDENTITY
from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES, Kind, kind_of
from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.processors.answers import Answers, content_with_tags
from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.choices import Choices, Existing, Names, New
from enmeshed_connector.consumption.requests.processors.errors import KeyUniquenessViolated
from enmeshed_connector.consumption.requests.processors.failures import (
    invalid_decision,
    invalid_item,
    query_mismatch,
    unknown_attribute,
)
from enmeshed_connector.consumption.requests.processors.item_checks import (
    characters_violation,
    has_forwarded_successor,
    query_tags_violation,
    stored_key_violation,
    tags_violation,
)
from enmeshed_connector.consumption.requests.processors.keys import key_of_content, key_of_query
from enmeshed_connector.consumption.requests.processors.queries import (
    IDENTITY_QUERY,
    IQL_QUERY,
    RELATIONSHIP_QUERY,
    mismatch,
    query_violation,
)
from enmeshed_connector.consumption.requests.processors.received import Received
from enmeshed_connector.consumption.requests.results import SUCCESS, Problem, ValidationResult
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import FieldViolation
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


class AnsweringProcessor(ItemProcessor):
    """Items that are answered with an attribute. The subclasses say what differs."""

    names: ClassVar[Names]
    """How the decision calls an existing and a new attribute."""
    answer_type: ClassVar[str]
    """The response item for an attribute that the peer does not have."""
    existing_kinds: ClassVar[tuple[Kind, ...]]
    """What an existing attribute may be."""

    def __init__(
        self, context: AccountContext, attributes: AttributeController, answers: Answers, received: Received
    ) -> None:
        """Takes the account, and who keeps its attributes."""
        self.parameters = frozenset({self.names.existing, self.names.new, "tags"})
        self._own_address = context.identity.address
        self._attributes = attributes
        self._answers = answers
        self._received = received
        self._choices = Choices(self._own_address, context.clock, attributes.checks)

    async def can_create(self, item: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        """Tells whether the query may be asked, and whether the key that it asks for is free."""
        query = item["query"]
        problem = query_violation(query, self._own_address, asked.peer)
        if problem is None and query["@type"] == RELATIONSHIP_QUERY and query["owner"] not in self._query_owners():
            problem = Problem.at("owner", "The query asks for an attribute of an owner that it cannot have.")
        if problem is None:
            problem = await query_tags_violation(self._attributes, reader, query)
        if problem is not None:
            return invalid_item(problem, "query")
        problem = await self._creation_violation(item, reader)
        if problem is not None:
            return invalid_item(problem)
        if asked.peer is not None:
            problem = await stored_key_violation(reader, key_of_query(query, asked.peer), asked.peer)
        return SUCCESS if problem is None else invalid_item(problem, "query")

    async def can_accept(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells whether the attribute is what is asked for, and may be given.

        Raises:
            KeyUniquenessViolated: The key that is asked for is taken, and the item must be accepted.
        """
        choice = self._choices.read(decision, self.names)
        if isinstance(choice, ValidationResult):
            return choice
        if isinstance(choice, New):
            return await self._can_answer_new(choice, item, asked, reader)
        return await self._can_answer_existing(choice, item, asked, reader)

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Gives the attribute to the peer, after making it where it is new.

        Raises:
            ValueError: `can_accept` did not succeed.
        """
        choice = self._choices.read(decision, self.names)
        if isinstance(choice, Existing):
            return await self._answers.with_existing(self.answer_type, choice.attribute_id, choice.tags, asked, work)
        if isinstance(choice, New):
            checked = self._attributes.checks.content_without_tags(choice.content)
            return await self._answers.with_new(self.answer_type, checked, asked, work)
        raise ValueError(choice.message)

    async def apply(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        """Stores the attribute, a new version, or that one which is known is to stay."""
        if response_item.get("result") != "Accepted" or not self._received.is_readable(response_item):
            return
        answer = response_item["@type"]
        if answer == "AttributeAlreadySharedAcceptResponseItem":
            await self._received.keep(response_item["attributeId"], asked, work, *self._kept_kinds())
        elif answer == "AttributeSuccessionAcceptResponseItem":
            content = response_item["successorContent"]
            if self._is_answer(item, content, asked):
                kind = Kind.PEER_IDENTITY if content["@type"] == IDENTITY else Kind.THIRD_PARTY
                if kind in self._kept_kinds():
                    await self._received.succession(response_item, asked, work, kind)
        elif answer == self.answer_type and self._is_answer(item, response_item["attribute"], asked):
            await self._store(response_item, item, asked, work)

    def _is_answer(self, item: JsonObject, content: JsonObject, asked: Asked) -> bool:
        _, peer = asked.settled()
        return mismatch(item["query"], content, answering=peer, asking=self._own_address) is None

    async def _store(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        identifier, content = response_item["attributeId"], response_item["attribute"]
        if content["@type"] == IDENTITY:
            await self._received.peer_identity(identifier, content, asked, work)
        elif item["query"]["@type"] == RELATIONSHIP_QUERY:
            await self._received.of_relationship(identifier, content, asked, work)

    def _query_owners(self) -> tuple[str, ...]:
        """Returns whose attributes of the relationship can be asked for; the empty owner is the peer."""
        raise NotImplementedError

    def _kept_kinds(self) -> tuple[Kind, ...]:
        """Returns which attributes of the peer an answer may refer to."""
        raise NotImplementedError

    async def _creation_violation(self, item: JsonObject, reader: Reader) -> Problem | None:
        """Returns what else is wrong with an item that is to be asked; paths begin at the item."""
        return None

    def _new_violation(self, item: JsonObject) -> ValidationResult:
        """Tells whether the item may be answered with a new attribute."""
        return SUCCESS

    async def _existing_violation(
        self, attribute: Document, choice: Existing, item: JsonObject, reader: Reader
    ) -> ValidationResult:
        """Tells what else is wrong with an existing attribute as an answer."""
        return SUCCESS

    async def _can_answer_new(self, choice: New, item: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        refusal = self._new_violation(item)
        if not refusal.is_success:
            return refusal
        result = await self._can_answer_with(choice, choice.content, item, asked, reader)
        if not result.is_success:
            return result
        problem = await self._answers.new_violation(reader, choice.content)
        return SUCCESS if problem is None else invalid_decision(problem, self.names.new_field)

    async def _can_answer_existing(
        self, choice: Existing, item: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        field = self.names.existing_field
        if item["query"]["@type"] == RELATIONSHIP_QUERY:
            return invalid_decision("A RelationshipAttributeQuery can be answered with a new attribute only.", field)
        attribute = await reader.get(ATTRIBUTES, choice.attribute_id)
        if attribute is None:
            return unknown_attribute(choice.attribute_id, field)
        if kind_of(attribute) not in self.existing_kinds:
            return invalid_decision(f"Attribute {attribute['id']} cannot be given to others by this identity.", field)
        content = attribute["content"]
        if kind_of(attribute) is Kind.OWN_IDENTITY and item["query"]["@type"] in (IDENTITY_QUERY, IQL_QUERY):
            if await has_forwarded_successor(reader, attribute, asked.peer or ""):
                return query_mismatch(f"{asked.peer} has a newer version of attribute {attribute['id']}.", field)
            problem = self._answers.existing_violation(attribute, choice.tags)
            if problem is not None:
                return invalid_decision(problem, self.names.tags_field)
            content = content_with_tags(attribute, choice.tags)
        refusal = await self._existing_violation(attribute, choice, item, reader)
        return await self._can_answer_with(choice, content, item, asked, reader) if refusal.is_success else refusal

    async def _can_answer_with(
        self, choice: New | Existing, content: JsonObject, item: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        query, peer = item["query"], asked.peer or ""
        problem = characters_violation(content)
        if problem is not None:
            return invalid_decision(self._given(problem, choice, content))
        problem = mismatch(query, content, answering=self._own_address, asking=peer)
        if problem is not None:
            return query_mismatch(self._given(problem, choice, content))
        if query["@type"] == RELATIONSHIP_QUERY:
            taken = await stored_key_violation(reader, key_of_content(content, self._own_address), peer)
            if taken is not None and item.get("mustBeAccepted") is True:
                raise KeyUniquenessViolated(taken.message, facts={"key": content["key"]})
            if taken is not None:
                return invalid_decision(self._given(taken, choice, content))
        if content.get("confidentiality") == "private" and query["@type"] != RELATIONSHIP_QUERY:
            private = Problem.at("confidentiality", "A private attribute must not leave its relationship.")
            return query_mismatch(self._given(private, choice, content))
        problem = await tags_violation(self._attributes, reader, content)
        return SUCCESS if problem is None else invalid_decision(self._given(problem, choice, content))

    def _given(self, problem: Problem, choice: New | Existing, content: JsonObject) -> Problem:
        """Returns what is wrong with an attribute as what is wrong with the decision: with what was given of it."""
        if isinstance(choice, New):
            return problem.within(self.names.new_field)
        places = {f"tags[{place}]": tag for place, tag in enumerate(content.get("tags") or [])}
        added = tuple(
            FieldViolation(f"[{choice.tags.index(places[each.field])}]", each.description)
            for each in problem.violations
            if places.get(each.field) in choice.tags
        )
        if added:
            return Problem(problem.message, added).within(self.names.tags_field)
        return Problem.at(self.names.existing_field, problem.message)
