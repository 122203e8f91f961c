"""ReadAttributeRequestItem: the peer is asked for an attribute. Source: consumption.md, section 12.4."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES, FORWARDABLE, Kind, kind_of
from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.processors.answering import AnsweringProcessor
from enmeshed_connector.consumption.requests.processors.answers import READ
from enmeshed_connector.consumption.requests.processors.base import Asked
from enmeshed_connector.consumption.requests.processors.choices import Existing, Names
from enmeshed_connector.consumption.requests.processors.failures import (
    invalid_decision,
    pending_relationship,
    query_mismatch,
)
from enmeshed_connector.consumption.requests.processors.item_checks import has_established_relationship
from enmeshed_connector.consumption.requests.processors.queries import THIRD_PARTY_QUERY, third_parties
from enmeshed_connector.consumption.requests.results import SUCCESS, ValidationResult
from enmeshed_connector.content.releases import initial_attribute_peer, with_initial_attribute_peer
from enmeshed_connector.content.responses import ACCEPTING_TYPES
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


class ReadAttributeProcessor(AnsweringProcessor):
    """Items that ask for an attribute: of the peer, of the relationship, or of one with a third party."""

    response_types = frozenset(ACCEPTING_TYPES["ReadAttributeRequestItem"])
    names = Names("accept.read_attribute", existing="existingAttributeId", new="newAttribute")
    answer_type = READ
    existing_kinds = FORWARDABLE

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Gives the attribute; of one of another relationship it tells with whom that is, in the old and new way."""
        answer = await super().accept(item, decision, asked, work)
        if item["query"]["@type"] != THIRD_PARTY_QUERY or answer["@type"] != READ:
            return answer
        attribute = await work.require(ATTRIBUTES, answer["attributeId"], "attribute")
        return with_initial_attribute_peer(answer, attribute["peer"])

    async def _store(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        if item["query"]["@type"] != THIRD_PARTY_QUERY:
            await super()._store(response_item, item, asked, work)
            return
        initial_peer, asked_for = initial_attribute_peer(response_item), third_parties(item["query"])
        if initial_peer is not None and (initial_peer in asked_for or "" in asked_for):
            await self._received.of_third_party(
                response_item["attributeId"], response_item["attribute"], initial_peer, asked, work
            )

    def _query_owners(self) -> tuple[str, ...]:
        return ("", self._own_address)

    def _kept_kinds(self) -> tuple[Kind, ...]:
        return (Kind.PEER_IDENTITY, Kind.THIRD_PARTY)

    def _new_violation(self, item: JsonObject) -> ValidationResult:
        if item["query"]["@type"] == THIRD_PARTY_QUERY:
            return invalid_decision(
                "What is asked of a third party can be answered with an existing attribute only.", self.names.new_field
            )
        return SUCCESS

    async def _existing_violation(
        self, attribute: Document, choice: Existing, item: JsonObject, reader: Reader
    ) -> ValidationResult:
        kind = kind_of(attribute)
        if item["query"]["@type"] != THIRD_PARTY_QUERY or kind is Kind.OWN_IDENTITY:
            return SUCCESS
        asked_for = third_parties(item["query"])
        # What belongs to the third party is found wrong by its owner.
        if kind is Kind.OWN_RELATIONSHIP and "" not in asked_for and attribute["peer"] not in asked_for:
            return query_mismatch(
                f"Attribute {attribute['id']} is of a relationship that is not asked for.", self.names.existing_field
            )
        if not await has_established_relationship(reader, attribute["peer"]):
            return pending_relationship(
                f"There is no established relationship with {attribute['peer']}.", self.names.existing_field
            )
        if choice.tags:
            return invalid_decision("Attributes of relationships have no tags.", self.names.tags_field)
        return SUCCESS
