"""A Backbone that is away, slow, wrong or cut off: syncs recover by themselves, nothing is lost, no event is burnt."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from enmeshed_connector.backbone import (
    BackboneGateway,
    BackboneHttp,
    BackboneTarget,
    HttpSettings,
    SessionSettings,
)
from enmeshed_connector.backbone.errors import BackboneRedirected, BackboneRejected
from enmeshed_connector.core.errors import Code, DomainError
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.runtime.account_runtime import AccountRuntime
from enmeshed_connector.runtime.settings import RuntimeSettings
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.environment import Environment
from enmeshed_connector.transport.pending import Ticket
from tests.support import oracle
from tests.support.faulty_backbone import FAULTS, FaultyBackbone
from tests.support.network import ImpatientClock, Network, Party

PASSING = {Code.UNAVAILABLE, Code.UNKNOWN, Code.ABORTED, Code.RESOURCE_EXHAUSTED, Code.DEADLINE_EXCEEDED}
SHORT_CALLS = timedelta(seconds=0.4)
"""How long a call waits for a Backbone that is silent."""
LONG_CALLS = timedelta(seconds=60)
MOST_ATTEMPTS = 12
"""How many requests one failing sync may cost: each call has its repeats, and no more."""


class WatchedClock(ImpatientClock):
    """Lets nobody wait for long, and keeps who has waited for how long."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: Counter[str] = Counter()
        maker = asyncio.current_task()
        self._impatient = {"sync", maker.get_name() if maker else ""}

    async def sleep(self, duration: timedelta) -> None:
        task = asyncio.current_task()
        name = task.get_name() if task else ""
        self.waited[name] += int(duration / timedelta(milliseconds=1))
        if name not in self._impatient:
            # What goes on beside the sync keeps its pace.
            await asyncio.sleep(duration.total_seconds())
        else:
            await super().sleep(duration)


@asynccontextmanager
async def environment_of(
    network: Network, name: str, base_url: str, clock: WatchedClock, call_timeout: timedelta = LONG_CALLS
) -> AsyncIterator[Environment]:
    """Gives the environment of an account that talks to a Backbone over real HTTP."""
    environment = await network.environment(name)
    async with BackboneHttp(HttpSettings()) as http:
        gateway = BackboneGateway(
            http,
            BackboneTarget(base_url, "test", SecretText("test")),
            settings=SessionSettings(call_timeout=call_timeout),
            clock=clock,
        )
        yield replace(environment, gateway=gateway, clock=clock)


def patience(fault: str) -> timedelta:
    return SHORT_CALLS if "silent" in fault else LONG_CALLS


def is_passing(error: DomainError) -> bool:
    """Whether an error says that it will pass, or that something other than the Backbone itself has answered."""
    if isinstance(error, BackboneRejected | BackboneRedirected) and error.platform_code is None:
        return True
    return error.code in PASSING


async def pair(network: Network) -> tuple[Party, Party]:
    anna, bert = await network.account("anna"), await network.account("bert")
    await network.befriend(anna, bert)
    await anna.account.sync.sync()
    await bert.account.sync.sync()
    return anna, bert


async def send(sender: Party, receiver: Party, text: str) -> None:
    await sender.account.messages.send([receiver.address], {"@type": "Text", "text": text})


async def check(network: Network, party: Party, texts: list[str]) -> None:
    received = await party.store.find("Messages", {"isOwn": False}, sort=["createdAt"])
    assert [message["content"]["text"] for message in received] == texts
    await oracle.check_messages(party.store, network.rows, party.address)
    await oracle.check_relationships(party.store, network.rows, party.address)
    await oracle.check_events_delivered(network.rows, party.address)
    assert await party.store.count("_FailedEvents") == 0


