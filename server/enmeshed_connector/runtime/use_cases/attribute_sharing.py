"""Attributes that peers hold, too. Source: connector.md, section 3.3; consumption.md, section 5."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from enmeshed_connector.consumption.account import ConsumptionAccount
from enmeshed_connector.consumption.attributes import repository
from enmeshed_connector.consumption.attributes.documents import DeletionStatus, Kind, kind_of
from enmeshed_connector.consumption.attributes.errors import (
    AlreadyForwarded,
    DeletedByPeer,
    NotOwnIdentityAttribute,
    NotOwnRelationshipAttribute,
    WrongOwner,
)
from enmeshed_connector.consumption.attributes.repository import Reader, forwarding_details
from enmeshed_connector.consumption.attributes.succession import relationship_successor
from enmeshed_connector.consumption.notifications.items import SUCCEEDED
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.errors import Code, DomainError, FailedPrecondition, FieldViolation
from enmeshed_connector.runtime.use_cases.attributes import AttributeUseCases
from enmeshed_connector.runtime.use_cases.changes import change_once
from enmeshed_connector.runtime.use_cases.common import Intent
from enmeshed_connector.runtime.use_cases.outgoing_requests import OutgoingRequestUseCases
from enmeshed_connector.runtime.views import View
from enmeshed_connector.storage import where
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import Document, without_unset
from enmeshed_connector.transport.work import Work

_NO_PREVIOUS_VERSION: Final = "error.runtime.attributes.peerHasNoPreviousVersionOfAttribute"
_ITEM: Final = "content.items[0]"
_TEXTS: Final = {f"{_ITEM}.description": "request.item_description", "content.expiresAt": "request.expire_time"}
"""Fields of the request that callers know by other names."""
_DELETED_BY_PEER: Final = where("deletionInfo.deletionStatus").eq(DeletionStatus.DELETED_BY_RECIPIENT.value)


class PeerHasNoPreviousVersion(FailedPrecondition):
    """The peer never got a former version of the attribute."""

    reason, code = "PEER_HAS_NO_PREVIOUS_VERSION", Code.FAILED_PRECONDITION
    default_official_code = _NO_PREVIOUS_VERSION


@dataclass(frozen=True)
class RequestTexts:
    """What a request says besides its one item."""

    title: str | None = None
    description: str | None = None
    metadata: JsonObject | None = None
    expires_at: datetime | None = None
    """From when on it cannot be answered."""
    item_description: str | None = None
    must_be_accepted: bool = True
    """Whether the item has to be accepted for the request to be accepted."""


@dataclass(frozen=True)
class ToldSuccession:
    """Two versions of an attribute, and the notification that tells a peer of the newer one."""

    predecessor: View
    successor: View
    notification_id: str


class AttributeSharingUseCases:
    """What callers can do with attributes that peers hold, too."""

    def __init__(
        self,
        transport: TransportAccount,
        consumption: ConsumptionAccount,
        attributes: AttributeUseCases,
        requests: OutgoingRequestUseCases,
    ) -> None:
        """Takes the account, what content means for it, its attributes, and what asks peers."""
        self._transport = transport
        self._context = transport.context
        self._controller = consumption.attributes
        self._notifications = consumption.notifications
        self._attributes = attributes
        self._requests = requests

    async def succeed_relationship(self, predecessor_id: str, value: JsonObject, intent: Intent) -> ToldSuccession:
        """Makes a new version of an own relationship attribute, of which its peer is told.

        Raises:
            RecordMissing: There is no such attribute.
            NotOwnRelationshipAttribute: It is of another class.
            SuccessorNotValid: The value breaks a rule.
            RelationshipNotActive, PeerDeleted: The peer cannot be told.
            DomainError: Those of `Successions.check`.
        """
        earlier = await self._context.outbox.earlier_result(intent.ticket)
        if earlier is None:
            predecessor = await repository.require(self._context.store, predecessor_id)
            if kind_of(predecessor) is not Kind.OWN_RELATIONSHIP:
                raise NotOwnRelationshipAttribute(
                    f"Attribute {predecessor_id} is no own relationship attribute.", facts={"id": predecessor_id}
                )
            # The content of a version never changes, so that it may be read before the commit.
            content = await self._controller.checks.successor_content(
                relationship_successor(predecessor, value), checks_tags=False
            )
            await self._transport.messages.check_recipients([predecessor["peer"]])

            async def change(work: Work) -> JsonObject:
                notification_id = self._notifications.new_id()
                made = await self._controller.successions.succeed_own_relationship(
                    predecessor_id, content, notification_id, work
                )
                return await self._tell(made.predecessor, made.successor, predecessor["peer"], notification_id, work)

            earlier = await change_once(self._context, intent, change)
        return await self._told(earlier)

    async def notify_peer(self, attribute_id: str, peer: str, intent: Intent) -> ToldSuccession:
        """Tells a peer, who got a former version of an own identity attribute, of a newer one.

        Raises:
            RecordMissing: There is no such attribute.
            NotOwnIdentityAttribute: It is of another class.
            PeerHasNoPreviousVersion: The peer never got a former version.
            DeletedByPeer: The peer has deleted all that it got.
            AlreadyForwarded: It got this version, or a later one.
            RelationshipNotActive, PeerDeleted: The peer cannot be told.
        """
        earlier = await self._context.outbox.earlier_result(intent.ticket)
        if earlier is None:
            await self._held_version(self._context.store, attribute_id, peer)
            await self._transport.messages.check_recipients([peer])

            async def change(work: Work) -> JsonObject:
                attribute, held = await self._held_version(work, attribute_id, peer)
                notification_id = self._notifications.new_id()
                await self._controller.forwarding.add(attribute_id, peer, notification_id, work)
                return await self._tell(held, attribute, peer, notification_id, work)

            earlier = await change_once(self._context, intent, change)
        return await self._told(earlier)

    async def share(self, attribute_id: str, peer: str, texts: RequestTexts, intent: Intent) -> View:
        """Asks a peer to take an own identity attribute, and returns the request.

        Raises:
            RecordMissing: There is no such attribute.
            NotOwnIdentityAttribute: It is of another class.
            DomainError: Those of `OutgoingRequestUseCases.send`.
        """
        item: JsonObject = {}
        # A repeat with the same key gives the first answer, whatever became of the attribute.
        if await self._context.outbox.earlier_result(intent.ticket) is None:
            attribute = await repository.require(self._context.store, attribute_id)
            _check_own_identity(attribute)
            item = {
                "@type": "ShareAttributeRequestItem",
                "attribute": attribute["content"],
                "attributeId": attribute_id,
            }
        return await self._ask(item, peer, texts, intent, "attribute_id")

    async def create_and_share(self, content: JsonObject, peer: str, texts: RequestTexts, intent: Intent) -> View:
        """Asks a peer to keep a new attribute of the relationship that belongs to this identity; returns the request.

        Raises:
            WrongOwner: The owner is somebody else.
            DomainError: Those of `OutgoingRequestUseCases.send`.
        """
        own = self._context.identity.address
        if content["owner"] not in ("", own):
            raise WrongOwner(
                "The owner must be this identity.",
                facts={"owner": content["owner"]},
                violations=[FieldViolation("attribute.owner", "must be this identity, or empty")],
            )
        item = {"@type": "CreateAttributeRequestItem", "attribute": {**content, "owner": own}}
        return await self._ask(item, peer, texts, intent, "attribute")

    async def _ask(self, item: JsonObject, peer: str, texts: RequestTexts, intent: Intent, given: str) -> View:
        """Sends a request of one item, and returns it; `given` is the field by which the caller gave the attribute."""
        described = without_unset(**item, description=texts.item_description, mustBeAccepted=texts.must_be_accepted)
        content = without_unset(
            **{"@type": "Request"},
            title=texts.title,
            description=texts.description,
            metadata=texts.metadata,
            expiresAt=None if texts.expires_at is None else format_date(texts.expires_at),
            items=[described],
        )
        try:
            request, _ = await self._requests.send(peer, content, intent)
        except DomainError as error:
            error.rename_fields(lambda field: _given_field(field, given))
            raise
        return request

    async def _held_version(self, reader: Reader, attribute_id: str, peer: str) -> tuple[Document, Document]:
        """Returns an attribute, and the newest version of it that the peer holds, which is a former one."""
        attribute = await repository.require(reader, attribute_id)
        _check_own_identity(attribute)
        facts = {"id": attribute_id, "peer": peer}
        held = await repository.versions_shared_with(reader, attribute, peer)
        if not held:
            for version in await repository.versions(reader, attribute):
                if await forwarding_details(reader, version["id"], where("peer").eq(peer), _DELETED_BY_PEER):
                    raise DeletedByPeer(
                        f"{peer} has deleted attribute {version['id']}.",
                        official_code=_NO_PREVIOUS_VERSION,
                        facts=facts,
                    )
            raise PeerHasNoPreviousVersion(f"{peer} never got a version of attribute {attribute_id}.", facts=facts)
        former = {version["id"] async for version in repository.predecessors(reader, attribute)}
        if held[0]["id"] not in former:
            is_same = held[0]["id"] == attribute_id
            kept = "ownIdentityAttribute" if is_same else "successorOfOwnIdentityAttribute"
            raise AlreadyForwarded(
                f"{peer} has version {held[0]['id']} of attribute {attribute_id} already.",
                official_code=f"error.runtime.attributes.{kept}HasAlreadyBeenSharedWithPeer",
                facts=facts,
            )
        return attribute, held[0]

    async def _tell(
        self, predecessor: Document, successor: Document, peer: str, notification_id: str, work: Work
    ) -> JsonObject:
        item = {
            "@type": SUCCEEDED,
            "predecessorId": predecessor["id"],
            "successorContent": successor["content"],
            "successorId": successor["id"],
        }
        await self._notifications.send(peer, [item], work, notification_id=notification_id)
        return {
            "predecessor": predecessor["id"],
            "successor": successor["id"],
            "notificationId": notification_id,
        }

    async def _told(self, result: JsonObject) -> ToldSuccession:
        return ToldSuccession(
            await self._attributes.get(result["predecessor"]),
            await self._attributes.get(result["successor"]),
            result["notificationId"],
        )


def _check_own_identity(attribute: Document) -> None:
    if kind_of(attribute) is not Kind.OWN_IDENTITY:
        raise NotOwnIdentityAttribute(
            f"Attribute {attribute['id']} is no own identity attribute.", facts={"id": attribute["id"]}
        )


def _given_field(field: str, given: str) -> str:
    """Returns the field that the caller gave for one of the request that is made of it.

    Args:
        field: The path in the request.
        given: The field by which the caller gave the attribute: itself, or its id.
    """
    if field in _TEXTS:
        return _TEXTS[field]
    if field.startswith(_ITEM):
        inner = field.removeprefix(_ITEM).removeprefix(".")
        return inner if inner.partition(".")[0] == given else given
    return field.replace("content.", "request.", 1)
