"""The errors of notifications, with the codes of official peers. Source: consumption.md, section 18."""

from __future__ import annotations

from enmeshed_connector.core.errors import Code, FailedPrecondition

_CODE = "error.consumption.attributes."


class SuccessionPeerIsNotOwner(FailedPrecondition):
    """Who tells of a new version of an attribute does not own it."""

    default_official_code = f"{_CODE}successionPeerIsNotOwner"


class SenderIsNotPeerOfSharedAttribute(FailedPrecondition):
    """Who tells of the deletion of an attribute has nothing to do with it."""

    default_official_code = f"{_CODE}senderIsNotPeerOfSharedAttribute"


class NotificationItemUnknown(FailedPrecondition):
    """Nobody here knows what an item of this type means."""


class NotificationNotFailed(FailedPrecondition):
    """The notification is not a received one whose processing failed on this device."""

    reason, code = "NOTIFICATION_NOT_FAILED", Code.FAILED_PRECONDITION
