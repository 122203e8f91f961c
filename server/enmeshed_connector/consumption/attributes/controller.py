"""Attributes of one account. Source: consumption.md, sections 3 to 7."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from enmeshed_connector.consumption.attributes import events
from enmeshed_connector.consumption.attributes.checks import AttributeChecks, AttributeContent
from enmeshed_connector.consumption.attributes.defaults import Defaults
from enmeshed_connector.consumption.attributes.deletion import Deletions
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    Kind,
    attribute_document,
    value_type_of,
    with_property,
)
from enmeshed_connector.consumption.attributes.errors import AttributeDuplicate, WrongOwner
from enmeshed_connector.consumption.attributes.forwarding import Forwarding
from enmeshed_connector.consumption.attributes.life_cycle import AttributeLifeCycle
from enmeshed_connector.consumption.attributes.queries import AttributeQueries
from enmeshed_connector.consumption.attributes.repository import Reader, hold, require, same_own_identity
from enmeshed_connector.consumption.attributes.succession import Successions
from enmeshed_connector.consumption.attributes.tags import TagController
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.ids import ATTRIBUTE
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


@dataclass(frozen=True)
class AttributeSettings:
    """What can be chosen about attributes, per account."""

    sets_defaults: bool = False
    """Whether the first own identity attribute of each value type becomes the default, and defaults can be changed."""
    tag_lifetime: timedelta = timedelta(minutes=5)
    """How long the tag collection is used without asking the Backbone."""


class AttributeController:
    """Attributes of one account: how they come into being, and who does the rest.

    All functions that change something take part in a commit, so that requests and notifications can store what follows
    from them together with themselves.
    """

    def __init__(self, context: AccountContext, settings: AttributeSettings) -> None:
        """Takes the account."""
        self._context = context
        self._own_address = context.identity.address
        self.tags = TagController(context, settings.tag_lifetime)
        self.checks = AttributeChecks(context.clock, self.tags)
        self.forwarding = Forwarding(context.ids)
        self.defaults = Defaults(is_enabled=settings.sets_defaults)
        self.successions = Successions(context.ids)
        self.deletions = Deletions(self.forwarding, self.defaults)
        self.queries = AttributeQueries(self._own_address)
        self.life_cycle = AttributeLifeCycle(self.forwarding, self.deletions)

    async def check_duplicate(self, reader: Reader, content: AttributeContent) -> None:
        """Returns when there is no own identity attribute of this value; tags are not compared.

        Raises:
            AttributeDuplicate: There is one.
        """
        existing = await same_own_identity(reader, content.json)
        if existing is not None:
            raise AttributeDuplicate(
                f"Attribute {existing['id']} has this value already.", facts={"id": existing["id"]}
            )

    async def create_own_identity(
        self, content: AttributeContent, work: Work, *, refuses_duplicate: bool = False
    ) -> Document:
        """Creates an attribute of this identity and returns it.

        Args:
            content: What it says.
            work: The commit.
            refuses_duplicate: Whether there must not be another one of this value.

        Raises:
            WrongOwner: The owner is somebody else.
            AttributeDuplicate: As `check_duplicate`.
        """
        self._check_owner(content, self._own_address)
        if refuses_duplicate:
            # Two calls at once must not both find that there is none.
            await hold(work, f"value:{value_type_of(content.json)}")
            await self.check_duplicate(work, content)
        identifier = self._context.ids.new(ATTRIBUTE)
        attribute = attribute_document(Kind.OWN_IDENTITY, identifier, content.json, work.now)
        return await self._create(await self.defaults.of_new(attribute, work), work)

    async def create_peer_identity(
        self, identifier: str, content: AttributeContent, peer: str, source_reference: str, work: Work
    ) -> Document:
        """Stores what a peer says of itself, under the peer's id of it, and returns it.

        Raises:
            WrongOwner: The owner is not the peer.
        """
        self._check_peer(peer)
        self._check_owner(content, peer)
        return await self._create_shared(Kind.PEER_IDENTITY, identifier, content, peer, source_reference, work)

    async def create_own_relationship(
        self, content: AttributeContent, peer: str, source_reference: str, work: Work, *, identifier: str | None = None
    ) -> Document:
        """Stores an attribute of a relationship that belongs to this identity, and returns it.

        Args:
            content: What it says.
            peer: The other side of the relationship.
            source_reference: The request that brought it about.
            work: The commit.
            identifier: The id, where the peer made it.

        Raises:
            WrongOwner: The owner is somebody else, or the peer is this identity.
        """
        self._check_peer(peer)
        self._check_owner(content, self._own_address)
        return await self._create_shared(Kind.OWN_RELATIONSHIP, identifier, content, peer, source_reference, work)

    async def create_peer_relationship(
        self, content: AttributeContent, peer: str, source_reference: str, work: Work, *, identifier: str | None = None
    ) -> Document:
        """Stores an attribute of a relationship that belongs to the peer; as `create_own_relationship`.

        Raises:
            WrongOwner: The owner is not the peer.
        """
        self._check_peer(peer)
        self._check_owner(content, peer)
        return await self._create_shared(Kind.PEER_RELATIONSHIP, identifier, content, peer, source_reference, work)

    async def create_third_party(
        self,
        identifier: str,
        content: AttributeContent,
        peer: str,
        initial_peer: str,
        source_reference: str,
        work: Work,
    ) -> Document:
        """Stores an attribute of a relationship between a peer and somebody else, and returns it.

        Args:
            identifier: The id that those two know it by.
            content: What it says.
            peer: Who gave it.
            initial_peer: With whom the peer has the relationship.
            source_reference: The request that brought it about.
            work: The commit.

        Raises:
            WrongOwner: The owner is neither of them, or they are not two others.
        """
        self._check_peer(peer)
        if peer == initial_peer:
            raise WrongOwner("A relationship has two different sides.", facts={"peer": peer})
        self._check_owner(content, peer, initial_peer)
        self._check_peer(content.json["owner"])
        return await self._create_shared(
            Kind.THIRD_PARTY, identifier, content, peer, source_reference, work, initial_peer=initial_peer
        )

    async def mark_viewed(self, attribute_id: str, work: Work) -> Document:
        """Notes when an attribute was first viewed, and returns it.

        Raises:
            RecordMissing: There is no such attribute.
        """
        attribute = await require(work, attribute_id)
        if "wasViewedAt" in attribute:
            return attribute
        viewed = with_property(attribute, "wasViewedAt", work.now)
        await work.save(ATTRIBUTES, viewed)
        await events.publish(work, events.WAS_VIEWED_AT_CHANGED, viewed)
        return viewed

    def own_content(self, value: JsonObject, tags: list[str]) -> JsonObject:
        """Returns the content of an identity attribute of this identity."""
        return {
            "@type": "IdentityAttribute",
            "owner": self._own_address,
            **({"tags": tags} if tags else {}),
            "value": value,
        }

    async def _create_shared(
        self,
        kind: Kind,
        identifier: str | None,
        content: AttributeContent,
        peer: str,
        source_reference: str,
        work: Work,
        *,
        initial_peer: str | None = None,
    ) -> Document:
        attribute = attribute_document(
            kind,
            identifier or self._context.ids.new(ATTRIBUTE),
            content.json,
            work.now,
            peer=peer,
            sourceReference=source_reference,
            initialAttributePeer=initial_peer,
        )
        return await self._create(attribute, work)

    async def _create(self, attribute: Document, work: Work) -> Document:
        await work.create(ATTRIBUTES, attribute)
        await events.publish(work, events.ATTRIBUTE_CREATED, attribute)
        return attribute

    def _check_owner(self, content: AttributeContent, *owners: str) -> None:
        if content.json["owner"] not in owners:
            raise WrongOwner(f"The owner must be {' or '.join(owners)}.", facts={"owner": content.json["owner"]})

    def _check_peer(self, peer: str) -> None:
        if peer == self._own_address:
            raise WrongOwner("This identity is not its own peer.", facts={"peer": peer})
