"""A thin client of the enmeshed gRPC Connector: typed errors, paging, and events that survive a lost connection."""

from enmeshed_client.client import Connector
from enmeshed_client.errors import ConnectorError, FieldViolation
from enmeshed_client.events import ReceivedEvent
from enmeshed_client.transfers import Download, download, upload

__all__ = ["Connector", "ConnectorError", "Download", "FieldViolation", "ReceivedEvent", "download", "upload"]
