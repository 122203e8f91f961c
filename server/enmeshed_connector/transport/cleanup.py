"""What the account's worker tidies up from time to time."""

from __future__ import annotations

from datetime import timedelta

from enmeshed_connector.core.dates import format_date
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.sync_state import SyncState
from enmeshed_connector.transport.work import Work

PROCESSED_EVENTS_KEPT = timedelta(days=60)
"""How long it is remembered that an external event was processed whose run was finished by somebody else."""


class Cleanup:
    """Removes what is of no more use. Nothing that a caller can see goes away."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context
        self._state = SyncState(context.store)

    async def run(self) -> None:
        """Does it; to be called about once an hour by the account's worker. Safe to repeat.

        Raises:
            BackboneError: The Backbone is away; the rest is done.
            StorageUnavailable: The database is away.
        """
        await self._context.store.tidy()
        before = format_date(self._context.clock.now() - PROCESSED_EVENTS_KEPT)

        async def forget(work: Work) -> None:
            await self._state.forget_processed_before(work, before)

        await self._context.commits.run(forget)
        await self._context.outbox.settle()
        # Another replica may have used up the slot, or found out that it must not be used any more.
        self._context.slots.reconsider()
        await self._context.slots.slot()
