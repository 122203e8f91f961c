"""`enmeshed-connector health`: whether a running Connector takes calls; for containers."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import grpc
import typer
from grpc_health.v1 import health_pb2, health_pb2_grpc

from enmeshed_connector.app.settings import Settings
from enmeshed_connector.cli.loop import run
from enmeshed_connector.cli.options import CaFileOption, ConfigOption, settings_of
from enmeshed_connector.cli.output import print_line


def health(
    target: Annotated[
        str | None, typer.Option("--target", "-t", help="HOST:PORT. Default: the server of the settings.")
    ] = None,
    service: Annotated[
        str, typer.Option("--service", help="`ready`, a service's full name, or empty for the process itself.")
    ] = "ready",
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds.")] = 4.0,
    ca_file: CaFileOption = None,
    config: ConfigOption = None,
) -> None:
    """Prints SERVING and exits with 0 when the Connector takes calls, else says what is wrong and exits with 1."""
    settings = settings_of(config, None) if target is None else None
    trusted = ca_file or _own_certificate(settings)
    certificates = None if trusted is None else trusted.read_bytes()
    status = run(_check(target or _target(settings), service, timeout, certificates))
    print_line(status)
    if status != "SERVING":
        sys.exit(1)


async def _check(target: str, service: str, timeout: float, certificates: bytes | None) -> str:
    if certificates is None:
        channel = grpc.aio.insecure_channel(target)
    else:
        credentials = grpc.ssl_channel_credentials(certificates)
        channel = grpc.aio.secure_channel(target, credentials)
    async with channel:
        try:
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service), timeout=timeout
            )
        except grpc.aio.AioRpcError as error:
            return f"{error.code().name}: {error.details()}"
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status))


def _target(settings: Settings | None) -> str:
    if settings is None:
        return os.environ.get("ENMESHED_TARGET", "localhost:50051")
    # A server that listens everywhere is asked on this machine.
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.server.host, settings.server.host)  # noqa: S104
    return f"[{host}]:{settings.server.port}" if ":" in host else f"{host}:{settings.server.port}"


def _own_certificate(settings: Settings | None) -> Path | None:
    return None if settings is None else settings.server.tls_certificate_file
