"""Answering with an attribute of this identity, a new one or one that exists. Source: consumption.md, 11.4 and 11.5.

What is answered depends on what the peer has: the attribute itself, an older version of it, or nothing. Official peers
count versions of the whole chain; here older ones only, since a newer one cannot be succeeded by the one answered with.
"""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.consumption.attributes.checks import AttributeContent
from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.documents import Kind, kind_of, value_type_of
from enmeshed_connector.consumption.attributes.errors import AlreadyForwarded
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.consumption.attributes.repository import (
    Reader,
    hold,
    is_shared_with,
    predecessors,
    require,
    same_own_identity,
)
from enmeshed_connector.consumption.requests.processors.base import Asked
from enmeshed_connector.consumption.requests.results import Problem
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work

CREATED = "CreateAttributeAcceptResponseItem"
READ = "ReadAttributeAcceptResponseItem"
PROPOSED = "ProposeAttributeAcceptResponseItem"
ALREADY_SHARED = "AttributeAlreadySharedAcceptResponseItem"
SUCCEEDED = "AttributeSuccessionAcceptResponseItem"


class Answers:
    """Gives attributes to those who ask. What changes something takes part in a commit."""

    def __init__(self, context: AccountContext, attributes: AttributeController) -> None:
        """Takes the account, and who keeps its attributes."""
        self._own_address = context.identity.address
        self._clock = context.clock
        self._attributes = attributes

    async def with_new(self, answer_type: str, content: AttributeContent, asked: Asked, work: Work) -> JsonObject:
        """Stores an attribute for an item, and returns the response item.

        An identity attribute that exists is not made again: it gets the tags that it lacks, as a new version.

        Args:
            answer_type: One of `CREATED`, `READ` and `PROPOSED`.
            content: What `new_violation` has nothing against. It belongs to this identity; an attribute of the
                relationship may belong to the peer.
            asked: The request.
            work: The commit.
        """
        request_id, peer = asked.settled()
        if content.json["@type"] == "IdentityAttribute":
            # Two requests at once must not both find that there is none.
            await hold(work, f"value:{value_type_of(content.json)}")
            existing = await same_own_identity(work, content.json)
            if existing is None:
                attribute = await self._attributes.create_own_identity(content, work)
            else:
                attribute = await self._with_tags(existing, content.json.get("tags") or [], work)
            return await self._give(answer_type, attribute, asked, work)
        if content.json["owner"] == self._own_address:
            attribute = await self._attributes.create_own_relationship(content, peer, request_id, work)
        else:
            attribute = await self._attributes.create_peer_relationship(content, peer, request_id, work)
        return _answer(answer_type, attribute)

    async def with_existing(
        self, answer_type: str, attribute_id: str, tags: Sequence[str], asked: Asked, work: Work
    ) -> JsonObject:
        """Gives an attribute to the peer, and returns the response item.

        Args:
            answer_type: `READ` or `PROPOSED`.
            attribute_id: What `existing_violation` has nothing against.
            tags: Tags that an own identity attribute gets, where it lacks them, as a new version.
            asked: The request.
            work: The commit.

        Raises:
            RecordMissing: There is no such attribute.
        """
        attribute = await require(work, attribute_id)
        if kind_of(attribute) is Kind.OWN_IDENTITY:
            attribute = await self._with_tags(attribute, tags, work)
        return await self._give(answer_type, attribute, asked, work)

    async def new_violation(self, reader: Reader, content: JsonObject) -> Problem | None:
        """Returns why `with_new` cannot answer with a new identity attribute, None when it can.

        Paths begin at the attribute.
        """
        if content["@type"] != "IdentityAttribute":
            return None
        existing = await same_own_identity(reader, content)
        problem = None if existing is None else self.existing_violation(existing, content.get("tags") or [])
        return None if problem is None else Problem.at("tags", problem)

    def existing_violation(self, attribute: Document, tags: Sequence[str]) -> str | None:
        """Returns why an own identity attribute cannot get tags, None when it can or has them."""
        if not _missing(attribute, tags):
            return None
        if "succeededBy" in attribute:
            return (
                f"Attribute {attribute['id']} cannot get tags, as it has the newer version {attribute['succeededBy']}."
            )
        try:
            # What is stored may have come from a peer, in a form that is not sent.
            ContentValidator(self._clock.now(), received=True).validate_attribute(content_with_tags(attribute, tags))
        except ContentInvalid as error:
            return error.message
        return None

    async def _with_tags(self, attribute: Document, tags: Sequence[str], work: Work) -> Document:
        if not _missing(attribute, tags):
            return attribute
        content = await self._attributes.checks.successor_content(
            content_with_tags(attribute, tags), checks_tags=False, received=True
        )
        succession = await self._attributes.successions.succeed_own_identity(attribute["id"], content, work)
        return succession.successor

    async def _give(self, answer_type: str, attribute: Document, asked: Asked, work: Work) -> JsonObject:
        request_id, peer = asked.settled()
        already = {"@type": ALREADY_SHARED, "attributeId": attribute["id"], "result": "Accepted"}
        if await is_shared_with(work, attribute, peer):
            await self._keep_there(attribute, peer, work)
            return already
        try:
            await self._attributes.forwarding.add(attribute["id"], peer, request_id, work)
        except AlreadyForwarded:
            # Another request of the peer was faster, after that look.
            return already
        async for version in predecessors(work, attribute):
            if await is_shared_with(work, version, peer):
                return {
                    "@type": SUCCEEDED,
                    "predecessorId": version["id"],
                    "result": "Accepted",
                    "successorContent": attribute["content"],
                    "successorId": attribute["id"],
                }
        return _answer(answer_type, attribute)

    async def _keep_there(self, attribute: Document, peer: str, work: Work) -> None:
        """Forgets that the peer was asked to delete it, or has promised to: it asked for it again."""
        if kind_of(attribute) is Kind.OWN_RELATIONSHIP and attribute["peer"] == peer:
            await set_deletion_of_attribute(attribute, None, work.now, work, overrides=True)
        else:
            await self._attributes.forwarding.set_deletion(attribute["id"], peer, None, work.now, work, overrides=True)


def content_with_tags(attribute: Document, tags: Sequence[str]) -> JsonObject:
    """Returns the content of an identity attribute with further tags, behind those that it has."""
    content: JsonObject = attribute["content"]
    missing = _missing(attribute, tags)
    return {**content, "tags": [*(content.get("tags") or []), *missing]} if missing else content


def _missing(attribute: Document, tags: Sequence[str]) -> list[str]:
    has = attribute["content"].get("tags") or []
    return [tag for tag in tags if tag not in has]


def _answer(answer_type: str, attribute: Document) -> JsonObject:
    told: JsonObject = {"@type": answer_type, "attributeId": attribute["id"], "result": "Accepted"}
    return told if answer_type == CREATED else {**told, "attribute": attribute["content"]}
