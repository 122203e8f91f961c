"""How the worker of an account listens to the Backbone."""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.backbone.errors import BackboneUnavailable
from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.runtime.settings import RuntimeSettings
from enmeshed_connector.runtime.synchronisation import SYNC_REQUEST_SCHEMA, Synchronisation
from enmeshed_connector.runtime.worker import Worker
from tests.support.network import Network, Party

NEVER = timedelta(days=1)
SETTINGS = RuntimeSettings(
    sync_interval=NEVER, lease_duration=NEVER, housekeeping_interval=NEVER, settle_interval=NEVER
)
PATIENCE_SECONDS = 60


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    async with Network(tmp_path) as network:
        yield network


class Pauses(SystemClock):
    """Real time, in which pauses of up to ten minutes are noted and take none."""

    def __init__(self) -> None:
        self.noted: list[float] = []

    async def sleep(self, duration: timedelta) -> None:
        if duration > timedelta(minutes=10):
            await super().sleep(duration)
        else:
            self.noted.append(duration.total_seconds())
            await asyncio.sleep(0)


class Streams:
    """The Backbone of an account, with event streams as a script says; the one after the last never ends.

    Attributes:
        opened: How many were opened.
        live: What the one after the last gives.
        all_opened: Set when that one was opened.
    """

    def __init__(self, backbone: Any, script: list[list[str] | Exception]) -> None:
        self._backbone = backbone
        self._script = script
        self.opened = 0
        self.live: asyncio.Queue[str] = asyncio.Queue()
        self.all_opened = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backbone, name)

    def event_stream(self) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        return self._stream()

    @asynccontextmanager
    async def _stream(self) -> AsyncIterator[AsyncIterator[str]]:
        number = self.opened
        self.opened += 1
        script = self._script[number] if number < len(self._script) else None
        if isinstance(script, Exception):
            raise script

        async def names() -> AsyncIterator[str]:
            for name in script or ():
                yield name
            if script is None:
                self.all_opened.set()
                while True:
                    yield await self.live.get()

        yield names()


@asynccontextmanager
async def working(party: Party, script: list[list[str] | Exception]) -> AsyncIterator[tuple[Streams, Pauses]]:
    account, clock = party.account, Pauses()
    streams = Streams(account.context.backbone, script)
    account.context = replace(account.context, backbone=streams)
    context = account.context
    await context.store.declare(SYNC_REQUEST_SCHEMA)
    synchronisation = Synchronisation(context.store, context.commits, account.sync, ids=context.ids, clock=clock)
    worker = Worker(account, synchronisation, SETTINGS, holder="test", clock=clock, random=os.urandom)
    task = asyncio.create_task(worker.run())
    try:
        yield streams, clock
    finally:
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE_SECONDS)


async def test_streams_without_an_event_are_opened_with_growing_pauses_until_one_brings_an_event(
    network: Network,
) -> None:
    alice = await network.account("alice")
    away = BackboneUnavailable("away", call="events.stream")
    script: list[list[str] | Exception] = [[], away, [], [], ["ConnectionOpened"], [], away]
    async with working(alice, script) as (streams, clock), asyncio.timeout(PATIENCE_SECONDS):
        await streams.all_opened.wait()
    for pause, longest in zip(clock.noted, [1, 2, 4, 8, 1, 2, 4], strict=True):
        assert longest / 2 <= pause <= longest


async def test_news_that_came_before_a_stream_was_open_are_fetched_when_it_is(network: Network) -> None:
    alice, bob = await network.account("alice"), await network.account("bob")
    await network.befriend(alice, bob)
    sent: list[str] = []

    async def send() -> None:
        message = await bob.account.messages.send([alice.address], {"@type": "Text", "text": "hello"})
        sent.append(message["id"])

    # After the first sync has found nothing; no stream tells of it, and the next sync by the clock is far away.
    alice.faults.do_after("sync_runs.start", send)
    async with working(alice, []), asyncio.timeout(PATIENCE_SECONDS):
        while not sent or await alice.store.get("Messages", sent[0]) is None:
            await asyncio.sleep(0.005)


async def test_each_event_of_a_stream_wakes_the_account(network: Network) -> None:
    alice = await network.account("alice")
    before = alice.faults.count("sync_runs.start")

    async def syncs(number: int) -> None:
        while alice.faults.count("sync_runs.start") - before < number:
            await asyncio.sleep(0.005)

    async with working(alice, []) as (streams, _), asyncio.timeout(PATIENCE_SECONDS):
        # One at the start, and one because the stream is open.
        await syncs(2)
        for number in (3, 4):
            streams.live.put_nowait("ExternalEventCreated")
            await syncs(number)
