"""Requests whose answer was lost: what was done is not done again, whatever the caller repeats (design decision 8).

Each kind of request is tried in the four ways a network fails it. The Backbone's own data tells how often it was done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.backbone.errors import BackboneUnavailable
from enmeshed_connector.core.errors import DomainError, OutcomeUnknown
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import FILES, PENDING_OPERATIONS, SETTINGS, UNPUSHED_MODIFICATIONS
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.relationship_operations import (
    ACCEPT,
    ACCEPT_REACTIVATION,
    REJECT,
    REJECT_REACTIVATION,
    REQUEST_REACTIVATION,
    REVOKE,
    REVOKE_REACTIVATION,
    TERMINATE,
    Step,
)
from enmeshed_connector.transport.sync_modes import SyncMode
from enmeshed_connector.transport.work import Work
from tests.support.network import Network, Party, reference_to

TICKET = Ticket("account/method/key", "digest", "key")
TEMPLATE = {"@type": "ArbitraryRelationshipTemplateContent", "value": {}}
CREATION = {"@type": "ArbitraryRelationshipCreationContent", "value": {}}


@dataclass
class World:
    """An account, its peer, and what the request under test is about."""

    network: Network
    anna: Party
    bert: Party
    facts: dict[str, str] = field(default_factory=dict)

    def count(self, sql: str, *parameters: Any) -> int:
        """Returns how many rows of the Backbone's data a query finds."""
        return len(self.network.rows(sql, *parameters))


@dataclass(frozen=True)
class Row:
    """One kind of request."""

    name: str
    call: str
    """Its call to the Backbone."""
    act: Callable[[World, TransportAccount], Awaitable[dict[str, Any]]]
    times: Callable[[World], int]
    """How often the Backbone has done it."""
    prepare: Callable[[World], Awaitable[object]] | None = None
    stored: str = "Relationships"
    """Where the result is stored."""
    is_found: bool = True
    """Whether the Backbone can be asked what became of it."""
    is_repeatable: bool = False
    """Whether a second time does no harm."""

    def __str__(self) -> str:
        return self.name


# What each kind of request needs, does and leaves.


async def _befriended(world: World) -> None:
    world.facts["relationship"] = await world.network.befriend(world.anna, world.bert)
    await world.anna.account.sync.sync()


async def _terminated(world: World) -> None:
    await _befriended(world)
    await world.anna.account.relationships.take(TERMINATE, world.facts["relationship"])
    await world.bert.account.sync.sync()


async def _reactivation_asked_by(world: World, asking: Party, hearing: Party) -> None:
    await _terminated(world)
    await asking.account.relationships.take(REQUEST_REACTIVATION, world.facts["relationship"])
    await hearing.account.sync.sync()


async def _offered(world: World, templator: Party, requestor: Party) -> str:
    expires_at = world.network.clock.now() + timedelta(days=1)
    template = await templator.account.templates.create(TEMPLATE, expires_at=expires_at)
    await requestor.account.templates.load(reference_to(template))
    return str(template["id"])


async def _loaded(world: World) -> None:
    world.facts["template"] = await _offered(world, world.bert, world.anna)


async def _asked(world: World, templator: Party, requestor: Party) -> None:
    template = await _offered(world, templator, requestor)
    relationship = await requestor.account.relationships.create(template, CREATION)
    world.facts["relationship"] = relationship["id"]
    await templator.account.sync.sync()


async def _send(world: World, account: TransportAccount) -> dict[str, Any]:
    return await account.messages.send([world.bert.address], {"@type": "Text", "text": "hello"}, ticket=TICKET)


async def _upload(world: World, account: TransportAccount) -> dict[str, Any]:
    expires_at = world.network.clock.now() + timedelta(days=1)
    return await account.files.upload(
        b"content", filename="a.txt", mimetype="text/plain", expires_at=expires_at, ticket=TICKET
    )


async def _create_template(world: World, account: TransportAccount) -> dict[str, Any]:
    expires_at = world.network.clock.now() + timedelta(days=1)
    return await account.templates.create(TEMPLATE, expires_at=expires_at, ticket=TICKET)


