"""What content means for one open account: all controllers of this room.

To add a concern: build its controller in `ConsumptionAccount.__init__`, register what it listens to there, and add its
collections in `schema.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from enmeshed_connector.consumption.attributes.controller import AttributeController, AttributeSettings
from enmeshed_connector.consumption.deliveries import Deliveries
from enmeshed_connector.consumption.notifications.controller import DELIVERY_PREFIX, NotificationController
from enmeshed_connector.consumption.notifications.listener import NotificationListener
from enmeshed_connector.consumption.requests.expiry import RequestExpiry
from enmeshed_connector.consumption.requests.incoming import RESPONSES, IncomingRequests
from enmeshed_connector.consumption.requests.listener import RequestListener
from enmeshed_connector.consumption.requests.outgoing import OutgoingRequests
from enmeshed_connector.consumption.requests.processors.registry import Processors
from enmeshed_connector.transport.account import TransportAccount


@dataclass(frozen=True)
class ConsumptionSettings:
    """What can be chosen about this room, per account."""

    attributes: AttributeSettings = field(default_factory=AttributeSettings)


class ConsumptionAccount:
    """The consumption layer of one account."""

    def __init__(self, transport: TransportAccount, settings: ConsumptionSettings) -> None:
        """Builds the controllers and lets them listen; does no I/O. To be called before the account is synced."""
        self.attributes = AttributeController(transport.context, settings.attributes)
        transport.listeners.register(self.attributes.life_cycle)
        self.deliveries = Deliveries(transport)
        processors = Processors(transport.context, self.attributes, transport.files)
        self.incoming_requests = IncomingRequests(transport.context, processors, self.deliveries)
        self.deliveries.when_given_up(RESPONSES, self.incoming_requests.response_given_up)
        transport.listeners.register(self.deliveries)
        self.outgoing_requests = OutgoingRequests(transport.context, processors)
        self.request_expiry = RequestExpiry(transport.context)
        transport.listeners.register(RequestListener(transport.context, self.incoming_requests, self.outgoing_requests))
        self.notifications = NotificationController(transport.context, self.attributes, self.deliveries)
        self.deliveries.when_given_up(DELIVERY_PREFIX, self.notifications.given_up)
        transport.listeners.register(NotificationListener(transport.context, self.notifications))
        self.tasks: tuple[Callable[[], Awaitable[None]], ...] = (self.request_expiry.run, self.deliveries.run)
        """What the worker of the account runs; each goes on until it is cancelled."""
