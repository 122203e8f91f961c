"""Backbone notifications: a push with a configured text to peers.

Source: specification of the Consumer API, §17.
"""

from __future__ import annotations

from .. import addresses
from ..errors import invalid_property, refused
from ..http.call import NO_CONTENT, Access, BodyKind, Call, Reply, Route
from ..store import Transaction
from .relationships import LIVING, youngest_between

_MAX_RECIPIENTS = 100
_CODES = "validation.notification."


def send(call: Call, transaction: Transaction) -> Reply:
    """Checks and answers like the official server. The push itself is a text on a phone, which nothing here shows."""
    body = call.body
    recipients, code = body.texts("recipients"), body.text("code")
    if not 1 <= len(recipients) <= _MAX_RECIPIENTS:
        raise invalid_property(f"A notification goes to 1 to {_MAX_RECIPIENTS} recipients.")
    if not all(addresses.is_address(recipient) for recipient in recipients):
        raise invalid_property("A recipient is no identity address.")
    if not code:
        raise invalid_property("code must not be empty.")
    found = [youngest_between(transaction, call.address, recipient) for recipient in recipients]
    relationships = [relationship for relationship in found if relationship is not None]
    if len(relationships) < len(found):
        raise refused(
            _CODES + "noRelationshipToOneOrMoreRecipientsExists", "There is no relationship to one of the recipients."
        )
    if not all(relationship["status"] in LIVING for relationship in relationships):
        raise refused(
            _CODES + "relationshipToRecipientIsNotInCorrectStatus",
            "The status of the relationship to one of the recipients does not allow this.",
        )
    if code not in call.services.settings.notification_texts:
        raise refused(_CODES + "codeDoesNotExist", "There is no text for this code.")
    return NO_CONTENT


ROUTES = (Route("POST", "/api/v2/Notifications", send, access=Access.WRITE, body=BodyKind.JSON),)
