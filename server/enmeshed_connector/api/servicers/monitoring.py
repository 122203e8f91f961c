"""The service Monitoring: for operators; names no content, no keys, no peers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import grpc

from enmeshed.connector.v1 import monitoring_service_pb2 as pb
from enmeshed.connector.v1 import monitoring_service_pb2_grpc
from enmeshed_connector.api.interceptors.correlation import CallCounters
from enmeshed_connector.api.limits import Limits

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True)
class BuildInfo:
    """What this software is."""

    version: str
    runtime_compatibility: str
    """Which release of the official runtime it exchanges messages with."""
    components: Mapping[str, str]
    """Versions of the libraries that matter."""


@dataclass(frozen=True)
class AccountInfo:
    """What an operator may know of a hosted account."""

    name: str
    address: str
    """Empty while it is being opened."""
    is_ready: bool
    is_worker: bool


class Overview(Protocol):
    """What this service needs to know of the process."""

    @property
    def started_at(self) -> datetime:
        """When the process began to serve."""

    async def health(self) -> Mapping[str, bool]:
        """Returns what the Connector needs, and whether it answers: `database`, `backbone`."""

    def accounts(self) -> list[AccountInfo]:
        """Returns the hosted accounts."""

    def settings(self) -> dict[str, Any]:
        """Returns the settings that may be shown: a white list, without secrets."""


class MonitoringServicer(monitoring_service_pb2_grpc.MonitoringServicer):
    """Version, statistics, and what support asks for."""

    def __init__(self, build: BuildInfo, overview: Overview, counters: CallCounters, limits: Limits) -> None:
        """Takes the collaborators.

        Args:
            build: What this software is.
            overview: Knows the process.
            counters: Counts ended calls.
            limits: Counts running calls.
        """
        self._build = build
        self._overview = overview
        self._counters = counters
        self._limits = limits

    async def GetVersion(self, request: pb.GetVersionRequest, context: Context) -> pb.GetVersionResponse:
        """Returns what this software is."""
        return self._version()

    async def GetStatistics(self, request: pb.GetStatisticsRequest, context: Context) -> pb.GetStatisticsResponse:
        """Returns how many calls there were since the start."""
        by_status = self._counters.by_status()
        response = pb.GetStatisticsResponse(
            call_count=sum(by_status.values()), call_count_by_status=by_status, running=self._limits.running()
        )
        response.start_time.FromDatetime(self._overview.started_at)
        return response

    async def GetSupportInfo(self, request: pb.GetSupportInfoRequest, context: Context) -> pb.GetSupportInfoResponse:
        """Returns what support asks for."""
        response = pb.GetSupportInfoResponse(
            version=self._version(),
            health=await self._overview.health(),
            accounts=[
                pb.AccountSupportInfo(
                    name=account.name, address=account.address, is_ready=account.is_ready, is_worker=account.is_worker
                )
                for account in self._overview.accounts()
            ],
        )
        response.settings.update(self._overview.settings())
        return response

    def _version(self) -> pb.GetVersionResponse:
        return pb.GetVersionResponse(
            version=self._build.version,
            runtime_compatibility=self._build.runtime_compatibility,
            components=self._build.components,
        )
