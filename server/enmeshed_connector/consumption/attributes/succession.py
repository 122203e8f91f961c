"""New versions of attributes. Source: consumption.md, section 5.2.

A new version is a new document; the one before keeps its content, and both name each other. Of an attribute that
several identities hold, all of them use the same id for the same version.
"""

from __future__ import annotations

from dataclasses import dataclass

from enmeshed_connector.consumption.attributes import events
from enmeshed_connector.consumption.attributes.checks import (
    RELATIONSHIP,
    SuccessorContent,
    check_characters,
    trimmed_content,
)
from enmeshed_connector.consumption.attributes.documents import (
    ATTRIBUTES,
    DELETED,
    Kind,
    attribute_document,
    deletion_status_of,
    kind_of,
    same_json,
    value_type_of,
    with_property,
)
from enmeshed_connector.consumption.attributes.errors import (
    ContentTypeChanged,
    ContentUnchanged,
    DeletedByPeer,
    HasSuccessor,
    KeyChanged,
    NotOwnIdentityAttribute,
    NotOwnRelationshipAttribute,
    OwnerChanged,
    SuccessorExists,
    ValueTypeChanged,
    WrongAttributeType,
)
from enmeshed_connector.consumption.attributes.repository import require
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.errors import FieldViolation
from enmeshed_connector.core.ids import ATTRIBUTE, IdMaker
from enmeshed_connector.transport.objects import Document
from enmeshed_connector.transport.work import Work


@dataclass(frozen=True)
class Succession:
    """Both versions, as they are stored."""

    predecessor: Document
    successor: Document


def relationship_successor(predecessor: Document, value: JsonObject) -> JsonObject:
    """Returns the content of a new version of an own relationship attribute: all but the value stays."""
    return {**predecessor["content"], "value": value}