async def _create_token(world: World, account: TransportAccount) -> dict[str, Any]:
    expires_at = world.network.clock.now() + timedelta(days=1)
    return await account.tokens.create({"@type": "Text"}, expires_at=expires_at, ticket=TICKET)


async def _ask(world: World, account: TransportAccount) -> dict[str, Any]:
    return await account.relationships.create(world.facts["template"], CREATION, ticket=TICKET)


async def _decompose(world: World, account: TransportAccount) -> dict[str, Any]:
    await account.relationships.decompose(world.facts["relationship"], ticket=TICKET)
    return {"id": world.facts["relationship"]}


def _times_decomposed(world: World) -> int:
    return world.count(
        "SELECT 1 FROM relationship_audit WHERE relationship_id = ? AND reason = 'Decomposition'",
        world.facts["relationship"],
    )


def _step(step: Step, call: str, prepare: Callable[[World], Awaitable[object]]) -> Row:
    async def act(world: World, account: TransportAccount) -> dict[str, Any]:
        return await account.relationships.take(step, world.facts["relationship"], ticket=TICKET)

    def times(world: World) -> int:
        return world.count(
            "SELECT 1 FROM relationship_audit WHERE relationship_id = ? AND reason = ? AND created_by = ?",
            world.facts["relationship"],
            step.reason.value,
            world.anna.address,
        )

    return Row(step.name, f"relationships.{call}", act, times, prepare)


ROWS = [
    Row(
        "message",
        "messages.send",
        _send,
        lambda world: world.count("SELECT 1 FROM messages WHERE created_by = ?", world.anna.address),
        _befriended,
        stored="Messages",
    ),
    Row("file", "files.upload", _upload, lambda world: world.count("SELECT 1 FROM files"), stored="Files"),
    Row(
        "relationship",
        "relationships.create",
        _ask,
        lambda world: world.count("SELECT 1 FROM relationships"),
        _loaded,
        is_found=False,
    ),
    Row(
        "template",
        "templates.create",
        _create_template,
        lambda world: world.count("SELECT 1 FROM templates"),
        stored="Templates",
        is_repeatable=True,
    ),
    Row(
        "token",
        "tokens.create",
        _create_token,
        lambda world: world.count("SELECT 1 FROM tokens"),
        stored="Tokens",
        is_repeatable=True,
    ),
    _step(ACCEPT, "accept", lambda world: _asked(world, world.anna, world.bert)),
    _step(REJECT, "reject", lambda world: _asked(world, world.anna, world.bert)),
    _step(REVOKE, "revoke", lambda world: _asked(world, world.bert, world.anna)),
    _step(TERMINATE, "terminate", _befriended),
    _step(REQUEST_REACTIVATION, "reactivate", _terminated),
    _step(
        ACCEPT_REACTIVATION, "reactivate_accept", lambda world: _reactivation_asked_by(world, world.bert, world.anna)
    ),
    _step(
        REJECT_REACTIVATION, "reactivate_reject", lambda world: _reactivation_asked_by(world, world.bert, world.anna)
    ),
    _step(
        REVOKE_REACTIVATION, "reactivate_revoke", lambda world: _reactivation_asked_by(world, world.anna, world.bert)
    ),
    Row("decomposition", "relationships.decompose", _decompose, _times_decomposed, _terminated),
]
RESOLVABLE = [row for row in ROWS if row.is_found and not row.is_repeatable]
AFTER_SETTLING = timedelta(minutes=3)


async def world_for(network: Network, row: Row) -> World:
    world = World(network, await network.account("anna"), await network.account("bert"))
    if row.prepare is not None:
        await row.prepare(world)
    world.anna.faults.calls.clear()
    return world


