from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.consumption import deliveries
from enmeshed_connector.consumption.account import ConsumptionAccount, ConsumptionSettings
from enmeshed_connector.consumption.deliveries import DELIVERIES, Delivery
from enmeshed_connector.consumption.schema import CONSUMPTION_COLLECTIONS
from enmeshed_connector.storage import LeaseLost
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import TRANSPORT_COLLECTIONS, Document, SynchronizedCollections
from enmeshed_connector.transport.work import Work
from tests.support.api_server import ManualClock
from tests.support.consumption import Holder, holder
from tests.support.crash import Crash, CrashingGateway, CrashingStore, ProcessDied
from tests.support.network import Network, befriend, reference_to

DAY = timedelta(days=1)
_LAST = 17
"""One more than the steps that a delivery takes."""


def text(words: str) -> dict[str, Any]:
    return {"@type": "ArbitraryMessageContent", "value": {"words": words}}


def to(peer: Holder, words: str = "hello", identifier: str | None = None) -> Delivery:
    return Delivery.message(id=identifier or f"test:{words}", peer=peer.address, content=text(words))


async def enqueue(account: Holder, *queued: Delivery) -> None:
    async def change(work: Work) -> None:
        for delivery in queued:
            await account.consumption.deliveries.enqueue(delivery, work)
        # Whoever enqueues tells of something: that wakes the one who sends.
        work.publish("test.enqueued")

    await account.run(change)


async def got(peer: Holder) -> list[str]:
    """What has arrived, in the order in which it was sent."""
    await peer.transport.sync.sync()
    messages = await peer.transport.messages.find({"isOwn": False}, sort=["createdAt"])
    return [message["content"]["value"]["words"] for message in messages]


async def left(account: Holder) -> list[Document]:
    return await account.all(DELIVERIES)


async def send_due(account: Holder) -> None:
    while await account.consumption.deliveries.send_due():
        pass