# Every request of a sync that fetches two messages.
PLACES = ["POST /api/v2/SyncRuns", "ExternalEvents", "GET /api/v2/Messages", "FinalizeExternalEventSync"]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", FAULTS)
async def test_a_sync_fails_with_a_passing_error_and_makes_up_for_it(network: Network, name: str, place: str) -> None:
    anna, bert = await pair(network)
    for text in ("one", "two"):
        await send(bert, anna, text)
    async with (
        FaultyBackbone(network.backbone) as faulty,
        environment_of(network, "anna", faulty.base_url, WatchedClock(), patience(name)) as environment,
    ):
        account = await open_account(environment)
        await account.start()
        failures = 0
        # More often than the Backbone would deliver an event that fails.
        for _ in range(4):
            before = len(faulty.requests)
            faulty.spoil(FAULTS[name], path=place)
            try:
                await account.sync.sync()
            except DomainError as error:
                failures += 1
                if not is_passing(error):
                    raise
            assert len(faulty.requests) - before <= MOST_ATTEMPTS, faulty.requests[before:]
            if not FAULTS[name].is_asked or place != PLACES[0]:
                assert faulty.spoilt, "the fault was never met"
        faulty.recover()
        # A run whose start was never heard of expires.
        network.backbone.services.clock.advance(timedelta(minutes=1))

        if patience(name) is LONG_CALLS:
            await account.sync.sync()
        else:
            await (await network.reopen(anna)).account.sync.sync()

        assert failures, "the fault did not show"
        lost_starts = FAULTS[name].is_asked and place == PLACES[0]
        errors = {row["error_code"] for row in network.rows("SELECT error_code FROM sync_errors")}
        assert errors <= ({"syncRunCanceled"} if lost_starts else set())
    await check(network, anna, ["one", "two"])


OUTAGES = ["500", "429 of a proxy", "200 with a page", "hangs up", "silent", "done, closes mid-body", "no HTTP"]


@pytest.mark.parametrize("name", OUTAGES)
async def test_a_running_account_recovers_by_itself_and_does_not_spin(network: Network, name: str) -> None:
    anna, bert = await pair(network)
    await send(bert, anna, "before")
    clock = WatchedClock()
    async with (
        FaultyBackbone(network.backbone) as faulty,
        environment_of(network, "anna", faulty.base_url, clock, patience(name)) as environment,
    ):
        faulty.spoil(FAULTS[name])
        async with running(environment):
            await _until(lambda: clock.waited["sync"] > 120_000)
            # The pauses grow to a minute, so that an outage of any length costs some requests a minute.
            assert 0 < faulty.spoilt < 60
            await send(bert, anna, "meanwhile")
            network.backbone.services.clock.advance(timedelta(minutes=1))
            faulty.recover()
            await _until(lambda: _is_synced(network, anna))
    await check(network, anna, ["before", "meanwhile"])


async def test_an_account_recovers_when_nobody_listened(network: Network, tmp_path: Path) -> None:
    anna, bert = await pair(network)
    clock = WatchedClock()
    async with FaultyBackbone(network.backbone) as closed:
        address = closed.base_url
    await send(bert, anna, "meanwhile")
    async with environment_of(network, "anna", address, clock) as environment:
        async with running(environment):
            await _until(lambda: clock.waited["sync"] > 120_000)
        errors = network.rows("SELECT error_code FROM sync_errors")
        assert errors == []
    await anna.account.sync.sync()
    await check(network, anna, ["meanwhile"])


@pytest.mark.parametrize("name", OUTAGES)
async def test_what_is_sent_during_an_outage_arrives_once_when_it_is_repeated(network: Network, name: str) -> None:
    anna, bert = await pair(network)
    ticket = Ticket("account/method/key", "digest", "key")
    async with (
        FaultyBackbone(network.backbone) as faulty,
        environment_of(network, "anna", faulty.base_url, WatchedClock(), patience(name)) as environment,
    ):
        account = await open_account(environment)
        await account.start()
        faulty.spoil(FAULTS[name])
        content = {"@type": "Text", "text": "hello"}
        for _ in range(3):
            with pytest.raises(DomainError) as failure:
                await account.messages.send([bert.address], content, ticket=ticket)
            assert failure.value.code in PASSING
    network.clock.advance(timedelta(minutes=5))
    account = (await network.reopen(anna)).account
    network.clock.advance(timedelta(minutes=5))
    await account.messages.send([bert.address], content, ticket=ticket)
    await bert.account.sync.sync()
    await check(network, bert, ["hello"])
    oracle.check_counters(network.rows, anna.address)


@asynccontextmanager
async def running(environment: Environment) -> AsyncIterator[AccountRuntime]:
    """Runs an account as a Connector does, for the length of a block."""
    settings = RuntimeSettings(listens=False, sync_interval=timedelta(milliseconds=20))
    runtime = AccountRuntime(environment, settings)
    task = asyncio.create_task(runtime.run())
    try:
        yield runtime
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def _is_synced(network: Network, party: Party) -> bool:
    return not network.rows("SELECT 1 FROM external_events WHERE owner = ? AND is_synced = 0", party.address)


async def _until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)
