"""One account, open: all controllers over one `AccountContext`, and the tables they fill.

To add a concern: build its controller in `TransportAccount.__init__`, and hand what it contributes to `_register`.
"""

from __future__ import annotations

from collections.abc import Iterable

from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.external_events import ExternalEventProcessor, ProcessorTable
from enmeshed_connector.transport.listeners import Listeners
from enmeshed_connector.transport.objects import ACCOUNT_INFO, SynchronizedCollections
from enmeshed_connector.transport.pending import Operation
from enmeshed_connector.transport.registration import SETUP
from enmeshed_connector.transport.sync import SyncController, SyncMode
from enmeshed_connector.transport.work import Work


class TransportAccount:
    """The transport layer of one account."""

    def __init__(self, context: AccountContext, collections: SynchronizedCollections) -> None:
        """Builds the controllers; does no I/O. `bootstrap.open_account` makes the context."""
        self.context = context
        self.processors = ProcessorTable()
        self.listeners = Listeners()
        self.sync = SyncController(context, self.processors, collections)
        context.slots.use_datawallet(self._sync_datawallet)

    async def start(self) -> None:
        """Completes what is left of making the account, finds out about interrupted requests, and claims a message-key
        slot.

        For the account's worker, before its first sync. Safe to repeat.

        Raises:
            BackboneError: The Backbone is away; repeating goes on where it ended.
        """
        if (await self.context.store.get(ACCOUNT_INFO, SETUP) or {}).get("value") is True:
            await self.sync.complete_setup()

            async def note(work: Work) -> None:
                work.delete_entry(ACCOUNT_INFO, SETUP)

            await self.context.commits.run(note)
        await self.context.slots.slot()
        await self.context.outbox.settle()

    def _register(
        self, processors: Iterable[ExternalEventProcessor] = (), operations: Iterable[Operation] = ()
    ) -> None:
        self.processors.register(*processors)
        self.context.outbox.register(*operations)

    async def _sync_datawallet(self) -> None:
        await self.sync.sync(SyncMode.DATAWALLET)
