"""One hosted identity: opened, kept going, closed."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import structlog

from enmeshed_connector.consumption.account import ConsumptionAccount
from enmeshed_connector.consumption.schema import CONSUMPTION_COLLECTIONS, CONSUMPTION_SCHEMA
from enmeshed_connector.core.errors import Code, DomainError, Unavailable
from enmeshed_connector.runtime.automation.automation import Automation
from enmeshed_connector.runtime.automation.readers import READER_SCHEMA
from enmeshed_connector.runtime.pacing import Backoff, end, pause
from enmeshed_connector.runtime.settings import RuntimeSettings
from enmeshed_connector.runtime.synchronisation import SYNC_REQUEST_SCHEMA, Synchronisation
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.runtime.use_cases.subscriptions import SUBSCRIPTION_SCHEMA
from enmeshed_connector.runtime.worker import WORKER_LEASE, Task, Worker
from enmeshed_connector.storage import Lease, LeaseLost, Store
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.environment import Environment
from enmeshed_connector.transport.objects import ACCOUNT_INFO, TRANSPORT_COLLECTIONS, SynchronizedCollections
from enmeshed_connector.transport.schema import TRANSPORT_SCHEMA

_LOOK_EVERY_SECONDS = 0.2
"""How often a replica looks for the identity that another one is making."""

ACCOUNT_SCHEMA = (*TRANSPORT_SCHEMA, *CONSUMPTION_SCHEMA, SYNC_REQUEST_SCHEMA, SUBSCRIPTION_SCHEMA, READER_SCHEMA)
"""The collections of an account: of all rooms."""

ACCOUNT_COLLECTIONS = SynchronizedCollections(TRANSPORT_COLLECTIONS, CONSUMPTION_COLLECTIONS)
"""Those of them that the devices of the identity share."""


class AccountState(enum.Enum):
    """Where an account is in its life within this process."""

    STARTING = "STARTING"
    READY = "READY"
    FAILED = "FAILED"
    CLOSED = "CLOSED"


class AccountStarting(Unavailable):
    """The account is not open yet; try again in a moment."""

    reason = "STARTING"


class AccountFailed(DomainError):
    """The account cannot be opened: what is stored or set does not fit. Somebody must look at the log."""

    reason, code = "FAILED_PRECONDITION", Code.FAILED_PRECONDITION


TaskMaker = Callable[[TransportAccount], Sequence[Task]]
"""Lets rooms above add to an account when it is open: listeners at once, tasks for its worker as the result."""


class AccountRuntime:
    """Hosts one identity. `run` does the work, `transport` is there once it is ready."""

    def __init__(
        self, environment: Environment, settings: RuntimeSettings, *, make_tasks: TaskMaker = lambda account: ()
    ) -> None:
        """Takes the collaborators; does nothing yet.

        Args:
            environment: What the account is opened with.
            settings: How it is kept going.
            make_tasks: Called once when the account is open.
        """
        self.name = environment.account
        self._environment = replace(environment, collections=ACCOUNT_COLLECTIONS)
        self._settings = settings
        self._make_tasks = make_tasks
        self._transport: TransportAccount | None = None
        self._consumption: ConsumptionAccount | None = None
        self._synchronisation: Synchronisation | None = None
        self._use_cases: UseCases | None = None
        self._automation: Automation | None = None
        self._ready = asyncio.Event()
        self.state = AccountState.STARTING
        self._logger = structlog.get_logger(__name__).bind(account=self.name)

    @property
    def store(self) -> Store:
        """The account's database."""
        return self._environment.store

    @property
    def transport(self) -> TransportAccount:
        """The open account.

        Raises:
            AccountStarting: It is not open yet.
            AccountFailed: It cannot be opened.
        """
        if self._transport is None:
            if self.state is AccountState.FAILED:
                raise AccountFailed(f"Account {self.name} cannot be opened.", facts={"account": self.name})
            raise AccountStarting(f"Account {self.name} is being opened.", facts={"account": self.name})
        return self._transport

    @property
    def synchronisation(self) -> Synchronisation:
        """How to ask for syncs; errors as `transport`."""
        if self._synchronisation is None:
            _ = self.transport
            raise AccountStarting(f"Account {self.name} is being opened.", facts={"account": self.name})
        return self._synchronisation

    @property
    def consumption(self) -> ConsumptionAccount:
        """What content means for the account; errors as `transport`."""
        if self._consumption is None:
            _ = self.transport
            raise AccountStarting(f"Account {self.name} is being opened.", facts={"account": self.name})
        return self._consumption

    @property
    def use_cases(self) -> UseCases:
        """What callers can do; errors as `transport`."""
        if self._use_cases is None or self._transport is None:
            _ = self.transport
            raise AccountStarting(f"Account {self.name} is being opened.", facts={"account": self.name})
        return self._use_cases

    async def wait_until_ready(self) -> None:
        """Returns when the account is open, or has failed to."""
        await self._ready.wait()

    async def run(self) -> None:
        """Opens the account and works for it until cancelled; then stops at a safe point.

        Passing failures (database or Backbone away) are waited out. An account that cannot be opened stays `FAILED`, so
        that the other accounts of the process go on.
        """
        try:
            lease = await self._open()
            if lease is not None or self._transport is not None:
                await self._work(lease)
        except Exception:
            # A defect: whoever waits must hear of it.
            self.state = AccountState.FAILED
            raise
        finally:
            self.state = AccountState.CLOSED if self.state is not AccountState.FAILED else self.state
            self._ready.set()

    async def _open(self) -> Lease | None:
        """Opens the account; returns the worker's lease when it had to be taken for that."""
        backoff = Backoff(self._environment.random)
        lease: Lease | None = None
        while True:
            try:
                store = self._environment.store
                await store.declare(*ACCOUNT_SCHEMA)
                lease = lease or await self._right_to_make_identity()
                async with self._renewed(lease):
                    transport = await open_account(replace(self._environment, lease=lease))
                    await self._build(transport)
                break
            except LeaseLost:
                # Another replica makes the identity; it is there once the lease is free again.
                lease = None
            except DomainError as error:
                if not error.code.is_passing:
                    self.state = AccountState.FAILED
                    self._ready.set()
                    self._logger.error("the account cannot be opened", reason=error.reason, problem=error.message)
                    return None
                self._logger.warning("the account is not open yet", reason=error.reason, problem=error.message)
                await pause(self._environment.clock, backoff.next())
        # Only the worker syncs, and that is decided by the lease.
        transport.sync.end_work()
        self._transport = transport
        self.state = AccountState.READY
        self._ready.set()
        self._logger.info("the account is open", address=transport.context.identity.address)
        return lease

    async def _build(self, transport: TransportAccount) -> None:
        """Builds what is above the transport room, before anything happens in the account that it must hear of."""
        context = transport.context
        consumption = ConsumptionAccount(transport, self._settings.consumption)
        synchronisation = Synchronisation(
            context.store, context.commits, transport.sync, ids=context.ids, clock=context.clock
        )
        use_cases = UseCases(transport, synchronisation, consumption)
        automation = Automation(transport, consumption, use_cases, self._settings.automation)
        await automation.prepare()
        self._consumption, self._synchronisation = consumption, synchronisation
        self._use_cases, self._automation = use_cases, automation

    async def _right_to_make_identity(self) -> Lease | None:
        """Returns None once the account has an identity, else the lease under which this process may make one.

        Only one replica may make the identity; the others wait here until they find it.
        """
        store = self._environment.store
        acquiring = asyncio.create_task(
            store.acquire_lease(WORKER_LEASE, self._environment.worker, self._settings.lease_duration)
        )
        lease: Lease | None = None
        try:
            while await store.get(ACCOUNT_INFO, "identity") is None:
                done, _ = await asyncio.wait({acquiring}, timeout=_LOOK_EVERY_SECONDS)
                if done:
                    lease = acquiring.result()
                    return lease
            return None
        finally:
            await end([acquiring])
            if lease is None and not acquiring.cancelled() and acquiring.exception() is None:
                await store.release_lease(acquiring.result())

    @asynccontextmanager
    async def _renewed(self, lease: Lease | None) -> AsyncIterator[None]:
        """Keeps a lease while an account is opened, which may take longer than a lease lasts."""
        if lease is None:
            yield
            return

        async def renew() -> None:
            # When this fails, commits under the lease are refused: they tell.
            with suppress(DomainError):
                while True:
                    await self._environment.clock.sleep(self._settings.lease_duration / 4)
                    await self._environment.store.renew_lease(lease)

        renewal = asyncio.create_task(renew())
        try:
            yield
        finally:
            await end([renewal])

    async def _work(self, lease: Lease | None) -> None:
        transport, synchronisation = self.transport, self.synchronisation
        worker = Worker(
            transport,
            synchronisation,
            self._settings,
            holder=self._environment.worker,
            clock=self._environment.clock,
            random=self._environment.random,
            tasks=(
                *self.consumption.tasks,
                *self._make_tasks(transport),
                *(self._automation.tasks() if self._automation else ()),
            ),
        )
        await worker.run(lease)
