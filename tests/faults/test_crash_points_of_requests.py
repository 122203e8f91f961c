"""Every point at which a process can die between a request and its response, one after the other.

As in `test_crash_points`, each flow is carried out by a process that dies one step later each time, until it gets
through. What callers of both sides see is compared: requests, attributes, messages and events, each once and in order.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from enmeshed_connector.consumption.account import ConsumptionAccount, ConsumptionSettings
from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES
from enmeshed_connector.consumption.deliveries import DELIVERIES
from enmeshed_connector.consumption.requests.documents import REQUESTS
from enmeshed_connector.consumption.schema import CONSUMPTION_COLLECTIONS, CONSUMPTION_SCHEMA
from enmeshed_connector.core.errors import OutcomeUnknown
from enmeshed_connector.runtime.use_cases.common import Intent
from enmeshed_connector.runtime.use_cases.incoming_requests import IncomingRequestUseCases
from enmeshed_connector.runtime.use_cases.messages import MessageUseCases
from enmeshed_connector.runtime.use_cases.outgoing_requests import OutgoingRequestUseCases
from enmeshed_connector.runtime.views import Views
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import (
    MESSAGES,
    PENDING_OPERATIONS,
    RELATIONSHIPS,
    TEMPLATES,
    TRANSPORT_COLLECTIONS,
    Document,
    SynchronizedCollections,
)
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.relationship_operations import TERMINATE
from tests.support import oracle
from tests.support.consumption import Holder, identity
from tests.support.crash import Crash, CrashingGateway, CrashingStore, ProcessDied
from tests.support.network import BASE_URL, Network
from tests.support.requests import YES, Asking, asking, asks, relate

T = TypeVar("T")

MOST_STEPS = 200


@pytest.fixture
async def alice(network: Network) -> Asking:
    """An account."""
    return await asking(network, "alice")


@pytest.fixture
async def bob(network: Network, alice: Asking) -> Asking:
    """An account with a relationship to alice."""
    bob = await asking(network, "bob")
    await relate(alice, bob)
    return bob


async def mortal(one: Asking, crash: Crash) -> Asking:
    """Opens the account in a process that dies."""
    environment = await one.network.environment(one.holder.transport.context.account)
    transport = await open_account(
        replace(
            environment,
            collections=SynchronizedCollections(TRANSPORT_COLLECTIONS, CONSUMPTION_COLLECTIONS),
            store=CrashingStore(environment.store, crash),
            gateway=CrashingGateway(environment.gateway, crash),
        )
    )
    consumption = ConsumptionAccount(transport, ConsumptionSettings())
    await transport.start()
    return replace(one, holder=Holder(transport, consumption, one.holder.faults))


async def survives(action: Awaitable[object]) -> bool:
    """Tells whether the process lives to the end of something."""
    try:
        await action
    except ProcessDied:
        return False
    except BaseExceptionGroup as failures:
        deaths_of_tasks, others = failures.split(ProcessDied)
        if deaths_of_tasks is None or others is not None:
            raise
        return False
    return True


async def deaths(
    one: Asking,
    act: Callable[[Asking, str], Awaitable[object]],
    *,
    prepare: Callable[[str], Awaitable[object]] | None = None,
    at_least: int,
) -> AsyncIterator[tuple[Asking, str, str]]:
    """Carries out a flow in processes that die one step later each time.

    Yields, for each of them and for the first that survives: the account opened anew, what the flow was told apart by,
    and where the process died.
    """
    for number in range(1, MOST_STEPS):
        key = str(number)
        if prepare is not None:
            await prepare(key)
        crash = Crash(None)
        dying = await mortal(one, crash)
        crash.die_after(number)
        has_survived = await survives(act(dying, key))
        # What the Backbone holds open for the dead process expires.
        one.network.backbone.services.clock.advance(timedelta(minutes=1))
        yield await one.restarted(), key, " | ".join(crash.steps[-number:])
        if has_survived:
            assert number > at_least, crash.steps
            return
    raise AssertionError("the flow does not end")


async def insist(act: Callable[[Asking, str], Awaitable[T]], one: Asking, key: str) -> T:
    """Does what a caller does whose answer was lost: the same call again, later when it is not clear yet."""
    try:
        return await act(one, key)
    except OutcomeUnknown:
        one.network.clock.advance(timedelta(minutes=3))
        return await act(one, key)


def intent(key: str) -> Intent:
    return Intent(Ticket(f"account/method/{key}", "digest", key))


async def accept(one: Asking, request_id: str, key: str) -> Document:
    """Accepts a request as a caller does."""
    use_cases = IncomingRequestUseCases(one.holder.transport.context, one.consumption)
    return await use_cases.accept(request_id, [YES], intent(key))


async def send(one: Asking, peer: Asking, content: Document, key: str) -> tuple[Document, Document]:
    """Makes a request and sends it as a caller does."""
    transport, outgoing = one.holder.transport, one.consumption.outgoing_requests
    messages = MessageUseCases(transport, Views(BASE_URL), outgoing.check_sendable)
    use_cases = OutgoingRequestUseCases(transport.context, one.consumption, messages)
    return await use_cases.send(peer.address, content, intent(key))


async def send_due(one: Asking) -> None:
    while await one.consumption.deliveries.send_due():
        pass


async def work(one: Asking) -> None:
    """Lets the worker of the account try to send what it has to, however long its pauses are."""
    for _ in range(4):
        await send_due(one)
        one.network.clock.advance(timedelta(minutes=10))


async def deliver(one: Asking) -> None:
    """Lets the worker of the account send what it has to, until nothing is left."""
    await work(one)
    assert await one.holder.all(DELIVERIES) == []


def proposes(owner: str, key: str) -> Document:
    """Returns a request that the receiver has an attribute."""
    item = {"@type": "CreateAttributeRequestItem", "attribute": identity(owner, f"N{key}"), "mustBeAccepted": True}
    return asks(item)


async def told(one: Asking, event_type: str) -> list[Any]:
    """Returns what the events of a type tell of, in their order."""
    return [event["data"] for event in await one.holder.events(types="") if event["type"] == event_type]


async def ids_told(one: Asking, event_type: str) -> list[str]:
    return [data["id"] for data in await told(one, event_type)]


async def changes_told(one: Asking, direction: str, request_id: str) -> list[tuple[str, str]]:
    """Returns the changes of the state of a request that were told of."""
    changes = await told(one, f"consumption.{direction}RequestStatusChanged")
    return [(one["oldStatus"], one["newStatus"]) for one in changes if one["request"]["id"] == request_id]


async def names(one: Asking) -> list[str]:
    """Returns the values of all attributes."""
    return sorted(attribute["content"]["value"]["value"] for attribute in await one.holder.all(ATTRIBUTES))


async def check_rest(one: Asking, place: str) -> None:
    """Checks that nothing is left over, and that the log has no gaps; messages are those of the Backbone."""
    store = one.holder.transport.context.store
    assert await store.count(PENDING_OPERATIONS) == 0, place
    await oracle.check_messages(store, one.network.rows, one.address)
    await oracle.check_relationships(store, one.network.rows, one.address)
    await oracle.check_events_delivered(one.network.rows, one.address)
    oracle.check_counters(one.network.rows, one.address)


async def test_receiving_a_request_by_message(alice: Asking, bob: Asking) -> None:
    sent: list[str] = []

    async def ask(key: str) -> None:
        for _ in ("a", "b"):
            request, _message = await send(alice, bob, asks(), f"{key}/{len(sent)}")
            sent.append(request["id"])

    async def act(one: Asking, key: str) -> None:
        await one.sync()

    async for one, _key, place in deaths(bob, act, prepare=ask, at_least=8):
        await one.sync()
        assert await ids_told(one, "consumption.incomingRequestReceived") == sent, place
        assert {request["id"] for request in await one.requests()} == set(sent), place
        assert set(await one.statuses()) == {"DecisionRequired"}, place
        for request_id in sent[-2:]:
            assert await changes_told(one, "incoming", request_id) == [("Open", "DecisionRequired")], place
        carried = [data["content"]["id"] for data in await told(one, "transport.messageReceived")]
        assert carried == sent, place
        await check_rest(one, place)


async def test_receiving_a_request_by_template(network: Network) -> None:
    bob = await asking(network, "bob")
    templates: dict[str, Document] = {}

    async def offer(key: str) -> None:
        peer = await asking(network, f"peer{key}")
        templates[key] = await peer.template(onNewRelationship=asks())

    async def act(one: Asking, key: str) -> None:
        await one.load(templates[key])

    async for one, key, place in deaths(bob, act, prepare=offer, at_least=4):
        await act(one, key)
        sources = [request["source"]["reference"] for request in await one.requests()]
        assert sorted(sources) == sorted(template["id"] for template in templates.values()), place
        received = await told(one, "consumption.incomingRequestReceived")
        assert [data["source"]["reference"] for data in received] == [one["id"] for one in templates.values()], place
        assert set(await one.statuses()) == {"DecisionRequired"}, place
        await check_rest(one, place)


async def test_accepting_a_request_by_message(alice: Asking, bob: Asking) -> None:
    ids: list[str] = []

    async def ask(key: str) -> None:
        request, _message = await send(alice, bob, proposes(bob.address, key), key)
        ids.append(request["id"])
        await (await bob.restarted()).sync()

    async def act(one: Asking, key: str) -> Document:
        request = await accept(one, ids[-1], key)
        await send_due(one)
        return request

    async for one, key, place in deaths(bob, act, prepare=ask, at_least=16):
        assert (await accept(one, ids[-1], key))["id"] == ids[-1], place
        await deliver(one)
        await alice.sync()
        own = [message for message in await one.holder.all(MESSAGES) if message["isOwn"]]
        assert sorted(message["content"]["requestId"] for message in own) == sorted(ids), place
        sent = await told(one, "transport.messageSent")
        assert [data["content"]["requestId"] for data in sent] == ids, place
        arrived = await told(alice, "transport.messageReceived")
        assert [data["content"]["requestId"] for data in arrived] == ids, place
        for side in (one, alice):
            assert set(await side.statuses()) == {"Completed"}, place
            assert await names(side) == sorted(f"N{number}" for number in range(1, int(key) + 1)), place
            assert len(await told(side, "consumption.attributeCreated")) == len(ids), place
            await check_rest(side, place)
        changes = [("Open", "DecisionRequired"), ("DecisionRequired", "Decided"), ("Decided", "Completed")]
        assert await changes_told(one, "incoming", ids[-1]) == changes, place
        assert (await changes_told(alice, "outgoing", ids[-1]))[-1:] == [("Open", "Completed")], place


async def test_accepting_a_request_by_template(network: Network) -> None:
    bob = await asking(network, "bob")
    peers: dict[str, Asking] = {}
    ids: dict[str, str] = {}

    async def offer(key: str) -> None:
        peers[key] = await asking(network, f"peer{key}")
        one = await bob.restarted()
        await one.load(await peers[key].template(onNewRelationship=proposes("", key)))
        ids[key] = (await ids_told(one, "consumption.incomingRequestReceived"))[-1]

    async def act(one: Asking, key: str) -> Document:
        request = await accept(one, ids[key], key)
        await send_due(one)
        return request

    async for one, key, place in deaths(bob, act, prepare=offer, at_least=16):
        peer = peers[key]
        assert (await accept(one, ids[key], key))["id"] == ids[key], place
        await work(one)
        # Where the answer is lost, nothing tells of the relationship but what the peer does.
        await peer.sync()
        (relationship,) = await peer.holder.transport.relationships.find()
        await peer.holder.transport.relationships.accept(relationship["id"])
        await one.sync()
        await deliver(one)
        rows = network.rows("SELECT id, status FROM relationships WHERE sender = ?", one.address)
        assert len(rows) == int(key), place
        assert {row["status"] for row in rows} == {"Active"}, place
        assert set(await one.statuses()) == {"Completed"}, place
        assert await peer.statuses() == ["Completed"], place
        assert await names(one) == sorted(f"N{number}" for number in range(1, int(key) + 1)), place
        assert await names(peer) == [f"N{key}"], place
        changes = [("Open", "DecisionRequired"), ("DecisionRequired", "Decided"), ("Decided", "Completed")]
        assert await changes_told(one, "incoming", ids[key]) == changes, place
        for side in (one, peer):
            await check_rest(side, place)


async def test_receiving_a_response(alice: Asking, bob: Asking) -> None:
    ids: list[str] = []

    async def answer(key: str) -> None:
        request, _message = await send(await alice.restarted(), bob, proposes(bob.address, key), f"sent/{key}")
        ids.append(request["id"])
        await bob.sync()
        await accept(bob, ids[-1], key)
        await deliver(bob)

    async def act(one: Asking, key: str) -> None:
        await one.sync()

    async for one, key, place in deaths(alice, act, prepare=answer, at_least=8):
        await one.sync()
        assert set(await one.statuses()) == {"Completed"}, place
        assert await names(one) == sorted(f"N{number}" for number in range(1, int(key) + 1)), place
        assert len(await told(one, "consumption.attributeCreated")) == len(ids), place
        completed = [
            data["request"]["id"]
            for data in await told(one, "consumption.outgoingRequestStatusChanged")
            if data["newStatus"] == "Completed"
        ]
        assert completed == ids, place
        await check_rest(one, place)


async def test_sending_a_request(alice: Asking, bob: Asking) -> None:
    ids: list[str] = []

    async def act(one: Asking, key: str) -> tuple[Document, Document]:
        return await send(one, bob, {**asks(), "title": key}, key)

    async for one, key, place in deaths(alice, act, at_least=5):
        request, message = await insist(act, one, key)
        ids.append(request["id"])
        assert (request["status"], request["content"]["title"]) == ("Open", key), place
        assert request["source"]["reference"] == message["id"], place
        # No draft is left behind.
        assert {stored["id"] for stored in await one.requests()} == set(ids), place
        assert set(await one.statuses()) == {"Open"}, place
        assert await ids_told(one, "consumption.outgoingRequestCreated") == ids, place
        await bob.sync()
        assert await ids_told(bob, "consumption.incomingRequestReceived") == ids, place
        await check_rest(one, place)


async def test_decomposing_a_relationship_with_requests(network: Network) -> None:
    bob = await asking(network, "bob")
    peers: dict[str, Asking] = {}
    ids: dict[str, str] = {}

    async def part(key: str) -> None:
        peers[key] = peer = await asking(network, f"peer{key}")
        one = await bob.restarted()
        ids[key] = await relate(peer, one)
        request, _message = await send(peer, one, proposes("", key), key)
        await send(peer, one, asks(), f"open/{key}")
        await one.sync()
        await send(one, peer, asks(), f"own/{key}")
        await accept(one, request["id"], f"accept/{key}")
        await one.holder.of_peer_relationship(peer.address, f"k{key}")
        await one.holder.transport.relationships.take(TERMINATE, ids[key])

    async def act(one: Asking, key: str) -> None:
        await one.holder.transport.relationships.decompose(ids[key], ticket=intent(key).ticket)

    async def traces(one: Asking, key: str) -> list[str]:
        """Returns where the account still has the address of the peer."""
        collections = [MESSAGES, RELATIONSHIPS, TEMPLATES, *(spec.name for spec in CONSUMPTION_SCHEMA)]
        found = {collection: await one.holder.all(collection) for collection in collections}
        found["events"] = await one.holder.events(types="")
        return [name for name, documents in found.items() if peers[key].address in json.dumps(documents)]

    async for one, key, place in deaths(bob, act, prepare=part, at_least=4):
        # Nobody need repeat the call: all goes in one commit, and the start erases what the dead process did not.
        left = await traces(one, key)
        assert left == [] or {REQUESTS, ATTRIBUTES, DELIVERIES, MESSAGES, "events"} <= set(left), place
        await insist(act, one, key)
        assert await traces(one, key) == [], place
        # What says something of this identity is its own.
        assert await names(one) == sorted(f"N{number}" for number in range(1, int(key) + 1)), place
        assert await one.requests() == [], place
        assert len(await told(one, "transport.relationshipDecomposedBySelf")) == int(key), place
