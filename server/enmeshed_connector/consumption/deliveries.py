"""The second half of decisions: what has to be sent once their commit is durable, exactly once."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Self

from enmeshed_connector.consumption.attributes.repository import Reader
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.storage import CollectionSpec
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.pending import Ticket
from enmeshed_connector.transport.work import Work

DELIVERIES: Final = "_Deliveries"
"""What is not sent yet; stays on this device."""
DELIVERY_SCHEMA: Final = CollectionSpec(DELIVERIES)

_LOOK_EVERY: Final = timedelta(seconds=30)


@dataclass(frozen=True)
class Delivery:
    """Something to send."""

    document: Document

    @classmethod
    def message(cls, *, id: str, peer: str, content: JsonObject) -> Self:
        """Returns the delivery of a message to one peer."""
        return cls({"id": id, "kind": "message", "peer": peer, "content": content})

    @classmethod
    def relationship(cls, *, id: str, peer: str, template_id: str, creation_content: JsonObject) -> Self:
        """Returns the delivery of a request for a relationship."""
        return cls(
            {"id": id, "kind": "relationship", "peer": peer, "templateId": template_id, "content": creation_content}
        )


class Deliveries:
    """What has to be sent for one account."""

    def __init__(self, transport: TransportAccount) -> None:
        """Takes the account."""
        self._transport = transport
        self._context = transport.context

    async def enqueue(self, delivery: Delivery, work: Work) -> None:
        """Has something sent as soon as the commit is durable."""
        work.store_silently(DELIVERIES, {**delivery.document, "attempts": 0, "nextAttemptAt": work.now})

    async def get(self, reader: Reader, id: str) -> Document | None:
        """Returns a delivery that is not done, None when there is none."""
        return await reader.get(DELIVERIES, id)

    async def done(self, id: str, work: Work) -> None:
        """Removes a delivery, in the commit that stores what was sent."""
        work.delete_silently(DELIVERIES, id)

    async def run(self) -> None:
        """Sends what is there and what comes, until cancelled. For the worker of the account."""
        log = self._context.store.log
        while True:
            position = await log.head()
            for delivery in await self._context.store.find(DELIVERIES):
                await self._send(delivery)
            await log.wait(position, _LOOK_EVERY)

    async def _send(self, delivery: Document) -> None:
        # The ticket is the delivery's own, so that a repeat after a crash finds what the first attempt sent.
        ticket = Ticket(f"delivery:{delivery['id']}", delivery["id"])
        if delivery["kind"] == "message":
            await self._transport.messages.send([delivery["peer"]], delivery["content"], ticket=ticket)
        else:
            await self._transport.relationships.create(delivery["templateId"], delivery["content"], ticket=ticket)
