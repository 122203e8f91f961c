"""What each type of notification item does. Source: consumption.md, section 13.3.

All functions take part in a commit; what they raise undoes what was done for the whole notification.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from enmeshed_connector.consumption.attributes import events as attribute_events
from enmeshed_connector.consumption.attributes.checks import IDENTITY
from enmeshed_connector.consumption.attributes.controller import AttributeController
from enmeshed_connector.consumption.attributes.deletion import (
    FORWARDED_DELETED,
    OWN_DELETED,
    PEER_RELATIONSHIP_DELETED,
)
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    DeletionStatus,
    Kind,
    deletion_status_of,
    kind_of,
)
from enmeshed_connector.consumption.attributes.errors import (
    ContentTypeChanged,
    PredecessorMissing,
    WrongAttributeType,
)
from enmeshed_connector.consumption.attributes.forwarding import set_deletion_of_attribute
from enmeshed_connector.consumption.attributes.repository import (
    NOT_DELETED_BY_RECIPIENT,
    forwarding_details,
    predecessors,
)
from enmeshed_connector.consumption.notifications import events
from enmeshed_connector.consumption.notifications.errors import (
    NotificationItemUnknown,
    SenderIsNotPeerOfSharedAttribute,
    SuccessionPeerIsNotOwner,
)
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.ids import ATTRIBUTE, parse_id
from enmeshed_connector.core.malformed import MalformedValue
from enmeshed_connector.storage import where
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work

SUCCEEDED: Final = "PeerAttributeSucceededNotificationItem"


class NotificationItems:
    """Does what items say."""

    def __init__(self, attributes: AttributeController) -> None:
        """Takes who keeps the attributes."""
        self._attributes = attributes
        self._by_type: dict[str, Callable[[JsonObject, Document, Work], Awaitable[None]]] = {
            SUCCEEDED: self._succeeded,
            OWN_DELETED: self._own_deleted,
            PEER_RELATIONSHIP_DELETED: self._peer_relationship_deleted,
            FORWARDED_DELETED: self._forwarded_deleted,
        }

    async def process(self, item: JsonObject, notification: Document, work: Work) -> None:
        """Does what an item of a received notification says, and tells of it.

        Raises:
            DomainError: It cannot be done; what was done by then must be undone.
        """
        process = self._by_type.get(item["@type"])
        if process is None:
            raise NotificationItemUnknown(
                f"Items of type {item['@type']} are not known.", facts={"type": item["@type"]}
            )
        await process(item, notification, work)

    async def _succeeded(self, item: JsonObject, notification: Document, work: Work) -> None:
        """The owner of an attribute has a new version of it."""
        predecessor_id, content = item["predecessorId"], item["successorContent"]
        facts = {"id": predecessor_id, "peer": notification["peer"]}
        if content["owner"] != notification["peer"]:
            raise SuccessionPeerIsNotOwner(
                f"{notification['peer']} does not own the successor of attribute {predecessor_id}.", facts=facts
            )
        predecessor = await _known(predecessor_id, work)
        if predecessor is None:
            raise PredecessorMissing(f"There is no attribute {predecessor_id}.", facts=facts)
        _check_kind(predecessor, Kind.PEER_IDENTITY, Kind.PEER_RELATIONSHIP)
        _check_sender(predecessor, notification)
        if (kind_of(predecessor) is Kind.PEER_IDENTITY) != (content["@type"] == IDENTITY):
            raise ContentTypeChanged(f"The successor of {predecessor_id} must be of its type.", facts=facts)
        successor_id = parse_id(ATTRIBUTE, item["successorId"], "successorId")
        checked = await self._attributes.checks.successor_content(content, checks_tags=False, received=True)
        await self._attributes.successions.succeed_received(
            predecessor_id, checked, successor_id, notification["id"], work
        )

    async def _own_deleted(self, item: JsonObject, notification: Document, work: Work) -> None:
        """The owner of an attribute that is known here has deleted it."""
        attribute = await _known(item["attributeId"], work)
        if attribute is None:
            return
        _check_kind(attribute, Kind.PEER_IDENTITY, Kind.PEER_RELATIONSHIP, Kind.THIRD_PARTY)
        _check_sender(attribute, notification)
        if deletion_status_of(attribute) == DeletionStatus.TO_BE_DELETED:
            return
        for version in [attribute, *[one async for one in predecessors(work, attribute)]]:
            await set_deletion_of_attribute(version, DeletionStatus.DELETED_BY_EMITTER, work.now, work)
        await _publish(work, events.OWN_ATTRIBUTE_DELETED_BY_OWNER, attribute["id"])

    async def _peer_relationship_deleted(self, item: JsonObject, notification: Document, work: Work) -> None:
        """The other side of a relationship has deleted an attribute that belongs to this side, or to a third one."""
        attribute = await _known(item["attributeId"], work)
        if attribute is None:
            return
        _check_kind(attribute, Kind.OWN_RELATIONSHIP, Kind.THIRD_PARTY)
        _check_sender(attribute, notification)
        is_own = kind_of(attribute) is Kind.OWN_RELATIONSHIP
        status = DeletionStatus.DELETED_BY_RECIPIENT if is_own else DeletionStatus.DELETED_BY_EMITTER
        for version in [attribute, *[one async for one in predecessors(work, attribute)]]:
            await set_deletion_of_attribute(version, status, work.now, work, overrides=True)
        await _publish(work, events.PEER_RELATIONSHIP_ATTRIBUTE_DELETED_BY_PEER, attribute["id"])

    async def _forwarded_deleted(self, item: JsonObject, notification: Document, work: Work) -> None:
        """Somebody who was given an attribute has deleted it."""
        attribute = await _known(item["attributeId"], work)
        if attribute is None:
            return
        _check_kind(attribute, Kind.OWN_IDENTITY, Kind.OWN_RELATIONSHIP, Kind.PEER_RELATIONSHIP)
        peer = notification["peer"]
        held_by_peer = where("peer").eq(peer)
        if not await forwarding_details(work, attribute["id"], NOT_DELETED_BY_RECIPIENT, held_by_peer):
            raise _wrong_sender(attribute, notification)
        for version in [attribute, *[one async for one in predecessors(work, attribute)]]:
            # Former versions may never have been given to the peer.
            if await forwarding_details(work, version["id"], held_by_peer):
                await self._attributes.forwarding.set_deletion(
                    version["id"], peer, DeletionStatus.DELETED_BY_RECIPIENT, work.now, work, overrides=True
                )
        await _publish(work, events.FORWARDED_ATTRIBUTE_DELETED_BY_PEER, attribute["id"])


async def _known(attribute_id: str, work: Work) -> Document | None:
    """Returns an attribute, None when there is none; what peers write may be no id at all."""
    try:
        return await work.get(ATTRIBUTES, parse_id(ATTRIBUTE, attribute_id))
    except MalformedValue:
        return None


def _check_kind(attribute: Document, *kinds: Kind) -> None:
    if kind_of(attribute) not in kinds:
        raise WrongAttributeType(f"Attribute {attribute['id']} is of another class.", facts={"id": attribute["id"]})


def _check_sender(attribute: Document, notification: Document) -> None:
    if attribute["peer"] != notification["peer"]:
        raise _wrong_sender(attribute, notification)


def _wrong_sender(attribute: Document, notification: Document) -> SenderIsNotPeerOfSharedAttribute:
    return SenderIsNotPeerOfSharedAttribute(
        f"Attribute {attribute['id']} is not shared with {notification['peer']}.",
        facts={"id": attribute["id"], "peer": notification["peer"]},
    )


async def _publish(work: Work, event_type: str, attribute_id: str) -> None:
    attribute = await work.get(ATTRIBUTES, attribute_id)
    assert attribute is not None, "it was changed in this commit"
    await attribute_events.publish(work, event_type, attribute)
