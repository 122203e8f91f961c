"""What the Backbone tells everybody, and what it shows on the devices of peers.

Source: connector.md, sections 3.2 and 3.4.
"""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.backbone.endpoints.announcements import Announcement
from enmeshed_connector.content.code_lists import LANGUAGES
from enmeshed_connector.core.errors import FieldViolation, InvalidArgument
from enmeshed_connector.runtime.use_cases.common import Intent
from enmeshed_connector.transport.account import TransportAccount


class BackboneNewsUseCases:
    """Announcements and push notifications."""

    def __init__(self, transport: TransportAccount) -> None:
        """Takes the account."""
        self._transport = transport

    async def announcements(self, language: str) -> Sequence[Announcement]:
        """Returns the announcements in a language, in the Backbone's order.

        Raises:
            InvalidArgument: There is no such language.
            BackboneError: The Backbone is away.
        """
        if language not in LANGUAGES:
            raise InvalidArgument(
                "The language is unknown.",
                official_code="error.runtime.validation.invalidPropertyValue",
                violations=[FieldViolation("language", "must be a code of ISO 639-1, such as en")],
            )
        return await self._transport.backbone_news.announcements(language)

    async def send_push_notification(self, recipients: Sequence[str], code: str, intent: Intent) -> None:
        """Lets the Backbone show a text on the devices of peers. Errors: of `PushNotificationController.send`."""
        await self._transport.push_notifications.send(recipients, code, ticket=intent.ticket, cause=intent.cause)
