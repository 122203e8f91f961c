"""ShareAuthorizationRequestRequestItem: the peer is asked to present a credential. Source: consumption.md, 12.10.

It can be asked; whether its URL leads anywhere is left to the one who accepts. Accepting needs calls of a wallet, which
this Connector does not offer, so it can only be rejected.
"""

from __future__ import annotations

from typing import Final

from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.consumption.requests.processors.base import Asked, ItemProcessor
from enmeshed_connector.consumption.requests.processors.errors import NotAcceptable
from enmeshed_connector.consumption.requests.processors.failures import invalid_item
from enmeshed_connector.consumption.requests.results import ValidationResult
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.transport.work import Work

_REFUSAL: Final = "Credentials cannot be presented here, as this needs a wallet; reject the item."


class ShareAuthorizationRequestProcessor(ItemProcessor):
    """Items that ask for a presentation."""

    async def can_accept(
        self, item: JsonObject, decision: JsonObject, asked: Asked, reader: Reader
    ) -> ValidationResult:
        """Tells that it cannot be accepted."""
        return invalid_item(_REFUSAL)

    async def accept(self, item: JsonObject, decision: JsonObject, asked: Asked, work: Work) -> JsonObject:
        """Accepts nothing.

        Raises:
            NotAcceptable: Always.
        """
        raise NotAcceptable(_REFUSAL)
