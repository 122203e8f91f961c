"""The way to the Backbone over the Backbone client: `environment.Gateway` as it is used in production."""

from __future__ import annotations

from collections.abc import Callable

from enmeshed_connector.backbone import (
    BackboneHttp,
    BackboneSession,
    BackboneTarget,
    DeviceCredentials,
    SessionSettings,
)
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.core.secret_bytes import SecretText


class SessionGateway:
    """Makes sessions of one Backbone that share the connections of the process."""

    def __init__(
        self,
        http: BackboneHttp,
        target: BackboneTarget,
        *,
        settings: SessionSettings,
        clock: Clock,
        random: Callable[[int], bytes],
    ) -> None:
        """Takes the process's connections, the Backbone, and how the account uses it."""
        self._http = http
        self._target = target
        self._settings = settings
        self._clock = clock
        self._random = random

    def anonymous(self) -> BackboneSession:
        """Returns a session without credentials."""
        return self._session(None)

    def for_device(self, username: str, password: SecretText) -> BackboneSession:
        """Returns a session of a device, which logs in with its first call."""
        return self._session(DeviceCredentials(username, password))

    def _session(self, credentials: DeviceCredentials | None) -> BackboneSession:
        return BackboneSession(
            self._http,
            self._target,
            credentials,
            settings=self._settings,
            clock=self._clock,
            random=self._random,
        )
