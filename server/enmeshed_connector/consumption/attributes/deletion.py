"""Deleting attributes, and who must be told. Source: consumption.md, section 5.3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from enmeshed_connector.consumption.attributes import events
from enmeshed_connector.consumption.attributes.defaults import Defaults
from enmeshed_connector.consumption.attributes.documents import ATTRIBUTES, Kind, kind_of, with_property
from enmeshed_connector.consumption.attributes.errors import SharedWhilePending, SuccessorMissing
from enmeshed_connector.consumption.attributes.forwarding import (
    Forwarding,
    forwarding_peers,
    peers_with_older_version,
)
from enmeshed_connector.consumption.attributes.repository import hold_sharing, predecessors, release_sharing, require
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.relationship_documents import Status, relationship_with
from enmeshed_connector.transport.work import Work

OWN_DELETED: Final = "OwnAttributeDeletedByOwnerNotificationItem"
PEER_RELATIONSHIP_DELETED: Final = "PeerRelationshipAttributeDeletedByPeerNotificationItem"
FORWARDED_DELETED: Final = "ForwardedAttributeDeletedByPeerNotificationItem"

_ITEMS: Final = {
    Kind.OWN_IDENTITY: OWN_DELETED,
    Kind.OWN_RELATIONSHIP: OWN_DELETED,
    Kind.PEER_RELATIONSHIP: PEER_RELATIONSHIP_DELETED,
    Kind.PEER_IDENTITY: FORWARDED_DELETED,
    Kind.THIRD_PARTY: FORWARDED_DELETED,
}


@dataclass(frozen=True)
class DeletionNotice:
    """What one identity must be told: one notification with one item."""

    peer: str
    attribute_id: str
    """The version that the peer knows."""
    item_type: str
    """The `@type` of the notification item."""


class DeletionNotices(Protocol):
    """Tells others that an attribute was deleted here."""

    async def send(self, notices: Sequence[DeletionNotice], work: Work) -> list[str]:
        """Adds to the commit what makes each notice reach its peer, and returns the ids of the notifications.

        Must not reach outside: the commit may be made again, or never.
        """


class Deletions:
    """Deletes attributes. All functions take part in a commit."""

    def __init__(self, forwarding: Forwarding, defaults: Defaults) -> None:
        """Takes who keeps forwarding details and defaults."""
        self._forwarding = forwarding
        self._defaults = defaults

    async def delete(self, attribute_id: str, work: Work) -> Document:
        """Deletes an attribute with its former versions, and returns it. A later version stays, and begins the chain.

        Raises:
            RecordMissing: There is no such attribute.
            SuccessorMissing: It names a later version that is not stored.
        """
        attribute = await require(work, attribute_id)
        successor_id = attribute.get("succeededBy")
        if successor_id is not None:
            successor = await work.get(ATTRIBUTES, successor_id)
            if successor is None:
                raise SuccessorMissing(
                    f"The version {successor_id} after {attribute_id} is not stored.",
                    facts={"id": attribute_id, "succeededBy": successor_id},
                )
            await work.save(ATTRIBUTES, with_property(successor, "succeeds", None))
        for version in [version async for version in predecessors(work, attribute)]:
            await self._remove(version, work)
        if kind_of(attribute) is Kind.OWN_IDENTITY:
            await self._defaults.pass_on(attribute, work)
        await self._remove(attribute, work)
        return attribute

    async def delete_silently(self, attribute: Document, work: Work) -> None:
        """Deletes one version and its forwarding details, without events."""
        await self._forwarding.remove_silently(attribute["id"], work)
        await work.remove(ATTRIBUTES, attribute["id"])
        release_sharing(work, attribute["id"])

    async def notices(self, attribute_id: str, work: Work) -> list[DeletionNotice]:
        """Returns who must be told when an attribute is deleted here: those who hold it or a former version.

        Told are peers with an active or terminated relationship whose identity exists.

        Raises:
            RecordMissing: There is no such attribute.
            SharedWhilePending: One of them has a pending relationship.
        """
        attribute = await require(work, attribute_id)
        kind = kind_of(attribute)
        holders: dict[str, str] = {}
        if kind is not Kind.OWN_IDENTITY:
            holders[attribute["peer"]] = attribute_id
        if kind not in (Kind.PEER_IDENTITY, Kind.THIRD_PARTY):
            # Nobody must get it between this look and the deletion.
            await hold_sharing(work, attribute_id)
            for peer in await forwarding_peers(work, attribute_id):
                holders.setdefault(peer, attribute_id)
            for peer, version in (await peers_with_older_version(work, attribute)).items():
                holders.setdefault(peer, version)
        notices = []
        for peer, version in holders.items():
            if await self._can_be_told(peer, attribute_id, work):
                notices.append(DeletionNotice(peer, version, _ITEMS[kind]))
        return notices

    async def delete_and_notify(self, attribute_id: str, sender: DeletionNotices, work: Work) -> list[str]:
        """Deletes an attribute, tells those who hold it, and returns the ids of the notifications.

        Raises:
            DomainError: Those of `notices` and `delete`; nothing was deleted.
        """
        notices = await self.notices(attribute_id, work)
        await self.delete(attribute_id, work)
        return await sender.send(notices, work) if notices else []

    async def _can_be_told(self, peer: str, attribute_id: str, work: Work) -> bool:
        if await relationship_with(work, peer, Status.PENDING) is not None:
            raise SharedWhilePending(
                f"Attribute {attribute_id} cannot be deleted while the relationship with {peer} is pending.",
                facts={"id": attribute_id, "peer": peer},
            )
        relationship = await relationship_with(work, peer, Status.ACTIVE, Status.TERMINATED)
        if relationship is None:
            return False
        return bool((relationship.get("peerDeletionInfo") or {}).get("deletionStatus") != "Deleted")

    async def _remove(self, attribute: Document, work: Work) -> None:
        await self.delete_silently(attribute, work)
        await events.publish(work, events.ATTRIBUTE_DELETED, attribute)
