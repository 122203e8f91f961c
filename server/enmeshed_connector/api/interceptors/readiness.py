"""The readiness gate."""

from __future__ import annotations

from datetime import timedelta

from enmeshed_connector.api.calls import Call
from enmeshed_connector.api.errors import Draining, Starting
from enmeshed_connector.api.interceptors.steps import Step
from enmeshed_connector.api.readiness import Readiness, State


class ReadinessGate(Step):
    """Refuses calls while the server starts or shuts down; health, reflection and monitoring are served while it
    starts.
    """

    def __init__(self, readiness: Readiness) -> None:
        """Takes what knows the phase.

        Args:
            readiness: The phase of the server.
        """
        self._readiness = readiness

    async def enter(self, call: Call) -> None:
        """Lets the call in.

        Raises:
            Starting: Not yet.
            Draining: Not any more.
        """
        state = self._readiness.state
        if state is State.READY or call.method.is_public:
            return
        if state is State.DRAINING:
            raise Draining("the server is shutting down: try again", retry_after=timedelta(seconds=1))
        if call.method.needs_account:
            raise Starting("the server is starting: try again", retry_after=timedelta(seconds=1))
