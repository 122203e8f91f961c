"""Accounts that are kept going: opening, syncing on request from any replica, taking over, stopping."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.runtime import pacing
from enmeshed_connector.runtime.account_runtime import AccountFailed, AccountRuntime, AccountStarting, AccountState
from enmeshed_connector.runtime.pacing import Backoff
from enmeshed_connector.runtime.settings import RuntimeSettings
from enmeshed_connector.runtime.synchronisation import NoWorker
from enmeshed_connector.storage import LeaseLost, StorageUnavailable
from tests.support.network import Network, Party

MAIL = {"@type": "ArbitraryMessageContent", "value": {"hello": "there"}}
QUIET = RuntimeSettings(sync_interval=timedelta(hours=1), listens=False, lease_duration=timedelta(seconds=4))
PATIENCE = timedelta(seconds=60)


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    async with Network(tmp_path) as network:
        yield network


async def runtime_of(network: Network, name: str, settings: RuntimeSettings = QUIET, **options: Any) -> AccountRuntime:
    environment = replace(await network.environment(name, **options), clock=SystemClock())
    return AccountRuntime(environment, settings)


@asynccontextmanager
async def running(runtime: AccountRuntime) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(runtime.run())
    try:
        await runtime.wait_until_ready()
        yield task
    finally:
        task.cancel()
        # Not for ever: a test in which it goes on shall fail, not hang.
        await asyncio.wait({task}, timeout=PATIENCE.total_seconds())


async def until(holds: Any) -> None:
    async with asyncio.timeout(PATIENCE.total_seconds()):
        while not await holds():
            await asyncio.sleep(0.01)


async def is_worker(runtime: AccountRuntime) -> bool:
    return runtime.synchronisation.is_worker


async def friends(network: Network) -> tuple[Party, str]:
    """Makes bob, and an account alice with an active relationship to him; returns bob and alice's address."""
    bob, alice = await network.account("bob"), await network.account("alice")
    await network.befriend(alice, bob)
    return bob, alice.address


async def test_an_account_gets_an_identity_and_keeps_it(network: Network) -> None:
    first = await runtime_of(network, "alice")
    with pytest.raises(AccountStarting):
        _ = first.transport
    async with running(first):
        address = first.use_cases.account.identity()["address"]
    assert first.state is AccountState.CLOSED
    again = await runtime_of(network, "alice")
    async with running(again):
        assert again.use_cases.account.identity()["address"] == address


async def test_replicas_that_start_at_once_share_one_identity(network: Network) -> None:
    replicas = [await runtime_of(network, "alice") for _ in range(3)]
    async with running(replicas[0]), running(replicas[1]), running(replicas[2]):
        addresses = {replica.use_cases.account.identity()["address"] for replica in replicas}
    assert len(addresses) == 1
    assert len(network.rows("SELECT * FROM identities")) == 1


async def test_an_account_that_cannot_be_opened_says_why_and_stops_nobody(network: Network) -> None:
    broken = await runtime_of(network, "broken", allow_identity_creation=False)
    whole = await runtime_of(network, "whole")
    async with running(broken), running(whole):
        assert whole.state is AccountState.READY
        with pytest.raises(AccountFailed):
            _ = broken.transport


async def test_a_backbone_that_is_away_at_the_start_is_waited_for(network: Network) -> None:
    runtime = await runtime_of(network, "alice")
    network.faults["alice"].cut("*", times=2)
    async with running(runtime):
        assert runtime.state is AccountState.READY


async def test_a_sync_returns_what_it_brought(network: Network) -> None:
    bob, alice = await friends(network)
    runtime = await runtime_of(network, "alice")
    async with running(runtime):
        await until(lambda: is_worker(runtime))
        sent = await bob.account.messages.send([alice], MAIL)
        synced = await runtime.use_cases.account.sync(PATIENCE)
        assert [message["id"] for message in synced.messages] == [sent["id"]]
        assert (await runtime.use_cases.account.sync(PATIENCE)).messages == []


async def test_news_are_fetched_when_the_account_is_woken(network: Network) -> None:
    bob, alice = await friends(network)
    runtime = await runtime_of(network, "alice")
    async with running(runtime):
        await until(lambda: is_worker(runtime))
        sent = await bob.account.messages.send([alice], MAIL)
        runtime.synchronisation.wake()

        async def arrived() -> bool:
            return await runtime.store.get("Messages", sent["id"]) is not None

        await until(arrived)


async def test_any_replica_can_be_asked_for_a_sync(network: Network) -> None:
    bob, alice = await friends(network)
    worker, other = await runtime_of(network, "alice"), await runtime_of(network, "alice")
    async with running(worker):
        await until(lambda: is_worker(worker))
        async with running(other):
            sent = await bob.account.messages.send([alice], MAIL)
            await other.synchronisation.sync(timeout=PATIENCE)
            assert await other.store.get("Messages", sent["id"]) is not None
            assert not other.synchronisation.is_worker