async def check(world: World, row: Row, result: dict[str, Any], anna: Party) -> None:
    assert row.times(world) == 1
    if row.name == "decomposition":
        assert await anna.store.find("Relationships") == []
    else:
        stored = await anna.store.get(row.stored, result["id"])
        assert stored is not None
        about = [event for event in await anna.events() if event.get("data", {}).get("id") == result["id"]]
        states = [(event["type"], len(event["data"].get("auditLog", ()))) for event in about]
        assert len(set(states)) == len(states), "an event was published twice"
    assert await anna.store.count(PENDING_OPERATIONS) == 0
    record = await anna.store.idempotency(TICKET.key)
    assert record is not None
    assert record.state == "done"


@pytest.mark.parametrize("row", RESOLVABLE, ids=str)
async def test_a_lost_answer_is_found_at_the_backbone(network: Network, row: Row) -> None:
    world = await world_for(network, row)
    world.anna.faults.lose_answer(row.call)

    first = await row.act(world, world.anna.account)
    again = await row.act(world, world.anna.account)

    assert first == again
    assert world.anna.faults.count(row.call) == 1
    await check(world, row, first, world.anna)


@pytest.mark.parametrize("restarts", [False, True], ids=["same process", "after a restart"])
@pytest.mark.parametrize("row", RESOLVABLE, ids=str)
async def test_a_repeat_learns_what_nobody_could_be_asked_about(network: Network, row: Row, restarts: bool) -> None:
    world = await world_for(network, row)
    world.anna.faults.lose_answer(row.call)
    world.anna.faults.cut("*", times=100)
    with pytest.raises(OutcomeUnknown) as failure:
        await row.act(world, world.anna.account)
    assert failure.value.facts["idempotencyKey"] == "key"
    world.anna.faults.clear()
    anna = await network.reopen(world.anna) if restarts else world.anna

    result = await row.act(world, anna.account)

    calls = world.anna.faults.calls + (anna.faults.calls if restarts else [])
    assert calls.count(row.call) == 1
    await check(world, row, result, anna)


@pytest.mark.parametrize("row", RESOLVABLE, ids=str)
async def test_what_never_arrived_is_sent_once_when_that_is_certain(network: Network, row: Row) -> None:
    world = await world_for(network, row)
    world.anna.faults.drop(row.call)
    with pytest.raises(OutcomeUnknown):
        await row.act(world, world.anna.account)
    with pytest.raises(OutcomeUnknown):
        # The Backbone may still be at it.
        await row.act(world, world.anna.account)
    assert world.anna.faults.count(row.call) == 1
    network.clock.advance(AFTER_SETTLING)

    result = await row.act(world, world.anna.account)

    assert world.anna.faults.count(row.call) == 2
    await check(world, row, result, world.anna)


@pytest.mark.parametrize("fault", ["lose_answer", "drop"])
@pytest.mark.parametrize("row", [row for row in ROWS if row.is_repeatable], ids=str)
async def test_what_harms_nobody_is_repeated_and_stored_once(network: Network, row: Row, fault: str) -> None:
    world = await world_for(network, row)
    getattr(world.anna.faults, fault)(row.call)
    with pytest.raises(Exception):  # noqa: B017 - which error is the matter of the real client, which repeats by itself
        await row.act(world, world.anna.account)

    first = await row.act(world, world.anna.account)
    again = await row.act(world, world.anna.account)

    assert first == again
    assert await world.anna.store.count(row.stored) == 1
    assert world.anna.faults.count(row.call) == 2
    assert row.times(world) == (2 if fault == "lose_answer" else 1)


@pytest.mark.parametrize("row", [row for row in ROWS if not row.is_repeatable], ids=str)
async def test_repeats_at_once_after_a_failure_are_carried_out_once(network: Network, row: Row) -> None:
    world = await world_for(network, row)
    world.anna.faults.cut(row.call)
    with pytest.raises(BackboneUnavailable):
        await row.act(world, world.anna.account)
    # Another process of the account, which shares no memory with the first one.
    other = (await network.reopen(world.anna)).account

    results = await asyncio.gather(
        *(row.act(world, account) for account in (world.anna.account, other, other)), return_exceptions=True
    )

    assert row.times(world) == 1
    answers = [result for result in results if not isinstance(result, BaseException)]
    assert answers
    assert all(isinstance(result, DomainError) for result in results if isinstance(result, BaseException))
    await check(world, row, answers[0], world.anna)


