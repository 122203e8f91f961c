"""External events that cannot be processed: kept with their error, for listing and retry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.storage import InvalidDocument, Keyset, StorageUnavailable, Store
from enmeshed_connector.transport import events
from enmeshed_connector.transport.errors import RecordMissing
from enmeshed_connector.transport.external_events import ExternalEvent, ProcessorTable, error_code_of
from enmeshed_connector.transport.objects import FAILED_EVENTS, Document, public_part
from enmeshed_connector.transport.work import Cause, Commits, Origin, Work, WorkerCommits


@dataclass(frozen=True)
class FailedEvent:
    """One event that was set aside."""

    event: ExternalEvent
    error_code: str
    """What the Backbone was told."""
    reason: str
    """The reason of the error, or the class of an unexpected one."""
    failures: int
    """How often it failed here, retries included. The Backbone delivers it three times at most."""
    first_failed_at: str
    last_failed_at: str


class FailedEvents:
    """The repository of `_FailedEvents`, and the retry."""

    def __init__(
        self, store: Store, commits: Commits, worker_commits: WorkerCommits, processors: ProcessorTable
    ) -> None:
        """Takes the account's store, what makes its commits and those of the worker, and who processes events."""
        self._store = store
        self._commits = commits
        self._worker_commits = worker_commits
        self._processors = processors

    async def of_run(self, run_id: str) -> dict[str, str]:
        """Returns the error codes of the events that failed in a run, by event id."""
        return {
            document["id"]: document["errorCode"]
            for document in await self._store.find(FAILED_EVENTS, {"runId": run_id})
        }

    async def list(self, *, limit: int = 100, after: Keyset | None = None) -> tuple[list[FailedEvent], Keyset | None]:
        """Returns one page of failed events by id, and where the next page starts (None at the end)."""
        documents = await self._store.find(FAILED_EVENTS, limit=limit + 1, after=after)
        page = documents[:limit]
        next_page = Keyset((), page[-1]["id"]) if len(documents) > limit else None
        return [_from_document(document) for document in page], next_page

    async def set_aside(self, event: ExternalEvent, error: Exception, run_id: str | None) -> str:
        """Keeps an event that failed, publishes that it did, and returns the code to report."""
        code = error_code_of(error)

        async def keep(work: Work, payload: Mapping[str, Any]) -> None:
            before = await work.get(FAILED_EVENTS, event.id)
            document: Document = {
                "id": event.id,
                "type": event.type,
                "index": event.index,
                "createdAt": format_date(event.created_at),
                "payload": dict(payload),
                "syncErrorCount": event.sync_error_count,
                "errorCode": code,
                "reason": _reason(error),
                "message": _message(error),
                "failures": (before or {}).get("failures", 0) + 1,
                "firstFailedAt": (before or {}).get("firstFailedAt", work.now),
                "lastFailedAt": work.now,
            }
            if run_id is not None:
                document["runId"] = run_id
            work.store_silently(FAILED_EVENTS, document)
            work.publish(events.EXTERNAL_EVENT_FAILED, document)

        try:
            await self._worker_commits.run(lambda work: keep(work, event.payload), cause=Cause(Origin.EXTERNAL))
        except InvalidDocument:
            # The payload itself is nonsense that no database takes.
            await self._worker_commits.run(lambda work: keep(work, {}), cause=Cause(Origin.EXTERNAL))
        return code

    async def retry(self, event_id: str, *, remember: Callable[[Work, Document], None] | None = None) -> Document:
        """Processes a failed event again, forgets it when that works, and returns what it was.

        Args:
            event_id: Its id at the Backbone.
            remember: Adds to the commit of a success what the caller remembers of it.

        Raises:
            RecordMissing: There is no such failed event.
            DomainError: What is still wrong with it, or what is in the way for now; the try is counted.
        """

        async def attempt(work: Work) -> Document:
            document = public_part(await work.require(FAILED_EVENTS, event_id, "failed event"))
            event = _from_document(document).event
            await self._processors.processor_for(event.type).process(event, None, work)
            self.forget(work, event_id)
            work.publish(events.EXTERNAL_EVENT_RECOVERED, document | {"resolved": True})
            if remember is not None:
                remember(work, document)
            return document

        try:
            return await self._commits.run(attempt, cause=Cause(Origin.EXTERNAL))
        except (RecordMissing, StorageUnavailable):
            raise
        except Exception as error:
            await self._count(event_id, error)
            raise

    async def _count(self, event_id: str, error: Exception) -> None:
        reason, message = _reason(error), _message(error)

        async def count(work: Work) -> None:
            document = await work.get(FAILED_EVENTS, event_id)
            if document is not None:
                changed = {
                    "failures": document["failures"] + 1,
                    "lastFailedAt": work.now,
                    "reason": reason,
                    "message": message,
                }
                work.store_silently(FAILED_EVENTS, document | changed)

        await self._commits.run(count, cause=Cause(Origin.EXTERNAL))

    def forget(self, work: Work, event_id: str) -> None:
        """Removes an event that was processed after all."""
        work.delete_silently(FAILED_EVENTS, event_id)


def _reason(error: Exception) -> str:
    return error.reason if isinstance(error, DomainError) else type(error).__name__


def _message(error: Exception) -> str:
    """Returns the text of an error of ours, which holds no secrets; of others nothing is known."""
    return error.message if isinstance(error, DomainError) else ""


def _from_document(document: Document) -> FailedEvent:
    event = ExternalEvent(
        id=document["id"],
        type=document["type"],
        index=document["index"],
        created_at=parse_date(document["createdAt"]),
        sync_error_count=document["syncErrorCount"],
        payload=document["payload"],
    )
    return FailedEvent(
        event,
        document["errorCode"],
        document["reason"],
        document["failures"],
        document["firstFailedAt"],
        document["lastFailedAt"],
    )
