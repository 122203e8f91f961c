"""Custom modules: what they get, what they can do, and that a repeat does nothing twice."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from enmeshed_connector.core.clock import SystemClock
from enmeshed_connector.core.errors import Unavailable
from enmeshed_connector.runtime.account_runtime import AccountRuntime
from enmeshed_connector.runtime.automation.modules import Module, ModuleAccount, ModuleEvent, NamedModule
from enmeshed_connector.runtime.automation.settings import AutomationSettings
from enmeshed_connector.runtime.settings import RuntimeSettings
from tests.support.greeter import Greeter
from tests.support.network import Network, Party

QUIET = RuntimeSettings(sync_interval=timedelta(hours=1), listens=False)
RECEIVED = "transport.messageReceived"


@pytest.fixture
async def network(tmp_path: Path) -> AsyncIterator[Network]:
    async with Network(tmp_path) as network:
        yield network


@asynccontextmanager
async def running(network: Network, *modules: NamedModule, mails: bool = False) -> AsyncIterator[AccountRuntime]:
    """Runs alice with modules."""
    environment = replace(await network.environment("alice"), clock=SystemClock())
    automation = AutomationSettings(modules=modules, tells_of_mails=mails)
    runtime = AccountRuntime(environment, replace(QUIET, automation=automation))
    task = asyncio.create_task(runtime.run())
    try:
        await runtime.wait_until_ready()
        yield runtime
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def friends(network: Network) -> tuple[Party, str]:
    """Returns bob and the address of alice, who have a relationship; alice is not open."""
    bob, alice = await network.account("bob"), await network.account("alice")
    await network.befriend(alice, bob)
    return bob, alice.address


async def write(bob: Party, alice: str, subject: str) -> str:
    content = {"@type": "Mail", "to": [alice], "cc": [], "subject": subject, "body": "b"}
    return str((await bob.account.messages.send([alice], content))["id"])


async def events(runtime: AccountRuntime, *types: str, count: int = 0) -> list[dict[str, Any]]:
    """Returns the events of these types, once there are so many."""
    log = runtime.store.log
    async with asyncio.timeout(60):
        while True:
            page = await log.read(await log.oldest(), types=frozenset(types), limit=1000)
            if len(page.events) >= count:
                return [one.event for one in page.events]
            await asyncio.sleep(0.01)


class Witness:
    """Remembers what it got."""

    def __init__(self, *types: str) -> None:
        self.types = types or None
        self.got: list[ModuleEvent] = []

    async def handle(self, event: ModuleEvent, account: ModuleAccount) -> None:
        self.got.append(event)
        account.publish("seen", {"type": event.type, "address": account.address, "account": account.name})


async def test_a_module_gets_views_and_publishes(network: Network) -> None:
    bob, alice = await friends(network)
    module = Witness(RECEIVED)
    async with running(network, NamedModule("witness", module)) as runtime:
        sent = await write(bob, alice, "Hello")
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
        (told,) = await events(runtime, "module.witness.seen", count=1)
    (event,) = module.got
    assert told["data"] == {"type": RECEIVED, "address": alice, "account": "alice"}
    assert (event.type, event.origin) == (RECEIVED, "EXTERNAL")
    assert event.data is not None
    assert (event.data["id"], event.data["content"]["subject"]) == (sent, "Hello")
    assert "secretKey" not in event.data


async def test_a_module_without_types_gets_all_but_its_own_events(network: Network) -> None:
    bob, alice = await friends(network)
    module = Witness()
    async with running(network, NamedModule("witness", module)) as runtime:
        await write(bob, alice, "Hello")
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
        await events(runtime, "module.witness.seen", count=2)
        await write(bob, alice, "Again")
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
        await events(runtime, "module.witness.seen", count=4)
    kinds = [one.type for one in module.got]
    assert kinds.count(RECEIVED) == 2
    assert "consumption.messageProcessed" in kinds
    assert not [kind for kind in kinds if kind.startswith("module.")]


@pytest.mark.parametrize("error", [Unavailable("away"), ConnectionResetError(), ZeroDivisionError()])
async def test_a_repeated_step_sends_once(network: Network, error: Exception) -> None:
    class Shaky(Greeter):
        failures = 1

        async def handle(self, event: ModuleEvent, account: ModuleAccount) -> None:
            await super().handle(event, account)
            if self.failures:
                self.failures -= 1
                raise error

    bob, alice = await friends(network)
    async with running(network, NamedModule("greeter", Shaky({"subject": "Anybody?"}))) as runtime:
        await write(bob, alice, "Anybody?")
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
        await events(runtime, "module.greeter.answered", count=1)
        sent = await events(runtime, "transport.messageSent")
    assert len(sent) == 1
    assert sent[0]["correlationId"]


async def test_a_restart_goes_on_where_it_ended(network: Network) -> None:
    bob, alice = await friends(network)
    module = Witness(RECEIVED)
    async with running(network, NamedModule("witness", module)) as runtime:
        await write(bob, alice, "1")
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
        await events(runtime, "module.witness.seen", count=1)
    async with running(network) as runtime:
        await write(bob, alice, "while it is switched off")
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
    async with running(network, NamedModule("witness", module)) as runtime:
        await write(bob, alice, "2")
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
        await events(runtime, "module.witness.seen", count=2)
    # A module that was away by will begins at the present again.
    assert [(one.data or {})["content"]["subject"] for one in module.got] == ["1", "2"]


async def test_a_broken_module_holds_up_neither_itself_nor_others(network: Network) -> None:
    class Broken:
        types = (RECEIVED,)

        async def handle(self, event: ModuleEvent, account: ModuleAccount) -> None:
            if (event.data or {})["content"]["subject"] == "poison":
                raise KeyError("poison")
            account.publish("seen", {"subject": (event.data or {})["content"]["subject"]})

    module: Module = Broken()
    environment = await network.environment("alice")
    bob, alice = await friends(network)
    automation = AutomationSettings(modules=(NamedModule("broken", module), NamedModule("witness", Witness(RECEIVED))))
    # Here nobody waits for pauses.
    runtime = AccountRuntime(environment, replace(QUIET, automation=automation))
    task = asyncio.create_task(runtime.run())
    try:
        await runtime.wait_until_ready()
        await write(bob, alice, "poison")
        await write(bob, alice, "fine")
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
        (seen,) = await events(runtime, "module.broken.seen", count=1)
        (passed,) = await events(runtime, "module.broken.eventPassed", count=1)
        assert len(await events(runtime, "module.witness.seen", count=2)) == 2
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert seen["data"] == {"subject": "fine"}
    assert passed["data"]["reason"] == "KeyError"


async def test_mails_are_told_of_when_asked_for(network: Network) -> None:
    bob, alice = await friends(network)
    async with running(network, mails=True) as runtime:
        sent = await write(bob, alice, "Hello")
        await bob.account.messages.send([alice], {"@type": "ArbitraryMessageContent", "value": 1})
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
        (relationship,) = await runtime.transport.relationships.find()
        one_of_relationship = f"consumption.relationshipEvent.{relationship['id']}"
        received = await events(runtime, RECEIVED, "consumption.mailReceived", one_of_relationship)
        assert [one["type"] for one in received] == [
            RECEIVED,
            "consumption.mailReceived",
            one_of_relationship,
            RECEIVED,
        ]
        assert {one["data"]["id"] for one in received[:3]} == {sent}
        assert await runtime.store.log.erase(relationship["id"]) >= 3
    async with running(network) as runtime:
        await write(bob, alice, "Again")
        await runtime.synchronisation.sync(timeout=timedelta(seconds=60))
        assert len(await events(runtime, "consumption.mailReceived")) == 1
