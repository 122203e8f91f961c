"""Texts of the Backbone on the devices of peers.

Source: transport.md, section 23 ("Backbone notifications").
"""

from __future__ import annotations

from collections.abc import Sequence

from enmeshed_connector.backbone.endpoints.notifications import Notifications
from enmeshed_connector.backbone.errors import BackboneRejected
from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.canonical_json import Json
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import PushNotificationCodeUnknown, RelationshipNotActive
from enmeshed_connector.transport.pending import Operation, PendingOperation, Ticket
from enmeshed_connector.transport.relationship_documents import Status, relationship_with
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Work

_NO_RELATIONSHIP = "error.transport.backboneNotifications.noActiveRelationshipFoundForRecipients"
_STATES = (
    "validation.notification.noRelationshipToOneOrMoreRecipientsExists",
    "validation.notification.relationshipToRecipientIsNotInCorrectStatus",
)


class PushNotificationController:
    """Sends push notifications. Nothing of them is stored."""

    def __init__(self, context: AccountContext) -> None:
        """Takes the account."""
        self._context = context
        self._send = _Send(context)
        self.operations: Sequence[Operation] = (self._send,)

    async def send(
        self, recipients: Sequence[str], code: str, *, ticket: Ticket | None = None, cause: Cause = LOCAL_CAUSE
    ) -> None:
        """Lets the Backbone show a text on all devices of peers.

        Args:
            recipients: The addresses of 1 to 100 peers.
            code: The code of the text, which the Backbone's operator has defined.
            ticket: The caller's idempotency key.
            cause: Where the request comes from.

        Raises:
            RelationshipNotActive: There is no active relationship with one of them.
            PushNotificationCodeUnknown: The Backbone has no such text.
            OutcomeUnknown: It was asked for and no answer came; whether it was sent cannot be found out.
            BackboneError: The Backbone refuses, or is away.
        """
        if await self._context.outbox.earlier_result(ticket) is not None:
            return
        store = self._context.store
        strangers = [one for one in recipients if await relationship_with(store, one, Status.ACTIVE) is None]
        if strangers:
            raise _no_relationship(strangers)
        plan = {"recipients": list(recipients), "code": code}
        try:
            await self._context.outbox.run(self._send, wire="", plan=plan, ticket=ticket, cause=cause)
        except BackboneRejected as error:
            if error.has_code("validation.notification.codeDoesNotExist"):
                raise PushNotificationCodeUnknown("The Backbone has no text of this code.") from error
            if error.has_code(*_STATES):
                raise _no_relationship(()) from error
            raise


class _Send(Operation):
    """The sending of one notification; nothing tells whether one was sent, so it is never sent again."""

    kind = "pushNotifications.send"

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def transmit(self, pending: PendingOperation) -> Json:
        recipients = [parse_address(one) for one in pending.plan["recipients"]]
        await Notifications(self._context.backbone).send(recipients, pending.plan["code"])
        return {}

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        return {"sent": True}


def _no_relationship(strangers: Sequence[str]) -> RelationshipNotActive:
    return RelationshipNotActive(
        "There is no active relationship with a recipient.",
        official_code=_NO_RELATIONSHIP,
        facts={"recipients": ", ".join(strangers)} if strangers else {},
    )
