"""Makes the sessions of one Backbone: what a hosted identity is given to reach it."""

from __future__ import annotations

import os

from enmeshed_connector.backbone.auth import DeviceCredentials
from enmeshed_connector.backbone.http import BackboneHttp
from enmeshed_connector.backbone.retries import RandomSource
from enmeshed_connector.backbone.session import (
    BackboneSession,
    BackboneTarget,
    CurrentCorrelation,
    Observer,
    SessionSettings,
)
from enmeshed_connector.core.clock import Clock, SystemClock
from enmeshed_connector.core.secret_bytes import SecretText


class BackboneGateway:
    """Makes sessions that share connections and settings, and neither tokens nor slots."""

    def __init__(
        self,
        http: BackboneHttp,
        target: BackboneTarget,
        *,
        settings: SessionSettings | None = None,
        clock: Clock | None = None,
        random: RandomSource = os.urandom,
        observer: Observer | None = None,
        correlation: CurrentCorrelation = lambda: None,
    ) -> None:
        """Takes what all sessions have in common; see `BackboneSession`.

        Raises:
            ValueError: The target's address cannot be used (`BackboneHttp.check_address`).
        """
        for address in (target.base_url, target.events_base_url):
            if address is not None:
                http.check_address(address)
        self._http = http
        self._target = target
        self._settings = settings or SessionSettings()
        self._clock: Clock = clock or SystemClock()
        self._random = random
        self._observer = observer
        self._correlation = correlation

    @property
    def target(self) -> BackboneTarget:
        """The Backbone that all sessions go to."""
        return self._target

    def anonymous(self) -> BackboneSession:
        """Returns a session without credentials."""
        return self._session(None)

    def for_device(self, username: str, password: SecretText) -> BackboneSession:
        """Returns a session of a device. Nothing is sent before its first call."""
        return self._session(DeviceCredentials(username, password))

    def _session(self, credentials: DeviceCredentials | None) -> BackboneSession:
        return BackboneSession(
            self._http,
            self._target,
            credentials,
            settings=self._settings,
            clock=self._clock,
            random=self._random,
            observer=self._observer,
            correlation=self._correlation,
        )
