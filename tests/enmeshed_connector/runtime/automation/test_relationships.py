"""Relationships that are accepted and left without a person: which, when, once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.runtime.automation.readers import READER_SCHEMA, LogReader
from enmeshed_connector.runtime.automation.relationships import (
    AcceptConditions,
    AcceptRelationships,
    DecomposeConditions,
    DecomposeRelationships,
)
from enmeshed_connector.transport.relationship_documents import Status
from enmeshed_connector.transport.relationship_operations import REVOKE, TERMINATE
from tests.support.network import Network, Party, reference_to

CREATION = {"@type": "ArbitraryRelationshipCreationContent", "value": {}}
TEMPLATE = {"@type": "ArbitraryRelationshipTemplateContent", "value": {}}
PEER = "did:e:localhost:dids:0123456789abcdef012345"
RELATIONSHIP: dict[str, Any] = {
    "templateId": "RLT00000000000000001",
    "peer": {"address": PEER},
    "creationContent": CREATION,
}


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    async with Network(tmp_path) as network:
        yield network


@pytest.mark.parametrize(
    ("conditions", "is_fulfilled"),
    [
        ({}, True),
        ({"templates": ["RLT00000000000000001", "RLT2"]}, True),
        ({"templates": ["RLT2"]}, False),
        ({"peers": [PEER]}, True),
        ({"peers": ["did:e:other"]}, False),
        ({"content_types": ["ArbitraryRelationshipCreationContent"]}, True),
        ({"content_types": ["RelationshipCreationContent"]}, False),
        ({"templates": ["RLT00000000000000001"], "peers": [PEER]}, True),
        ({"templates": ["RLT00000000000000001"], "peers": ["did:e:other"]}, False),
    ],
)
def test_all_conditions_must_be_fulfilled(conditions: dict[str, list[str]], is_fulfilled: bool) -> None:
    made = AcceptConditions(**{name: frozenset(values) for name, values in conditions.items()})
    assert made.are_fulfilled_by(RELATIONSHIP) is is_fulfilled


def test_content_of_no_form_has_no_type() -> None:
    strange = RELATIONSHIP | {"creationContent": ["x"]}
    assert AcceptConditions().are_fulfilled_by(strange)
    assert not AcceptConditions(content_types=frozenset({"x"})).are_fulfilled_by(strange)


async def until(holds: Callable[[], Awaitable[Any]]) -> None:
    async with asyncio.timeout(60):
        while not await holds():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(run: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    async def go_on() -> None:
        await run()

    task = asyncio.create_task(go_on())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def acceptor(party: Party, conditions: AcceptConditions = AcceptConditions()) -> LogReader:  # noqa: B008 - frozen
    await party.account.context.store.declare(READER_SCHEMA)
    reader = LogReader(party.account, AcceptRelationships(party.account, conditions))
    await reader.prepare()
    return reader


async def ask(templator: Party, requestor: Party) -> str:
    template = await templator.account.templates.create(
        TEMPLATE, expires_at=templator.account.context.clock.now() + timedelta(days=1)
    )
    await requestor.account.templates.load(reference_to(template))
    relationship = await requestor.account.relationships.create(template["id"], CREATION)
    await templator.account.sync.sync()
    return str(relationship["id"])


async def status(party: Party, identifier: str) -> str:
    return str((await party.account.relationships.get(identifier))["status"])


async def test_a_relationship_that_a_peer_asks_for_is_accepted(network: Network) -> None:
    alice, bob = await network.account("alice"), await network.account("bob")
    reader = await acceptor(alice)
    identifier = await ask(alice, bob)

    async def is_active() -> bool:
        return await status(alice, identifier) == Status.ACTIVE

    async with running(reader.run):
        await until(is_active)
    assert network.faults["alice"].count("relationships.accept") == 1


async def test_own_and_unwanted_relationships_stay_as_they_are(network: Network) -> None:
    alice, bob, carol = [await network.account(name) for name in ("alice", "bob", "carol")]
    reader = await acceptor(alice, AcceptConditions(peers=frozenset({carol.address})))
    own = await ask(bob, alice)
    wanted = await ask(alice, carol)
    dave = await network.account("dave")
    unwanted = await ask(alice, dave)

    async def is_active() -> bool:
        return await status(alice, wanted) == Status.ACTIVE

    async with running(reader.run):
        await until(is_active)
    assert await status(alice, own) == Status.PENDING
    assert await status(alice, unwanted) == Status.PENDING


async def test_a_lost_answer_accepts_nothing_twice(network: Network) -> None:
    alice, bob = await network.account("alice"), await network.account("bob")
    reader = await acceptor(alice)
    identifier = await ask(alice, bob)
    network.faults["alice"].lose_answer("relationships.accept")

    async def is_active() -> bool:
        return await status(alice, identifier) == Status.ACTIVE

    async with running(reader.run):
        await until(is_active)
    assert network.faults["alice"].count("relationships.accept") == 1


async def test_one_that_was_revoked_meanwhile_is_left_alone(network: Network) -> None:
    alice, bob = await network.account("alice"), await network.account("bob")
    reader = await acceptor(alice)
    identifier = await ask(alice, bob)
    await bob.account.relationships.take(REVOKE, identifier)
    second = await ask(alice, await network.account("carol"))

    async def is_active() -> bool:
        return await status(alice, second) == Status.ACTIVE

    async with running(reader.run):
        await until(is_active)
    await alice.account.sync.sync()
    assert await status(alice, identifier) == Status.REVOKED


async def leave(party: Party, identifier: str) -> None:
    await party.account.relationships.take(TERMINATE, identifier)
    await party.account.relationships.decompose(identifier)


async def remaining(party: Party) -> list[str]:
    return [str(one["id"]) for one in await party.account.relationships.find()]


async def test_relationships_are_left_after_their_peer_at_start_and_later(network: Network) -> None:
    alice, bob, carol = [await network.account(name) for name in ("alice", "bob", "carol")]
    first, second = await network.befriend(alice, bob), await network.befriend(alice, carol)
    await leave(bob, first)
    await alice.account.sync.sync()
    decomposing = DecomposeRelationships(alice.account, DecomposeConditions())

    async def left_first() -> bool:
        return await remaining(alice) == [second]

    async def left_all() -> bool:
        return await remaining(alice) == []

    async with running(decomposing.run):
        await until(left_first)
        await leave(carol, second)
        await alice.account.sync.sync()
        await until(left_all)


async def test_relationships_are_kept_for_their_time_and_by_their_peer(network: Network) -> None:
    alice, bob, carol = [await network.account(name) for name in ("alice", "bob", "carol")]
    first, second = await network.befriend(alice, bob), await network.befriend(alice, carol)
    await leave(bob, first)
    await leave(carol, second)
    await alice.account.sync.sync()
    conditions = DecomposeConditions(after=timedelta(days=30), peers=frozenset({bob.address}))

    async def left_first() -> bool:
        return await remaining(alice) == [second]

    async with running(DecomposeRelationships(alice.account, conditions).run):
        await asyncio.sleep(0.05)
        assert sorted(await remaining(alice)) == sorted([first, second])
    network.clock.advance(timedelta(days=30, seconds=1))
    async with running(DecomposeRelationships(alice.account, conditions).run):
        await until(left_first)


async def test_a_refusal_of_one_does_not_keep_the_others(network: Network) -> None:
    alice, bob, carol = [await network.account(name) for name in ("alice", "bob", "carol")]
    first, second = await network.befriend(alice, bob), await network.befriend(alice, carol)
    await leave(bob, first)
    await leave(carol, second)
    await alice.account.sync.sync()
    network.faults["alice"].cut("relationships.decompose")

    async def left_one() -> bool:
        return len(await remaining(alice)) == 1

    async def left_all() -> bool:
        return await remaining(alice) == []

    async with running(DecomposeRelationships(alice.account, DecomposeConditions()).run):
        await until(left_one)
        assert len(await remaining(alice)) == 1
    async with running(DecomposeRelationships(alice.account, DecomposeConditions()).run):
        await until(left_all)
