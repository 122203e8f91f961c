"""Sync runs: external events are fetched, become durable here, and only then are confirmed.

Source: transport.md, section 12.3; backbone-api.md, section 13; architecture.md, decision 6.

The id of a run is durable before its first event is processed. A run that was interrupted is read again and finished,
whether or not it has expired meanwhile; a new one starts only when it is finished or gone. What the Backbone counts
against an event is only what is wrong with the event itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

import structlog

from enmeshed_connector.backbone.endpoints.sync_runs import (
    DATAWALLET_VERSION_UPGRADE,
    EXTERNAL_EVENT_SYNC,
    EventResult,
    ExternalEventSyncResult,
    Finalised,
)
from enmeshed_connector.backbone.endpoints.sync_runs import SyncRuns as SyncRunCalls
from enmeshed_connector.backbone.errors import BackboneError, BackboneRejected, RecordNotFound
from enmeshed_connector.core.ids import SyncRunId
from enmeshed_connector.storage import UniqueViolation
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.datawallet import Datawallet
from enmeshed_connector.transport.errors import DatawalletVersionTooHigh, SyncRunningElsewhere
from enmeshed_connector.transport.external_events import ExternalEvent, ProcessorTable, is_transient
from enmeshed_connector.transport.failed_events import FailedEvents
from enmeshed_connector.transport.sync_state import RunRecord, SyncState
from enmeshed_connector.transport.work import Cause, Origin, Work, WorkerCommits

SHARED_COMMIT = 32
"""How many events of a type that allows it become durable in one commit at most."""

_ALREADY_FINALISED = "validation.syncRun.syncRunAlreadyFinalized"
_ANOTHER_RUN = "validation.syncRun.cannotStartSyncRunWhenAnotherSyncRunIsRunning"
_TO_BE_DELETED = "validation.syncRun.cannotStartSyncRunWhileIdentityIsToBeDeleted"
_UPGRADE_ATTEMPTS = 10
_UPGRADE_WAIT = timedelta(seconds=2)


class _RunGone(Exception):
    """The run is finished: by us, with an answer that was lost, or by another device after it expired."""


@dataclass
class RunOutcome:
    """What one run did."""

    has_run: bool
    """False when there was nothing to fetch."""
    has_more: bool = False
    """Whether the Backbone has fresh events already."""
    changed: dict[str, dict[str, None]] = field(default_factory=dict)
    """The ids of documents that events changed, by collection, in order."""
    failed: tuple[str, ...] = ()
    """The ids of events that were set aside."""


class RunEngine:
    """Carries out sync runs. Used by the sync controller, one run at a time."""

    def __init__(
        self,
        context: AccountContext,
        commits: WorkerCommits,
        state: SyncState,
        datawallet: Datawallet,
        processors: ProcessorTable,
        failed_events: FailedEvents,
    ) -> None:
        """Takes the account, the worker's commits, its sync state, and who deals with events."""
        self._context = context
        self._commits = commits
        self._state = state
        self._datawallet = datawallet
        self._processors = processors
        self._failed_events = failed_events
        self._calls = SyncRunCalls(context.backbone)
        self._logger = structlog.get_logger(__name__).bind(account=context.account)

    async def run(self) -> RunOutcome:
        """Resumes the run that was interrupted, or starts one, and carries it to its end.

        Raises:
            SyncRunningElsewhere: Another device of the identity is in a run, or a run of ours is lost and must expire.
            BackboneError: The Backbone is away; the run stays unfinished and is resumed by the next call.
            DatawalletNotReadable: What another device wrote cannot be read.
        """
        record = await self._state.run()
        if record is None:
            record = await self._start()
            if record is None:
                return RunOutcome(has_run=False)
        elif record.type == DATAWALLET_VERSION_UPGRADE:
            await self._finish_upgrade(record)
            return RunOutcome(has_run=True, has_more=True)
        outcome = RunOutcome(has_run=True)
        try:
            async with self._kept_alive(record.id) as is_gone:
                if record.attempt is None:
                    await self._datawallet.pull(ends_attempt=True)
                results = await self._process(record, outcome, is_gone)
            outcome.has_more = await self._finalise(record, results)
        except _RunGone:
            await self._give_up(record)
            outcome.has_more = True
        return outcome

    async def upgrade(self, version: int) -> None:
        """Raises the identity's datawallet to a version; the first one brings it into being.

        Raises:
            SyncRunningElsewhere: Another run does not end.
            DatawalletVersionTooHigh: The datawallet has a higher version.
            BackboneError: The Backbone is away; repeating is safe.
        """
        record = await self._state.run()
        if record is None:
            for attempt in range(_UPGRADE_ATTEMPTS):
                try:
                    run = await self._calls.start(DATAWALLET_VERSION_UPGRADE)
                    break
                except BackboneRejected as error:
                    # A run whose start was answered to a process that died: it expires within ten seconds.
                    if not error.has_code(_ANOTHER_RUN):
                        raise
                    if attempt == _UPGRADE_ATTEMPTS - 1:
                        raise SyncRunningElsewhere("Another sync run of this identity does not end.") from error
                    await self._context.clock.sleep(_UPGRADE_WAIT)
            assert run is not None, "version upgrades always get a run"
            record = RunRecord(run.id, DATAWALLET_VERSION_UPGRADE, new_version=version)
            await self._keep(record)
        if record.type != DATAWALLET_VERSION_UPGRADE:
            await self.run()
            await self.upgrade(version)
            return
        await self._finish_upgrade(record)

    async def _start(self) -> RunRecord | None:
        try:
            run = await self._calls.start(EXTERNAL_EVENT_SYNC)
        except BackboneRejected as error:
            if error.has_code(_ANOTHER_RUN):
                raise SyncRunningElsewhere(
                    "Another sync run of this identity is not finished; try again in some seconds.",
                    retry_after=timedelta(seconds=10),
                ) from error
            if error.has_code(_TO_BE_DELETED):
                return None
            raise
        if run is None:
            return None
        record = RunRecord(run.id)
        await self._keep(record)
        return record

    async def _process(self, record: RunRecord, outcome: RunOutcome, is_gone: asyncio.Event) -> list[EventResult]:
        try:
            events = await self._calls.external_events(record.id).collect()
        except (BackboneRejected, RecordNotFound) as error:
            if error.has_code(_ALREADY_FINALISED) or isinstance(error, RecordNotFound):
                raise _RunGone from error
            raise
        done = await self._state.processed_events()
        failed = await self._failed_events.of_run(record.id)
        waiting = [event for event in events if event.id not in done and event.id not in failed]
        position = 0
        while position < len(waiting):
            if is_gone.is_set():
                raise _RunGone
            batch = self._batch(waiting, position)
            failed.update(await self._process_batch(record, batch, outcome))
            position += len(batch)
        outcome.failed = tuple(failed)
        return [EventResult(event.id, failed.get(event.id)) for event in events]

    def _batch(self, events: Sequence[ExternalEvent], position: int) -> Sequence[ExternalEvent]:
        first = events[position]
        processor = self._processors.find(first.type)
        if processor is None or not processor.shares_commit:
            return [first]
        end = position + 1
        while end < len(events) and end - position < SHARED_COMMIT and events[end].type == first.type:
            end += 1
        return events[position:end]

    async def _process_batch(
        self, record: RunRecord, batch: Sequence[ExternalEvent], outcome: RunOutcome
    ) -> dict[str, str]:
        """Makes the consequences of a batch durable; returns the codes of the events that had to be set aside."""
        try:
            try:
                changed = await self._commit_batch(record, batch)
            except UniqueViolation:
                # Something it creates was made by a call at the same moment; the second time it is found.
                changed = await self._commit_batch(record, batch)
        except Exception as error:
            if is_transient(error):
                raise
            if len(batch) == 1:
                return {batch[0].id: await self._set_aside(record, batch[0], error)}
            # One of them is poisoned: each gets a commit of its own.
            failed: dict[str, str] = {}
            for event in batch:
                failed.update(await self._process_batch(record, [event], outcome))
            return failed
        for collection, ids in changed.items():
            outcome.changed.setdefault(collection, {}).update(dict.fromkeys(ids))
        return {}

    async def _commit_batch(self, record: RunRecord, batch: Sequence[ExternalEvent]) -> dict[str, tuple[str, ...]]:
        processor = self._processors.processor_for(batch[0].type)
        fetched = await processor.fetch(batch)

        async def process(work: Work) -> dict[str, tuple[str, ...]]:
            for event in batch:
                await processor.process(event, fetched.get(event.id), work)
            changed = work.changed
            self._state.mark_processed(work, record.id, [event.id for event in batch])
            for event in batch:
                if event.sync_error_count > 0:
                    self._failed_events.forget(work, event.id)
            return changed

        return await self._commits.run(process, cause=Cause(Origin.EXTERNAL))

    async def _set_aside(self, record: RunRecord, event: ExternalEvent, error: Exception) -> str:
        code = await self._failed_events.set_aside(event, error, record.id)
        self._logger.warning(
            "an external event cannot be processed and was set aside",
            event_id=event.id,
            event_type=event.type,
            error_code=code,
            error_type=type(error).__name__,
        )
        return code

    async def _finalise(self, record: RunRecord, results: Sequence[EventResult]) -> bool:
        if record.attempt is None:
            attempt = await self._datawallet.choose(await self._datawallet.base())
            record = replace(record, attempt=attempt)
            if attempt.local_ids:
                await self._keep(record)
        assert record.attempt is not None
        body = ExternalEventSyncResult(results, await self._datawallet.seal(record.attempt))
        try:
            answer = await self._calls.finalise_external_event_sync(record.id, body)
        except (BackboneRejected, RecordNotFound) as error:
            if error.has_code(_ALREADY_FINALISED) or isinstance(error, RecordNotFound):
                raise _RunGone from error
            raise
        await self._close(record, answer)
        return answer.new_unsynced_external_events_exist

    async def _finish_upgrade(self, record: RunRecord) -> None:
        assert record.new_version is not None
        if record.attempt is None:
            base = await self._datawallet.base()
            # Only the first modifications of an identity are certain to follow what is known here.
            attempt = await self._datawallet.choose(base)
            if base >= 0:
                attempt = replace(attempt, local_ids=())
            record = replace(record, attempt=attempt)
            await self._keep(record)
        assert record.attempt is not None
        try:
            answer = await self._calls.finalise_version_upgrade(
                record.id, record.new_version or 1, await self._datawallet.seal(record.attempt)
            )
        except (BackboneRejected, RecordNotFound) as error:
            if error.has_code(_ALREADY_FINALISED) or isinstance(error, RecordNotFound):
                await self._give_up(record)
                return
            if error.has_code("datawallet.cannotDowngrade"):
                await self._give_up(record)
                raise DatawalletVersionTooHigh("The datawallet has a higher version already.") from error
            raise
        await self._close(record, answer)

    async def _close(self, record: RunRecord, answer: Finalised) -> None:
        attempt = record.attempt

        async def close(work: Work) -> None:
            if attempt is not None and attempt.local_ids:
                self._datawallet.note_pushed(work, attempt, attempt.base + len(attempt.local_ids))
            self._state.set_run(work, None)
            await self._state.forget_processed(work, record.id)

        await self._commits.run(close)

    async def _give_up(self, record: RunRecord) -> None:
        """Leaves a run that is finished, it is not known by whom.

        Its modifications may be in the datawallet: the next pull tells. Its events may be delivered again: that they
        were processed stays remembered.
        """

        async def leave(work: Work) -> None:
            self._state.set_run(work, None)
            if record.attempt is not None and record.attempt.local_ids:
                self._state.set_attempt(work, record.attempt)

        await self._commits.run(leave)

    async def _keep(self, record: RunRecord) -> None:
        async def keep(work: Work) -> None:
            self._state.set_run(work, record)

        await self._commits.run(keep)

    @asynccontextmanager
    async def _kept_alive(self, run_id: SyncRunId) -> AsyncIterator[asyncio.Event]:
        """Refreshes the run as long as the block runs; the event is set when the run turns out to be finished."""
        is_gone = asyncio.Event()

        async def refresh() -> None:
            while not is_gone.is_set():
                await self._context.clock.sleep(self._context.settings.refresh_run_every)
                try:
                    await self._calls.refresh_expiration(run_id)
                except BackboneRejected as error:
                    if error.has_code(_ALREADY_FINALISED) or isinstance(error, RecordNotFound):
                        is_gone.set()
                except BackboneError as error:
                    # An expired run can still be finished: nothing is lost when a refresh does not get through.
                    self._logger.info("a sync run could not be refreshed", error_code=error.reason)

        task = asyncio.create_task(refresh(), name=f"refresh {run_id}")
        try:
            yield is_gone
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
