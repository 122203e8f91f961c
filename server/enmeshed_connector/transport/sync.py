"""Syncs: the entry to datawallet and external events, and what one sync brought.

Source: transport.md, section 12.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog

from enmeshed_connector.core.canonical_json import sort_members
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.storage import Lease
from enmeshed_connector.transport import events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.datawallet import Datawallet
from enmeshed_connector.transport.errors import DatawalletDisabled, NotTheWorker
from enmeshed_connector.transport.external_events import ProcessorTable
from enmeshed_connector.transport.failed_events import FailedEvents
from enmeshed_connector.transport.objects import ACCOUNT_INFO, DEVICES, SynchronizedCollections
from enmeshed_connector.transport.snapshot import Snapshot
from enmeshed_connector.transport.sync_modes import SyncMode
from enmeshed_connector.transport.sync_runs import RunEngine, RunOutcome
from enmeshed_connector.transport.sync_state import EVERYTHING_TIME, SyncState, SyncTimes
from enmeshed_connector.transport.work import Work, WorkerCommits


@dataclass(frozen=True)
class SyncResult:
    """What one sync changed here."""

    changed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The ids of documents that external events changed, by collection (`Messages`, `Relationships`, …), in order."""
    datawallet_changed: tuple[str, ...] = ()
    """The ids of objects that other devices of the identity changed."""
    failed_events: tuple[str, ...] = ()
    """The ids of external events that cannot be processed; see `FailedEvents`."""


@dataclass
class _Collected:
    changed: dict[str, dict[str, None]] = field(default_factory=dict)
    datawallet_changed: dict[str, None] = field(default_factory=dict)
    failed_events: dict[str, None] = field(default_factory=dict)

    def result(self) -> SyncResult:
        return SyncResult(
            {collection: tuple(ids) for collection, ids in self.changed.items()},
            tuple(self.datawallet_changed),
            tuple(self.failed_events),
        )