async def test_a_relationship_that_cannot_be_asked_about_is_adopted_when_an_event_names_it(network: Network) -> None:
    row = next(row for row in ROWS if not row.is_found)
    world = await world_for(network, row)
    world.anna.faults.lose_answer(row.call)
    for _ in range(2):
        with pytest.raises(OutcomeUnknown):
            await row.act(world, world.anna.account)
    network.clock.advance(AFTER_SETTLING)
    with pytest.raises(OutcomeUnknown):
        # Never again on its own: a second request could not be told from the first one.
        await row.act(world, world.anna.account)
    [made] = network.rows("SELECT id FROM relationships")
    await world.bert.account.sync.sync()
    await world.bert.account.relationships.accept(made["id"])

    await world.anna.account.sync.sync()
    result = await row.act(world, world.anna.account)

    assert (result["id"], result["status"]) == (made["id"], "Active")
    assert world.anna.faults.count(row.call) == 1
    await check(world, row, result, world.anna)


@pytest.mark.parametrize("fault", ["lose_answer", "drop"])
@pytest.mark.parametrize("restarts", [False, True], ids=["same process", "after a restart"])
async def test_a_push_to_the_datawallet_is_recognised_by_its_range(
    network: Network, fault: str, restarts: bool
) -> None:
    anna = await network.account("anna", datawallet_enabled=True)
    await anna.account.sync.sync()
    before = len(network.rows("SELECT 1 FROM datawallet_modifications"))

    async def change(work: Work) -> None:
        await work.save(SETTINGS, {"@type": "Setting", "id": "SET1", "key": "k", "scope": "Identity", "value": {}})

    await anna.account.context.commits.run(change)
    getattr(anna.faults, fault)("datawallet.push")
    if restarts:
        # Nor can it pull what would tell.
        anna.faults.pass_by("datawallet.modifications")
        anna.faults.cut("datawallet.modifications", times=10)
        with pytest.raises(Exception):  # noqa: B017 - the Backbone is away
            await anna.account.sync.sync(SyncMode.DATAWALLET)
        anna = await network.reopen(anna)

    await anna.account.sync.sync(SyncMode.DATAWALLET)
    await anna.account.sync.sync(SyncMode.DATAWALLET)

    pushed = network.rows("SELECT object_identifier FROM datawallet_modifications ORDER BY idx")[before:]
    assert {row["object_identifier"] for row in pushed} == {"SET1"}
    categories = network.rows("SELECT payload_category FROM datawallet_modifications WHERE object_identifier = 'SET1'")
    assert len({row["payload_category"] for row in categories}) == len(categories)
    assert await anna.store.count(UNPUSHED_MODIFICATIONS) == 0


@pytest.mark.parametrize("fault", ["lose_answer", "drop"])
async def test_an_ownership_token_whose_answer_was_lost_is_made_anew(network: Network, fault: str) -> None:
    world = World(network, await network.account("anna"), await network.account("bert"))
    file = await _upload(world, world.anna.account)
    reference = world.anna.account.files.reference_of(file)
    await world.bert.account.files.load(reference)
    getattr(world.bert.faults, fault)("files.claim_ownership")
    with pytest.raises(Exception):  # noqa: B017 - the answer is lost
        await world.bert.account.files.claim_ownership(file["id"], file["ownershipToken"])

    claimed = await world.bert.account.files.claim_ownership(file["id"], file["ownershipToken"])

    [row] = network.rows("SELECT owner, ownership_token, ownership_is_locked FROM files")
    assert (row["owner"], row["ownership_token"]) == (world.bert.address, claimed["ownershipToken"])
    assert not row["ownership_is_locked"]
    stored = await world.bert.store.get(FILES, file["id"])
    assert stored is not None
    assert stored["ownershipToken"] == claimed["ownershipToken"]
