"""One hosted identity: opened, kept going, closed."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Callable, Sequence
from dataclasses import replace

import structlog

from enmeshed_connector.core.errors import Code, DomainError, Unavailable
from enmeshed_connector.runtime.pacing import Backoff
from enmeshed_connector.runtime.settings import RuntimeSettings
from enmeshed_connector.runtime.synchronisation import SYNC_REQUEST_SCHEMA, Synchronisation
from enmeshed_connector.runtime.use_cases.bundle import UseCases
from enmeshed_connector.runtime.use_cases.subscriptions import SUBSCRIPTION_SCHEMA
from enmeshed_connector.runtime.worker import WORKER_LEASE, Task, Worker
from enmeshed_connector.storage import Lease, Store
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.bootstrap import open_account
from enmeshed_connector.transport.environment import Environment
from enmeshed_connector.transport.objects import ACCOUNT_INFO
from enmeshed_connector.transport.schema import TRANSPORT_SCHEMA


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
        self._environment = environment
        self._settings = settings
        self._make_tasks = make_tasks
        self._transport: TransportAccount | None = None
        self._synchronisation: Synchronisation | None = None
        self._use_cases: UseCases | None = None
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
    def use_cases(self) -> UseCases:
        """What callers can do; errors as `transport`."""
        if self._use_cases is None:
            self._use_cases = UseCases(self.transport, self.synchronisation)
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
        finally:
            self.state = AccountState.CLOSED if self.state is not AccountState.FAILED else self.state

    async def _open(self) -> Lease | None:
        """Opens the account; returns the worker's lease when it had to be taken for that."""
        backoff = Backoff(self._environment.random)
        lease: Lease | None = None
        while True:
            try:
                store = self._environment.store
                await store.declare(*TRANSPORT_SCHEMA, SYNC_REQUEST_SCHEMA, SUBSCRIPTION_SCHEMA)
                if lease is None and await store.get(ACCOUNT_INFO, "identity") is None:
                    # Only one replica may make the identity; the others find it once they get the lease.
                    lease = await store.acquire_lease(
                        WORKER_LEASE, self._environment.worker, self._settings.lease_duration
                    )
                transport = await open_account(replace(self._environment, lease=lease))
                break
            except DomainError as error:
                if error.code not in (Code.UNAVAILABLE, Code.UNKNOWN, Code.ABORTED, Code.RESOURCE_EXHAUSTED):
                    self.state = AccountState.FAILED
                    self._ready.set()
                    self._logger.error("the account cannot be opened", reason=error.reason, problem=error.message)
                    return None
                self._logger.warning("the account is not open yet", reason=error.reason, problem=error.message)
                await self._environment.clock.sleep(backoff.next())
        context = transport.context
        # Only the worker syncs, and that is decided by the lease.
        transport.sync.end_work()
        self._transport = transport
        self._synchronisation = Synchronisation(
            context.store, context.commits, transport.sync, ids=context.ids, clock=context.clock
        )
        self.state = AccountState.READY
        self._ready.set()
        self._logger.info("the account is open", address=context.identity.address)
        return lease

    async def _work(self, lease: Lease | None) -> None:
        transport, synchronisation = self.transport, self.synchronisation
        worker = Worker(
            transport,
            synchronisation,
            self._settings,
            holder=self._environment.worker,
            clock=self._environment.clock,
            random=self._environment.random,
            tasks=tuple(self._make_tasks(transport)),
        )
        await worker.run(lease)