async def test_a_sync_that_nobody_serves_ends_in_time(network: Network) -> None:
    await network.account("alice")
    environment = await network.environment("alice")
    lease = await environment.store.try_lease("worker", "somebody else, who does nothing")
    assert lease is not None
    runtime = await runtime_of(network, "alice", replace(QUIET, lease_duration=timedelta(hours=1)))
    async with running(runtime):
        with pytest.raises(NoWorker):
            await runtime.synchronisation.sync(timeout=timedelta(milliseconds=1))


async def test_another_replica_takes_over_when_the_worker_stops(network: Network) -> None:
    bob, alice = await friends(network)
    first, second = await runtime_of(network, "alice"), await runtime_of(network, "alice")
    async with running(second):
        async with running(first):
            await until(lambda: is_worker(second if second.synchronisation.is_worker else first))
        await until(lambda: is_worker(second))
        sent = await bob.account.messages.send([alice], MAIL)
        await second.synchronisation.sync(timeout=PATIENCE)
        assert await second.store.get("Messages", sent["id"]) is not None


async def test_a_fault_of_ours_does_not_end_the_account(network: Network) -> None:
    bob, alice = await friends(network)
    environment = replace(await network.environment("alice"), clock=SystemClock())
    failures = iter([RuntimeError("a bug")])

    async def fails_once() -> None:
        for failure in failures:
            raise failure
        await asyncio.Event().wait()

    runtime = AccountRuntime(environment, QUIET, make_tasks=lambda account: [fails_once])
    async with running(runtime):

        async def is_over() -> bool:
            return next(failures, None) is None

        await until(is_over)
        sent = await bob.account.messages.send([alice], MAIL)
        await runtime.synchronisation.sync(timeout=PATIENCE)
        assert await runtime.store.get("Messages", sent["id"]) is not None


async def ends(task: asyncio.Task[None]) -> bool:
    """Tells whether a cancelled account ends; one that goes on is left behind."""
    done, _ = await asyncio.wait({task}, timeout=PATIENCE.total_seconds())
    return bool(done) and task.cancelled()


async def test_a_clean_up_that_fails_does_not_keep_the_account_open(network: Network) -> None:
    environment = replace(await network.environment("alice"), clock=SystemClock())
    works = asyncio.Event()

    async def fails_in_the_end() -> None:
        try:
            works.set()
            await asyncio.Event().wait()
        finally:
            # As a driver does that cannot close its cursor: this takes the place of the cancellation.
            raise StorageUnavailable("the database is away")

    runtime = AccountRuntime(environment, QUIET, make_tasks=lambda account: [fails_in_the_end])
    async with running(runtime) as task:
        await works.wait()
        task.cancel()
        assert await ends(task)
        assert runtime.state is AccountState.CLOSED


async def test_an_account_ends_that_is_closed_at_the_moment_it_loses_its_lease(network: Network) -> None:
    environment = replace(await network.environment("alice"), clock=SystemClock())
    works, is_ending, may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def ends_slowly() -> None:
        try:
            works.set()
            await asyncio.Event().wait()
        finally:
            is_ending.set()
            await may_end.wait()

    async def loses_the_lease() -> None:
        await works.wait()
        raise LeaseLost("another replica is the worker")

    runtime = AccountRuntime(environment, QUIET, make_tasks=lambda account: [ends_slowly, loses_the_lease])
    async with running(runtime) as task:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await is_ending.wait()
        task.cancel()
        await asyncio.sleep(0)
        may_end.set()
        assert await ends(task)


async def test_what_swallows_one_cancellation_is_cancelled_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pacing, "_CANCEL_AGAIN_SECONDS", 0.01)
    swallowed: list[bool] = []

    async def swallows() -> None:
        while len(swallowed) < 3:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                swallowed.append(True)

    tasks = [asyncio.create_task(swallows()), asyncio.create_task(asyncio.sleep(0))]
    await asyncio.sleep(0)
    async with asyncio.timeout(PATIENCE.total_seconds()):
        await pacing.end(tasks)
    assert len(swallowed) == 3


async def test_two_accounts_of_a_process_know_nothing_of_each_other(network: Network) -> None:
    alice, bob = await runtime_of(network, "alice"), await runtime_of(network, "bob")
    async with running(alice), running(bob):
        network.faults["alice"].cut("*", times=1_000)
        await bob.synchronisation.sync(timeout=PATIENCE)
        identities = {runtime.use_cases.account.identity()["address"] for runtime in (alice, bob)}
    assert len(identities) == 2


def test_waits_double_with_jitter_until_they_are_reset() -> None:
    most = Backoff(lambda size: b"\xff" * size, first=timedelta(seconds=1), longest=timedelta(seconds=4))
    assert [most.next().total_seconds() for _ in range(4)] == [1, 2, 4, 4]
    most.reset()
    assert most.next() == timedelta(seconds=1)
    least = Backoff(lambda size: bytes(size), first=timedelta(seconds=1))
    assert least.next() == timedelta(seconds=0.5)
