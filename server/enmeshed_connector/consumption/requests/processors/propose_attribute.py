"""ProposeAttributeRequestItem: the peer is asked for an attribute, which is proposed. Source: consumption.md, 12.5."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.documents import Kind
from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.processors.answering import AnsweringProcessor
from enmeshed_connector.consumption.requests.processors.answers import PROPOSED
from enmeshed_connector.consumption.requests.processors.choices import Names
from enmeshed_connector.consumption.requests.processors.item_checks import characters_violation, tags_violation
from enmeshed_connector.consumption.requests.processors.queries import mismatch
from enmeshed_connector.consumption.requests.results import Problem
from enmeshed_connector.content.responses import ACCEPTING_TYPES
from enmeshed_connector.core.canonical_json import JsonObject


class ProposeAttributeProcessor(AnsweringProcessor):
    """Items that ask for an attribute of the peer, and say what it could be."""

    response_types = frozenset(ACCEPTING_TYPES["ProposeAttributeRequestItem"])
    names = Names("accept.propose_attribute", existing="attributeId", new="attribute")
    answer_type = PROPOSED
    existing_kinds = (Kind.OWN_IDENTITY,)

    def _query_owners(self) -> tuple[str, ...]:
        return ("",)

    def _kept_kinds(self) -> tuple[Kind, ...]:
        return (Kind.PEER_IDENTITY,)

    async def _creation_violation(self, item: JsonObject, reader: Reader) -> Problem | None:
        content = item["attribute"]
        if content["owner"]:
            return Problem.at(
                "attribute.owner", "The owner of the proposed attribute must be empty: it will be the peer."
            )
        problem = (
            characters_violation(content)
            or await tags_violation(self._attributes, reader, content)
            or mismatch(item["query"], content, answering="", asking=self._own_address)
        )
        return None if problem is None else problem.within("attribute")
