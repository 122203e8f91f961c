"""Accounts with their consumption layer on a small network, and the content of attributes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from enmeshed_connector.consumption.account import ConsumptionAccount, ConsumptionSettings
from enmeshed_connector.consumption.attributes.controller import AttributeController, AttributeSettings
from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES
from enmeshed_connector.consumption.schema import CONSUMPTION_COLLECTIONS, CONSUMPTION_SCHEMA
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.crypto.stored_secrets import DeviceSharedSecret
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import TRANSPORT_COLLECTIONS, Document, SynchronizedCollections, public_part
from enmeshed_connector.transport.work import Work
from tests.support.network import Faults, Network

T = TypeVar("T")

REQUEST = "REQ00000000000000001"


@dataclass(frozen=True)
class Holder:
    """An account whose attributes are looked at."""

    transport: TransportAccount
    consumption: ConsumptionAccount
    faults: Faults

    @property
    def attributes(self) -> AttributeController:
        """The attributes of the account."""
        return self.consumption.attributes

    @property
    def address(self) -> str:
        """The address of the identity."""
        return self.transport.context.identity.address

    async def run(self, change: Callable[[Work], Awaitable[T]]) -> T:
        """Makes a commit."""
        return await self.transport.context.commits.run(change)

    async def get(self, attribute_id: str) -> Document | None:
        """Returns an attribute as it is stored."""
        found = await self.transport.context.store.get(ATTRIBUTES, attribute_id)
        return None if found is None else public_part(found)

    async def all(self, collection: str = ATTRIBUTES) -> list[Document]:
        """Returns all documents of a collection."""
        return [public_part(one) for one in await self.transport.context.store.find(collection)]

    async def events(self, *, types: str = "consumption.") -> list[Document]:
        """Returns the events so far."""
        log = self.transport.context.store.log
        page = await log.read(await log.oldest())
        return [one.event for one in page.events if one.event["type"].startswith(types)]

    async def event_names(self) -> list[str]:
        """Returns the names of the events so far, without `consumption.`."""
        return [event["type"].removeprefix("consumption.") for event in await self.events()]

    async def own(self, name: str = "Ada", tags: list[str] | None = None, value_type: str = "GivenName") -> Document:
        """Creates an own identity attribute."""
        checked = await self.attributes.checks.new_content(identity(self.address, name, tags, value_type))
        return await self.run(lambda work: self.attributes.create_own_identity(checked, work))

    async def succeed(self, predecessor: Document, name: str) -> Document:
        """Makes a new version of an own identity attribute."""
        content = identity(self.address, name, value_type=predecessor["content"]["value"]["@type"])
        checked = await self.attributes.checks.successor_content(content, checks_tags=True)
        made = await self.run(
            lambda work: self.attributes.successions.succeed_own_identity(predecessor["id"], checked, work)
        )
        return made.successor

    async def own_of_relationship(self, peer: str, key: str = "key", **more: Any) -> Document:
        """Creates an attribute of a relationship that belongs to this identity."""
        checked = await self.attributes.checks.new_content(relationship(self.address, key, **more))
        return await self.run(lambda work: self.attributes.create_own_relationship(checked, peer, REQUEST, work))

    async def of_peer_relationship(self, peer: str, key: str = "key", **more: Any) -> Document:
        """Stores an attribute of a relationship that belongs to the peer."""
        checked = await self.attributes.checks.new_content(relationship(peer, key, **more))
        return await self.run(lambda work: self.attributes.create_peer_relationship(checked, peer, REQUEST, work))

    async def of_peer(self, peer: str, name: str = "Bob", identifier: str = "ATT0000000000000PEER") -> Document:
        """Stores what a peer says of itself."""
        checked = await self.attributes.checks.new_content(identity(peer, name), received=True)
        return await self.run(
            lambda work: self.attributes.create_peer_identity(identifier, checked, peer, REQUEST, work)
        )

    async def of_third_party(self, peer: str, initial: str, identifier: str = "ATT000000000000THIRD") -> Document:
        """Stores an attribute of the relationship of a peer with somebody else; it belongs to the peer."""
        checked = await self.attributes.checks.new_content(relationship(peer, "key"), received=True)
        return await self.run(
            lambda work: self.attributes.create_third_party(identifier, checked, peer, initial, REQUEST, work)
        )

    async def forward(self, attribute: Document, peer: str) -> Document:
        """Notes that a peer got an attribute."""
        return await self.run(lambda work: self.attributes.forwarding.add(attribute["id"], peer, REQUEST, work))


async def holder(
    network: Network,
    name: str,
    *,
    sets_defaults: bool = False,
    clock: Clock | None = None,
    secret: DeviceSharedSecret | None = None,
    **settings: Any,
) -> Holder:
    """Opens an account with its consumption layer, which lives by the clock of the network unless it gets another."""
    collections = SynchronizedCollections(TRANSPORT_COLLECTIONS, CONSUMPTION_COLLECTIONS)
    environment = await network.environment(name, **settings)
    environment = replace(environment, collections=collections, clock=clock or environment.clock)
    await environment.store.declare(*CONSUMPTION_SCHEMA)
    transport = await open_account(environment, secret=secret)
    await transport.start()
    consumption = ConsumptionAccount(transport, ConsumptionSettings(AttributeSettings(sets_defaults=sets_defaults)))
    return Holder(transport, consumption, network.faults[name])


async def another_device(network: Network, device: Holder) -> Holder:
    """Returns another device of the identity of a device; both share what they know, by the datawallet."""
    made = await device.transport.devices.create(is_admin=True)
    secret = await device.transport.devices.shared_secret(made["id"])
    other = await holder(network, "other", secret=secret, datawallet_enabled=True)
    await device.transport.sync.sync()
    await other.transport.sync.sync()
    return other


def identity(
    owner: str, name: str = "Ada", tags: list[str] | None = None, value_type: str = "GivenName"
) -> dict[str, Any]:
    """Returns the content of an identity attribute."""
    content: dict[str, Any] = {
        "@type": "IdentityAttribute",
        "owner": owner,
        "value": {"@type": value_type, "value": name},
    }
    return content if tags is None else {**content, "tags": tags}


def relationship(owner: str, key: str = "key", value: str = "v", **more: Any) -> dict[str, Any]:
    """Returns the content of a relationship attribute."""
    return {
        "@type": "RelationshipAttribute",
        "owner": owner,
        "key": key,
        "confidentiality": "public",
        "isTechnical": False,
        "value": {"@type": "ProprietaryString", "title": "Title", "value": value},
        **more,
    }
