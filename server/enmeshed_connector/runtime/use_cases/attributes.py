"""Attributes. Source: connector.md, section 3.3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TypeAlias

from enmeshed_connector.consumption.attributes import repository, selection
from enmeshed_connector.consumption.attributes.checks import AttributeContent
from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.deletion import DeletionNotices
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTE_SCHEMA,
    ATTRIBUTES,
    FORWARDABLE,
    FORWARDING_DETAILS,
)
from enmeshed_connector.consumption.attributes.queries import read_iql
from enmeshed_connector.content.errors import ContentInvalid
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.use_cases.changes import change_once
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page, state_of
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import Filter, FilterLike, Keyset, SortLike, all_of, keyset_maker, where
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import Document, public_part
from enmeshed_connector.transport.work import Work

Entries: TypeAlias = list[Entry]
Attributes: TypeAlias = list[View]
Texts: TypeAlias = list[str]


class AttributeUseCases:
    """What callers can do with attributes."""

    def __init__(self, context: AccountContext, attributes: AttributeController, notices: DeletionNotices) -> None:
        """Takes the account, its attributes, and who tells others of deletions."""
        self._context = context
        self._attributes = attributes
        self._notices = notices

    async def check_can_create(self, value: JsonObject, tags: Texts) -> None:
        """Returns when an own identity attribute could be created; errors as `create`."""
        content = await self._new_content(value, tags)
        await self._attributes.check_duplicate(self._context.store, content)

    async def create(self, value: JsonObject, tags: Texts, intent: Intent) -> View:
        """Creates an own identity attribute.

        Raises:
            ContentInvalid, ForbiddenCharacters, TagsInvalid: The content breaks a rule.
            AttributeDuplicate: There is one of this value.
            BackboneError: Whether it may bear its tags cannot be found out now.
        """
        earlier = await self._context.outbox.earlier_result(intent.ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        content = await self._new_content(value, tags)

        async def change(work: Work) -> JsonObject:
            attribute = await self._attributes.create_own_identity(content, work, refuses_duplicate=True)
            return {"id": attribute["id"]}

        return await self.get((await change_once(self._context, intent, change))["id"])

    async def _new_content(self, value: JsonObject, tags: Texts) -> AttributeContent:
        try:
            return await self._attributes.checks.new_content(self._attributes.own_content(value, tags))
        except ContentInvalid as error:
            # Official Connectors find this by the schema of the call.
            code = "error.runtime.validation.invalidPropertyValue"
            raise type(error)(error.violations, official_code=code) from None

    async def succeed_identity(
        self, predecessor_id: str, value: JsonObject, tags: Texts, intent: Intent
    ) -> tuple[View, View]:
        """Makes a new version of an own identity attribute and returns both, the former one first.

        Raises:
            RecordMissing: There is no such attribute.
            SuccessorNotValid, TagsInvalid: The content breaks a rule.
            DomainError: Those of `Successions.succeed_own_identity`.
        """
        earlier = await self._context.outbox.earlier_result(intent.ticket)
        if earlier is None:
            await repository.require(self._context.store, predecessor_id)
            content = await self._attributes.checks.successor_content(
                self._attributes.own_content(value, tags), checks_tags=True
            )

            async def change(work: Work) -> JsonObject:
                made = await self._attributes.successions.succeed_own_identity(predecessor_id, content, work)
                return {"predecessor": made.predecessor["id"], "successor": made.successor["id"]}

            earlier = await change_once(self._context, intent, change)
        return await self.get(earlier["predecessor"]), await self.get(earlier["successor"])

    async def get(self, attribute_id: str) -> View:
        """Returns an attribute, or raises `RecordMissing`."""
        return (await self._views([await repository.require(self._context.store, attribute_id)]))[0]

    async def condition(
        self,
        *,
        own_identity: bool = False,
        shared_with_peer: str | None = None,
        of_peer: str | None = None,
        hides_technical: bool = False,
        only_latest_versions: bool | None = None,
    ) -> Filter:
        """Returns the condition of a list of attributes.

        Args:
            own_identity: Only own identity attributes.
            shared_with_peer: Only own attributes that this peer got.
            of_peer: Only attributes that this peer gave.
            hides_technical: Without technical attributes of relationships.
            only_latest_versions: Only the newest versions; None: with one of the three that choose, else not.
        """
        is_chosen = own_identity or shared_with_peer is not None or of_peer is not None
        only_newest = is_chosen if only_latest_versions is None else only_latest_versions
        parts: list[Filter] = [selection.NOT_TECHNICAL] if hides_technical else []
        if shared_with_peer is not None:
            parts.append(await selection.shared_with(self._context.store, shared_with_peer, only_newest=only_newest))
            return all_of(*parts)
        if own_identity:
            parts.append(selection.own_identity())
        elif of_peer is not None:
            parts.append(selection.of_peer(of_peer))
        if only_newest:
            parts.append(selection.NEWEST)
        return all_of(*parts)

    async def exchanged_condition(self, peer: str, *, hides_technical: bool, only_latest_versions: bool) -> Filter:
        """Returns the condition of the attributes that were exchanged with a peer; as `condition`."""
        exchanged = await selection.exchanged_with(self._context.store, peer, only_newest=only_latest_versions)
        return all_of(selection.NOT_TECHNICAL, exchanged) if hides_technical else exchanged

    async def list(self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None) -> Entries:
        """Returns the next attributes of a list."""
        documents = await self._context.store.find(ATTRIBUTES, where, sort=sort, limit=limit, after=after)
        spec = next(spec for spec in ATTRIBUTE_SCHEMA if spec.name == ATTRIBUTES)
        numbers = await self._numbers_of_forwards(documents)
        place_of = keyset_maker(spec, sort)
        return [
            Entry(
                partial(_view, document, numbers),
                partial(place_of, document),
                state_of(document, numbers.get(document["id"], 0)),
            )
            for document in documents
        ]

    async def versions(
        self,
        attribute_id: str,
        *,
        shared_with_peer: str | None = None,
        only_latest_versions: bool = True,
        limit: int,
        after: Keyset | None,
    ) -> Entries:
        """Returns the next versions of an attribute, newest first.

        Args:
            attribute_id: Any version.
            shared_with_peer: Only those that this peer got.
            only_latest_versions: Of those, only the newest.
            limit: At most so many.
            after: Behind this one. Whoever deletes a version deletes all that come behind it.

        Raises:
            RecordMissing: There is no such attribute.
        """
        store = self._context.store
        attribute = await repository.require(store, attribute_id)
        if shared_with_peer is None:
            found = await repository.versions(store, attribute)
        else:
            found = await repository.versions_shared_with(
                store, attribute, shared_with_peer, only_newest=only_latest_versions
            )
        if after is not None:
            ids = [version["id"] for version in found]
            found = found[ids.index(after.id) + 1 :] if after.id in ids else []
        page = found[:limit]
        numbers = await self._numbers_of_forwards(page)
        return [
            Entry(
                partial(_view, version, numbers),
                partial(Keyset, (), version["id"]),
                state_of(version, numbers.get(version["id"], 0)),
            )
            for version in page
        ]

    async def forwarding_details(
        self, attribute_id: str, condition: Filter, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> Entries:
        """Returns the next entries of to whom an attribute was given, or raises `RecordMissing`."""
        await repository.require(self._context.store, attribute_id)
        return await list_page(
            self._context.store,
            FORWARDING_DETAILS,
            public_part,
            where=all_of(where("attributeId").eq(attribute_id), condition),
            sort=sort,
            limit=limit,
            after=after,
            specs=ATTRIBUTE_SCHEMA,
        )

    async def delete(self, attribute_id: str, intent: Intent) -> Texts:
        """Deletes an attribute with its former versions and returns the ids of the notifications that tell of it.

        Raises:
            RecordMissing: There is no such attribute.
            SharedWhilePending: Somebody with a pending relationship holds it.
        """

        async def change(work: Work) -> JsonObject:
            ids = await self._attributes.deletions.delete_and_notify(attribute_id, self._notices, work)
            return {"notificationIds": ids}

        result = await change_once(self._context, intent, change)
        return [*result["notificationIds"]]

    async def execute_identity_query(self, query: JsonObject) -> Attributes:
        """Returns the own identity attributes that answer a query. Errors: `ContentInvalid`."""
        self._check_query(query)
        return await self._views(await self._attributes.queries.identity(self._context.store, query))

    async def execute_relationship_query(self, query: JsonObject) -> View | None:
        """Returns the relationship attribute that answers a query, None without. Errors: `ContentInvalid`."""
        self._check_query(query)
        found = await self._attributes.queries.relationship(self._context.store, query)
        return None if found is None else (await self._views([found]))[0]

    async def execute_third_party_query(self, query: JsonObject) -> Attributes:
        """Returns the attributes of relationships with others that answer a query. Errors: `ContentInvalid`."""
        self._check_query(query)
        return await self._views(await self._attributes.queries.third_party(self._context.store, query))

    async def execute_iql_query(self, query: JsonObject) -> Attributes:
        """Returns the own identity attributes that answer a query. Errors: `QueryInvalid`, `ContentInvalid`."""
        self.check_iql_query(query)
        return await self._views(await self._attributes.queries.iql(self._context.store, query["queryString"]))

    def check_iql_query(self, query: JsonObject) -> None:
        """Returns when a query in the identity query language can be read. Errors: as `execute_iql_query`."""
        # First, as it can tell where the fault is.
        read_iql(query["queryString"])
        self._check_query(query)

    async def tag_collection(self) -> JsonObject:
        """Returns the tags that the Backbone's operator defines. Errors: `BackboneError` when there is no copy."""
        return (await self._attributes.tags.collection()).json

    async def change_default(self, attribute_id: str, intent: Intent) -> View:
        """Makes an own identity attribute the default of its value type. Errors: of `Defaults.change`."""

        async def change(work: Work) -> JsonObject:
            return {"id": (await self._attributes.defaults.change(attribute_id, work))["id"]}

        return await self.get((await change_once(self._context, intent, change))["id"])

    async def mark_viewed(self, attribute_id: str, intent: Intent) -> View:
        """Marks an attribute as viewed, or raises `RecordMissing`."""

        async def change(work: Work) -> JsonObject:
            return {"id": (await self._attributes.mark_viewed(attribute_id, work))["id"]}

        return await self.get((await change_once(self._context, intent, change))["id"])

    def _check_query(self, query: JsonObject) -> None:
        ContentValidator(self._context.clock.now()).validate_query(query)

    async def _views(self, documents: Sequence[Document]) -> Attributes:
        """Returns attributes as callers see them."""
        numbers = await self._numbers_of_forwards(documents)
        return [_view(document, numbers) for document in documents]

    async def _numbers_of_forwards(self, documents: Sequence[Document]) -> Mapping[str, int]:
        """Returns how often those of the attributes were given on that can be; by id, without those that never were."""
        forwardable = [one["id"] for one in documents if one["@type"] in FORWARDABLE]
        return await repository.numbers_of_forwards(self._context.store, forwardable) if forwardable else {}


def _view(document: Document, numbers_of_forwards: Mapping[str, int]) -> View:
    """Returns an attribute as callers see it; one that can be given on tells how often it was."""
    view = public_part(document)
    if view["@type"] in FORWARDABLE:
        view["numberOfForwards"] = numbers_of_forwards.get(view["id"], 0)
    return view
