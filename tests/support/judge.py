"""A custom module that decides requests: agrees to one text, and rejects everything else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from enmeshed_connector.runtime.automation.modules import ModuleAccount, ModuleEvent


class Judge:
    """Decides each request that the rules of the settings leave to somebody else."""

    types = ("consumption.incomingRequestStatusChanged",)

    def __init__(self, options: Mapping[str, Any]) -> None:
        """Takes the option `consent`: the text that is agreed to."""
        self._consent = options["consent"]

    async def handle(self, event: ModuleEvent, account: ModuleAccount) -> None:
        """Decides the request of the event, once however often the event is handled."""
        data = event.data or {}
        if data.get("newStatus") != "ManualDecisionRequired":
            return
        request, requests = data["request"], account.use_cases.incoming_requests
        items = request["content"]["items"]
        accepts = all(item.get("consent") == self._consent for item in items)
        decide = requests.accept if accepts else requests.reject
        decisions = [{"accept": True} if accepts else {"accept": False, "code": "unknown"} for _ in items]
        await decide(request["id"], decisions, account.intent("decide"), by_automation=True)
