"""Slots for calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from enmeshed_connector.api.calls import Call
from enmeshed_connector.api.interceptors.steps import Step
from enmeshed_connector.api.limits import Limits


class LimitCalls(Step):
    """Holds a slot while the call runs."""

    def __init__(self, limits: Limits) -> None:
        """Takes what counts.

        Args:
            limits: Counts what runs.
        """
        self._limits = limits

    async def enter(self, call: Call) -> None:
        """Takes a slot.

        Raises:
            TooManyCalls: There is none.
            TooManyTransfers: There is none.
            TooManySubscriptions: There is none.
        """
        call.notes["slot"] = self._limits.take(call.method.kind, call.credential.id if call.credential else "")

    def leave(self, call: Call) -> None:
        """Gives the slot back."""
        cast(Callable[[], None], call.notes.pop("slot"))()
