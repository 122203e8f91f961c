"""ShareCredentialOfferRequestItem: the peer is asked to fetch credentials. Source: consumption.md, section 12.9.

It can be asked. Accepting needs calls of a wallet, which this Connector does not offer, so it can only be rejected.
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

PROCESSED_BY_RECIPIENT: Final = "consumption.shareCredentialOfferRequestItemProcessedByRecipient"

_REFUSAL: Final = "Credential offers cannot be accepted here, as this needs a wallet; reject the item."


class ShareCredentialOfferProcessor(ItemProcessor):
    """Items that offer credentials."""

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

    async def apply(self, response_item: JsonObject, item: JsonObject, asked: Asked, work: Work) -> None:
        """Publishes whether the peer fetched the credentials; an error says that it did not."""
        _, peer = asked.settled()
        told: JsonObject = {
            "accepted": response_item.get("result") == "Accepted",
            "credentialOfferUrl": item["credentialOfferUrl"],
            "peer": peer,
        }
        work.publish(PROCESSED_BY_RECIPIENT, told, subjects=[peer])
