"""Makes the databases that the settings name."""

from __future__ import annotations

from enmeshed_connector.app.settings import DatabaseSettings, SettingsInvalid
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.storage import Databases
from enmeshed_connector.storage.sqlite import SqliteDatabases


def make_databases(settings: DatabaseSettings, *, clock: Clock) -> Databases:
    """Returns the port to the databases; nothing is touched before the first one is opened.

    Args:
        settings: Which driver, and where.
        clock: Tells time.
    """
    if settings.driver == "sqlite":
        return SqliteDatabases(settings.folder, clock=clock)
    if settings.connection_string is None:
        raise SettingsInvalid(f"driver {settings.driver} needs connection_string")
    # Importing the drivers takes a while that the embedded default need not spend.
    from enmeshed_connector.storage.mongo import MongoDatabases

    return MongoDatabases(settings.connection_string.get_secret_value(), driver=settings.driver, clock=clock)
