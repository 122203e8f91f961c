"""One account, open: all controllers over one `AccountContext`, and the tables they fill.

To add a concern: build its controller in `TransportAccount.__init__`, and hand what it contributes to `_register`.
"""

from __future__ import annotations

from collections.abc import Iterable

from enmeshed_connector.transport.anonymous_tokens import EmptyTokens
from enmeshed_connector.transport.backbone_news import BackboneNewsController
from enmeshed_connector.transport.challenges import ChallengeController
from enmeshed_connector.transport.cleanup import Cleanup
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.devices import DeviceController
from enmeshed_connector.transport.external_events import ExternalEventProcessor, ProcessorTable
from enmeshed_connector.transport.files import FileController
from enmeshed_connector.transport.identity_deletion import IdentityDeletionController
from enmeshed_connector.transport.listeners import Listeners
from enmeshed_connector.transport.messages import MessageController
from enmeshed_connector.transport.objects import ACCOUNT_INFO, Document, SynchronizedCollections
from enmeshed_connector.transport.pending import Operation
from enmeshed_connector.transport.push_notifications import PushNotificationController
from enmeshed_connector.transport.recovery import RecoveryController
from enmeshed_connector.transport.registration import SETUP
from enmeshed_connector.transport.relationships import RelationshipController
from enmeshed_connector.transport.sync import SyncController
from enmeshed_connector.transport.templates import TemplateController
from enmeshed_connector.transport.tokens import TokenController
from enmeshed_connector.transport.work import Work


class TransportAccount:
    """The transport layer of one account."""

    def __init__(self, context: AccountContext, collections: SynchronizedCollections) -> None:
        """Builds the controllers; does no I/O. `bootstrap.open_account` makes the context."""
        self.context = context
        self.processors = ProcessorTable()
        self.listeners = Listeners()
        self.sync = SyncController(context, self.processors, collections)
        context.slots.use_datawallet(self.sync)
        self.templates = TemplateController(context, self.listeners)
        self.tokens = TokenController(context)
        self.files = FileController(context)
        self.messages = MessageController(context, self.listeners, self.files)
        self.relationships = RelationshipController(context, self.listeners, self._forget)
        self.devices = DeviceController(context)
        self.challenges = ChallengeController(context)
        self.identity_deletion = IdentityDeletionController(context)
        self.recovery = RecoveryController(context, self.devices, self.tokens, self.sync)
        self.empty_tokens = EmptyTokens(context)
        self.push_notifications = PushNotificationController(context)
        self.backbone_news = BackboneNewsController(context)
        self.cleanup = Cleanup(context)
        self._register(operations=self.devices.operations)
        self._register(self.identity_deletion.processors, self.identity_deletion.operations)
        self._register(self.templates.processors, self.templates.operations)
        self._register(operations=self.tokens.operations)
        self._register(operations=self.push_notifications.operations)
        self._register(self.files.processors, self.files.operations)
        self._register(self.messages.processors, self.messages.operations)
        self._register(self.relationships.processors, self.relationships.operations)

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
        await self.relationships.finish_erasures()

    def _register(
        self, processors: Iterable[ExternalEventProcessor] = (), operations: Iterable[Operation] = ()
    ) -> None:
        self.processors.register(*processors)
        self.context.outbox.register(*operations)

    async def _forget(self, relationship: Document, work: Work) -> None:
        """Removes from the other collections what came through a decomposed relationship."""
        peer = relationship["peer"]["address"]
        await self.messages.forget_peer(relationship, work)
        await self.templates.forget_peer(peer, relationship.get("templateId"), work)
        await self.tokens.forget_peer(peer, work)
