"""Relationships. Source: connector.md, section 3.11."""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.consumption.requests.incoming import IncomingRequests
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.objects import RELATIONSHIPS, Document
from enmeshed_connector.transport.relationship_operations import Step


class RelationshipUseCases:
    """What callers can do with relationships."""

    def __init__(self, transport: TransportAccount, views: Views, requests: IncomingRequests) -> None:
        """Takes the account, and the requests that peers' templates bring."""
        self._transport = transport
        self._requests = requests
        self._views = views

    async def check_can_create(self, template_id: str, content: JsonObject | None) -> None:
        """Returns when a relationship can be asked for; errors as `create`."""
        template = await self._transport.templates.get(template_id)
        if content is not None:
            await self._check_content(content, template)
        await self._transport.relationships.check_can_create(template)

    async def create(self, template_id: str, content: JsonObject, intent: Intent) -> View:
        """Asks for a relationship. Errors: those of the content and of `RelationshipController.create`."""
        earlier = await self._transport.context.outbox.earlier_result(intent.ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        template = await self._transport.templates.get(template_id)
        await self._check_content(content, template)
        relationship = await self._transport.relationships.create(
            template_id, content, ticket=intent.ticket, cause=intent.cause
        )
        return self._views.relationship(relationship)

    async def get(self, relationship_id: str) -> View:
        """Returns a relationship, or raises `RecordMissing`."""
        return self._views.relationship(await self._transport.relationships.get(relationship_id))

    async def get_by_address(self, address: str) -> View:
        """Returns the newest relationship with a peer, or raises `RecordMissing`."""
        relationship = await self._transport.relationships.with_peer(address)
        if relationship is None:
            raise RecordMissing("relationship with", address)
        return self._views.relationship(relationship)

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next relationships of a list."""
        return await list_page(
            self._transport.context.store,
            RELATIONSHIPS,
            self._views.relationship,
            where=where,
            sort=sort,
            limit=limit,
            after=after,
        )

    async def take(self, step: Step, relationship_id: str, intent: Intent) -> View:
        """Takes a step of the life cycle. Errors: of `RelationshipController.take`."""
        relationship = await self._transport.relationships.take(
            step, relationship_id, ticket=intent.ticket, cause=intent.cause
        )
        return self._views.relationship(relationship)

    async def decompose(self, relationship_id: str, intent: Intent) -> None:
        """Leaves a relationship for good. Errors: of `RelationshipController.decompose`."""
        await self._transport.relationships.decompose(relationship_id, ticket=intent.ticket, cause=intent.cause)

    async def _check_content(self, content: JsonObject, template: Document) -> None:
        validator = ContentValidator(self._transport.context.clock.now())
        validator.validate_creation_content(content, template_content=template["content"])
        await self._requests.check_creation_content(template, content)
