"""Every point at which a process can die while it leaves a relationship through which requests came and went."""

from __future__ import annotations

import json
from datetime import timedelta

from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES
from enmeshed_connector.consumption.deliveries import DELIVERIES
from enmeshed_connector.consumption.requests.documents import REQUESTS
from enmeshed_connector.consumption.schema import CONSUMPTION_SCHEMA
from enmeshed_connector.core.errors import OutcomeUnknown
from enmeshed_connector.runtime.use_cases.common import NOBODY
from enmeshed_connector.transport.objects import MESSAGES, RELATIONSHIPS, TEMPLATES
from enmeshed_connector.transport.relationship_operations import TERMINATE
from tests.support.consumption import identity, relationship
from tests.support.network import Network
from tests.support.request_items import item_of
from tests.support.requests import YES, asks
from tests.support.whole_account import WholeAccount, deaths, intent, relate, whole_account


async def traces(account: WholeAccount, address: str) -> set[str]:
    """Returns where the account still has the address of a peer."""
    collections = [MESSAGES, RELATIONSHIPS, TEMPLATES, *(spec.name for spec in CONSUMPTION_SCHEMA)]
    found = {collection: await account.all(collection) for collection in collections}
    found["events"] = await account.party.events()
    return {name for name, documents in found.items() if address in json.dumps(documents)}


async def test_leaving_a_relationship(network: Network) -> None:
    ids: dict[str, str] = {}
    peers: dict[str, str] = {}

    async def part(anna: WholeAccount, key: str) -> None:
        peer = await whole_account(network, f"peer{key}")
        ids[key], peers[key] = await relate(peer, anna), peer.address
        own = item_of("CreateAttribute", attribute=identity(anna.address, f"N{key}"))
        of_peer = item_of("CreateAttribute", attribute=relationship(peer.address, key=f"key{key}"))
        request, _ = await peer.does.outgoing_requests.send(anna.address, asks(own, of_peer), NOBODY)
        await peer.does.outgoing_requests.send(anna.address, asks(), NOBODY)
        await anna.party.account.sync.sync()
        await anna.does.outgoing_requests.send(peer.address, asks(), NOBODY)
        # Its response is not sent.
        await anna.does.incoming_requests.accept(request["id"], [YES, YES], NOBODY)
        await anna.party.account.relationships.take(TERMINATE, ids[key])

    async def act(anna: WholeAccount, key: str) -> None:
        await anna.party.account.relationships.decompose(ids[key], ticket=intent(key).ticket)

    await whole_account(network, "anna")
    async for anna, key, place in deaths(network, "anna", act, prepare=part, at_least=4):
        # All goes in one commit, and the start erases what the dead process did not: nobody need repeat the call.
        left = await traces(anna, peers[key])
        assert not left or {REQUESTS, ATTRIBUTES, DELIVERIES, MESSAGES, RELATIONSHIPS, "events"} <= left, place
        try:
            await act(anna, key)
        except OutcomeUnknown:
            network.clock.advance(timedelta(minutes=3))
            await act(anna, key)
        assert await traces(anna, peers[key]) == set(), place
        assert await anna.all(REQUESTS) == [], place
        # What says something of this identity alone is its own.
        values = sorted(one["content"]["value"]["value"] for one in await anna.all(ATTRIBUTES))
        assert values == sorted(f"N{number}" for number in range(1, int(key) + 1)), place
        assert len(await anna.party.events("transport.relationshipDecomposedBySelf")) == int(key), place