class SyncController:
    """Runs one sync at a time for its account.

    Only the account's worker syncs (architecture.md, decision 7); other replicas ask it to.
    """

    def __init__(
        self, context: AccountContext, processors: ProcessorTable, collections: SynchronizedCollections
    ) -> None:
        """Takes the account, who deals with its external events, and what its datawallet holds."""
        self._context = context
        self._commits = WorkerCommits(context.commits)
        self._is_worker = True
        self._state = SyncState(context.store)
        self._datawallet = Datawallet(context, self._commits, self._state, collections)
        self._snapshot = Snapshot(context, self._commits, collections)
        self.failed_events = FailedEvents(context.store, context.commits, self._commits, processors)
        self._runs = RunEngine(context, self._commits, self._state, self._datawallet, processors, self.failed_events)
        self._running: tuple[SyncMode, asyncio.Future[SyncResult]] | None = None
        self._was_joined = False
        self._can_be_joined = False
        self._logger = structlog.get_logger(__name__).bind(account=context.account)

    @property
    def is_worker(self) -> bool:
        """Whether this process may sync: at first it may, as the only one."""
        return self._is_worker

    @property
    def lease(self) -> Lease | None:
        """What commits of the account's worker are bound to; None while there is one process only."""
        return self._commits.lease

    def begin_work(self, lease: Lease) -> None:
        """Lets this process sync for as long as it holds the lease; all commits of syncs are bound to it."""
        self._commits.lease = lease
        self._is_worker = True

    def end_work(self) -> None:
        """Keeps this process from syncing, since another one may be the worker."""
        self._is_worker = False

    async def shows_restored(self) -> bool:
        """Tells whether the datawallet holds changes of this device that its database does not know. Reads only.

        Raises:
            BackboneError: The Backbone is away.
        """
        return await self._datawallet.shows_restored()

    async def sync(self, mode: SyncMode = SyncMode.EVERYTHING) -> SyncResult:
        """Syncs, or joins the sync that is running when that does all that is asked for.

        Raises:
            NotTheWorker: Another process syncs this account.
            LeaseLost: Another process has become the worker meanwhile.
            SyncRunningElsewhere: Another device of the identity is syncing; it ends within seconds.
            DatawalletVersionTooLow: Another device upgraded the datawallet.
            BackboneError: The Backbone is away. What was done before is durable, the rest is done by the next sync.
        """
        if not self._is_worker:
            raise NotTheWorker("Another process syncs this account.")
        while self._running is not None:
            running_mode, future = self._running
            # One that has fetched for the last time may lack what this caller knows to be there.
            covers = self._can_be_joined and (running_mode is mode or running_mode is SyncMode.EVERYTHING)
            self._was_joined = True
            try:
                # Whoever runs it may be cancelled; that must not be taken for the end of this caller.
                result = await asyncio.shield(future)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                # Both may be cancelled at once, as when the account is closed.
                if not future.cancelled() or task is None or task.cancelling():
                    raise
            except Exception:
                if covers:
                    raise
            else:
                if covers:
                    return result
        future = asyncio.get_running_loop().create_future()
        self._running = (mode, future)
        self._can_be_joined = True
        try:
            result = await self._sync(mode)
        except BaseException as error:
            if isinstance(error, Exception):
                future.set_exception(error)
                # Seen by nobody when nobody joined.
                future.exception()
            else:
                future.cancel()
            raise
        else:
            future.set_result(result)
            return result
        finally:
            self._running = None

    async def times(self) -> SyncTimes:
        """Returns when syncs were last completed."""
        return await self._state.times()

    async def complete_setup(self) -> None:
        """Does what is left of making or onboarding the account: its datawallet exists afterwards. Safe to repeat.

        Raises:
            SyncRunningElsewhere: Another device is in a sync run that does not end.
            BackboneError: The Backbone is away; repeating goes on where it ended.
        """
        if await self._state.run() is not None:
            await self._runs.run()
        await self._ensure_version()
        if not self._context.settings.datawallet_enabled:
            await self._present_device()

    async def require_datawallet(self) -> None:
        """Returns when data is shared among devices.

        Raises:
            DatawalletDisabled: It is switched off for this account.
        """
        if not self._context.settings.datawallet_enabled:
            raise DatawalletDisabled("The datawallet of this account is switched off in the settings.")

    async def _sync(self, mode: SyncMode) -> SyncResult:
        collected = _Collected()
        try:
            await self._sync_as(mode, collected)
        except Exception:
            # Whatever failed, what was changed here should reach the other devices.
            await self._push_what_is_left(collected)
            raise
        await self._push_what_is_left(collected)
        return collected.result()

    async def _sync_as(self, mode: SyncMode, collected: _Collected) -> None:
        if mode is SyncMode.EVERYTHING:
            await self._sync_everything(collected)
            return
        if await self._state.run() is not None:
            # While it is unfinished the Backbone takes no push, whoever makes it.
            self._take_over(await self._runs.run(), collected)
        self._can_be_joined = False
        await self._sync_datawallet(collected)

    async def _sync_everything(self, collected: _Collected) -> None:
        while True:
            self._was_joined = False
            outcome = await self._runs.run()
            if outcome.has_run:
                self._take_over(outcome, collected)
            else:
                await self._sync_datawallet(collected)
            # Who joined after the run began may know of news that it did not fetch.
            if not outcome.has_more and not self._was_joined:
                self._can_be_joined = False
                break

        async def note(work: Work) -> None:
            self._state.set_time(work, EVERYTHING_TIME)

        await self._commits.run(note)

    async def _sync_datawallet(self, collected: _Collected) -> None:
        if not self._context.settings.datawallet_enabled:
            return
        await self._ensure_version()
        pulled = await self._datawallet.pull()
        collected.datawallet_changed.update(dict.fromkeys(pulled.changed))
        await self._present_device()
        await self._snapshot.take_if_needed()
        pushed = await self._datawallet.push()
        await self._datawallet.note_time()
        if pulled.changed or pushed:

            async def tell(work: Work) -> None:
                work.publish(events.DATAWALLET_SYNCHRONIZED)

            # Official devices tell of every sync; here only of those that moved something, for each event is stored.
            await self._commits.run(tell)

    async def _push_what_is_left(self, collected: _Collected) -> None:
        if not self._context.settings.datawallet_enabled or not await self._state.has_unpushed():
            return
        if await self._state.run() is not None:
            return
        try:
            await self._sync_datawallet(collected)
        except DomainError as error:
            self._logger.info("changes wait for the next sync to reach other devices", error_code=error.reason)

    async def _ensure_version(self) -> None:
        supported = self._context.settings.datawallet_version
        version = await self._datawallet.version()
        for following in range((version or 0) + 1, supported + 1):
            await self._runs.upgrade(following)

    async def _present_device(self) -> None:
        """Tells the other devices what this one is, when they do not know it as it is: after its onboarding or an
        upgrade.
        """
        version = self._context.settings.datawallet_version

        async def write(work: Work) -> None:
            known = await work.get(DEVICES, self._context.device.id) or {}
            if "publicKey" in known and (known.get("datawalletVersion") or 0) >= version:
                return
            # What the device that made this one wrote of it ends here, the first password above all.
            device = dict(await work.read_entry(ACCOUNT_INFO, "device")) | {"datawalletVersion": version}
            await work.save(DEVICES, sort_members(device))
            work.write_entry(ACCOUNT_INFO, "device", sort_members(device))

        known = await self._context.store.get(DEVICES, self._context.device.id) or {}
        if "publicKey" not in known or (known.get("datawalletVersion") or 0) < version:
            await self._commits.run(write)

    def _take_over(self, outcome: RunOutcome, collected: _Collected) -> None:
        for collection, ids in outcome.changed.items():
            collected.changed.setdefault(collection, {}).update(ids)
        collected.failed_events.update(dict.fromkeys(outcome.failed))
