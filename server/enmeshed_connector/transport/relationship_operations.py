"""The steps of a relationship at the Backbone, each of which must happen once.

Source: transport.md, sections 16.2, 16.4 and 16.6; architecture.md, decision 8.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from enmeshed_connector.backbone.endpoints.relationships import BackboneRelationship, Relationships
from enmeshed_connector.backbone.errors import BackboneRejected
from enmeshed_connector.core.addresses import parse_address
from enmeshed_connector.core.canonical_json import Json, loads_object
from enmeshed_connector.core.encodings import from_base64url
from enmeshed_connector.core.ids import RELATIONSHIP, RelationshipId, parse_id
from enmeshed_connector.transport import events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.listeners import Listeners
from enmeshed_connector.transport.objects import ERASURES, RELATIONSHIPS, Document
from enmeshed_connector.transport.pending import Done, NotDone, Operation, PendingOperation, Resolution, Unclear
from enmeshed_connector.transport.relationship_documents import (
    Reason,
    Status,
    advanced,
    audit_log,
    state_of,
    subjects_of,
    with_creation_time,
)
from enmeshed_connector.transport.work import Work

ALREADY_DECOMPOSED = "validation.relationship.relationshipAlreadyDecomposed"


@dataclass(frozen=True)
class Step:
    """One step of the life cycle: what it needs, what it does, and what it tells."""

    name: str
    """Part of the kind of its operation; never changes."""
    reason: Reason
    """Of the audit entry that the step makes."""
    statuses: tuple[Status, ...]
    """In which the relationship must be."""
    follow_up: str | None = None
    """The event behind relationshipChanged."""
    needs_request_by: str | None = None
    """`peer` or `self`: who must have asked last; None when it does not matter."""


ACCEPT = Step("accept", Reason.ACCEPTANCE_OF_CREATION, (Status.PENDING,), needs_request_by="peer")
REJECT = Step("reject", Reason.REJECTION_OF_CREATION, (Status.PENDING,), needs_request_by="peer")
REVOKE = Step("revoke", Reason.REVOCATION_OF_CREATION, (Status.PENDING,), needs_request_by="self")
TERMINATE = Step("terminate", Reason.TERMINATION, (Status.ACTIVE,))
REQUEST_REACTIVATION = Step(
    "requestReactivation",
    Reason.REACTIVATION_REQUESTED,
    (Status.TERMINATED,),
    events.RELATIONSHIP_REACTIVATION_REQUESTED,
)
ACCEPT_REACTIVATION = Step(
    "acceptReactivation",
    Reason.ACCEPTANCE_OF_REACTIVATION,
    (Status.TERMINATED,),
    events.RELATIONSHIP_REACTIVATION_COMPLETED,
    "peer",
)
REJECT_REACTIVATION = Step(
    "rejectReactivation",
    Reason.REJECTION_OF_REACTIVATION,
    (Status.TERMINATED,),
    events.RELATIONSHIP_REACTIVATION_COMPLETED,
    "peer",
)
REVOKE_REACTIVATION = Step(
    "revokeReactivation",
    Reason.REVOCATION_OF_REACTIVATION,
    (Status.TERMINATED,),
    events.RELATIONSHIP_REACTIVATION_COMPLETED,
    "self",
)
DECOMPOSE = Step(
    "decompose",
    Reason.DECOMPOSITION,
    (Status.REJECTED, Status.REVOKED, Status.TERMINATED, Status.DELETION_PROPOSED),
)


class CreateRelationship(Operation):
    """Asks for a relationship. After a lost answer nothing tells its id: an event will name it (`adopt`)."""

    kind = "relationships.create"

    def __init__(self, context: AccountContext, listeners: Listeners) -> None:
        """Takes the account, and who hears of the new relationship."""
        self._context = context
        self._listeners = listeners

    async def transmit(self, pending: PendingOperation) -> Json:
        """Sends the request."""
        return answer_of(await Relationships(self._context.backbone).create(pending.wire.encode()))

    async def resolve(self, pending: PendingOperation) -> Resolution:
        """Asks whether the peer can still be asked: if so, this request has not arrived."""
        answer = await Relationships(self._context.backbone).can_create(parse_address(pending.plan["peer"]["address"]))
        return NotDone() if answer.can_create else Unclear()

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        """Stores the relationship, in status Pending."""
        if await work.get(RELATIONSHIPS, answer["id"]) is None:
            relationship = {
                "@type": "Relationship",
                "auditLog": answer["auditLog"][:1],
                "creationContent": pending.plan["creationContent"],
                "id": answer["id"],
                "peer": pending.plan["peer"],
                "relationshipSecretId": pending.plan["secretId"],
                "status": Status.PENDING.value,
                "templateId": pending.plan["templateId"],
            }
            document = with_creation_time(relationship)
            await work.create(RELATIONSHIPS, document)
            work.publish(events.RELATIONSHIP_CHANGED, document, subjects=subjects_of(document))
            await self._listeners.relationship_changed(document, work)
        return {"id": answer["id"]}

    async def withdraw(self, pending: PendingOperation, work: Work) -> None:
        """Removes the secrets of the request."""
        await self._context.secrets.delete_all(pending.plan["secretId"], work)

    def is_request_of(self, pending: PendingOperation, remote: BackboneRelationship) -> bool:
        """Tells whether a relationship that the Backbone names is the one this pending request asked for."""
        sent = loads_object(pending.wire, field="wire")["creationContent"]
        return remote.creation_content is not None and remote.creation_content == from_base64url(
            sent, "creationContent"
        )


class TakeStep(Operation):
    """Takes one step. Afterwards the newest audit entry tells whether it was taken by this device."""

    def __init__(self, step: Step, context: AccountContext, listeners: Listeners) -> None:
        """Takes the step, the account, and who hears of the change."""
        self.step = step
        self.kind = f"relationships.{step.name}"  # type: ignore[misc]  # a kind per instance, each of one step
        self._context = context
        self._listeners = listeners

    async def transmit(self, pending: PendingOperation) -> Json:
        """Sends the step."""
        identifier = parse_id(RELATIONSHIP, pending.plan["id"])
        api = Relationships(self._context.backbone)
        if self.step is ACCEPT:
            return answer_of(await api.accept(identifier, from_base64url(pending.wire, "creationResponseContent")))
        calls: dict[str, Callable[[RelationshipId], Awaitable[BackboneRelationship]]] = {
            REJECT.name: api.reject,
            REVOKE.name: api.revoke,
            TERMINATE.name: api.terminate,
            REQUEST_REACTIVATION.name: api.request_reactivation,
            ACCEPT_REACTIVATION.name: api.accept_reactivation,
            REJECT_REACTIVATION.name: api.reject_reactivation,
            REVOKE_REACTIVATION.name: api.revoke_reactivation,
            DECOMPOSE.name: api.decompose,
        }
        return answer_of(await calls[self.step.name](identifier))

    async def resolve(self, pending: PendingOperation) -> Resolution:
        """Looks for the audit entry that the step makes, behind those that were there before."""
        try:
            remote = await Relationships(self._context.backbone).get(parse_id(RELATIONSHIP, pending.plan["id"]))
        except BackboneRejected as error:
            # Whoever has decomposed a relationship cannot read it any more.
            is_done = self.step is DECOMPOSE and error.has_code(ALREADY_DECOMPOSED, "recordNotFound")
            if is_done:
                return Done({"id": pending.plan["id"], "status": Status.DELETION_PROPOSED.value, "auditLog": []})
            raise
        entries = audit_log(remote.audit_log)[pending.plan["entries"] :]
        made_here = (
            entry["reason"] == self.step.reason and entry.get("createdByDevice") == self._context.device.id
            for entry in entries
        )
        return Done(answer_of(remote)) if any(made_here) else NotDone()

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        """Stores the new state and tells of it."""
        document = await work.get(RELATIONSHIPS, answer["id"])
        changed = None if document is None else advanced(document, answer)
        if changed is not None:
            await work.save(RELATIONSHIPS, changed)
            work.publish(events.RELATIONSHIP_CHANGED, changed, subjects=subjects_of(changed))
            if self.step.follow_up is not None:
                work.publish(self.step.follow_up, changed, subjects=subjects_of(changed))
            await self._listeners.relationship_changed(changed, work)
        return {"id": answer["id"]}


class Decompose(TakeStep):
    """Leaves a relationship for good, with everything that was received through it."""

    def __init__(
        self,
        context: AccountContext,
        listeners: Listeners,
        forget: Callable[[Document, Work], Awaitable[None]],
    ) -> None:
        """Takes the account, who hears of it, and what removes the data of the peer from the other collections."""
        super().__init__(DECOMPOSE, context, listeners)
        self._forget = forget

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        """Removes the relationship, its secrets and what came through it."""
        document = await work.get(RELATIONSHIPS, pending.plan["id"])
        if document is not None:
            await self._context.secrets.delete_all(document["relationshipSecretId"], work)
            await work.remove(RELATIONSHIPS, document["id"])
            await self._forget(document, work)
            for subject in subjects_of(document):
                work.store_silently(ERASURES, {"id": subject})
            # Without subjects: this is the one event about the relationship that stays readable.
            work.publish(events.RELATIONSHIP_DECOMPOSED_BY_SELF, {"relationshipId": document["id"]})
            await self._listeners.relationship_decomposed(document, work)
        return {"id": pending.plan["id"]}


def answer_of(remote: BackboneRelationship) -> Json:
    """Returns what `complete` needs of an answer."""
    return {"id": remote.id, **state_of(remote)}


def all_steps() -> Sequence[Step]:
    """Returns every step but decomposition, which is an operation of its own."""
    return (
        ACCEPT,
        REJECT,
        REVOKE,
        TERMINATE,
        REQUEST_REACTIVATION,
        ACCEPT_REACTIVATION,
        REJECT_REACTIVATION,
        REVOKE_REACTIVATION,
    )
