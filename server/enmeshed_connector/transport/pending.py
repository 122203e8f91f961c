"""Requests to the Backbone that must not happen twice (architecture.md, decision 8).

A *kind* of request is a subclass of `Operation`, one per row of decision 8's table. Using it:

    class SendMessage(Operation):
        kind = "messages.send"
        async def transmit(self, pending): ...                # sends `pending.wire`, exactly, and returns the answer
        async def resolve(self, pending): ...                 # looks at the Backbone for what became of it
        async def complete(self, pending, answer, work): ...  # writes documents and events, returns the result

    result = await context.outbox.run(send_message, wire=body_text, plan={…}, ticket=ticket)

What happens: (1) wire and plan become durable; (2) the wire is sent; (3) one commit makes what follows durable, forgets
the pending request and keeps the result under the ticket's key. Whatever dies in between, `settle` or the caller's
repeat finds the pending request and finds out what became of it; nothing is ever encrypted anew for a repeat.

| what happened | what follows |
|---|---|
| answered | `complete` |
| refused, or nothing was sent | `withdraw`, and the error goes to the caller; the same key starts afresh |
| no answer, and `resolve` finds it done | `complete` |
| no answer, not repeatable, and it is unclear | `OutcomeUnknown` with the key; pending until it is clear |
| no answer, and it is known not to have happened | sent again by a repeat of the caller; `settle` withdraws it |

Events tell of calls that end without an answer, and of what became of them; also of calls whose process died, for which
nobody waits.

"Known not to have happened" counts only when the settling time is over: the Backbone may still be working on the
request.
"""

from __future__ import annotations

import abc
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, ClassVar

import structlog

from enmeshed_connector.backbone.errors import AnswerLost, BackboneError, BackboneRejected
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.errors import Code, InvalidArgument, OutcomeUnknown
from enmeshed_connector.core.ids import LOCAL, IdMaker
from enmeshed_connector.storage import IdempotencyRecord, Store
from enmeshed_connector.transport import events
from enmeshed_connector.transport.errors import OperationRunning
from enmeshed_connector.transport.objects import PENDING_OPERATIONS, PENDING_WIRES, Document, without_unset
from enmeshed_connector.transport.pending_documents import (
    PendingOperation,
    Ticket,
    from_document,
    is_apart,
    to_document,
)
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Commits, Work

__all__ = [
    "Done",
    "IdempotencyKeyReused",
    "NotDone",
    "Operation",
    "Outbox",
    "PendingOperation",
    "Resolution",
    "Ticket",
    "Unclear",
]

_RUNNING, _DONE, _VOID = "running", "done", "void"
_TOLD = "isTold"
"""In the document: the caller, and whoever follows the events, was told that the outcome is unknown."""


class IdempotencyKeyReused(InvalidArgument):
    """The idempotency key was used before with another request. A new request needs a new key."""

    reason, code = "IDEMPOTENCY_KEY_REUSED", Code.INVALID_ARGUMENT


class Resolution(abc.ABC):  # noqa: B024 - a closed sum of the three below
    """What became of a request without an answer."""


@dataclass(frozen=True)
class Done(Resolution):
    """The Backbone did it; this is what its answer held."""

    answer: Json


@dataclass(frozen=True)
class NotDone(Resolution):
    """The Backbone does not show it now. Final once the settling time is over."""


@dataclass(frozen=True)
class Unclear(Resolution):
    """There is no way to tell yet."""


class Operation(abc.ABC):
    """One kind of request. Instances are stateless and belong to a controller."""

    kind: ClassVar[str]
    """The name under which pending requests of this kind are stored, such as `messages.send`. Never changes."""
    is_repeatable: ClassVar[bool] = False
    """True when a second time harms nobody (an orphaned template or token): it is then sent again without `resolve`."""

    @abc.abstractmethod
    async def transmit(self, pending: PendingOperation) -> Json:
        """Sends the request as it stands in `wire` and returns what `complete` needs of the answer, as JSON.

        Raises:
            BackboneError: `AnswerLost` when the outcome is unknown; any other means that nothing was changed.
        """

    async def resolve(self, pending: PendingOperation) -> Resolution:
        """Looks at the Backbone for what became of the request. Reads only."""
        return NotDone() if self.is_repeatable else Unclear()

    @abc.abstractmethod
    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        """Writes what follows from the answer and returns what the caller gets, as JSON: an id, not a whole document.

        Runs inside a commit, so perhaps several times. When what it would write is there already (an event of the
        Backbone was faster), it leaves that as it is and returns the same result.
        """

    async def withdraw(self, pending: PendingOperation, work: Work) -> None:  # noqa: B027 - optional
        """Removes what was stored for the request before it was sent, such as secrets. Nothing by default."""


