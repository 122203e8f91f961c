"""`enmeshed-connector dev`: everything that is needed to try it, on this machine alone."""

from __future__ import annotations

import contextlib
import enum
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from enmeshed_connector.app.logs import configure_logs
from enmeshed_connector.app.settings import LogSettings, Settings, load_settings
from enmeshed_connector.cli.loop import run, until_stopped
from enmeshed_connector.cli.output import print_line

if TYPE_CHECKING:
    from enmeshed_backbone.server import BackboneServer
    from enmeshed_connector.app.connector import Connector


class Level(enum.Enum):
    """The least that is logged."""

    debug = "debug"
    info = "info"
    warning = "warning"
    error = "error"


ACCOUNTS = ("alice", "bob")


def dev(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="Where the Connector listens; 0: a free one.")
    ] = 50051,
    backbone_port: Annotated[
        int,
        typer.Option("--backbone-port", min=0, max=65534, help="Where the embedded Backbone listens, it and the next."),
    ] = 8090,
    data: Annotated[
        Path | None,
        typer.Option("--data", file_okay=False, help="A folder that keeps everything. Default: gone at the end."),
    ] = None,
    log_level: Annotated[Level, typer.Option("--log-level", help="The least that is logged.")] = Level.warning,
) -> None:
    """Starts a Connector with two identities, alice and bob, and an embedded Backbone. For development only."""
    run(_dev(port, backbone_port, data, log_level))


async def _dev(port: int, backbone_port: int, data: Path | None, log_level: Level) -> None:
    configure_logs(LogSettings(level=log_level.value))
    async with playground(data=data, port=port, backbone_port=backbone_port) as (connector, backbone):
        await connector.wait_until_ready()
        print_line(f"The Connector listens on localhost:{connector.port} with the accounts {' and '.join(ACCOUNTS)};")
        print_line(f"the Backbone is at {backbone.base_url}. For development only. Stop with Ctrl-C. Try:")
        print_line("")
        where = f"localhost:{connector.port}"
        service = "enmeshed.connector.v1"
        print_line(f"  grpcurl -plaintext {where} list")
        print_line(f"  grpcurl -plaintext -H 'x-account: alice' {where} {service}.Account/GetIdentityInfo")
        print_line(
            f"""  grpcurl -plaintext -H 'x-account: alice' -d '{{"types":["**"]}}' {where} {service}.Events/Subscribe"""
        )
        print_line("")
        await until_stopped()
        print_line("stopping")


@asynccontextmanager
async def playground(
    *,
    data: Path | None = None,
    port: int = 0,
    backbone_port: int = 0,
    accounts: Sequence[str] = ACCOUNTS,
    overrides: dict[str, str] | None = None,
) -> AsyncIterator[tuple[Connector, BackboneServer]]:
    """Runs an embedded Backbone and a Connector with two accounts for the length of a block.

    Args:
        data: Where both keep their data; a folder that is gone afterwards when None.
        port: Where the Connector listens; 0 takes a free port.
        backbone_port: Where the Backbone listens; likewise.
        accounts: Their names.
        overrides: Further settings of the Connector, by dotted names.

    Raises:
        StartRefused: A port is in use.
    """
    # These take a second to import, which other commands need not wait for.
    from enmeshed_backbone.server import BackboneServer
    from enmeshed_backbone.settings import Settings as BackboneOptions
    from enmeshed_connector.api.errors import StartRefused
    from enmeshed_connector.app.connector import Connector

    async with contextlib.AsyncExitStack() as stack:
        folder = data or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="enmeshed-dev-")))
        folder.mkdir(parents=True, exist_ok=True)
        options = BackboneOptions(
            port=backbone_port,
            admin_port=backbone_port + 1 if backbone_port else 0,
            data=str(folder / "backbone.sqlite") if data else ":memory:",
        )
        try:
            backbone = await stack.enter_async_context(BackboneServer(options))
        except OSError as error:
            raise StartRefused(f"the embedded Backbone does not start: {error.strerror or error}") from None
        settings = _settings(backbone.base_url, folder, port, accounts, overrides or {})
        async with Connector(settings, environment={}) as connector:
            yield connector, backbone


def _settings(base_url: str, folder: Path, port: int, accounts: Sequence[str], overrides: dict[str, str]) -> Settings:
    flags = {
        "server.port": str(port),
        "backbone.base_url": base_url,
        "database.folder": str(folder / "connector"),
        **{f"accounts.{name}.create_identity": "true" for name in accounts},
        **overrides,
    }
    return load_settings(file=None, environment={}, flags=flags)
