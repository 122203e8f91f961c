"""What notifications take part in: each becomes durable with the message that carries it.

Whatever a peer sends, its message is stored: a notification that cannot be stored is left alone.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from enmeshed_connector.consumption.notifications.controller import NotificationController
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.core.errors import DomainError
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.listeners import TransportListener
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


class NotificationListener(TransportListener):
    """Takes notifications out of messages."""

    def __init__(self, context: AccountContext, notifications: NotificationController) -> None:
        """Takes the account, and its notifications."""
        self._notifications = notifications
        self._logger = structlog.get_logger(__name__).bind(account=context.account)

    async def message_received(self, message: Document, work: Work) -> None:
        """Receives the notification in a message."""
        if _is_notification(message["content"]):
            await self._attempt(self._notifications.receive, message, work)

    async def message_sent(self, message: Document, work: Work) -> None:
        """Notes that an own notification is with the peer, whatever it says."""
        if _is_notification(message["content"]) and len(message["recipients"]) == 1:
            await self._attempt(self._notifications.sent, message, work)

    async def relationship_decomposed(self, relationship: Document, work: Work) -> None:
        """Removes all notifications to and from the peer."""
        await self._notifications.forget_peer(relationship["peer"]["address"], work)

    async def _attempt(
        self, change: Callable[[Document, Work], Awaitable[None]], message: Document, work: Work
    ) -> None:
        try:
            await work.attempt(lambda: change(message, work))
        except DomainError as error:
            if error.code.is_passing:
                raise
            self._logger.warning("a notification is left alone", message_id=message["id"], problem=error.reason)
        except Exception:
            # A fault of ours; yet one message must not stop everything that comes after it.
            self._logger.exception("a notification cannot be kept", message_id=message["id"])


def _is_notification(content: Json) -> bool:
    return isinstance(content, dict) and content.get("@type") == "Notification"
