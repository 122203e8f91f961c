"""What operators may know of the process. A white list: what is not named here is not shown."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from enmeshed_connector.api.servicers.monitoring import AccountInfo, BuildInfo
from enmeshed_connector.app.settings import Settings
from enmeshed_connector.backbone import AnonymousBackbone, BackboneGateway
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.runtime.account_runtime import AccountRuntime, AccountState
from enmeshed_connector.storage import Databases

_COMPONENTS = ("grpcio", "protobuf", "pynacl", "httpx", "motor", "pymongo")
_SHOWN = {
    "server": (
        "host",
        "port",
        "reflection",
        "channelz",
        "max_message_bytes",
        "short_calls",
        "transfers",
        "subscriptions",
    ),
    "database": ("driver",),
    "sync": ("sse", "interval_seconds", "lease_seconds"),
    "events": ("retention_days", "retention_count", "hard_cap_count"),
    "log": ("level", "format"),
}


def build_info() -> BuildInfo:
    """Returns what this software is."""
    return BuildInfo(
        version=importlib.metadata.version("enmeshed-connector"),
        runtime_compatibility="7.0.0",
        components={name: importlib.metadata.version(name) for name in _COMPONENTS},
    )


class ProcessOverview:
    """What operators may know of this process."""

    def __init__(
        self,
        settings: Settings,
        runtimes: Mapping[str, AccountRuntime],
        databases: Databases,
        gateway: BackboneGateway,
        started_at: datetime,
    ) -> None:
        """Takes what it tells of."""
        self._settings = settings
        self._runtimes = runtimes
        self._databases = databases
        self._gateway = gateway
        self._started_at = started_at

    @property
    def started_at(self) -> datetime:
        """When the process began to serve."""
        return self._started_at

    async def health(self) -> Mapping[str, bool]:
        """Returns whether database and Backbone answer."""
        health = {"database": True, "backbone": True}
        try:
            await self._databases.check()
        except DomainError:
            health["database"] = False
        try:
            await AnonymousBackbone(self._gateway.anonymous()).version.major()
        except DomainError:
            health["backbone"] = False
        return health

    def accounts(self) -> list[AccountInfo]:
        """Returns the hosted accounts."""
        found = []
        for name, runtime in self._runtimes.items():
            is_open = runtime.state is AccountState.READY
            address = runtime.transport.context.identity.address if is_open else ""
            found.append(AccountInfo(name, address, is_open, is_open and runtime.synchronisation.is_worker))
        return found

    def settings(self) -> dict[str, Any]:
        """Returns the settings that may be shown."""
        tree = self._settings.model_dump(mode="json")
        return {section: {name: tree[section][name] for name in names} for section, names in _SHOWN.items()}
