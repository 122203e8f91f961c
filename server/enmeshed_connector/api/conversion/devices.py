"""Devices with their etags: views as messages of the contract."""

from __future__ import annotations

from enmeshed.connector.v1 import device_pb2
from enmeshed_connector.api.conversion.things import Converter
from enmeshed_connector.runtime.views import View


def device(converter: Converter, view: View) -> device_pb2.Device:
    """Returns a device."""
    message = converter.device(view)
    message.etag = view["etag"]
    return message
