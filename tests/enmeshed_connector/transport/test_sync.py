from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from enmeshed_connector.backbone.endpoints.messages import Messages, NewMessage, NewMessageRecipient
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.storage import LeaseLost
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.errors import NotTheWorker, RecordMissing, SyncRunningElsewhere
from enmeshed_connector.transport.external_events import ExternalEvent, ExternalEventProcessor
from enmeshed_connector.transport.work import Work
from tests.support.network import Network, Party


async def pair(network: Network) -> tuple[Party, Party]:
    anna, bert = await network.account("anna"), await network.account("bert")
    await network.befriend(anna, bert)
    for party in (anna, bert):
        await party.account.sync.sync()
        party.faults.calls.clear()
    return anna, bert


async def send(sender: Party, receiver: Party, text: str) -> str:
    message = await sender.account.messages.send([receiver.address], {"@type": "Text", "text": text})
    return str(message["id"])


async def send_garbage(sender: Party, receiver: Party, body: bytes = b"garbage") -> str:
    recipient = NewMessageRecipient(Address(receiver.address), b"x" * 40)
    return (await Messages(sender.account.context.backbone).send(NewMessage(body, [recipient]))).id


async def received(party: Party) -> list[str]:
    found = await party.store.find("Messages", {"isOwn": False}, sort=["createdAt"])
    return [message["content"]["text"] for message in found]


async def told(party: Party) -> list[str]:
    return [event["data"]["content"]["text"] for event in await party.events("transport.messageReceived")]


def errors(network: Network) -> list[str]:
    return [row["error_code"] for row in network.rows("SELECT error_code FROM sync_errors ORDER BY created_at")]


def unsynced(network: Network, party: Party) -> int:
    found = network.rows("SELECT id FROM external_events WHERE owner = ? AND is_synced = 0", party.address)
    return len(found)


async def test_waiting_messages_are_stored_once_in_order_with_their_events(network: Network) -> None:
    anna, bert = await pair(network)
    texts = [f"message {number}" for number in range(15)]
    ids = [await send(bert, anna, text) for text in texts]

    result = await anna.account.sync.sync()

    assert list(result.changed["Messages"]) == ids
    assert await received(anna) == await told(anna) == texts
    assert {event["origin"] for event in await anna.events("transport.messageReceived")} == {"EXTERNAL"}
    assert errors(network) == []
    assert unsynced(network, anna) == 0


async def test_a_sync_without_news_finds_nothing(network: Network) -> None:
    anna, _ = await pair(network)

    result = await anna.account.sync.sync()

    assert (dict(result.changed), result.failed_events) == ({}, ())
    assert anna.faults.calls == ["sync_runs.start"]
    assert (await anna.account.sync.times()).everything is not None


@pytest.mark.parametrize("fault", ["cut", "drop", "lose_answer"])
@pytest.mark.parametrize("place", range(6))
async def test_an_interrupted_sync_is_resumed_after_a_restart_and_repeats_nothing(
    network: Network, fault: str, place: int
) -> None:
    anna, bert = await pair(network)
    texts = [f"message {number}" for number in range(3)]
    for text in texts:
        await send(bert, anna, text)
    anna.faults.pass_by("*", times=place)
    getattr(anna.faults, fault)("*")
    try:
        await anna.account.sync.sync()
    except DomainError:
        network.backbone.services.clock.advance(timedelta(minutes=1))
        anna = await network.reopen(anna)
        await anna.account.sync.sync()

    assert await received(anna) == await told(anna) == texts
    assert unsynced(network, anna) == 0
    lost_start = fault == "lose_answer" and place == 0
    assert set(errors(network)) == ({"syncRunCanceled"} if lost_start else set())


async def test_a_run_is_resumed_even_when_it_has_expired(network: Network) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "hello")
    anna.faults.cut("sync_runs.finalise")
    with pytest.raises(DomainError):
        await anna.account.sync.sync()
    network.backbone.services.clock.advance(timedelta(hours=1))

    anna = await network.reopen(anna)
    await anna.account.sync.sync()

    assert anna.faults.count("sync_runs.start") == 0
    assert errors(network) == []
    assert await told(anna) == ["hello"]


async def test_a_run_that_another_device_took_over_is_left_and_repeats_nothing(network: Network) -> None:
    anna = await network.account("anna", datawallet_enabled=True)
    bert = await network.account("bert")
    await network.befriend(anna, bert)
    device = await anna.account.devices.create()
    await anna.account.sync.sync()
    secret = await anna.account.devices.shared_secret(device["id"])
    second = await network.account("anna2", secret=secret, datawallet_enabled=True)
    await second.account.sync.sync()
    await anna.account.sync.sync()
    await send(bert, anna, "hello")
    anna.faults.cut("sync_runs.finalise")
    with pytest.raises(DomainError):
        await anna.account.sync.sync()
    with pytest.raises(SyncRunningElsewhere):
        await second.account.sync.sync()
    network.backbone.services.clock.advance(timedelta(minutes=1))
    await second.account.sync.sync()

    await anna.account.sync.sync()
    await second.account.sync.sync()

    for party in (anna, second):
        assert await received(party) == await told(party) == ["hello"]
    assert unsynced(network, anna) == 0


