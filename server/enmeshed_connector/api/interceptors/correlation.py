"""Correlation ids, and one log line for each call."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Final

import structlog

from enmeshed_connector.api.calls import Call, CallKind
from enmeshed_connector.api.errors import status_code_of
from enmeshed_connector.api.interceptors.steps import Step
from enmeshed_connector.core.errors import Code

CORRELATION_ID: Final = "x-correlation-id"
"""Metadata in both directions. The caller's is taken over when it is 1 to 128 of `A-Z a-z 0-9 . _ : / -`; else one is
made.
"""

_ACCEPTED: Final = re.compile(r"[A-Za-z0-9._:/-]{1,128}")


def _new_id() -> str:
    return str(uuid.uuid4())


class CallCounters:
    """How many calls ended, by status; for `Monitoring.GetStatistics`."""

    def __init__(self) -> None:
        self._by_status: Counter[str] = Counter()

    def count(self, status: str) -> None:
        """Counts a call."""
        self._by_status[status] += 1

    def by_status(self) -> dict[str, int]:
        """Returns the numbers by the name of the status."""
        return dict(self._by_status)


class CorrelationAndLog(Step):
    """Gives each call a correlation id, binds it to all logs of the call, and logs how the call ended."""

    def __init__(self, counters: CallCounters, make_id: Callable[[], str] = _new_id) -> None:
        """Takes what it counts with.

        Args:
            counters: Counts ended calls.
            make_id: Makes ids for calls without one.
        """
        self._counters = counters
        self._make_id = make_id
        self._logger = structlog.get_logger("enmeshed_connector.api")

    async def enter(self, call: Call) -> None:
        """Takes over or makes the id and sends it back at once."""
        given = call.metadata.get(CORRELATION_ID, "")
        call.correlation_id = given if _ACCEPTED.fullmatch(given) else self._make_id()
        structlog.contextvars.bind_contextvars(correlation_id=call.correlation_id)
        await call.context.send_initial_metadata(((CORRELATION_ID, call.correlation_id),))

    def leave(self, call: Call) -> None:
        """Logs and counts the call."""
        if call.failure is not None:
            status, reason = status_code_of(call.failure).name, call.failure.reason
        else:
            status, reason = "CANCELLED" if call.cancelled else "OK", None
        self._counters.count(status)
        if call.method.kind is CallKind.PUBLIC:
            log = self._logger.debug
        elif call.failure is not None and call.failure.code in (Code.INTERNAL, Code.DATA_LOSS):
            log = self._logger.error
        else:
            log = self._logger.info
        fields: dict[str, object] = {
            "method": call.method.name,
            "status": status,
            "duration_ms": round((call.clock.monotonic() - call.started) * 1000, 1),
        }
        if reason is not None:
            fields["reason"] = reason
        if call.credential is not None:
            fields["credential"] = call.credential.id
        if call.account is not None:
            fields["account"] = call.account
        log("call ended", **fields)
        structlog.contextvars.unbind_contextvars("correlation_id")
