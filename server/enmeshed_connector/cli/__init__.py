"""The command line `enmeshed-connector`."""

from enmeshed_connector.cli.main import main

__all__ = ["main"]
