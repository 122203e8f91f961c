"""Tells of mails by events of their own, when the settings say so. Source: consumption.md, section 17."""

from __future__ import annotations

from typing import Final

from enmeshed_connector.transport.listeners import TransportListener
from enmeshed_connector.transport.message_documents import subjects_of_message
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.relationship_documents import relationship_with
from enmeshed_connector.transport.work import Work

MAIL_RECEIVED: Final = "consumption.mailReceived"
RELATIONSHIP_EVENT: Final = "consumption.relationshipEvent."
"""Followed by the id of the relationship with the sender."""


class MailEvents(TransportListener):
    """Publishes `mailReceived` and `relationshipEvent.<id>` in the commit of a received mail."""

    async def message_received(self, message: Document, work: Work) -> None:
        """Publishes both when the message is a mail."""
        content = message.get("content")
        if not isinstance(content, dict) or content.get("@type") != "Mail":
            return
        subjects = subjects_of_message(message)
        work.publish(MAIL_RECEIVED, message, subjects=subjects)
        relationship = await relationship_with(work, message["createdBy"])
        if relationship is not None:
            work.publish(f"{RELATIONSHIP_EVENT}{relationship['id']}", message, subjects=subjects)