class Outbox:
    """Carries out operations once, and finds out about those that were interrupted."""

    def __init__(
        self,
        store: Store,
        commits: Commits,
        *,
        ids: IdMaker,
        clock: Clock,
        settle_after: timedelta,
        worker: str,
    ) -> None:
        """Takes the collaborators.

        Args:
            store: The account's store.
            commits: Makes its commits.
            ids: Makes ids of pending operations.
            clock: Tells how long ago an attempt was.
            settle_after: How long after an attempt the Backbone may still be working on it.
            worker: Names this process in idempotency records.
        """
        self._store = store
        self._commits = commits
        self._ids = ids
        self._clock = clock
        self._settle_after = settle_after
        self._worker = worker
        self._logger = structlog.get_logger(__name__).bind(store=store.name)
        self._operations: dict[str, Operation] = {}
        self._running: set[str] = set()
        # The number of the latest attempt, and when it was made, or first seen when another process made it.
        self._attempted: dict[str, tuple[int, float]] = {}

    def register(self, *operations: Operation) -> None:
        """Makes kinds known, so that `settle` can deal with what a dead process left of them.

        Raises:
            ValueError: A kind is registered twice.
        """
        for operation in operations:
            if operation.kind in self._operations:
                raise ValueError(f"operation {operation.kind} is registered twice")
            self._operations[operation.kind] = operation

    async def earlier_result(self, ticket: Ticket | None) -> Json | None:
        """Returns the result that the ticket's key got before, None when there is none: ask before checking anything
        else.

        A request under this key that is pending without an answer is resolved first, and sent again when it is known
        not to have happened.

        Raises:
            IdempotencyKeyReused: The key was used with another request.
            OperationRunning: The same request is being carried out now.
            OutcomeUnknown: It was sent, and what became of it is not clear yet.
        """
        if ticket is None:
            return None
        record = await self._store.idempotency(ticket.key)
        if record is None or record.state == _VOID:
            return None
        if record.request_digest != ticket.request_digest:
            raise IdempotencyKeyReused("This idempotency key was used with another request.")
        if record.state == _DONE:
            return record.answer
        pending = await self._load(str((record.answer or {}).get("pending", "")))
        if pending is None:
            # It was finished or withdrawn between the two reads.
            return await self.earlier_result(ticket)
        return await self._resume(pending)

    async def run(
        self,
        operation: Operation,
        *,
        wire: str,
        plan: Mapping[str, Any],
        ticket: Ticket | None = None,
        cause: Cause = LOCAL_CAUSE,
        before: Iterable[Document] = (),
    ) -> Json:
        """Carries out a new request and returns what `complete` returned.

        Args:
            operation: The kind.
            wire: What is sent.
            plan: What `complete` needs besides the answer.
            ticket: The caller's key; its earlier use was looked for with `earlier_result`.
            cause: Where the request comes from, for the events.
            before: Secret containers and the like that must be durable before the request is sent (collection
                `Secrets`).

        Raises:
            BackboneError: The request was refused or could not be sent; nothing is pending.
            OutcomeUnknown: It was sent and no answer came.
            OperationRunning: The same key is in use at this moment.
        """
        pending = PendingOperation(self._ids.new(LOCAL), operation.kind, wire, dict(plan), self._clock.now(), ticket)
        documents = tuple(before)

        async def keep(work: Work) -> None:
            work.store_silently(PENDING_OPERATIONS, to_document(pending))
            if is_apart(pending.wire):
                work.store_silently(PENDING_WIRES, {"id": pending.id, "wire": pending.wire})
            for document in documents:
                await work.create("Secrets", document)
            if ticket is not None:
                # Read through the work: of two who repeat a request that has failed, one would overwrite the other.
                record = await work.idempotency(ticket.key)
                if record is not None and record.state != _VOID:
                    raise OperationRunning("The same request is being carried out at this moment.")
                work.remember(self._record(ticket, _RUNNING, {"pending": pending.id}))

        self._running.add(pending.id)
        try:
            await self._commits.run(keep, cause=cause)
            return await self._attempt(operation, pending, cause, is_repeat=False)
        finally:
            self._running.discard(pending.id)

    async def pending(self, kind: str) -> list[PendingOperation]:
        """Returns the pending requests of a kind, oldest first."""
        documents = await self._store.find(PENDING_OPERATIONS, {"kind": kind}, sort=["_rev"])
        found = [await self._read(document) for document in documents]
        return [pending for pending in found if pending is not None]

    async def adopt(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        """Completes a pending request inside the caller's commit: an external event told what became of it.

        Returns what `complete` returned, or None when it is not pending any more.
        """
        document = await work.get(PENDING_OPERATIONS, pending.id)
        if document is None:
            return None
        result = await self._operations[pending.kind].complete(pending, answer, work)
        self._forget(pending, document, work, _DONE, result)
        return result

    async def settle(self, *, cause: Cause = LOCAL_CAUSE) -> None:
        """Finds out about pending requests that nobody waits for. To be called at start and from time to time by the
        worker.

        Done ones are completed; those known not to have happened are withdrawn; the others stay.

        Raises:
            BackboneError: The Backbone is away.
        """
        for document in await self._store.find(PENDING_OPERATIONS, sort=["_rev"]):
            operation = self._operations.get(document["kind"])
            if operation is None or document["id"] in self._running:
                continue
            pending = await self._read(document)
            if pending is None or pending.id in self._running:
                continue
            self._running.add(pending.id)
            try:
                self._note_attempt(pending, seen=True)
                match await self._resolve(operation, pending):
                    case Done(answer):
                        await self._complete(operation, pending, answer, cause, is_waited_for=False)
                    case NotDone() if self._is_settled(pending):
                        await self._withdraw(operation, pending, cause, is_waited_for=False)
            finally:
                self._running.discard(pending.id)

    async def _resume(self, pending: PendingOperation) -> Json:
        operation = self._operations[pending.kind]
        if pending.id in self._running:
            raise OperationRunning("The same request is being carried out at this moment.")
        self._running.add(pending.id)
        try:
            self._note_attempt(pending, seen=True)
            match await self._resolve(operation, pending):
                case Done(answer):
                    return await self._complete(operation, pending, answer, LOCAL_CAUSE)
                case NotDone() if operation.is_repeatable or self._is_settled(pending):
                    pending = await self._claim(pending)
                    return await self._attempt(operation, pending, LOCAL_CAUSE, is_repeat=True)
            await self._tell_unknown(pending, LOCAL_CAUSE)
            raise self._unknown(pending)
        finally:
            self._running.discard(pending.id)

    async def _attempt(self, operation: Operation, pending: PendingOperation, cause: Cause, *, is_repeat: bool) -> Json:
        self._note_attempt(pending)
        try:
            answer = await operation.transmit(pending)
        except AnswerLost:
            self._note_attempt(pending)
            resolution = await self._resolve_quietly(operation, pending)
            if not isinstance(resolution, Done):
                await self._tell_unknown(pending, cause)
                raise self._unknown(pending) from None
            answer = resolution.answer
        except BackboneError:
            # What refuses a repeat may be the success of the first attempt.
            resolution = await self._resolve_quietly(operation, pending) if is_repeat else NotDone()
            if isinstance(resolution, Unclear):
                await self._tell_unknown(pending, cause)
                raise self._unknown(pending) from None
            if isinstance(resolution, NotDone):
                await self._withdraw(operation, pending, cause)
                raise
            assert isinstance(resolution, Done)
            answer = resolution.answer
        return await self._complete(operation, pending, answer, cause)

    async def _resolve(self, operation: Operation, pending: PendingOperation) -> Resolution:
        try:
            return await operation.resolve(pending)
        except BackboneRejected as error:
            # One request that the Backbone will not talk about must not keep the others from being settled.
            self._logger.warning(
                "the outcome of a request cannot be found out", operation=pending.kind, error_code=error.reason
            )
            return Unclear()

    async def _resolve_quietly(self, operation: Operation, pending: PendingOperation) -> Resolution:
        try:
            return await operation.resolve(pending)
        except BackboneError:
            return Unclear()

    async def _complete(
        self,
        operation: Operation,
        pending: PendingOperation,
        answer: Json,
        cause: Cause,
        *,
        is_waited_for: bool = True,
    ) -> Json:
        async def finish(work: Work) -> Json:
            document = await work.get(PENDING_OPERATIONS, pending.id)
            if document is None and pending.ticket is not None:
                record = await self._store.idempotency(pending.ticket.key)
                if record is not None and record.state == _DONE:
                    # Somebody else found out first, and what follows is stored.
                    return record.answer
            result = await operation.complete(pending, answer, work)
            self._forget(pending, document, work, _DONE, result, is_waited_for=is_waited_for)
            return result

        result = await self._commits.run(finish, cause=cause)
        self._attempted.pop(pending.id, None)
        return result

    async def _withdraw(
        self, operation: Operation, pending: PendingOperation, cause: Cause, *, is_waited_for: bool = True
    ) -> None:
        async def undo(work: Work) -> None:
            document = await work.get(PENDING_OPERATIONS, pending.id)
            if document is not None and document.get("attempts", 1) == pending.attempts:
                await operation.withdraw(pending, work)
                self._forget(pending, document, work, _VOID, None, is_waited_for=is_waited_for)

        await self._commits.run(undo, cause=cause)
        self._attempted.pop(pending.id, None)

    def _forget(
        self,
        pending: PendingOperation,
        document: Document | None,
        work: Work,
        state: str,
        result: Json,
        *,
        is_waited_for: bool = True,
    ) -> None:
        work.delete_silently(PENDING_OPERATIONS, pending.id)
        if is_apart(pending.wire):
            work.delete_silently(PENDING_WIRES, pending.id)
        if pending.ticket is None:
            return
        work.remember(self._record(pending.ticket, state, result))
        if pending.ticket.method and (not is_waited_for or (document or {}).get(_TOLD)):
            resource = result.get("id") if isinstance(result, dict) else None
            data = without_unset(**_told(pending.ticket), succeeded=state == _DONE, resourceId=resource)
            work.publish(events.OUTCOME_RESOLVED, data)

    async def _tell_unknown(self, pending: PendingOperation, cause: Cause) -> None:
        """Publishes, once, that nothing is known of a call that ends now."""
        ticket = pending.ticket
        if ticket is None or not ticket.method:
            return

        async def tell(work: Work) -> None:
            document = await work.get(PENDING_OPERATIONS, pending.id)
            if document is not None and not document.get(_TOLD):
                work.store_silently(PENDING_OPERATIONS, {**document, _TOLD: True})
                work.publish(events.OUTCOME_UNKNOWN, _told(ticket))

        await self._commits.run(tell, cause=cause)

    async def _load(self, identifier: str) -> PendingOperation | None:
        document = await self._store.get(PENDING_OPERATIONS, identifier)
        return None if document is None else await self._read(document)

    async def _read(self, document: Document) -> PendingOperation | None:
        """Returns what a document says, None when it was forgotten since it was read."""
        if "wire" in document:
            return from_document(document, document["wire"])
        apart = await self._store.get(PENDING_WIRES, document["id"])
        return None if apart is None else from_document(document, apart["wire"])

    def _record(self, ticket: Ticket, state: str, answer: Json) -> IdempotencyRecord:
        return IdempotencyRecord(
            ticket.key, ticket.request_digest, state, self._clock.now(), worker=self._worker, answer=answer
        )

    def _is_settled(self, pending: PendingOperation) -> bool:
        attempts, since = self._attempted.get(pending.id, (0, 0.0))
        is_latest = attempts == pending.attempts
        return is_latest and self._clock.monotonic() - since >= self._settle_after.total_seconds()

    def _note_attempt(self, pending: PendingOperation, *, seen: bool = False) -> None:
        """Notes when the latest attempt was made; one that was only seen now, unless it was seen before."""
        if not seen or self._attempted.get(pending.id, (0, 0.0))[0] != pending.attempts:
            self._attempted[pending.id] = (pending.attempts, self._clock.monotonic())

    async def _claim(self, pending: PendingOperation) -> PendingOperation:
        """Makes durable that it is sent once more, so that no other process takes it for settled meanwhile.

        Raises:
            OperationRunning: Another process has sent, completed or withdrawn it at this moment.
        """

        async def claim(work: Work) -> None:
            document = await work.get(PENDING_OPERATIONS, pending.id)
            if document is None or document.get("attempts", 1) != pending.attempts:
                raise OperationRunning("The same request is being carried out at this moment.")
            work.store_silently(PENDING_OPERATIONS, {**document, "attempts": pending.attempts + 1})

        await self._commits.run(claim)
        return replace(pending, attempts=pending.attempts + 1)

    def _unknown(self, pending: PendingOperation) -> OutcomeUnknown:
        facts = {"operation": pending.kind}
        if pending.ticket is not None and pending.ticket.caller_key:
            facts["idempotencyKey"] = pending.ticket.caller_key
        return OutcomeUnknown(
            "The request was sent and no answer came. Repeat it with the same idempotency key to learn the outcome.",
            facts=facts,
            retry_after=self._settle_after,
        )


def _told(ticket: Ticket) -> Document:
    return {"method": ticket.method, "idempotencyKey": ticket.caller_key}
