"""What was acknowledged is still there after any process was killed, and nothing is there in part or twice.

The writers die by SIGKILL, and so does the database process: what the operating system holds survives that. That a
commit also waits for the disk is shown by the options that `test_sqlite` and `test_mongo` see.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from enmeshed_connector.storage import Store
from tests.support.mongodb import ROOT, running_server
from tests.support.store_writer import SUMS, WRITTEN, databases_of
from tests.support.stores import MONGO_BACKENDS, StoreFactory, kind_of

ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "server"), str(ROOT)])}


class Writer:
    """One writing process and what it was told is stored."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self.name = name
        self.process = process
        self.acknowledged: set[int] = set()

    @classmethod
    @asynccontextmanager
    async def running(cls, name: str, driver: str, target: str, database: str) -> AsyncIterator[Writer]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.support.store_writer", driver, target, database, name),
            env=ENVIRONMENT,
            stdout=asyncio.subprocess.PIPE,
        )
        writer = cls(name, process)
        try:
            yield writer
        finally:
            if process.returncode is None:
                process.kill()
            await writer.drain()

    async def acknowledge(self, count: int) -> None:
        """Returns after so many further acknowledgements."""
        assert self.process.stdout is not None
        for _ in range(count):
            line = await self.process.stdout.readline()
            assert line.endswith(b"\n"), "the writer ended by itself"
            self.acknowledged.add(int(line))

    async def kill(self) -> None:
        """Ends the process at once and takes in what it still said."""
        self.process.send_signal(signal.SIGKILL)
        await self.drain()

    async def drain(self) -> None:
        assert self.process.stdout is not None
        rest = await self.process.stdout.read()
        self.acknowledged.update(int(line) for line in rest.split())
        await self.process.wait()


async def check(store: Store, acknowledged: dict[str, set[int]]) -> None:
    """Checks documents, sums and events against each other and against what was acknowledged."""
    events: dict[str, list[int]] = {name: [] for name in acknowledged}
    after = await store.log.oldest()
    while True:
        page = await store.log.read(after)
        for event in page.events:
            events[event.event["writer"]].append(event.event["number"])
        after = page.next
        if page.reached_head:
            break
    documents = await store.find("Written")
    ids = {document["id"] for document in documents}
    assert len(ids) == len(documents)
    for name, numbers in acknowledged.items():
        stored = events[name]
        assert len(stored) == len(set(stored)), "an event is there twice"
        assert numbers <= set(stored), "something acknowledged is lost"
        assert {f"{name}-{number}-{half}" for number in stored for half in "ab"} == {
            id_ for id_ in ids if id_.startswith(f"{name}-")
        }
        total = await store.get("Sums", name) or {"commits": 0, "numbers": 0}
        assert (total["commits"], total["numbers"]) == (len(stored), sum(stored))
        assert await store.count("Written", {"writer": name}) == 2 * len(stored)


async def test_killed_writers_leave_everything_acknowledged_and_nothing_torn(
    stores: StoreFactory, tmp_path: Path
) -> None:
    driver = stores.backend.rpartition("-")[2]
    target = str(tmp_path / "stores") if stores.server is None else stores.server.uri
    chance = random.Random(stores.backend)
    acknowledged: dict[str, set[int]] = {}
    for round_ in range(3):
        async with Writer.running(f"w{round_}", driver, target, stores.database) as writer:
            await writer.acknowledge(chance.randrange(5, 40))
            await writer.kill()
            acknowledged[writer.name] = writer.acknowledged
        store = await stores.open(WRITTEN, SUMS)
        await check(store, acknowledged)
        await store.close()


async def test_several_writers_at_once_lose_nothing_when_some_are_killed(stores: StoreFactory, tmp_path: Path) -> None:
    driver = stores.backend.rpartition("-")[2]
    target = str(tmp_path / "stores") if stores.server is None else stores.server.uri
    await (await stores.open(WRITTEN, SUMS)).close()
    async with (
        Writer.running("w0", driver, target, stores.database) as first,
        Writer.running("w1", driver, target, stores.database) as second,
        Writer.running("w2", driver, target, stores.database) as third,
    ):
        await asyncio.gather(*(writer.acknowledge(10) for writer in (first, second, third)))
        await first.kill()
        await third.acknowledge(10)
        await second.kill()
        # Whatever the dead left behind, the survivor goes on.
        await third.acknowledge(10)
        await third.kill()
    store = await stores.open(WRITTEN, SUMS)
    await check(store, {writer.name: writer.acknowledged for writer in (first, second, third)})


@pytest.mark.parametrize("backend", MONGO_BACKENDS)
async def test_a_killed_database_process_loses_nothing_acknowledged(backend: str, tmp_path: Path) -> None:
    kind, driver = kind_of(backend), backend.rpartition("-")[2]
    if kind == "external":
        pytest.skip("somebody else's server is not killed")
    with running_server(kind, tmp_path / "data") as server:
        async with Writer.running("w", driver, server.uri, "acc-killed") as writer:
            for _ in range(3):
                await writer.acknowledge(15)
                server.kill()
                await asyncio.to_thread(server.start)
            # The writer found the server again by itself.
            await writer.acknowledge(15)
            await writer.kill()
        databases = databases_of(driver, server.uri)
        store = await databases.open("acc-killed", (WRITTEN, SUMS))
        await check(store, {"w": writer.acknowledged})
        await store.close()
        await databases.close()
