"""`enmeshed-connector serve`: the Connector itself."""

from __future__ import annotations

from enmeshed_connector.app.logs import configure_logs
from enmeshed_connector.app.settings import Settings
from enmeshed_connector.cli.loop import run, until_stopped
from enmeshed_connector.cli.options import ConfigOption, SetOption, settings_of


def serve(config: ConfigOption = None, assignments: SetOption = None) -> None:
    """Serves the accounts of the settings until SIGTERM or SIGINT; then ends calls and stops at a safe point."""
    settings = settings_of(config, assignments)
    configure_logs(settings.log)
    run(_serve(settings))


async def _serve(settings: Settings) -> None:
    # Takes a second to import, which other commands need not wait for.
    from enmeshed_connector.app.connector import Connector

    async with Connector(settings):
        await until_stopped()
