"""Relationships and their life cycle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from enmeshed_connector.backbone.calls import Call, Caller, Repeat, path_of
from enmeshed_connector.backbone.paging import Page, Pager, page_of
from enmeshed_connector.backbone.wire import Fields, encode_json, off_loop_when_large, one, without_nones
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.ids import DEVICE, RELATIONSHIP, TEMPLATE, DeviceId, RelationshipId, TemplateId


@dataclass(frozen=True, slots=True)
class NewRelationship:
    """What asks for a relationship."""

    template_id: TemplateId
    creation_content: bytes = field(repr=False)
    """The UTF-8 JSON of the envelope, 10 MiB at most."""

    def wire(self) -> bytes:
        """Returns the exact body of the request."""
        return encode_json({"relationshipTemplateId": self.template_id, "creationContent": self.creation_content})


@dataclass(frozen=True, slots=True)
class AuditLogEntry:
    """One step in the life of a relationship."""

    created_at: datetime
    created_by: Address
    created_by_device: DeviceId | None
    """None when the Backbone itself acted (identity deletion)."""
    reason: str
    """`Creation`, `AcceptanceOfCreation`, …"""
    old_status: str | None
    new_status: str


@dataclass(frozen=True, slots=True)
class BackboneRelationship:
    """A relationship as the Backbone hands it out; answers to transitions have no contents."""

    id: RelationshipId
    """`REL…`."""
    template_id: TemplateId | None
    """None once the template is deleted."""
    from_address: Address
    """The identity that asked for it."""
    to_address: Address
    """The identity that made the template."""
    created_at: datetime
    status: str
    """`Pending`, `Active`, `Rejected`, `Revoked`, `Terminated`, `DeletionProposed` or `ReadyForDeletion`."""
    audit_log: tuple[AuditLogEntry, ...]
    """Ascending by `created_at`."""
    creation_content: bytes | None = field(default=None, repr=False)
    creation_response_content: bytes | None = field(default=None, repr=False)
    """None or empty as long as there is no response."""


@dataclass(frozen=True, slots=True)
class CanCreate:
    """Whether a relationship to an identity can be asked for."""

    can_create: bool
    code: str | None
    """The platform's code when it cannot."""