@asynccontextmanager
async def at_work(account: Holder) -> AsyncIterator[None]:
    task = asyncio.create_task(account.consumption.deliveries.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def until_empty(account: Holder) -> None:
    async with asyncio.timeout(60):
        while await left(account):
            await asyncio.sleep(0.01)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> ManualClock:
    """A clock that stands still, so that nothing is looked at because time has passed."""
    monkeypatch.setattr(deliveries, "_LOOK_EVERY", timedelta(hours=1))
    return ManualClock()


async def test_what_is_enqueued_is_sent_and_gone(
    network: Network, alice: Holder, bob: Holder, stopped: ManualClock
) -> None:
    working = await holder(network, "alice", clock=stopped)
    await enqueue(working, to(bob, "before"))
    async with at_work(working):
        await until_empty(working)
        await stopped.until_sleeping(1)
        await enqueue(working, to(bob, "later"))
        await until_empty(working)

    assert await got(bob) == ["before", "later"]


async def test_who_is_woken_needs_no_event(network: Network, alice: Holder, bob: Holder, stopped: ManualClock) -> None:
    working = await holder(network, "alice", clock=stopped)
    worker = working.consumption.deliveries
    async with at_work(working):
        await stopped.until_sleeping(1)
        await working.run(lambda work: worker.enqueue(to(bob, "silent"), work))
        worker.wake()
        await until_empty(working)

    assert await got(bob) == ["silent"]


async def test_a_silent_commit_that_wakes_nobody_is_found_in_time(
    network: Network, alice: Holder, bob: Holder, stopped: ManualClock
) -> None:
    working = await holder(network, "alice", clock=stopped)
    async with at_work(working):
        await stopped.until_sleeping(1)
        await working.run(lambda work: working.consumption.deliveries.enqueue(to(bob, "silent"), work))
        stopped.advance(timedelta(hours=1).total_seconds())
        await until_empty(working)

    assert await got(bob) == ["silent"]


async def test_a_commit_that_fails_sends_nothing(alice: Holder, bob: Holder) -> None:
    async def change(work: Work) -> None:
        await alice.consumption.deliveries.enqueue(to(bob), work)
        raise LeaseLost("not any more")

    with pytest.raises(LeaseLost):
        await alice.run(change)
    await send_due(alice)

    assert await left(alice) == []
    assert await got(bob) == []


async def test_a_relationship_is_asked_for(network: Network, alice: Holder) -> None:
    carol = await holder(network, "carol")
    template = await alice.transport.templates.create(
        {"@type": "ArbitraryRelationshipTemplateContent", "value": {}},
        expires_at=alice.transport.context.clock.now() + DAY,
    )
    await carol.transport.templates.load(reference_to(template))
    content = {"@type": "ArbitraryRelationshipCreationContent", "value": {}}
    delivery = Delivery.relationship(
        id="test:1", peer=alice.address, template_id=template["id"], creation_content=content
    )

    await enqueue(carol, delivery)
    await send_due(carol)

    (relationship,) = await carol.transport.relationships.find()
    assert (relationship["status"], relationship["creationContent"]) == ("Pending", content)
    assert await left(carol) == []


async def test_a_passing_failure_is_repeated_later_and_noted_meanwhile(
    network: Network, alice: Holder, bob: Holder
) -> None:
    alice.faults.cut("messages.send", times=2)
    await enqueue(alice, to(bob))
    await send_due(alice)

    (noted,) = await left(alice)
    assert (noted["attempts"], noted["lastErrorReason"]) == (1, "BACKBONE_UNAVAILABLE")
    assert noted["nextAttemptAt"] > noted.get("createdAt", "")
    await send_due(alice)
    assert alice.faults.count("messages.send") == 1
    network.clock.advance(timedelta(minutes=1))
    await send_due(alice)
    (noted,) = await left(alice)
    assert noted["attempts"] == 2
    network.clock.advance(timedelta(minutes=1))
    await send_due(alice)

    assert await left(alice) == []
    assert await got(bob) == ["hello"]


async def test_what_is_put_off_can_be_tried_at_once_and_keeps_its_place(
    network: Network, alice: Holder, bob: Holder
) -> None:
    worker = alice.consumption.deliveries
    alice.faults.cut("messages.send")
    await enqueue(alice, to(bob, "1"))
    # It is due, and nobody needs to be asked to try it.
    assert not await alice.run(lambda work: worker.revive("test:1", work))
    await send_due(alice)
    await enqueue(alice, to(bob, "2"))
    await send_due(alice)
    assert await got(bob) == []

    assert await alice.run(lambda work: worker.revive("test:1", work))
    await send_due(alice)

    assert await got(bob) == ["1", "2"]
    assert not await alice.run(lambda work: worker.revive("test:1", work))


async def test_what_was_refused_can_be_tried_at_once_and_counts_anew(network: Network, alice: Holder) -> None:
    later = await holder(network, "later")
    worker = alice.consumption.deliveries
    await enqueue(alice, to(later))
    for _ in range(2):
        await send_due(alice)
        assert await alice.run(lambda work: worker.revive("test:hello", work))
    await send_due(alice)
    (noted,) = await left(alice)
    assert (noted["attempts"], noted["refusals"]) == (3, 1)
    await befriend(alice.transport, later.transport)
    assert await alice.run(lambda work: worker.revive("test:hello", work))
    await send_due(alice)

    assert await got(later) == ["hello"]


async def test_a_lost_answer_is_found_and_never_sent_again(network: Network, alice: Holder, bob: Holder) -> None:
    alice.faults.lose_answer("messages.send")
    alice.faults.cut("messages.list")
    await enqueue(alice, to(bob))
    await send_due(alice)
    (noted,) = await left(alice)
    assert noted["lastErrorReason"] == "OUTCOME_UNKNOWN"
    network.clock.advance(timedelta(minutes=1))
    await send_due(alice)

    assert await left(alice) == []
    assert await got(bob) == ["hello"]


async def test_what_follows_to_the_same_peer_waits_and_others_do_not(
    network: Network, alice: Holder, bob: Holder
) -> None:
    carol = await holder(network, "carol")
    await befriend(alice.transport, carol.transport)
    alice.faults.cut("messages.send")
    await enqueue(alice, to(bob, "1"))
    await send_due(alice)
    await enqueue(alice, to(bob, "2"))
    await enqueue(alice, to(carol, "to carol"))
    await send_due(alice)

    assert (await got(bob), await got(carol)) == ([], ["to carol"])
    network.clock.advance(timedelta(minutes=1))
    await send_due(alice)
    assert await got(bob) == ["1", "2"]


async def test_what_is_refused_holds_nothing_up_and_is_given_up_in_the_end(
    network: Network, alice: Holder, bob: Holder
) -> None:
    stranger = await holder(network, "stranger")
    given_up: list[str] = []

    async def hear(delivery: Document, work: Work) -> None:
        given_up.append(delivery["id"])
        work.publish("test.givenUp", {"id": delivery["id"]})

    alice.consumption.deliveries.when_given_up("test:", hear)
    await enqueue(alice, to(stranger, "1"), to(bob, "2"))
    for _ in range(20):
        await send_due(alice)
        network.clock.advance(DAY)

    assert await got(bob) == ["2"]
    (noted,) = await left(alice)
    assert "nextAttemptAt" not in noted
    assert (noted["attempts"], noted["lastErrorReason"]) == (6, "RELATIONSHIP_NOT_ACTIVE")
    assert given_up == ["test:1"]
    assert len(await alice.events(types="test.givenUp")) == 1


async def test_what_was_refused_is_sent_when_that_has_changed(network: Network, alice: Holder) -> None:
    later = await holder(network, "later")
    await enqueue(alice, to(later))
    await send_due(alice)
    assert len(await left(alice)) == 1
    await befriend(alice.transport, later.transport)
    network.clock.advance(DAY)
    await send_due(alice)

    assert await got(later) == ["hello"]


async def test_a_fault_of_ours_keeps_nobody_else_waiting(alice: Holder, bob: Holder) -> None:
    broken = Delivery.message(id="test:broken", peer=bob.address, content={"@type": "Broken", "text": "\ud800"})
    await enqueue(alice, broken, to(bob))
    await send_due(alice)

    assert "hello" in [
        message["content"].get("value", {}).get("words")
        for message in await alice.transport.messages.find({"isOwn": True})
    ]


async def test_what_is_not_sent_goes_with_the_relationship(alice: Holder, bob: Holder) -> None:
    alice.faults.cut("messages.send")
    await enqueue(alice, to(bob))
    await send_due(alice)
    relationship = await alice.transport.relationships.with_peer(bob.address)
    assert relationship is not None

    await alice.run(lambda work: alice.transport.listeners.relationship_decomposed(relationship, work))

    assert await left(alice) == []


@pytest.mark.parametrize("step", range(1, _LAST + 1))
async def test_a_process_that_dies_at_any_step_sends_exactly_once(tmp_path: Path, step: int) -> None:
    async with Network(tmp_path) as network:
        alice, bob = await holder(network, "alice"), await holder(network, "bob")
        await befriend(alice.transport, bob.transport)
        await enqueue(alice, to(bob))
        crash = Crash(None)
        environment = await network.environment("alice")
        transport = await open_account(
            replace(
                environment,
                collections=SynchronizedCollections(TRANSPORT_COLLECTIONS, CONSUMPTION_COLLECTIONS),
                store=CrashingStore(environment.store, crash),
                gateway=CrashingGateway(environment.gateway, crash),
            )
        )
        await transport.start()
        dying = ConsumptionAccount(transport, ConsumptionSettings())
        crash.die_after(step)
        died = False
        try:
            await dying.deliveries.send_due()
        except BaseExceptionGroup as group:
            died = group.subgroup(ProcessDied) is not None
        except ProcessDied:
            died = True
        # The last one lives to the end, so that no step is left out.
        assert died == (step < _LAST)
        again = await holder(network, "alice")
        for _ in range(4):
            await send_due(again)
            network.clock.advance(timedelta(minutes=10))

        assert await left(again) == []
        assert await got(bob) == ["hello"]
