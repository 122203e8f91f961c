"""Every point at which a process can die, one after the other: nothing acknowledged is lost, nothing happens twice.

Each flow is carried out again and again by a process that dies one step later each time, until it gets through. After
each death a new process opens the account, and the flow is repeated as its caller would repeat it, with the same
idempotency key. The oracle is the Backbone's own data.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from enmeshed_connector.core.errors import OutcomeUnknown
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import (
    ERASURES,
    PENDING_OPERATIONS,
    PENDING_WIRES,
    SETTINGS,
    UNPUSHED_MODIFICATIONS,
)
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.relationship_operations import (
    ACCEPT_REACTIVATION,
    REJECT_REACTIVATION,
    REQUEST_REACTIVATION,
    REVOKE_REACTIVATION,
    TERMINATE,
    Step,
)
from enmeshed_connector.transport.sync_modes import SyncMode
from enmeshed_connector.transport.work import Work
from tests.support import oracle
from tests.support.crash import Crash, CrashingGateway, CrashingStore, ProcessDied
from tests.support.network import Network, Party, reference_to

T = TypeVar("T")

MOST_STEPS = 200
TEMPLATE = {"@type": "ArbitraryRelationshipTemplateContent", "value": {}}
CREATION = {"@type": "ArbitraryRelationshipCreationContent", "value": {}}


async def mortal(network: Network, name: str, crash: Crash, **settings: Any) -> TransportAccount:
    """Opens an account in a process that dies."""
    environment = await network.environment(name, **settings)
    return await open_account(
        replace(
            environment,
            store=CrashingStore(environment.store, crash),
            gateway=CrashingGateway(environment.gateway, crash),
        )
    )


async def deaths(
    network: Network,
    name: str,
    act: Callable[[TransportAccount, str], Awaitable[object]],
    *,
    prepare: Callable[[str], Awaitable[object]] | None = None,
    at_least: int,
    **settings: Any,
) -> AsyncIterator[tuple[Party, str, str]]:
    """Carries out a flow in processes that die one step later each time.

    Yields, for each of them and for the first that survives: the account opened anew, what the flow was told apart by,
    and where the process died.
    """
    for number in range(1, MOST_STEPS):
        key = str(number)
        if prepare is not None:
            await prepare(key)
        crash = Crash(None)
        account = await mortal(network, name, crash, **settings)
        await account.start()
        crash.die_after(number)
        has_survived = True
        try:
            await act(account, key)
        except ProcessDied:
            has_survived = False
        # What the Backbone holds open for the dead process expires.
        network.backbone.services.clock.advance(timedelta(minutes=1))
        yield await network.account(name, **settings), key, " | ".join(crash.steps[-number:])
        if has_survived:
            assert number > at_least, crash.steps
            return
    raise AssertionError("the flow does not end")


async def insist(network: Network, act: Callable[[TransportAccount, str], Awaitable[T]], party: Party, key: str) -> T:
    """Does what a caller does whose answer was lost: the same call again, later when it is not clear yet."""
    try:
        return await act(party.account, key)
    except OutcomeUnknown:
        network.clock.advance(timedelta(minutes=3))
        return await act(party.account, key)


def is_lost(steps: list[str], call: str) -> bool:
    """Tells whether the process died with the answer of a call, before that was durable."""
    return steps[-1] == f"after {call}" or steps[-2:] == [f"after {call}", "before commit"]


async def check_rest(party: Party, place: str) -> None:
    assert await party.store.count(PENDING_OPERATIONS) == 0, place
    assert await party.store.count(PENDING_WIRES) == 0, place
    # In order, without gaps, nothing twice.
    await oracle.log_of(party.store)


async def check_all(network: Network, party: Party, place: str) -> None:
    """Compares everything that came and went with the Backbone."""
    await check_rest(party, place)
    await oracle.check_messages(party.store, network.rows, party.address)
    await oracle.check_relationships(party.store, network.rows, party.address)
    await oracle.check_events_delivered(network.rows, party.address)
    oracle.check_counters(network.rows, party.address)


def ticket(key: str) -> Ticket:
    return Ticket(f"account/method/{key}", "digest", key)


async def pair(network: Network, **settings: Any) -> tuple[Party, Party]:
    anna, bert = await network.account("anna", **settings), await network.account("bert")
    await network.befriend(anna, bert)
    await anna.account.sync.sync()
    return anna, bert


async def test_creating_an_identity(network: Network) -> None:
    given_up = 0
    for number in range(1, MOST_STEPS):
        crash = Crash(number)
        name = f"a{number}"
        has_survived = True
        try:
            account = await mortal(network, name, crash, datawallet_enabled=True)
            await account.start()
        except ProcessDied:
            has_survived = False
        network.backbone.services.clock.advance(timedelta(minutes=1))

        party = await network.account(name, datawallet_enabled=True)

        # Only an identity whose registration was not answered is given up.
        given_up += is_lost(crash.steps, "identities.register")
        addresses = [row["address"] for row in network.rows("SELECT address FROM identities")]
        assert party.address in addresses
        assert len(addresses) == number + given_up, crash.steps
        await party.account.sync.sync()
        assert await party.store.count(UNPUSHED_MODIFICATIONS) == 0
        pushed = network.rows(
            "SELECT type FROM datawallet_modifications WHERE address = ? AND collection = 'Devices'", party.address
        )
        assert pushed == [{"type": "Create"}], crash.steps
        await check_rest(party, crash.steps[-1])
        if has_survived:
            assert number > 20
            assert given_up == 2
            return
    raise AssertionError("the flow does not end")


@pytest.mark.parametrize("datawallet_enabled", [False, True])
async def test_sending(network: Network, datawallet_enabled: bool) -> None:
    anna, bert = await pair(network, datawallet_enabled=datawallet_enabled)
    texts: list[str] = []

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.messages.send([bert.address], {"@type": "Text", "text": key}, ticket=ticket(key))

    async for party, key, place in deaths(network, "anna", act, at_least=5, datawallet_enabled=datawallet_enabled):
        texts.append(key)
        sent = await insist(network, act, party, key)
        assert sent["content"]["text"] == key
        await bert.account.sync.sync()
        received = await bert.store.find("Messages", {"isOwn": False}, sort=["createdAt"])
        assert [message["content"]["text"] for message in received] == texts, place
        own = await party.store.find("Messages", {"isOwn": True}, sort=["createdAt"])
        assert [message["id"] for message in own] == [message["id"] for message in received], place
        told = [event["data"]["id"] for event in await party.events("transport.messageSent")]
        assert told == [message["id"] for message in own], place
        await check_all(network, party, place)
    keys = network.rows("SELECT encrypted_key FROM message_recipients WHERE sender = ?", anna.address)
    counters = [json.loads(row["encrypted_key"])["cnt"] for row in keys]
    assert len(set(counters)) == len(texts)
    assert 0 not in counters


async def test_receiving(network: Network) -> None:
    anna, bert = await pair(network)
    texts: list[str] = []

    async def send(key: str) -> None:
        for part in ("a", "b"):
            texts.append(f"{key}{part}")
            await bert.account.messages.send([anna.address], {"@type": "Text", "text": texts[-1]})

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.sync.sync()

    lost_starts = 0
    async for party, _key, place in deaths(network, "anna", act, prepare=send, at_least=8):
        await party.account.sync.sync()
        received = await party.store.find("Messages", {"isOwn": False}, sort=["createdAt"])
        assert [message["content"]["text"] for message in received] == texts, place
        told = [event["data"]["content"]["text"] for event in await party.events("transport.messageReceived")]
        assert told == texts, place
        waiting = network.rows("SELECT id FROM external_events WHERE owner = ? AND is_synced = 0", anna.address)
        assert waiting == [], place
        # The start of a run whose answer nobody got is the one thing that costs events an attempt.
        lost_starts += is_lost(place.split(" | "), "sync_runs.start")
        cancelled = network.rows("SELECT DISTINCT sync_run_id, error_code FROM sync_errors")
        assert [row["error_code"] for row in cancelled] == ["syncRunCanceled"] * lost_starts, place
        await check_all(network, party, place)


async def test_pushing_to_the_datawallet(network: Network) -> None:
    first = await network.account("anna", datawallet_enabled=True)
    device = await first.account.devices.create()
    secret = await first.account.devices.shared_secret(device["id"])
    await first.account.sync.sync()
    second = await network.account("anna2", secret=secret, datawallet_enabled=True)
    expected: dict[str, Any] = {}

    async def act(account: TransportAccount, key: str) -> None:
        async def write(work: Work) -> None:
            await work.save(SETTINGS, setting(key))

        await account.context.commits.run(write)
        expected[key] = {"n": key}
        await account.sync.sync(SyncMode.DATAWALLET)

    async for party, key, place in deaths(network, "anna", act, at_least=8, datawallet_enabled=True):
        if await party.store.get(SETTINGS, key) is not None:
            expected[key] = {"n": key}
        await party.account.sync.sync(SyncMode.DATAWALLET)
        await second.account.sync.sync(SyncMode.DATAWALLET)
        for device_party in (party, second):
            stored = await device_party.store.find(SETTINGS, {"scope": "Identity"})
            assert {document["id"]: document["value"] for document in stored} == expected, place
        assert await party.store.count(UNPUSHED_MODIFICATIONS) == 0, place
        pushed = network.rows("SELECT payload_category FROM datawallet_modifications WHERE object_identifier = ?", key)
        assert len(pushed) == (2 if key in expected else 0), place


async def test_creating_a_template(network: Network) -> None:
    async def act(account: TransportAccount, key: str) -> Any:
        expires_at = network.clock.now() + timedelta(days=1)
        return await account.templates.create(TEMPLATE, expires_at=expires_at, ticket=ticket(key))

    await network.account("anna")
    ids: set[str] = set()
    async for party, key, place in deaths(network, "anna", act, at_least=4):
        template = await insist(network, act, party, key)
        ids.add(template["id"])
        assert {document["id"] for document in await party.store.find("Templates")} == ids, place
        assert len(ids) == int(key), place
        assert ids <= {row["id"] for row in network.rows("SELECT id FROM templates")}
        await check_rest(party, place)


async def test_asking_for_a_relationship(network: Network) -> None:
    templates: dict[str, str] = {}
    peers: dict[str, Party] = {}

    async def offer(key: str) -> None:
        peers[key] = await network.account(f"peer{key}")
        template = await peers[key].account.templates.create(
            TEMPLATE, expires_at=network.clock.now() + timedelta(days=1)
        )
        anna = await network.account("anna")
        await anna.account.templates.load(reference_to(template))
        templates[key] = template["id"]

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.relationships.create(templates[key], CREATION, ticket=ticket(key))

    async for party, key, place in deaths(network, "anna", act, prepare=offer, at_least=5):
        has_arrived = bool(network.rows("SELECT id FROM relationships WHERE template_id = ?", templates[key]))
        if has_arrived and await party.store.find_one("Relationships", {"templateId": templates[key]}) is None:
            # Nothing tells its id but what the peer does.
            await peers[key].account.sync.sync()
            [row] = network.rows("SELECT id FROM relationships WHERE template_id = ?", templates[key])
            await peers[key].account.relationships.accept(row["id"])
            await party.account.sync.sync()
        relationship = await insist(network, act, party, key)
        [row] = network.rows("SELECT id FROM relationships WHERE template_id = ?", templates[key])
        assert relationship["id"] == row["id"], place
        if relationship["status"] == "Pending":
            await peers[key].account.sync.sync()
            await peers[key].account.relationships.accept(row["id"])
            await party.account.sync.sync()
        sent = await party.account.messages.send([peers[key].address], {"@type": "Text", "text": key})
        await peers[key].account.sync.sync()
        assert (await peers[key].account.messages.get(sent["id"]))["content"]["text"] == key, place
        await check_rest(party, place)


async def test_accepting_a_relationship(network: Network) -> None:
    ids: dict[str, str] = {}
    peers: dict[str, Party] = {}

    async def ask(key: str) -> None:
        anna, peers[key] = await network.account("anna"), await network.account(f"peer{key}")
        template = await anna.account.templates.create(TEMPLATE, expires_at=network.clock.now() + timedelta(days=1))
        await peers[key].account.templates.load(reference_to(template))
        ids[key] = (await peers[key].account.relationships.create(template["id"], CREATION))["id"]
        await anna.account.sync.sync()

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.relationships.accept(ids[key], ticket=ticket(key))

    async for party, key, place in deaths(network, "anna", act, prepare=ask, at_least=5):
        accepted = await insist(network, act, party, key)
        assert accepted["status"] == "Active", place
        await peers[key].account.sync.sync()
        sent = await peers[key].account.messages.send([party.address], {"@type": "Text", "text": key})
        await party.account.sync.sync()
        assert (await party.account.messages.get(sent["id"]))["content"]["text"] == key, place
        told = [
            event for event in await party.events("transport.relationshipChanged") if event["data"]["id"] == ids[key]
        ]
        assert [event["data"]["status"] for event in told] == ["Pending", "Active"], place
        await check_rest(party, place)


async def test_hearing_of_a_request_for_a_relationship(network: Network) -> None:
    ids: dict[str, str] = {}

    async def ask(key: str) -> None:
        anna, peer = await network.account("anna"), await network.account(f"peer{key}")
        template = await anna.account.templates.create(TEMPLATE, expires_at=network.clock.now() + timedelta(days=1))
        await peer.account.templates.load(reference_to(template))
        ids[key] = (await peer.account.relationships.create(template["id"], CREATION))["id"]

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.sync.sync()

    async for party, key, place in deaths(network, "anna", act, prepare=ask, at_least=8):
        await party.account.sync.sync()
        assert (await party.account.relationships.get(ids[key]))["status"] == "Pending", place
        await party.account.relationships.accept(ids[key])
        peer = await network.account(f"peer{key}")
        await peer.account.sync.sync()
        sent = await peer.account.messages.send([party.address], {"@type": "Text", "text": key})
        await party.account.sync.sync()
        assert (await party.account.messages.get(sent["id"]))["content"]["text"] == key, place
        await check_all(network, party, place)


async def test_hearing_of_the_acceptance_of_a_relationship(network: Network) -> None:
    peers: dict[str, Party] = {}

    async def accept(key: str) -> None:
        anna, peers[key] = await network.account("anna"), await network.account(f"peer{key}")
        expires_at = network.clock.now() + timedelta(days=1)
        template = await peers[key].account.templates.create(TEMPLATE, expires_at=expires_at)
        await anna.account.templates.load(reference_to(template))
        relationship = await anna.account.relationships.create(template["id"], CREATION)
        await peers[key].account.sync.sync()
        await peers[key].account.relationships.accept(relationship["id"])

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.sync.sync()

    async for party, key, place in deaths(network, "anna", act, prepare=accept, at_least=8):
        await party.account.sync.sync()
        sent = await party.account.messages.send([peers[key].address], {"@type": "Text", "text": key})
        await peers[key].account.sync.sync()
        assert (await peers[key].account.messages.get(sent["id"]))["content"]["text"] == key, place
        await check_all(network, party, place)


async def test_hearing_of_a_request_for_reactivation(network: Network) -> None:
    anna, bert = await pair(network)
    [relationship] = await anna.store.find("Relationships")
    await anna.account.relationships.take(TERMINATE, relationship["id"])

    async def ask(key: str) -> None:
        await bert.account.sync.sync()
        if key != "1":
            await bert.account.relationships.take(REVOKE_REACTIVATION, relationship["id"])
        await bert.account.relationships.take(REQUEST_REACTIVATION, relationship["id"])

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.sync.sync()

    async for party, key, place in deaths(network, "anna", act, prepare=ask, at_least=8):
        await party.account.sync.sync()
        asked = await party.events("transport.relationshipReactivationRequested")
        assert len(asked) == int(key), place
        completed = await party.events("transport.relationshipReactivationCompleted")
        assert len(completed) == int(key) - 1, place
        await check_all(network, party, place)


@pytest.mark.parametrize("answer", [ACCEPT_REACTIVATION, REJECT_REACTIVATION], ids=lambda step: step.name)
async def test_answering_a_request_for_reactivation(network: Network, answer: Step) -> None:
    anna, bert = await pair(network)
    [relationship] = await anna.store.find("Relationships")

    async def ask(_key: str) -> None:
        again = await network.account("anna")
        if (await again.account.relationships.get(relationship["id"]))["status"] == "Active":
            await again.account.relationships.take(TERMINATE, relationship["id"])
        await bert.account.sync.sync()
        await bert.account.relationships.take(REQUEST_REACTIVATION, relationship["id"])
        await again.account.sync.sync()

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.relationships.take(answer, relationship["id"], ticket=ticket(key))

    async for party, key, place in deaths(network, "anna", act, prepare=ask, at_least=4):
        answered = await insist(network, act, party, key)
        assert answered["status"] == ("Active" if answer is ACCEPT_REACTIVATION else "Terminated"), place
        await bert.account.sync.sync()
        heard = await bert.events("transport.relationshipReactivationCompleted")
        for told in (await party.events("transport.relationshipReactivationCompleted"), heard):
            reasons = [event["data"]["auditLog"][-1]["reason"] for event in told]
            assert reasons == [answer.reason.value] * int(key), place
        asked = await party.events("transport.relationshipReactivationRequested")
        assert len(asked) == int(key), place
        await check_all(network, party, place)


async def test_asking_for_a_reactivation(network: Network) -> None:
    anna, bert = await pair(network)
    [relationship] = await anna.store.find("Relationships")
    await bert.account.relationships.take(TERMINATE, relationship["id"])
    await anna.account.sync.sync()

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.relationships.take(REQUEST_REACTIVATION, relationship["id"], ticket=ticket(key))

    async for party, key, place in deaths(network, "anna", act, at_least=4):
        asked = await insist(network, act, party, key)
        assert asked["auditLog"][-1]["reason"] == "ReactivationRequested", place
        await bert.account.sync.sync()
        await bert.account.relationships.take(REJECT_REACTIVATION, relationship["id"])
        await party.account.sync.sync()
        told = [event["type"] for event in await party.events("transport.relationshipReactivation")]
        names = ["transport.relationshipReactivationRequested", "transport.relationshipReactivationCompleted"]
        assert told == names * int(key), place
        assert [event["type"] for event in await bert.events("transport.relationshipReactivation")] == told, place
        await check_all(network, party, place)


async def test_uploading_a_file(network: Network) -> None:
    # So much that its wire is kept apart.
    size = 60_000

    async def act(account: TransportAccount, key: str) -> Any:
        return await account.files.upload(
            key.encode() * size,
            filename=f"{key}.txt",
            mimetype="text/plain",
            expires_at=network.clock.now() + timedelta(days=1),
            ticket=ticket(key),
        )

    await network.account("anna")
    async for party, key, place in deaths(network, "anna", act, at_least=4):
        file = await insist(network, act, party, key)
        assert (await party.account.files.download(file["id"]))[1] == key.encode() * size, place
        stored = {document["id"] for document in await party.store.find("Files")}
        assert stored == {row["id"] for row in network.rows("SELECT id FROM files")}, place
        assert len(stored) == int(key), place
        await check_rest(party, place)


async def test_decomposing_a_relationship(network: Network) -> None:
    ids: dict[str, str] = {}
    peers: dict[str, Party] = {}

    async def part(key: str) -> None:
        anna, peers[key] = await network.account("anna"), await network.account(f"peer{key}")
        ids[key] = await network.befriend(anna, peers[key])
        await anna.account.messages.send([peers[key].address], {"@type": "Text", "text": key})
        await anna.account.relationships.take(TERMINATE, ids[key])

    async def act(account: TransportAccount, key: str) -> Any:
        await account.relationships.decompose(ids[key], ticket=ticket(key))

    async for party, key, place in deaths(network, "anna", act, prepare=part, at_least=4):
        if not await party.store.find("Relationships"):
            # Nobody need repeat the call: the start erases what the dead process did not.
            assert peers[key].address not in json.dumps(await party.events()), place
        await insist(network, act, party, key)
        assert await party.store.find(ERASURES) == [], place
        assert await party.store.find("Relationships") == [], place
        assert await party.store.find("Messages") == [], place
        secrets = await party.store.find("Secrets")
        assert not [secret for secret in secrets if secret["name"].startswith("TRPRSE")], place
        [row] = network.rows("SELECT status FROM relationships WHERE id = ?", ids[key])
        assert row["status"] == "DeletionProposed", place
        told = await party.events("transport.relationshipDecomposedBySelf")
        assert len(told) == int(key), place
        assert peers[key].address not in json.dumps(await party.events()), place
        await check_rest(party, place)


def setting(key: str) -> dict[str, Any]:
    return {
        "@type": "Setting",
        "createdAt": "2026-01-01T00:00:00.000Z",
        "id": key,
        "key": "k",
        "scope": "Identity",
        "value": {"n": key},
    }
