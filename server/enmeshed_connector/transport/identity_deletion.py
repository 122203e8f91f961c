"""Deleting the own identity, with a time of grace.

Source: transport.md, section 21.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from enmeshed_connector.backbone.endpoints.deletion import DeletionProcess, DeletionProcesses
from enmeshed_connector.backbone.endpoints.identities import DeletionState, Identities
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.ids import DELETION_PROCESS, parse_id
from enmeshed_connector.transport import events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.external_events import ExternalEvent, ExternalEventProcessor, payload_text
from enmeshed_connector.transport.objects import (
    IDENTITY_DELETION_PROCESSES,
    Document,
    public_part,
    without_unset,
)
from enmeshed_connector.transport.pending import Done, NotDone, Operation, PendingOperation, Resolution, Ticket
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Work


class IdentityDeletionController:
    """Starts and cancels deletion processes. Documents are IdentityDeletionProcess (transport.md, section 8.1)."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context
        self._start = _StartDeletion(context)
        self._cancel = _CancelDeletion(context)
        self.operations: Sequence[Operation] = (self._start, self._cancel)
        self.processors: Sequence[ExternalEventProcessor] = (
            _DeletionChanged(context, "IdentityDeletionProcessStarted"),
            _DeletionChanged(context, "IdentityDeletionProcessStatusChanged"),
        )

    async def start(
        self, grace_period_days: float | None = None, *, ticket: Ticket | None = None, cause: Cause = LOCAL_CAUSE
    ) -> Document:
        """Starts the deletion of this identity and returns the process.

        Args:
            grace_period_days: How long it can be cancelled; the Backbone's own time (14 days) when not given.
            ticket: The caller's idempotency key.
            cause: Where the request comes from.

        Raises:
            BackboneRejected: One is running already (`validation.device.onlyOneActiveDeletionProcessAllowed`).
            OutcomeUnknown: It was asked for and no answer came.
        """
        result = await self._context.outbox.earlier_result(ticket)
        if result is None:
            plan = {} if grace_period_days is None else {"gracePeriodDays": grace_period_days}
            result = await self._context.outbox.run(self._start, wire="", plan=plan, ticket=ticket, cause=cause)
        return await self.get(str(result["id"]))

    async def cancel(self, process_id: str, *, ticket: Ticket | None = None, cause: Cause = LOCAL_CAUSE) -> Document:
        """Cancels an active process and returns it.

        Raises:
            RecordMissing: There is no such process.
            BackboneRejected: It is not active, or its time of grace is over.
            OutcomeUnknown: It was asked for and no answer came.
        """
        result = await self._context.outbox.earlier_result(ticket)
        if result is None:
            await self.get(process_id)
            result = await self._context.outbox.run(
                self._cancel, wire="", plan={"id": process_id}, ticket=ticket, cause=cause
            )
        return await self.get(str(result["id"]))

    async def get(self, process_id: str) -> Document:
        """Returns a process.

        Raises:
            RecordMissing: There is none of this id.
        """
        document = await self._context.store.get(IDENTITY_DELETION_PROCESSES, process_id)
        if document is None:
            raise RecordMissing("identity deletion process", process_id)
        return public_part(document)

    async def list(self) -> list[Document]:
        """Returns all processes, by id."""
        return [public_part(document) for document in await self._context.store.find(IDENTITY_DELETION_PROCESSES)]

    async def active(self) -> Document | None:
        """Returns the active process, None when there is none."""
        document = await self._context.store.find_one(IDENTITY_DELETION_PROCESSES, {"status": "Active"})
        return None if document is None else public_part(document)

    async def is_deleted(self) -> DeletionState:
        """Asks the Backbone, without credentials, whether this identity is deleted: when its login is refused.

        Raises:
            BackboneError: The Backbone is away.
        """
        return await Identities(self._context.anonymous).deletion_state(self._context.device.username)


class _StartDeletion(Operation):
    """The start of a process."""

    kind = "identityDeletion.start"

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def transmit(self, pending: PendingOperation) -> Json:
        days = pending.plan.get("gracePeriodDays")
        return _to_document(await DeletionProcesses(self._context.backbone).start(days))

    async def resolve(self, pending: PendingOperation) -> Resolution:
        """Only one process can be active: an active one that is not known here is the one that was asked for."""
        for process in await DeletionProcesses(self._context.backbone).list():
            if process.status == "Active":
                return Done(_to_document(process))
        return NotDone()

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        await _store(answer, work)
        return {"id": answer["id"]}


class _CancelDeletion(Operation):
    """The cancellation of a process."""

    kind = "identityDeletion.cancel"

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def transmit(self, pending: PendingOperation) -> Json:
        process_id = parse_id(DELETION_PROCESS, pending.plan["id"])
        return _to_document(await DeletionProcesses(self._context.backbone).cancel(process_id))

    async def resolve(self, pending: PendingOperation) -> Resolution:
        process_id = parse_id(DELETION_PROCESS, pending.plan["id"])
        process = await DeletionProcesses(self._context.backbone).get(process_id)
        return Done(_to_document(process)) if process.status == "Cancelled" else NotDone()

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        await _store(answer, work)
        return {"id": answer["id"]}


class _DeletionChanged(ExternalEventProcessor):
    """A process that somebody else than this identity started or changed."""

    def __init__(self, context: AccountContext, event_type: str) -> None:
        self._context = context
        self.type = event_type  # type: ignore[misc]  # One class for both types, which ask for the same.

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        process_id = parse_id(DELETION_PROCESS, payload_text(event, "deletionProcessId"), "payload.deletionProcessId")
        await _store(_to_document(await DeletionProcesses(self._context.backbone).get(process_id)), work)


async def _store(process: Document, work: Work) -> None:
    before = await work.get(IDENTITY_DELETION_PROCESSES, process["id"]) or {}
    changed = before | process
    if process["status"] == "Cancelled":
        changed.pop("gracePeriodEndsAt", None)
    if await work.save(IDENTITY_DELETION_PROCESSES, changed):
        work.publish(events.IDENTITY_DELETION_PROCESS_STATUS_CHANGED, changed)


def _to_document(process: DeletionProcess) -> Document:
    def date(moment: Any) -> str | None:
        return None if moment is None else format_date(moment)

    return without_unset(
        **{"@type": "IdentityDeletionProcess"},
        cancelledAt=date(process.cancelled_at),
        cancelledByDevice=process.cancelled_by_device,
        createdAt=date(process.created_at),
        createdByDevice=process.created_by_device,
        gracePeriodEndsAt=date(process.grace_period_ends_at),
        id=process.id,
        status=process.status,
    )
