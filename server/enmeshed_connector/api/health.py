"""Health: "" says that the process lives, "ready" and each service's name that calls are taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any, Final

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from enmeshed_connector.api.readiness import Readiness, State
from enmeshed_connector.core.errors import NotFound

SERVICE: Final = "grpc.health.v1.Health"
READY: Final = "ready"
"""The name under which readiness is asked for."""

Status = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc] # the package is not typed
    """Serves `grpc.health.v1.Health` from the phase of the server.

    The library's servicer keeps statuses of its own and waits under a lock for each watcher; here there is one truth
    and one wake.
    """

    def __init__(self, readiness: Readiness, services: Iterable[str]) -> None:
        """Takes what knows the phase.

        Args:
            readiness: The phase of the server.
            services: The full names of the served services.
        """
        self._readiness = readiness
        self._names = frozenset([READY, *services])

    def status(self, service: str) -> int | None:
        """Returns the status of a name, None when the name is unknown."""
        if service == "":
            # Alive until the very end: a container must not be restarted because it drains.
            return int(Status.SERVING)
        if service not in self._names:
            return None
        return int(Status.SERVING if self._readiness.state is State.READY else Status.NOT_SERVING)

    async def Check(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> health_pb2.HealthCheckResponse:
        """Returns the status of a name.

        Raises:
            NotFound: There is no such name.
        """
        status = self.status(request.service)
        if status is None:
            raise NotFound("this server does not know that service", facts={"service": request.service[:200]})
        return Status(status=status)

    async def Watch(
        self, request: health_pb2.HealthCheckRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Streams the status of a name.

        Order: as it changes. Delivery: the present status and the newest after each change; what came and went in
        between may be left out. End: when the server stops. Slow readers: get the newest.
        """
        changed = asyncio.Event()
        stop = self._readiness.listen(changed.set)
        try:
            last: int | None = None
            while True:
                changed.clear()
                status = self.status(request.service)
                if status is None:
                    status = int(Status.SERVICE_UNKNOWN)
                if status != last:
                    yield Status(status=status)
                last = status
                if self._readiness.is_draining:
                    # Whoever watches knows now; an open stream would only use up the grace period.
                    return
                await changed.wait()
        finally:
            stop()
