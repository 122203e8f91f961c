"""Pushes with configured texts to the devices of peers."""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, nothing, path_of
from enmeshed_connector.backbone.wire import encode_json
from enmeshed_connector.core.addresses import Address


class Notifications:
    """Sends pushes to peers."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def send(self, recipients: Sequence[Address], code: str) -> None:
        """Sends the texts of a code, which the Backbone has configured, to all devices of 1 to 100 peers.

        Raises:
            BackboneRejected: `validation.notification.noRelationshipToOneOrMoreRecipientsExists`,
                `.relationshipToRecipientIsNotInCorrectStatus`, `.codeDoesNotExist`.
            AnswerLost: It may have been sent; nothing can tell.
        """
        await self._caller.call(
            Call(
                "notifications.send",
                "POST",
                path_of("Notifications"),
                nothing,
                Repeat.NEVER,
                body=encode_json({"recipients": list(recipients), "code": code}),
            )
        )
