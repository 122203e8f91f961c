"""What the one elected replica does for an account: syncs, listens, keeps house.

Order of a turn: the lease is won, what a dead predecessor left is completed, then the tasks below run until the lease
is lost or the account is closed. A task that fails for a passing reason waits and goes on; nothing here ends for good.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from enmeshed_connector.backbone.errors import BackboneError
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.runtime.pacing import Backoff, end, pause
from enmeshed_connector.runtime.settings import RuntimeSettings
from enmeshed_connector.runtime.synchronisation import Synchronisation
from enmeshed_connector.storage import CommitOutcomeUnknown, Lease, LeaseLost, StorageUnavailable
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.work import Work

WORKER_LEASE = "worker"
CURSOR_TRUNCATED = "connector.cursorTruncated"

_LONG_ENOUGH_SECONDS = 60.0
"""Who has worked for so long counts as healthy: the next failure is waited for shortly again."""

Task = Callable[[], Awaitable[None]]
"""Something that rooms above let the worker run: it goes on until it is cancelled."""


class Worker:
    """Wins the lease of an account again and again, and works for as long as it holds it."""

    def __init__(
        self,
        transport: TransportAccount,
        synchronisation: Synchronisation,
        settings: RuntimeSettings,
        *,
        holder: str,
        clock: Clock,
        random: Callable[[int], bytes],
        tasks: tuple[Task, ...] = (),
    ) -> None:
        """Takes the account, and further tasks that only the worker may run (automation, timers).

        Args:
            transport: The account.
            synchronisation: How it is synced.
            settings: How often.
            holder: Names this process, for people who look at the lease.
            clock: Tells time.
            random: Spreads retries.
            tasks: Further tasks; each runs until cancelled, and begins again after a passing failure.
        """
        self._transport = transport
        self._context = transport.context
        self._synchronisation = synchronisation
        self._settings = settings
        self._holder = holder
        self._clock = clock
        self._random = random
        self._tasks = tasks
        self._logger = structlog.get_logger(__name__).bind(account=transport.context.account)

    async def run(self, lease: Lease | None = None) -> None:
        """Works until it is cancelled.

        Args:
            lease: One that is held already; None waits for it.
        """
        backoff = Backoff(self._random)
        while True:
            held = lease or await self._acquire()
            lease = None
            began = self._clock.monotonic()
            try:
                await self._hold(held)
            except Exception:
                # A fault of ours: it must not end the account for good, and somebody must look at it.
                self._logger.exception("the worker of the account failed and begins again")
            finally:
                self._transport.sync.end_work()
                self._synchronisation.become_worker(False)
                await self._release(held)
            if self._clock.monotonic() - began > _LONG_ENOUGH_SECONDS:
                backoff.reset()
            await pause(self._clock, backoff.next())

    async def _acquire(self) -> Lease:
        backoff = Backoff(self._random)
        while True:
            try:
                return await self._context.store.acquire_lease(
                    WORKER_LEASE, self._holder, self._settings.lease_duration
                )
            except (StorageUnavailable, CommitOutcomeUnknown):
                # Taken without our knowing, it is free again when nobody has renewed it for its length.
                await pause(self._clock, backoff.next())

    async def _release(self, lease: Lease) -> None:
        try:
            async with asyncio.timeout(2):
                await self._context.store.release_lease(lease)
        except (DomainError, TimeoutError):
            # A contender then waits for the length of the lease.
            self._logger.info("the lease was not given back")

    async def _hold(self, lease: Lease) -> None:
        """Works until the lease is lost or this task is cancelled; a task that ends otherwise ends all of them.

        Not by a `TaskGroup`: of Python 3.11 and 3.12 it lets an error of a task take the place of a cancellation from
        outside, after which the worker would begin again and the account could not be closed.
        """
        self._transport.sync.begin_work(lease)
        tasks = [
            asyncio.create_task(self._renew(lease), name="renew lease"),
            asyncio.create_task(self._sync(), name="sync"),
            *(asyncio.create_task(self._go_on(task)) for task in self._tasks),
        ]
        if self._settings.listens:
            tasks.append(asyncio.create_task(self._listen(), name="listen"))
        for name, step, interval in (
            ("housekeeping", self._keep_house, self._settings.housekeeping_interval),
            ("settling", self._settle, self._settings.settle_interval),
        ):
            tasks.append(asyncio.create_task(self._repeat(name, step, interval), name=name))
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await end(tasks)
        failures = [error for task in tasks if not task.cancelled() and (error := task.exception()) is not None]
        defects = [error for error in failures if not isinstance(error, DomainError)]
        if defects or not failures:
            raise BaseExceptionGroup("tasks of the worker failed", defects or [RuntimeError("one of them ended")])
        if any(isinstance(error, LeaseLost) for error in failures):
            self._logger.warning("another replica has taken over")
        else:
            self._logger.warning("the worker of the account begins again", problems=[str(error) for error in failures])

    async def _renew(self, lease: Lease) -> None:
        interval = self._settings.lease_duration / 4
        missed = 0.0
        while True:
            await pause(self._clock, interval)
            began = self._clock.monotonic()
            try:
                await self._context.store.renew_lease(lease)
                missed = 0.0
            except (StorageUnavailable, CommitOutcomeUnknown):
                missed += self._clock.monotonic() - began + interval.total_seconds()
                if missed > self._settings.lease_duration.total_seconds() / 2:
                    # Another replica may believe by now that nobody works; stop before it starts.
                    raise LeaseLost("The lease could not be renewed in time.") from None

    async def _sync(self) -> None:
        backoff = Backoff(self._random)
        is_started = False
        while True:
            try:
                if not is_started:
                    await self._transport.start()
                    is_started = True
                    # Not before: a new account cannot be synced until the rest of it is made.
                    self._synchronisation.become_worker(True)
                await self._synchronisation.serve()
                backoff.reset()
            except DomainError as error:
                # Everything unfinished is resumed by the next sync: every reason to fail passes, or repeats here.
                self._logger.info("the account is not in sync", reason=error.reason, code=error.official_code)
                await pause(self._clock, backoff.next())
                continue
            await self._synchronisation.wait(self._settings.sync_interval)

    async def _listen(self) -> None:
        """Wakes the account when the Backbone says that there is news.

        A stream that ends without an event may have been taken by another device of the identity: each time the pause
        grows, and the interval of the sync alone brings news meanwhile.
        """
        backoff = Backoff(self._random, first=timedelta(seconds=1), longest=timedelta(minutes=5))
        while True:
            try:
                async with self._context.backbone.event_stream() as names:
                    # What happened before the stream was open is not told.
                    self._synchronisation.wake()
                    async for _name in names:
                        backoff.reset()
                        self._synchronisation.wake()
            except BackboneError as error:
                self._logger.debug("the event stream ended", reason=error.reason)
            await pause(self._clock, backoff.next())

    async def _keep_house(self) -> None:
        store = self._context.store
        await self._transport.cleanup.run()
        trimmed = await store.log.trim(self._settings.retention)
        await self._synchronisation.forget_abandoned()
        # Readers of this process tell of it themselves; their names are no subscription's.
        cut_off = [name for name in trimmed.truncated_cursors if "/" not in name]
        if cut_off:
            oldest = store.log.token(await store.log.oldest())

            async def tell(work: Work) -> None:
                for name in cut_off:
                    work.publish(CURSOR_TRUNCATED, {"subscription": name, "oldestResumeToken": oldest})

            await self._context.commits.run(tell)

    async def _settle(self) -> None:
        await self._context.outbox.settle()
        await self._transport.relationships.finish_erasures()

    async def _repeat(self, name: str, step: Task, interval: timedelta) -> None:
        while True:
            await pause(self._clock, interval)
            try:
                await step()
            except DomainError as error:
                self._logger.info("a task is put off", task=name, reason=error.reason)

    async def _go_on(self, task: Task) -> None:
        backoff = Backoff(self._random)
        while True:
            began = self._clock.monotonic()
            try:
                await task()
            except LeaseLost:
                raise
            except DomainError as error:
                self._logger.info("a task is put off", reason=error.reason)
            if self._clock.monotonic() - began > _LONG_ENOUGH_SECONDS:
                backoff.reset()
            await pause(self._clock, backoff.next())
