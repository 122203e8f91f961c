"""The events of an account: where they are read from, and how callers see them."""

from __future__ import annotations

from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.storage import Log
from enmeshed_connector.transport.account import TransportAccount


class EventUseCases:
    """Reads events."""

    def __init__(self, transport: TransportAccount, views: Views) -> None:
        """Takes the account."""
        self._transport = transport
        self._views = views

    @property
    def log(self) -> Log:
        """The log of the account."""
        return self._transport.context.store.log

    def event_view(self, event_type: str, data: JsonObject) -> View:
        """Returns what callers see of what an event is about."""
        return self._views.event_data(event_type, data)