async def test_a_backbone_that_is_away_burns_no_event(network: Network) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "hello")
    for _ in range(4):
        anna.faults.clear()
        anna.faults.cut("messages.list")
        anna.faults.cut("messages.get")
        with pytest.raises(DomainError):
            await anna.account.sync.sync()
    anna.faults.clear()

    await anna.account.sync.sync()

    assert errors(network) == []
    assert await told(anna) == ["hello"]


async def test_a_poisoned_message_is_set_aside_and_blocks_nothing(network: Network) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "before")
    poisoned = await send_garbage(bert, anna)
    await send(bert, anna, "after")

    result = await anna.account.sync.sync()

    assert await told(anna) == ["before", "after"]
    failed, _ = await anna.account.sync.failed_events.list()
    assert [event.event.payload for event in failed] == [{"id": poisoned}]
    assert result.failed_events == (failed[0].event.id,)
    assert len(await anna.events("connector.externalEventFailed")) >= 1
    assert len(errors(network)) >= 1


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b'{"cph":"","alg":3,"nnc":""}', b'{"a":' * 5000, b"[" * 5000, b"x" * 1024 * 1024]
)
async def test_no_nonsense_blocks_the_messages_behind_it(network: Network, body: bytes) -> None:
    anna, bert = await pair(network)
    await send_garbage(bert, anna, body)
    await send(bert, anna, "after")

    await anna.account.sync.sync()

    assert await told(anna) == ["after"]


async def test_a_poisoned_event_is_reported_until_the_backbone_gives_up_and_can_be_retried(network: Network) -> None:
    anna, bert = await pair(network)
    await send_garbage(bert, anna)
    for _ in range(4):
        await anna.account.sync.sync()

    [failed], _ = await anna.account.sync.failed_events.list()
    assert failed.failures == 3
    assert len(errors(network)) == 3
    with pytest.raises(DomainError):
        await anna.account.sync.failed_events.retry(failed.event.id)
    with pytest.raises(RecordMissing):
        await anna.account.sync.failed_events.retry("SYIunknown")


async def test_an_event_of_an_unknown_type_is_reported_as_unknown(network: Network) -> None:
    anna, bert = await pair(network)
    await _add_event(network, anna, "SomethingNew")
    await send(bert, anna, "after")

    await anna.account.sync.sync()

    assert await told(anna) == ["after"]
    assert set(errors(network)) == {"error.transport.unknown"}


class _Counting(ExternalEventProcessor):
    type = "SomethingNew"

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.fails = True

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        self.seen.append(event.id)
        if self.fails:
            raise RuntimeError("a bug of ours")


async def test_a_bug_in_a_processor_does_not_block_the_account_and_a_retry_makes_it_good(network: Network) -> None:
    anna, bert = await pair(network)
    processor = _Counting()
    anna.account.processors.register(processor)
    await _add_event(network, anna, "SomethingNew")
    await send(bert, anna, "after")

    await anna.account.sync.sync()
    processor.fails = False
    [failed], _ = await anna.account.sync.failed_events.list()
    await anna.account.sync.failed_events.retry(failed.event.id)

    assert await told(anna) == ["after"]
    assert (await anna.account.sync.failed_events.list())[0] == []


async def test_an_event_that_works_at_the_second_delivery_is_not_failed_any_more(network: Network) -> None:
    anna, _ = await pair(network)
    processor = _Counting()
    anna.account.processors.register(processor)
    await _add_event(network, anna, "SomethingNew")

    await anna.account.sync.sync()
    processor.fails = False
    await anna.account.sync.sync()

    assert (await anna.account.sync.failed_events.list())[0] == []
    assert unsynced(network, anna) == 0


async def test_a_run_is_kept_alive_while_its_events_are_processed(network: Network) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "hello")

    async def wait_for_refreshes() -> None:
        while anna.faults.count("sync_runs.refresh_expiration") < 2:
            await asyncio.sleep(0)

    anna.faults.do("messages.list", wait_for_refreshes)
    anna.faults.do("messages.get", wait_for_refreshes)

    await anna.account.sync.sync()

    assert await told(anna) == ["hello"]


