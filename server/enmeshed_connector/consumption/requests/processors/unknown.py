"""Items of types that are unknown here, such as those of releases up to 6. They can be shown and rejected."""

from __future__ import annotations

from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.errors import NotAcceptable
from enmeshed_connector.consumption.requests.processors.failures import invalid_item
from enmeshed_connector.consumption.requests.results import ValidationResult
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.transport.work import Work


class UnknownItemProcessor(ItemProcessor):
    """Items without meaning."""

    response_types = frozenset()

    async def can_create(self, item: JsonObject, asked: Asked, reader: Reader) -> ValidationResult:
        """Tells that it cannot be asked."""
        return invalid_item("Items of this type are unknown.")

    async def can_accept(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells that it cannot be accepted."""
        return invalid_item("Items of this type are unknown; reject the item.")

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Accepts nothing.

        Raises:
            NotAcceptable: Always.
        """
        raise NotAcceptable("Items of this type are unknown; reject the item.")