class Successions:
    """Makes new versions. All functions take part in a commit."""

    def __init__(self, ids: IdMaker) -> None:
        """Takes what makes ids."""
        self._ids = ids

    async def succeed_own_identity(self, predecessor_id: str, content: SuccessorContent, work: Work) -> Succession:
        """Makes a new version of an own identity attribute. Nobody is told but the readers of events.

        Raises:
            RecordMissing: There is no such attribute.
            NotOwnIdentityAttribute: It is of another class.
            DomainError: Those of `check`.
        """
        predecessor = await require(work, predecessor_id)
        if kind_of(predecessor) is not Kind.OWN_IDENTITY:
            raise NotOwnIdentityAttribute(
                f"Attribute {predecessor_id} is no own identity attribute.", facts={"id": predecessor_id}
            )
        return await self._succeed(predecessor, content, work, successor_id=None, source_reference=None)

    async def succeed_own_relationship(
        self, predecessor_id: str, content: SuccessorContent, source_reference: str, work: Work
    ) -> Succession:
        """Makes a new version of an own relationship attribute; its peer must be told.

        Args:
            predecessor_id: The newest version.
            content: Made with `relationship_successor`.
            source_reference: The id of the notification that tells the peer.
            work: The commit.

        Raises:
            RecordMissing: There is no such attribute.
            NotOwnRelationshipAttribute: It is of another class.
            DomainError: Those of `check`.
        """
        predecessor = await require(work, predecessor_id)
        if kind_of(predecessor) is not Kind.OWN_RELATIONSHIP:
            raise NotOwnRelationshipAttribute(
                f"Attribute {predecessor_id} is no own relationship attribute.", facts={"id": predecessor_id}
            )
        return await self._succeed(predecessor, content, work, successor_id=None, source_reference=source_reference)

    async def succeed_received(
        self,
        predecessor_id: str,
        content: SuccessorContent,
        successor_id: str,
        source_reference: str,
        work: Work,
        *,
        publishes: bool = True,
    ) -> Succession:
        """Stores a new version that a peer told of.

        Args:
            predecessor_id: The version that is known here.
            content: What the peer says.
            successor_id: The id under which the peer knows the new version.
            source_reference: The id of the request or notification.
            work: The commit.
            publishes: Whether the event is added; else the caller does so when all else went well.

        Raises:
            RecordMissing: There is no such attribute.
            WrongAttributeType: It is an own one.
            DomainError: Those of `check`.
        """
        predecessor = await require(work, predecessor_id)
        if kind_of(predecessor) in (Kind.OWN_IDENTITY, Kind.OWN_RELATIONSHIP):
            raise WrongAttributeType(f"Attribute {predecessor_id} is an own one.", facts={"id": predecessor_id})
        return await self._succeed(
            predecessor,
            content,
            work,
            successor_id=successor_id,
            source_reference=source_reference,
            publishes=publishes,
        )

    async def check(
        self, predecessor: Document, content: SuccessorContent, work: Work, *, successor_id: str | None = None
    ) -> None:
        """Returns when the content may succeed an attribute.

        Raises:
            KeyChanged, DeletedByPeer, SuccessorExists, HasSuccessor, ContentUnchanged, OwnerChanged,
            ContentTypeChanged, ValueTypeChanged, ForbiddenCharacters: It may not; they are looked for in this order.
        """
        facts = {"id": predecessor["id"]}
        name = f"The successor of {predecessor['id']}"
        before, after = predecessor["content"], content.json
        if before["@type"] == RELATIONSHIP and before["key"] != after.get("key"):
            raise KeyChanged(f"{name} must have the same key.", facts=facts)
        if deletion_status_of(predecessor) in DELETED:
            raise DeletedByPeer(f"The other side has deleted attribute {predecessor['id']}.", facts=facts)
        if successor_id is not None and await work.get(ATTRIBUTES, successor_id) is not None:
            raise SuccessorExists(f"There is an attribute {successor_id} already.", facts={**facts, "id": successor_id})
        if "succeededBy" in predecessor:
            newer = predecessor["succeededBy"]
            raise HasSuccessor(
                f"Attribute {predecessor['id']} has the newer version {newer}.", facts={**facts, "succeededBy": newer}
            )
        if same_json(before, after):
            raise ContentUnchanged(
                f"{name} must differ from it.", facts=facts, violations=[FieldViolation("value", "must differ")]
            )
        if before["owner"] != after["owner"]:
            raise OwnerChanged(f"{name} must have the same owner.", facts=facts)
        if before["@type"] != after["@type"]:
            raise ContentTypeChanged(f"{name} must be of type {before['@type']}.", facts=facts)
        if value_type_of(before) != value_type_of(after):
            needed = f"must be of type {value_type_of(before)}"
            raise ValueTypeChanged(
                f"{name} must have a value of type {value_type_of(before)}.",
                facts=facts,
                violations=[FieldViolation("value", needed)],
            )
        check_characters(after)

    async def _succeed(
        self,
        predecessor: Document,
        content: SuccessorContent,
        work: Work,
        *,
        successor_id: str | None,
        source_reference: str | None,
        publishes: bool = True,
    ) -> Succession:
        await self.check(predecessor, content, work, successor_id=successor_id)
        kind = kind_of(predecessor)
        successor = attribute_document(
            kind,
            successor_id or self._ids.new(ATTRIBUTE),
            trimmed_content(content.json),
            work.now,
            succeeds=predecessor["id"],
            # The mark is passed on, also while defaults are switched off.
            isDefault=predecessor.get("isDefault") or None,
            peer=predecessor.get("peer"),
            sourceReference=source_reference,
            initialAttributePeer=predecessor.get("initialAttributePeer"),
        )
        succeeded = with_property(with_property(predecessor, "succeededBy", successor["id"]), "isDefault", None)
        await work.create(ATTRIBUTES, successor)
        await work.save(ATTRIBUTES, succeeded)
        if publishes:
            await events.publish_succession(work, succeeded, successor)
        return Succession(succeeded, successor)
