"""The deletion of this identity. Source: connector.md, section 3.14."""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.backbone.errors import BackboneRejected
from enmeshed_connector.runtime.use_cases.common import Entry, Intent, list_page
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.errors import DeletionProcessActive, NoActiveDeletionProcess
from enmeshed_connector.transport.objects import IDENTITY_DELETION_PROCESSES

_NOT_ACTIVE = (
    "validation.device.deletionProcessIsNotInRequiredStatus",
    "validation.device.gracePeriodHasAlreadyExpired",
)


class IdentityDeletionUseCases:
    """What callers can do about the deletion of the identity."""

    def __init__(self, transport: TransportAccount, views: Views) -> None:
        """Takes the account."""
        self._context = transport.context
        self._controller = transport.identity_deletion
        self._views = views

    async def start(self, grace_period_days: float | None, intent: Intent) -> View:
        """Starts the deletion and returns it.

        Raises:
            DeletionProcessActive: One is running already.
            DomainError: Those of `IdentityDeletionController.start`.
        """
        earlier = await self._context.outbox.earlier_result(intent.ticket)
        if earlier is None and await self._controller.active() is not None:
            raise _running()
        try:
            process = await self._controller.start(grace_period_days, ticket=intent.ticket, cause=intent.cause)
        except BackboneRejected as error:
            if error.has_code("validation.device.onlyOneActiveDeletionProcessAllowed"):
                raise _running() from error
            raise
        return self._views.deletion_process(process)

    async def cancel(self, intent: Intent) -> View:
        """Cancels the deletion that is running and returns it.

        Raises:
            NoActiveDeletionProcess: None is running, or its time of grace is over.
            DomainError: Those of `IdentityDeletionController.cancel`.
        """
        earlier = await self._context.outbox.earlier_result(intent.ticket)
        process_id = str(earlier["id"]) if earlier is not None else (await self._require_active())["id"]
        try:
            process = await self._controller.cancel(process_id, ticket=intent.ticket, cause=intent.cause)
        except BackboneRejected as error:
            if error.has_code(*_NOT_ACTIVE):
                raise _none() from error
            raise
        return self._views.deletion_process(process)

    async def get(self, process_id: str | None) -> View:
        """Returns a deletion, the one that is running when no id is given.

        Raises:
            RecordMissing: There is none of this id.
            NoActiveDeletionProcess: None is running.
        """
        if process_id is None:
            return await self._require_active()
        return self._views.deletion_process(await self._controller.get(process_id))

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next deletions of a list."""
        return await list_page(
            self._context.store,
            IDENTITY_DELETION_PROCESSES,
            self._views.deletion_process,
            where=where,
            sort=sort,
            limit=limit,
            after=after,
        )

    async def _require_active(self) -> View:
        process = await self._controller.active()
        if process is None:
            raise _none()
        return self._views.deletion_process(process)


def _running() -> DeletionProcessActive:
    return DeletionProcessActive("A deletion of this identity is running already.")


def _none() -> NoActiveDeletionProcess:
    return NoActiveDeletionProcess("No deletion of this identity is running, or it is too late to cancel it.")
