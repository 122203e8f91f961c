"""Relationships: asked for with a template, accepted or not, ended, brought back, left.

Source: transport.md, section 16; crypto.md, section 10.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from enmeshed_connector.backbone.endpoints.relationships import NewRelationship, Relationships
from enmeshed_connector.backbone.errors import RecordNotFound
from enmeshed_connector.core.addresses import Address, parse_address
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.encodings import to_base64url
from enmeshed_connector.core.ids import RELATIONSHIP, RELATIONSHIP_SECRET, TEMPLATE, parse_id
from enmeshed_connector.crypto.exchange import TemplatePublicKey
from enmeshed_connector.crypto.identities import IdentityKey
from enmeshed_connector.crypto.relationship_contents import creation_text, response_text, seal_creation, seal_response
from enmeshed_connector.crypto.relationship_secrets import RelationshipSecrets, RequestSecrets
from enmeshed_connector.crypto.signatures import SignaturePublicKey
from enmeshed_connector.storage import FilterLike, SortLike
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import (
    NotYetDecomposedByPeer,
    OperationOnlyAllowedForPeer,
    ReactivationAlreadyRequested,
    ReactivationNotRequested,
    RecordMissing,
    RelationshipError,
    RelationshipExists,
    TemplateExpired,
    TemplateOwnerDeleted,
    TemplateOwnerInDeletion,
    WrongRelationshipStatus,
)
from enmeshed_connector.transport.external_events import ExternalEventProcessor
from enmeshed_connector.transport.listeners import Listeners
from enmeshed_connector.transport.objects import ERASURES, RELATIONSHIPS, TEMPLATES, Document, public_part
from enmeshed_connector.transport.pending import Operation, Ticket
from enmeshed_connector.transport.relationship_documents import (
    EXISTING,
    Reason,
    Status,
    last_entry,
    relationship_with,
)
from enmeshed_connector.transport.relationship_operations import (
    ACCEPT,
    DECOMPOSE,
    REQUEST_REACTIVATION,
    CreateRelationship,
    Decompose,
    Step,
    TakeStep,
    all_steps,
)
from enmeshed_connector.transport.relationship_processors import relationship_processors
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Work

Forget = Callable[[Document, Work], Awaitable[None]]
"""Removes from the other collections what came through a relationship."""

_ALREADY_EXISTS = "error.platform.validation.relationship.relationshipToTargetAlreadyExists"
_PEER_IN_DELETION = "error.platform.validation.relationship.peerIsToBeDeleted"


class RelationshipController:
    """Relationships of one account. Documents are Relationship (transport.md, section 8.1)."""

    def __init__(self, context: AccountContext, listeners: Listeners, forget: Forget) -> None:
        """Takes the account, who hears of changes, and what decomposition has to remove elsewhere."""
        self._context = context
        self._create = CreateRelationship(context, listeners)
        self._steps = {step.name: TakeStep(step, context, listeners) for step in all_steps()}
        self._decompose = Decompose(context, listeners, forget)
        self.operations: Sequence[Operation] = (self._create, *self._steps.values(), self._decompose)
        self.processors: Sequence[ExternalEventProcessor] = relationship_processors(context, listeners, self._create)

    async def check_can_create(self, template: Document) -> None:
        """Returns when a relationship to the maker of a template can be asked for now.

        Raises:
            RelationshipError: It cannot; the class says why.
            BackboneError: The Backbone is away.
        """
        peer = parse_address(template["identity"]["address"])
        if await relationship_with(self._context.store, peer, *EXISTING) is not None:
            raise RelationshipExists(
                f"There is a relationship with {peer} already.", facts={"peer": peer, "templateId": template["id"]}
            )
        expires_at = template.get("expiresAt")
        if expires_at is not None and parse_date(expires_at) <= self._context.clock.now():
            raise TemplateExpired(f"Template {template['id']} is expired.", facts={"templateId": template["id"]})
        try:
            answer = await Relationships(self._context.backbone).can_create(peer)
        except RecordNotFound:
            raise TemplateOwnerDeleted(f"The identity {peer} does not exist.", facts={"peer": peer}) from None
        if not answer.can_create:
            raise _refusal(answer.code, peer)

    async def create(
        self,
        template_id: str,
        creation_content: JsonObject,
        *,
        ticket: Ticket | None = None,
        cause: Cause = LOCAL_CAUSE,
    ) -> Document:
        """Asks the maker of a loaded template for a relationship and returns it, in status Pending.

        Raises:
            RecordMissing: The template was not loaded.
            RelationshipError: It cannot be asked for now.
            OutcomeUnknown: It was asked for, and no answer came.
            BackboneError: The Backbone refuses, or is away.
        """
        earlier = await self._context.outbox.earlier_result(ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        template = await self._context.store.get(TEMPLATES, template_id)
        if template is None:
            raise RecordMissing("relationship template", template_id)
        peer = template["identity"]["address"]
        # Two requests to one peer at once would have the second one refused by the Backbone, its answer being the same.
        async with self._context.locks.hold(f"relationship:{peer}"):
            await self.check_can_create(template)
            own = IdentityKey(self._context.identity.address, self._context.identity.public_key)
            secrets = RequestSecrets.create(
                TemplatePublicKey.from_json(template["templateKey"], "templateKey"),
                SignaturePublicKey.from_json(template["identity"]["publicKey"], "identity.publicKey"),
                self._context.random,
            )
            secret_id = self._context.ids.new(RELATIONSHIP_SECRET)
            identifier = parse_id(TEMPLATE, template_id)
            sealed = seal_creation(
                creation_text(creation_content, own, identifier),
                self._context.keys.device,
                secrets,
                random=self._context.random,
            )
            result = await self._context.outbox.run(
                self._create,
                wire=NewRelationship(identifier, sealed.to_text().encode()).wire().decode(),
                plan={
                    "secretId": secret_id,
                    "peer": {"address": peer, "publicKey": template["identity"]["publicKey"]},
                    "templateId": template_id,
                    "creationContent": creation_content,
                },
                ticket=ticket,
                cause=cause,
                before=[await self._context.secrets.seal(secret_id, secrets)],
            )
        return await self.get(result["id"])

    async def get(self, relationship_id: str) -> Document:
        """Returns a stored relationship.

        Raises:
            RecordMissing: It is not stored.
        """
        document = await self._context.store.get(RELATIONSHIPS, relationship_id)
        if document is None:
            raise RecordMissing("relationship", relationship_id)
        return public_part(document)

    async def with_peer(self, address: str, *statuses: Status) -> Document | None:
        """Returns the newest relationship with a peer, with one of the statuses if any is given; None without."""
        found = await relationship_with(self._context.store, address, *statuses)
        return None if found is None else public_part(found)

    async def find(
        self, where: FilterLike = None, *, sort: Sequence[SortLike] = (), limit: int | None = None
    ) -> list[Document]:
        """Returns stored relationships."""
        found = await self._context.store.find(RELATIONSHIPS, where, sort=sort, limit=limit)
        return [public_part(document) for document in found]

    async def accept(
        self, relationship_id: str, *, ticket: Ticket | None = None, cause: Cause = LOCAL_CAUSE
    ) -> Document:
        """Accepts a relationship that the peer asked for, and returns it.

        Raises:
            RecordMissing: There is no such relationship.
            WrongRelationshipStatus: It is not Pending.
            OperationOnlyAllowedForPeer: This identity asked for it.
            OutcomeUnknown: No answer came.
            BackboneError: The Backbone refuses, or is away.
        """
        return await self.take(ACCEPT, relationship_id, ticket=ticket, cause=cause)

    async def take(
        self, step: Step, relationship_id: str, *, ticket: Ticket | None = None, cause: Cause = LOCAL_CAUSE
    ) -> Document:
        """Takes a step of the life cycle (not decomposition) and returns the relationship as it is then.

        Raises:
            RecordMissing: There is no such relationship.
            RelationshipError: Its state does not allow the step; the class says why.
            OutcomeUnknown: No answer came.
            BackboneError: The Backbone refuses, or is away.
        """
        earlier = await self._context.outbox.earlier_result(ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        async with self._context.locks.hold(f"relationship:{relationship_id}"):
            document = await self.get(relationship_id)
            self._check(step, document)
            wire = await self._response_to(document) if step is ACCEPT else ""
            result = await self._context.outbox.run(
                self._steps[step.name],
                wire=wire,
                plan={"id": relationship_id, "entries": len(document["auditLog"])},
                ticket=ticket,
                cause=cause,
            )
        return await self.get(result["id"])

    async def decompose(
        self, relationship_id: str, *, ticket: Ticket | None = None, cause: Cause = LOCAL_CAUSE
    ) -> None:
        """Leaves a relationship for good, and removes what came through it: messages, templates, tokens, data of
        events.

        Raises:
            RecordMissing: There is no such relationship.
            WrongRelationshipStatus: It is Pending or Active.
            OutcomeUnknown: No answer came.
            BackboneError: The Backbone refuses, or is away.
        """
        if await self._context.outbox.earlier_result(ticket) is not None:
            # The attempt that was repeated, or completed just now, may have ended before that.
            await self.finish_erasures()
            return
        async with self._context.locks.hold(f"relationship:{relationship_id}"):
            document = await self.get(relationship_id)
            self._check(DECOMPOSE, document)
            await self._context.outbox.run(
                self._decompose,
                wire="",
                plan={"id": relationship_id, "entries": len(document["auditLog"])},
                ticket=ticket,
                cause=cause,
            )
        await self.finish_erasures()

    async def finish_erasures(self) -> None:
        """Erases what the log still holds of decomposed relationships; also at start, as a process may have died before
        it.

        Raises:
            StorageUnavailable: The database is away; what is left is erased by a later call.
        """
        for erasure in await self._context.store.find(ERASURES):
            await self._context.store.log.erase(erasure["id"])

            async def done(work: Work, subject: str = erasure["id"]) -> None:
                work.delete_silently(ERASURES, subject)

            await self._context.commits.run(done)

    async def secrets_of(self, document: Document, work: Work | None = None) -> RelationshipSecrets:
        """Returns the secrets of an established relationship.

        Raises:
            SecretNotFound: This device does not hold them.
            WrongSecretType: The peer has not answered yet.
        """
        return await self._context.secrets.load(document["relationshipSecretId"], RelationshipSecrets, work=work)

    def _check(self, step: Step, document: Document) -> None:
        facts = {"id": document["id"], "status": document["status"]}
        if document["status"] not in step.statuses:
            raise WrongRelationshipStatus(
                f"Relationship {document['id']} is {document['status']}; this needs {' or '.join(step.statuses)}.",
                facts=facts,
            )
        last = last_entry(document)
        is_requested = last["reason"] == Reason.REACTIVATION_REQUESTED
        if step is REQUEST_REACTIVATION and is_requested:
            raise ReactivationAlreadyRequested(
                f"The reactivation of relationship {document['id']} was requested already.", facts=facts
            )
        if step.needs_request_by is None:
            return
        if Status.TERMINATED in step.statuses and not is_requested:
            raise ReactivationNotRequested(
                f"The reactivation of relationship {document['id']} was not requested.", facts=facts
            )
        asked_by_self = self._context.is_own_address(last["createdBy"])
        if asked_by_self != (step.needs_request_by == "self"):
            raise OperationOnlyAllowedForPeer(
                f"Only the other side of relationship {document['id']} may do this now.", facts=facts
            )

    async def _response_to(self, document: Document) -> str:
        """Returns the wire of an acceptance: signed and encrypted once, so that a repeat sends the same bytes."""
        secrets = await self.secrets_of(document)
        sealed = seal_response(
            response_text(parse_id(RELATIONSHIP, document["id"])),
            self._context.keys.device,
            secrets,
            counter=await self._context.counters.next(document["relationshipSecretId"]),
        )
        return to_base64url(sealed.to_text().encode())


def _refusal(code: str | None, peer: Address) -> RelationshipError:
    facts = {"peer": peer}
    if code == _ALREADY_EXISTS:
        return NotYetDecomposedByPeer(f"A former relationship with {peer} is not yet decomposed.", facts=facts)
    if code == _PEER_IN_DELETION:
        return TemplateOwnerInDeletion(f"The identity {peer} is about to be deleted.", facts=facts)
    return RelationshipError(
        f"The Backbone does not allow a relationship with {peer}.", official_code=code, facts=facts
    )
