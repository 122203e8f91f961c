"""The sending of a message, which must happen once. Source: transport.md, section 17.2; architecture.md, decision 8."""

from __future__ import annotations

from datetime import timedelta

from enmeshed_connector.backbone.endpoints.messages import Messages
from enmeshed_connector.core.canonical_json import Json, loads_object, sort_members
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.encodings import from_base64url
from enmeshed_connector.transport import events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.listeners import Listeners
from enmeshed_connector.transport.message_documents import subjects_of_message
from enmeshed_connector.transport.objects import MESSAGES
from enmeshed_connector.transport.pending import Done, NotDone, Operation, PendingOperation, Resolution
from enmeshed_connector.transport.work import Work

_CLOCK_DIFFERENCE = timedelta(hours=1)
"""How far the Backbone's clock may be behind ours, when looking for a message that was just sent."""


class SendMessage(Operation):
    """Sends a message. After a lost answer the own messages tell, newest first, by an equal body."""

    kind = "messages.send"

    def __init__(self, context: AccountContext, listeners: Listeners) -> None:
        """Takes the account, and who hears of the message."""
        self._context = context
        self._listeners = listeners

    async def transmit(self, pending: PendingOperation) -> Json:
        """Sends the message."""
        sent = await Messages(self._context.backbone).send(pending.wire.encode())
        return {"id": sent.id, "createdAt": format_date(sent.created_at)}

    async def resolve(self, pending: PendingOperation) -> Resolution:
        """Looks for the message among the newest ones."""
        body = from_base64url(loads_object(pending.wire, field="wire")["body"], "body")
        earliest = pending.created_at - _CLOCK_DIFFERENCE
        async for page in Messages(self._context.backbone).list().pages_backwards():
            for message in page.items:
                if message.body == body:
                    return Done({"id": message.id, "createdAt": format_date(message.created_at)})
            if any(message.created_at < earliest for message in page.items):
                break
        return NotDone()

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        """Stores the message and tells of it."""
        if await work.get(MESSAGES, answer["id"]) is None:
            message = sort_members({"@type": "Message", **pending.plan["document"], **answer})
            await work.create(MESSAGES, message)
            work.publish(events.MESSAGE_SENT, message, subjects=subjects_of_message(message))
            await self._listeners.message_sent(message, work)
        return {"id": answer["id"]}
