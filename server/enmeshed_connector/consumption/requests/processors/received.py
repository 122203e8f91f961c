"""Storing what peers answer. Whatever they say, the commit goes on: what does not fit is left out.

Looked at is more than official peers look at: that an id is one and is free, that a version which is succeeded came
from the one who answers, and that the attribute is what was asked for. No answer of theirs breaks these rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from enmeshed_connector.consumption.attributes.checks import AttributeContent
from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    DeletionStatus,
    Kind,
    deletion_status_of,
    kind_of,
)
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.consumption.requests.processors.base import Asked
from enmeshed_connector.consumption.requests.processors.item_checks import is_address, is_attribute_id
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import FailedPrecondition, InvalidArgument, NotFound
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


class Received:
    """Stores attributes that peers answer with. All functions take part in a commit, and none of them stops it."""

    def __init__(self, context: AccountContext, attributes: AttributeController) -> None:
        """Takes the account, and who keeps its attributes."""
        self._own_address = context.identity.address
        self._clock = context.clock
        self._attributes = attributes
        self._logger = structlog.get_logger(__name__).bind(account=context.account)

    def is_readable(self, response_item: JsonObject) -> bool:
        """Returns whether a response item fulfils the rules of its type, as they are for peers."""
        response = {"result": "Accepted", "requestId": "REQ", "items": [response_item]}
        try:
            ContentValidator(self._clock.now(), received=True).validate_response(response)
        except ContentInvalid:
            self._logger.warning("a response item of a peer cannot be read")
            return False
        return True

    async def peer_identity(self, identifier: str, content: JsonObject, asked: Asked, work: Work) -> None:
        """Stores what the peer says of itself."""
        request_id, peer = asked.settled()
        with self._leaving_out(asked):
            if checked := await self._new(identifier, content, work):
                await self._attributes.create_peer_identity(identifier, checked, peer, request_id, work)

    async def of_relationship(self, identifier: str, content: JsonObject, asked: Asked, work: Work) -> None:
        """Stores an attribute of the relationship with the peer, who made its id."""
        request_id, peer = asked.settled()
        create = (
            self._attributes.create_own_relationship
            if content["owner"] == self._own_address
            else self._attributes.create_peer_relationship
        )
        with self._leaving_out(asked):
            if checked := await self._new(identifier, content, work):
                await create(checked, peer, request_id, work, identifier=identifier)

    async def of_third_party(
        self, identifier: str, content: JsonObject, initial_peer: str, asked: Asked, work: Work
    ) -> None:
        """Stores an attribute of a relationship between the peer and somebody else."""
        request_id, peer = asked.settled()
        with self._leaving_out(asked):
            is_other = is_address(initial_peer) and initial_peer != self._own_address
            if is_other and (checked := await self._new(identifier, content, work)):
                await self._attributes.create_third_party(identifier, checked, peer, initial_peer, request_id, work)

    async def keep(self, attribute_id: str, asked: Asked, work: Work, *kinds: Kind) -> None:
        """Forgets that an attribute of the peer is to be deleted, when it is of one of the classes."""
        attribute = await self._of_peer(attribute_id, asked, work, *kinds)
        if attribute is not None and deletion_status_of(attribute) == DeletionStatus.TO_BE_DELETED:
            await set_deletion_of_attribute(attribute, None, work.now, work, overrides=True)

    async def succession(self, response_item: JsonObject, asked: Asked, work: Work, *kinds: Kind) -> None:
        """Stores a new version of an attribute of the peer, when it is of one of the classes."""
        request_id, _ = asked.settled()
        predecessor = await self._of_peer(response_item["predecessorId"], asked, work, *kinds)
        if predecessor is None or not is_attribute_id(response_item["successorId"]):
            return
        with self._leaving_out(asked):
            content = await self._attributes.checks.successor_content(
                response_item["successorContent"], checks_tags=False, received=True
            )
            await self._attributes.successions.succeed_received(
                predecessor["id"], content, response_item["successorId"], request_id, work
            )

    async def _of_peer(self, attribute_id: str, asked: Asked, work: Work, *kinds: Kind) -> Document | None:
        attribute = await work.get(ATTRIBUTES, attribute_id) if is_attribute_id(attribute_id) else None
        if attribute is None or kind_of(attribute) not in kinds or attribute["peer"] != asked.peer:
            return None
        return attribute

    async def _new(self, identifier: str, content: JsonObject, work: Work) -> AttributeContent | None:
        """Returns content that can be stored under the id, None when the id cannot be used."""
        # A commit that would overwrite something fails, and with it everything else that the peer sent.
        if not is_attribute_id(identifier) or await work.get(ATTRIBUTES, identifier) is not None:
            return None
        return self._attributes.checks.content_without_tags(content, received=True)

    @contextmanager
    def _leaving_out(self, asked: Asked) -> Iterator[None]:
        try:
            yield
        except (InvalidArgument, FailedPrecondition, NotFound) as error:
            # Raised before anything was written.
            self._logger.warning(
                "a response item of a peer cannot be applied",
                request_id=asked.request_id,
                reason=error.reason,
                official_code=error.official_code,
            )
