"""Makes the databases that the settings name."""

from __future__ import annotations

from enmeshed_connector.app.settings import DatabaseSettings
from enmeshed_connector.core.clock import Clock
from enmeshed_connector.storage import Databases
from enmeshed_connector.storage.sqlite import SqliteDatabases


def make_databases(settings: DatabaseSettings, *, clock: Clock) -> Databases:
    """Returns the port to the databases; nothing is touched before the first one is opened.

    Args:
        settings: Which driver, and where.
        clock: Tells time.
    """
    return SqliteDatabases(settings.folder, clock=clock)
