"""Events of the Backbone that could not be processed."""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.runtime.use_cases.changes import remember
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import FAILED_EVENTS, Document
from enmeshed_connector.transport.work import Work

_SHOWN = ("id", "type", "createdAt", "lastFailedAt", "reason", "message", "failures", "resolved")


class FailedEventUseCases:
    """What callers can do with failed events."""

    def __init__(self, transport: TransportAccount) -> None:
        """Takes the account."""
        self._transport = transport

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next failed events of a list."""
        return await list_page(
            self._transport.context.store, FAILED_EVENTS, _view, where=where, sort=sort, limit=limit, after=after
        )

    async def retry(self, event_id: str, intent: Intent) -> View:
        """Processes a failed event once more and returns it, resolved.

        Raises:
            RecordMissing: There is no such failed event.
            DomainError: It failed again, with this reason.
        """
        context = self._transport.context
        earlier = await context.outbox.earlier_result(intent.ticket)
        if earlier is not None:
            return dict(earlier)

        def note(work: Work, document: Document) -> None:
            remember(context, work, intent, _view(document | {"resolved": True}))

        document = await self._transport.sync.failed_events.retry(event_id, remember=note)
        return _view(document | {"resolved": True})


def _view(document: Document) -> View:
    return {name: document[name] for name in _SHOWN if name in document}
