"""Accounts with everything that a process runs of them, below the public interface; and processes of them that die.

Nothing arrives or is sent without `WholeAccount.work`, so that a process can die at each step of it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from enmeshed_connector.consumption.account import ConsumptionAccount, ConsumptionSettings
from enmeshed_connector.consumption.attributes.controller import AttributeSettings
from enmeshed_connector.consumption.attributes.events import FORWARDING_DETAILS_CHANGED
from enmeshed_connector.consumption.deliveries import DELIVERIES
from enmeshed_connector.core.errors import OutcomeUnknown
from enmeshed_connector.runtime.account_runtime import ACCOUNT_COLLECTIONS, ACCOUNT_SCHEMA
from enmeshed_connector.runtime.synchronisation import Synchronisation
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.runtime.use_cases.common import Intent
from enmeshed_connector.storage import Store
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.objects import PENDING_OPERATIONS, Document
from enmeshed_connector.transport.pending import Ticket
from tests.support import oracle
from tests.support.crash import Crash, CrashingGateway, CrashingStore, ProcessDied
from tests.support.network import Faults, Network, Party, befriend

T = TypeVar("T")

_MOST_STEPS = 100
_MOST_ROUNDS = 6


@dataclass(frozen=True)
class WholeAccount:
    """One account in a process of its own."""

    network: Network
    party: Party
    consumption: ConsumptionAccount
    does: UseCases

    @property
    def address(self) -> str:
        """The address of the identity."""
        return self.party.address

    @property
    def store(self) -> Store:
        """The database."""
        return self.party.store

    @property
    def faults(self) -> Faults:
        """What happens to the calls of this process."""
        return self.party.faults

    async def all(self, collection: str, **conditions: Any) -> list[Document]:
        """Returns the documents of a collection that have these values."""
        return await self.store.find(collection, conditions or None)

    async def work(self) -> None:
        """Does one round of what the worker of an account does: receives what there is, and sends what is due."""
        await self.party.account.sync.sync()
        while await self.consumption.deliveries.send_due():
            pass

    async def work_on(self) -> None:
        """Lets the worker go on, and time with it, until nothing is left to be sent or found out."""
        for _ in range(_MOST_ROUNDS):
            await self.work()
            if not await self.store.count(DELIVERIES) and not await self.store.count(PENDING_OPERATIONS):
                return
            self.network.clock.advance(timedelta(minutes=10))


async def whole_account(
    network: Network, name: str, crash: Crash | None = None, *, reads: bool = False
) -> WholeAccount:
    """Opens an account, which is made when it does not exist, as a new process does.

    Args:
        network: Where it is.
        name: The account.
        crash: When the process dies.
        reads: Whether it may die at reads, too.
    """
    environment = replace(await network.environment(name), collections=ACCOUNT_COLLECTIONS)
    await environment.store.declare(*ACCOUNT_SCHEMA)
    if crash is not None:
        environment = replace(
            environment,
            store=CrashingStore(environment.store, crash, reads=reads),
            gateway=CrashingGateway(environment.gateway, crash),
        )
    transport = await open_account(environment)
    # Before the start, which completes what was begun: who listens must hear of that.
    consumption = ConsumptionAccount(transport, ConsumptionSettings(AttributeSettings(sets_defaults=False)))
    context = transport.context
    synchronisation = Synchronisation(
        context.store, context.commits, transport.sync, ids=context.ids, clock=context.clock
    )
    synchronisation.become_worker(True)
    use_cases = UseCases(transport, synchronisation, consumption)
    await transport.start()
    return WholeAccount(network, Party(transport, network.faults[name]), consumption, use_cases)


async def relate(one: WholeAccount, other: WholeAccount) -> str:
    """Makes an active relationship between two accounts and returns its id."""
    return await befriend(one.party.account, other.party.account)


async def deaths(
    network: Network,
    name: str,
    act: Callable[[WholeAccount, str], Awaitable[object]],
    *,
    prepare: Callable[[WholeAccount, str], Awaitable[object]] | None = None,
    at_least: int,
    reads: bool = False,
) -> AsyncIterator[tuple[WholeAccount, str, str]]:
    """Carries out a flow in processes that die one step later each time: before or after a commit or a request.

    Args:
        network: Where the account is.
        name: The account.
        act: The flow; the text tells apart what it does each time.
        prepare: What happens before, when the process does not die yet.
        at_least: How many steps the flow has at least.
        reads: Whether reads are steps, too.

    Yields, for each of them and for the first that survives: the account in a new process, the text, and where the
    process died.
    """
    for number in range(1, _MOST_STEPS):
        key, crash = str(number), Crash(None)
        account = await whole_account(network, name, crash, reads=reads)
        if prepare is not None:
            await prepare(account, key)
        crash.die_after(number)
        has_survived = True
        try:
            await act(account, key)
        except* ProcessDied:
            has_survived = False
        # What the Backbone holds open for the dead process expires.
        network.backbone.services.clock.advance(timedelta(minutes=1))
        yield await whole_account(network, name), key, " | ".join(crash.steps[-number:])
        if has_survived:
            assert number > at_least, crash.steps
            return
    raise AssertionError("the flow does not end")


async def insist(act: Callable[[WholeAccount, str], Awaitable[T]], account: WholeAccount, key: str) -> T:
    """Does what a caller does whose answer was lost: the same call again, later when it is not clear yet."""
    try:
        return await act(account, key)
    except OutcomeUnknown:
        account.network.clock.advance(timedelta(minutes=3))
        return await act(account, key)


async def deliver_again(account: WholeAccount) -> None:
    """Lets the Backbone give out all external events of an account once more."""

    def forget(transaction: Any) -> None:
        transaction.run("UPDATE external_events SET is_synced = 0, sync_run_id = NULL WHERE owner = ?", account.address)

    await account.network.backbone.services.store.write(forget)


async def check_whole(place: str, *accounts: WholeAccount) -> None:
    """Checks what holds of any accounts that have nothing left to do; `place` is where a process had died."""
    for account in accounts:
        rows = account.network.rows
        assert await account.store.count(PENDING_OPERATIONS) == 0, place
        assert await account.store.count(DELIVERIES) == 0, place
        await oracle.check_messages(account.store, rows, account.address)
        await oracle.check_relationships(account.store, rows, account.address)
        await oracle.check_events_delivered(rows, account.address)
        oracle.check_counters(rows, account.address)
        told = Counter(
            json.dumps([event["type"], event["data"]], sort_keys=True)
            for event in await account.party.events("consumption.")
            # Who has an attribute may change back and forth, and nothing of it may be shown.
            if "data" in event and event["type"] != FORWARDING_DETAILS_CHANGED
        )
        assert [event for event, times in told.items() if times > 1] == [], place


def intent(key: str) -> Intent:
    """Returns what a caller means by a call and each repeat of it."""
    return Intent(Ticket(f"account/method/{key}", "digest", key))
