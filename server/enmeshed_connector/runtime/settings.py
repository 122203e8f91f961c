"""What can be chosen about a running account."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from enmeshed_connector.consumption.account import ConsumptionSettings
from enmeshed_connector.runtime.automation.settings import AutomationSettings
from enmeshed_connector.storage import Retention


@dataclass(frozen=True)
class RuntimeSettings:
    """How an account is kept going."""

    sync_interval: timedelta = timedelta(seconds=60)
    """The Backbone is asked at least this often."""
    listens: bool = True
    """Whether the Backbone's event stream wakes the account, so that news arrive within a moment."""
    lease_duration: timedelta = timedelta(seconds=10)
    """How long the worker may be silent before another replica takes over."""
    retention: Retention = field(
        default_factory=lambda: Retention(timedelta(days=7), 1_000_000, hard_cap_events=5_000_000)
    )
    """How long events are kept."""
    housekeeping_interval: timedelta = timedelta(hours=1)
    """How often old events, applied writes and expired idempotency records are removed."""
    settle_interval: timedelta = timedelta(seconds=30)
    """How often requests with an unknown outcome are looked into."""
    consumption: ConsumptionSettings = field(default_factory=ConsumptionSettings)
    """What content means."""
    automation: AutomationSettings = field(default_factory=AutomationSettings)
    """What the account does by itself."""
