"""The commands, and how their errors are told."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Annotated

import typer

from enmeshed_client import ConnectorError
from enmeshed_connector.app.settings import SettingsInvalid
from enmeshed_connector.cli import config, decider, demo, dev, events, health, identity, keys, serve
from enmeshed_connector.core.errors import DomainError


def make_app() -> typer.Typer:
    """Returns the command line with all its commands."""
    app = typer.Typer(
        name="enmeshed-connector",
        help="A gRPC gateway to the enmeshed network: holds your digital identities and offers them to your services.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", help="Prints the version.", is_eager=True, callback=_print_version)
        ] = False,
    ) -> None:
        """A gRPC gateway to the enmeshed network: holds your digital identities and offers them to your services."""

    app.command("serve")(serve.serve)
    app.command("dev")(dev.dev)
    app.command("demo")(demo.demo)
    app.command("health")(health.health)
    app.add_typer(identity.make_app(), name="identity")
    app.add_typer(keys.make_app(), name="keys")
    app.add_typer(events.make_app(), name="events")
    app.add_typer(config.make_app(), name="config")
    app.add_typer(decider.make_app(), name="decider")
    return app


def main() -> None:
    """Runs the command line of this process; exits with 1 when something fails, 2 when it was called wrongly."""
    try:
        make_app()()
    except SettingsInvalid as error:
        sys.stderr.write(f"error: settings: {error.message}\n")
        sys.exit(2)
    except DomainError as error:
        _tell(error.message, error.reason, [(one.field, one.description) for one in error.violations])
        sys.exit(1)
    except ConnectorError as error:
        reason = error.reason or error.code.name
        _tell(error.message, reason, [(one.field, one.description) for one in error.violations])
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _print_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"enmeshed-connector {importlib.metadata.version('enmeshed-connector')}\n")
        raise typer.Exit


def _tell(message: str, reason: str, violations: list[tuple[str, str]]) -> None:
    sys.stderr.write(f"error: {message} ({reason})\n")
    for field, description in violations:
        sys.stderr.write(f"  {field}: {description}\n")
