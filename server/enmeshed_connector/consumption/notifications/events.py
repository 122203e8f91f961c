"""The events about notifications. Source: consumption.md, section 17."""

from __future__ import annotations

from typing import Final

from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work

OWN_ATTRIBUTE_DELETED_BY_OWNER: Final = "consumption.ownAttributeDeletedByOwner"
PEER_RELATIONSHIP_ATTRIBUTE_DELETED_BY_PEER: Final = "consumption.peerRelationshipAttributeDeletedByPeer"
FORWARDED_ATTRIBUTE_DELETED_BY_PEER: Final = "consumption.forwardedAttributeDeletedByPeer"
STATUS_CHANGED: Final = "connector.notificationStatusChanged"
"""Ours: a notification is stored, or has been processed in vain or after all."""


def publish_status(work: Work, notification: Document) -> None:
    """Publishes how far a notification is."""
    work.publish(STATUS_CHANGED, notification, subjects=[notification["peer"]])
