"""Options that several commands share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from enmeshed_client import Connector
from enmeshed_connector.app.settings import Settings, load_settings

ConfigOption = Annotated[
    Path | None, typer.Option("--config", "-c", help="The settings file (TOML). Default: $ENMESHED_CONFIG, or none.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A setting, such as server.port=50052. Wins over all others."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Prints JSON for machines.")]
TargetOption = Annotated[
    str, typer.Option("--target", "-t", envvar="ENMESHED_TARGET", help="Where the Connector listens, HOST:PORT.")
]
ApiKeyOption = Annotated[
    str | None,
    typer.Option("--api-key", envvar="ENMESHED_API_KEY", help="The API key. Needed where the Connector asks for one."),
]
AccountOption = Annotated[
    str | None,
    typer.Option("--account", "-a", envvar="ENMESHED_ACCOUNT", help="The account. Needed where there are several."),
]
CaFileOption = Annotated[
    Path | None,
    typer.Option(
        "--ca-file", exists=True, dir_okay=False, readable=True, help="PEM certificates to trust; turns TLS on."
    ),
]

DEFAULT_TARGET = "localhost:50051"


def settings_of(config: Path | None, assignments: list[str] | None) -> Settings:
    """Returns the settings from file, environment and flags.

    Raises:
        BadParameter: A flag is not NAME=VALUE.
        SettingsInvalid: A setting is wrong.
    """
    flags: dict[str, str] = {}
    for assignment in assignments or ():
        name, separator, value = assignment.partition("=")
        if not separator or not name:
            raise typer.BadParameter(f"{assignment!r} is not NAME=VALUE", param_hint="--set")
        flags[name] = value
    return load_settings(file=config, environment=os.environ, flags=flags)


def connect(target: str, api_key: str | None, account: str | None, ca_file: Path | None) -> Connector:
    """Returns a client of a running Connector.

    Raises:
        BadParameter: The key or the account has characters that cannot be sent.
    """
    try:
        return Connector(target, api_key=api_key, account=account, ca_file=ca_file)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--api-key or --account") from None
