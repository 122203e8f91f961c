"""What content means for one open account: all controllers of this room.

To add a concern: build its controller in `ConsumptionAccount.__init__`, register what it listens to there, and add its
collections in `schema.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from enmeshed_connector.consumption.attributes.controller import AttributeController, AttributeSettings
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