async def test_calls_at_the_same_time_share_one_sync(network: Network) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "hello")

    results = await asyncio.gather(*(anna.account.sync.sync() for _ in range(5)))

    assert all(result == results[0] for result in results)
    assert anna.faults.count("sync_runs.finalise") == 1
    assert await told(anna) == ["hello"]


class _HeldStore:
    """A store whose commits wait while they are held."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.is_open = asyncio.Event()
        self.is_open.set()
        self.waits = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def transact(self, work: Any, **options: Any) -> Any:
        self.waits.set()
        await self.is_open.wait()
        return await self._store.transact(work, **options)


async def test_a_call_after_the_last_fetch_of_a_sync_gets_what_came_meanwhile(network: Network) -> None:
    anna, bert = await pair(network)
    environment = await network.environment("anna")
    store = _HeldStore(environment.store)
    account = await open_account(replace(environment, store=store))
    store.is_open.clear()
    store.waits.clear()
    first = asyncio.create_task(account.sync.sync())
    # Nothing was there; that this sync is over is all that is left to be stored.
    await store.waits.wait()
    await send(bert, anna, "late")

    second = asyncio.create_task(account.sync.sync())
    await asyncio.sleep(0)
    store.is_open.set()
    await asyncio.gather(first, second)

    assert await told(anna) == ["late"]


async def test_syncs_that_are_cancelled_together_all_end(network: Network) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "hello")
    asked, before = asyncio.Event(), anna.faults.count("sync_runs.start")

    async def hold() -> None:
        asked.set()
        await asyncio.Event().wait()

    anna.faults.do("sync_runs.start", hold)
    runs = [asyncio.create_task(anna.account.sync.sync()) for _ in range(3)]
    await asked.wait()
    for run in runs:
        run.cancel()
    _, going_on = await asyncio.wait(runs, timeout=20)
    assert not going_on and all(run.cancelled() for run in runs)
    assert anna.faults.count("sync_runs.start") == before + 1


async def test_a_cancelled_sync_does_not_take_the_others_with_it(network: Network) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "hello")
    leader: asyncio.Task[Any] = asyncio.create_task(anna.account.sync.sync())
    anna.faults.do("sync_runs.external_events", lambda: leader.cancel())
    await asyncio.sleep(0)
    joiner = asyncio.create_task(anna.account.sync.sync())

    await joiner

    with pytest.raises(asyncio.CancelledError):
        await leader
    assert await told(anna) == ["hello"]
    assert unsynced(network, anna) == 0


async def test_a_call_that_joins_gets_what_was_there_when_it_was_made(network: Network) -> None:
    anna, bert = await pair(network)
    joined: list[asyncio.Task[Any]] = []

    async def send_and_join() -> None:
        # The run that is being started does not see this message any more: it has its answer already.
        await send(bert, anna, "hello")
        joined.append(asyncio.create_task(anna.account.sync.sync()))
        await asyncio.sleep(0)

    anna.faults.do_after("sync_runs.start", send_and_join)
    await anna.account.sync.sync()
    await joined[0]
    assert await told(anna) == ["hello"]


async def test_events_that_arrive_meanwhile_are_fetched_in_the_same_sync(network: Network) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "first")

    async def one_more() -> None:
        await send(bert, anna, "second")

    anna.faults.do("sync_runs.finalise", one_more)

    await anna.account.sync.sync()

    assert await told(anna) == ["first", "second"]


async def _add_event(network: Network, party: Party, event_type: str) -> None:
    def insert(transaction: Any) -> None:
        index = transaction.value("SELECT next FROM event_counters WHERE owner = ?", party.address) or 0
        transaction.insert(
            "external_events",
            id=f"SYI{index:017}",
            owner=party.address,
            idx=index,
            type=event_type,
            created_at=network.backbone.services.clock.now_ms(),
            payload="{}",
        )
        transaction.run("UPDATE event_counters SET next = next + 1 WHERE owner = ?", party.address)

    await network.backbone.services.store.write(insert)


async def test_a_process_that_lost_its_lease_changes_nothing_more(network: Network) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "hello")
    lease = await anna.store.try_lease("worker", "one")
    assert lease is not None
    anna.account.sync.begin_work(lease)

    async def somebody_takes_over() -> None:
        await anna.store.release_lease(lease)
        await anna.store.try_lease("worker", "two")

    anna.faults.do("sync_runs.external_events", somebody_takes_over)
    with pytest.raises(LeaseLost):
        await anna.account.sync.sync()

    assert await received(anna) == []
    assert errors(network) == []
    assert (await anna.account.sync.failed_events.list())[0] == []


async def test_a_process_that_is_not_the_worker_does_not_sync(network: Network) -> None:
    anna, _ = await pair(network)
    anna.account.sync.end_work()

    with pytest.raises(NotTheWorker):
        await anna.account.sync.sync()

    assert anna.faults.calls == []
