"""All use cases of one open account."""

from __future__ import annotations

from enmeshed_connector.consumption.account import ConsumptionAccount
from enmeshed_connector.consumption.notifications.controller import NotifyingDeletions
from enmeshed_connector.runtime.synchronisation import Synchronisation
from enmeshed_connector.runtime.use_cases.account import AccountUseCases
from enmeshed_connector.runtime.use_cases.attribute_sharing import AttributeSharingUseCases
from enmeshed_connector.runtime.use_cases.attributes import AttributeUseCases
from enmeshed_connector.runtime.use_cases.backbone_news import BackboneNewsUseCases
from enmeshed_connector.runtime.use_cases.devices import DeviceUseCases
from enmeshed_connector.runtime.use_cases.drafts import DraftUseCases
from enmeshed_connector.runtime.use_cases.events import EventUseCases
from enmeshed_connector.runtime.use_cases.failed_events import FailedEventUseCases
from enmeshed_connector.runtime.use_cases.files import FileUseCases
from enmeshed_connector.runtime.use_cases.identity_deletion import IdentityDeletionUseCases
from enmeshed_connector.runtime.use_cases.identity_metadata import IdentityMetadataUseCases
from enmeshed_connector.runtime.use_cases.incoming_requests import IncomingRequestUseCases
from enmeshed_connector.runtime.use_cases.messages import MessageUseCases
from enmeshed_connector.runtime.use_cases.notifications import NotificationUseCases
from enmeshed_connector.runtime.use_cases.outgoing_requests import OutgoingRequestUseCases
from enmeshed_connector.runtime.use_cases.relationships import RelationshipUseCases
from enmeshed_connector.runtime.use_cases.settings import SettingUseCases
from enmeshed_connector.runtime.use_cases.subscriptions import SubscriptionUseCases
from enmeshed_connector.runtime.use_cases.templates import TemplateUseCases
from enmeshed_connector.runtime.use_cases.tokens import TokenUseCases
from enmeshed_connector.runtime.views import Views
from enmeshed_connector.transport.account import TransportAccount


class UseCases:
    """What callers can do with one account."""

    def __init__(
        self, transport: TransportAccount, synchronisation: Synchronisation, consumption: ConsumptionAccount
    ) -> None:
        """Takes the open account, how it is synced, and what content means for it."""
        self.views = Views(transport.context.settings.base_url)
        self.account = AccountUseCases(transport, self.views, synchronisation)
        self.templates = TemplateUseCases(transport, self.views, consumption.outgoing_requests)
        self.relationships = RelationshipUseCases(transport, self.views, consumption.incoming_requests)
        self.messages = MessageUseCases(transport, self.views, consumption.outgoing_requests.check_sendable)
        self.incoming_requests = IncomingRequestUseCases(transport.context, consumption)
        self.outgoing_requests = OutgoingRequestUseCases(transport.context, consumption, self.messages)
        self.files = FileUseCases(transport, self.views, consumption.attributes.tags)
        self.tokens = TokenUseCases(transport, self.views)
        self.events = EventUseCases(transport, self.views)
        self.devices = DeviceUseCases(transport, self.views, synchronisation)
        self.identity_deletion = IdentityDeletionUseCases(transport, self.views)
        self.backbone_news = BackboneNewsUseCases(transport)
        self.attributes = AttributeUseCases(
            transport.context, consumption.attributes, NotifyingDeletions(consumption.notifications)
        )
        self.attribute_sharing = AttributeSharingUseCases(
            transport, consumption, self.attributes, self.outgoing_requests
        )
        self.notifications = NotificationUseCases(transport.context, consumption)
        self.settings = SettingUseCases(transport.context)
        self.drafts = DraftUseCases(transport.context)
        self.identity_metadata = IdentityMetadataUseCases(transport.context)
        self.subscriptions = SubscriptionUseCases(transport)
        self.failed_events = FailedEventUseCases(transport)
