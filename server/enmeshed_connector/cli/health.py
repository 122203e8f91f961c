"""`enmeshed-connector health`: whether a running Connector takes calls; for containers."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from dataclasses import dataclass
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
    certificate_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="PEM certificate to present, where clients need one. Default: that of the settings' server.",
        ),
    ] = None,
    key_file: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="PEM private key of that certificate.")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Prints SERVING and exits with 0 when the Connector takes calls, else says what is wrong and exits with 1."""
    settings = settings_of(config, None) if target is None else None
    if (certificate_file is None) != (key_file is None):
        raise typer.BadParameter("go together", param_hint="--certificate-file and --key-file")
    tls = _tls(settings, ca_file, certificate_file, key_file)
    status = run(_check(target or _target(settings), service, timeout, tls))
    print_line(status)
    if status != "SERVING":
        sys.exit(1)


@dataclass(frozen=True)
class _Tls:
    """PEM files."""

    trusted: Path
    is_own: bool
    """Whether `trusted` is the certificate of the server itself: then any name will do that stands in it."""
    certificate: Path | None = None
    key: Path | None = None


async def _check(target: str, service: str, timeout: float, tls: _Tls | None) -> str:
    if tls is None:
        channel = grpc.aio.insecure_channel(target)
    else:
        credentials = grpc.ssl_channel_credentials(
            tls.trusted.read_bytes(),
            None if tls.key is None else tls.key.read_bytes(),
            None if tls.certificate is None else tls.certificate.read_bytes(),
        )
        name = await _name_in_certificate(target, tls.trusted, timeout) if tls.is_own else None
        options = [] if name is None else [("grpc.ssl_target_name_override", name)]
        channel = grpc.aio.secure_channel(target, credentials, options)
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


def _tls(
    settings: Settings | None, ca_file: Path | None, certificate_file: Path | None, key_file: Path | None
) -> _Tls | None:
    own = None if settings is None else settings.server.tls_certificate_file
    trusted = ca_file or own
    if trusted is None:
        return None
    if certificate_file is None and settings is not None and settings.server.client_ca_file is not None:
        certificate_file, key_file = own, settings.server.tls_key_file
    return _Tls(trusted, trusted == own, certificate_file, key_file)


async def _name_in_certificate(target: str, certificate: Path, timeout: float) -> str | None:
    """Returns a name for which the certificate of the server is good: it is asked by a name of this machine only, and
    its certificate is for the names that others know. None when there is none, or the server does not answer.
    """
    context = ssl.create_default_context(cafile=certificate)
    context.check_hostname = False
    # The file may hold no root: what is in it is trusted as it is.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols(["h2"])
    host, _, port = target.rpartition(":")
    try:
        async with asyncio.timeout(timeout):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    except (OSError, TimeoutError):
        return None
    names = writer.get_extra_info("peercert").get("subjectAltName", ())
    writer.transport.abort()
    return next((name.replace("*", "health") for kind, name in names if kind in ("DNS", "IP Address")), None)