class Relationships:
    """Asks for relationships, reads them and moves them through their life.

    Transitions are never repeated by this room: after a lost answer the newest audit entry tells what happened.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def can_create(self, peer: Address) -> CanCreate:
        """Tells whether a relationship to this address can be asked for.

        Raises:
            RecordNotFound: The peer is unknown; `record_type` is `Identity`.
        """
        return await self._caller.call(
            Call(
                "relationships.can_create",
                "GET",
                path_of("Relationships", "CanCreate"),
                one(_can_create),
                Repeat.SAFE,
                query=[("peer", peer)],
            )
        )

    async def create(self, relationship: NewRelationship | bytes) -> BackboneRelationship:
        """Asks for a relationship; takes also the exact body that `NewRelationship.wire` gave.

        Raises:
            BackboneRejected: `validation.relationship.relationshipToTargetAlreadyExists`, `.peerIsToBeDeleted`,
                `.cannotCreateRelationshipWithYourself`,
                `validation.relationshipTemplate.maxNumberOfAllocationsExhausted`.
            RecordNotFound: The template is not visible or its creator is gone.
            QuotaExhausted: `NumberOfRelationships`.
            AnswerLost: The relationship may exist. It cannot be listed without its id: an event will name it.
        """
        if isinstance(relationship, bytes):
            body = relationship
        else:
            body = await off_loop_when_large(relationship.wire, len(relationship.creation_content))
        return await self._caller.call(
            Call(
                "relationships.create",
                "POST",
                path_of("Relationships"),
                one(_relationship),
                Repeat.NEVER,
                body=body,
            )
        )

    async def get(self, relationship_id: RelationshipId) -> BackboneRelationship:
        """Returns a relationship in which the caller takes part.

        Raises:
            RecordNotFound: Unknown or foreign.
            BackboneRejected: `validation.relationship.relationshipAlreadyDecomposed` by the caller.
        """
        return await self._caller.call(
            Call(
                "relationships.get",
                "GET",
                path_of("Relationships", relationship_id),
                one(_relationship),
                Repeat.SAFE,
            )
        )

    def list(self, ids: Sequence[RelationshipId]) -> Pager[BackboneRelationship]:
        """Lists relationships by id, decomposed ones too; foreign and unknown ones are left out.

        Raises:
            ValueError: No id is given.
        """
        if not ids:
            raise ValueError("At least one id is needed.")
        call: Call[Page[BackboneRelationship]] = Call(
            "relationships.list",
            "GET",
            path_of("Relationships"),
            page_of(_relationship),
            Repeat.SAFE,
            query=[("ids", relationship_id) for relationship_id in ids],
        )
        return Pager(self._caller, call)

    async def accept(self, relationship_id: RelationshipId, creation_response_content: bytes) -> BackboneRelationship:
        """Accepts a pending relationship with the UTF-8 JSON of the response's envelope.

        Raises:
            BackboneRejected: `validation.relationship.relationshipIsNotInCorrectStatus`,
                `.cannotAcceptOrRejectRelationshipAddressedToSomeoneElse`.
            QuotaExhausted: `NumberOfRelationships`.
        """
        return await self._move(relationship_id, "Accept", creation_response_content=creation_response_content)

    async def reject(self, relationship_id: RelationshipId) -> BackboneRelationship:
        """Rejects a pending relationship; codes as for `accept`."""
        return await self._move(relationship_id, "Reject")

    async def revoke(self, relationship_id: RelationshipId) -> BackboneRelationship:
        """Takes back the own request for a relationship.

        Raises:
            BackboneRejected: `validation.relationship.relationshipIsNotInCorrectStatus`,
                `.cannotRevokeRelationshipNotCreatedByYourself`.
        """
        return await self._move(relationship_id, "Revoke")

    async def terminate(self, relationship_id: RelationshipId) -> BackboneRelationship:
        """Ends an active relationship.

        Raises:
            BackboneRejected: `validation.relationship.relationshipIsNotInCorrectStatus`.
        """
        return await self._move(relationship_id, "Terminate")

    async def request_reactivation(self, relationship_id: RelationshipId) -> BackboneRelationship:
        """Asks for the reactivation of a terminated relationship.

        Raises:
            BackboneRejected: `validation.relationship.relationshipIsNotInCorrectStatus`,
                `.cannotRequestReactivationWhenThereIsAnOpenReactivationRequest`.
        """
        return await self._move(relationship_id, "Reactivate")

    async def accept_reactivation(self, relationship_id: RelationshipId) -> BackboneRelationship:
        """Accepts the peer's request for reactivation.

        Raises:
            BackboneRejected: `validation.relationship.noAcceptableRelationshipReactivationRequestExists`.
        """
        return await self._move(relationship_id, "Reactivate", "Accept")

    async def reject_reactivation(self, relationship_id: RelationshipId) -> BackboneRelationship:
        """Rejects the peer's request for reactivation.

        Raises:
            BackboneRejected: `validation.relationship.noRejectableReactivationRequestExists`.
        """
        return await self._move(relationship_id, "Reactivate", "Reject")

    async def revoke_reactivation(self, relationship_id: RelationshipId) -> BackboneRelationship:
        """Takes back the own request for reactivation.

        Raises:
            BackboneRejected: `validation.relationship.noRevocableReactivationRequestExists`.
        """
        return await self._move(relationship_id, "Reactivate", "Revoke")

    async def decompose(self, relationship_id: RelationshipId) -> BackboneRelationship:
        """Leaves a relationship for good; afterwards the caller cannot read it any more.

        Raises:
            BackboneRejected: `validation.relationship.relationshipAlreadyDecomposed`,
                `.relationshipIsNotInCorrectStatus`.
        """
        return await self._move(relationship_id, "Decompose")

    async def _move(
        self, relationship_id: RelationshipId, *verbs: str, creation_response_content: bytes | None = None
    ) -> BackboneRelationship:
        members = without_nones({"creationResponseContent": creation_response_content})
        size = len(creation_response_content or b"")
        call = Call(
            f"relationships.{'_'.join(verb.lower() for verb in verbs)}",
            "PUT",
            path_of("Relationships", relationship_id, *verbs),
            one(_relationship),
            Repeat.NEVER,
            body=await off_loop_when_large(lambda: encode_json(members), size),
        )
        return await self._caller.call(call)


def _relationship(fields: Fields) -> BackboneRelationship:
    return BackboneRelationship(
        id=fields.id(RELATIONSHIP, "id"),
        template_id=fields.id_or_none(TEMPLATE, "relationshipTemplateId"),
        from_address=fields.address("from"),
        to_address=fields.address("to"),
        created_at=fields.date("createdAt"),
        status=fields.text("status"),
        audit_log=tuple(sorted(fields.items("auditLog", _audit_log_entry), key=lambda entry: entry.created_at)),
        creation_content=fields.data_or_none("creationContent"),
        creation_response_content=fields.data_or_none("creationResponseContent"),
    )


def _audit_log_entry(fields: Fields) -> AuditLogEntry:
    return AuditLogEntry(
        created_at=fields.date("createdAt"),
        created_by=fields.address("createdBy"),
        created_by_device=fields.id_or_none(DEVICE, "createdByDevice"),
        reason=fields.text("reason"),
        old_status=fields.text_or_none("oldStatus"),
        new_status=fields.text("newStatus"),
    )


def _can_create(fields: Fields) -> CanCreate:
    return CanCreate(fields.boolean("canCreate"), fields.text_or_none("code"))
