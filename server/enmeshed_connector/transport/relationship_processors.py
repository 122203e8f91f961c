"""What peers and the Backbone do to relationships, as external events tell.

Source: transport.md, sections 13, 16.3 and 16.5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from enmeshed_connector.backbone.endpoints.relationships import BackboneRelationship, Relationships
from enmeshed_connector.backbone.errors import BackboneRejected
from enmeshed_connector.core.dates import format_date, parse_date
from enmeshed_connector.core.ids import RELATIONSHIP, RELATIONSHIP_SECRET, parse_id
from enmeshed_connector.core.malformed import MissingValue
from enmeshed_connector.crypto.exchange import ExchangeKeypair
from enmeshed_connector.crypto.relationship_contents import (
    CreationContentCipher,
    CreationResponseCipher,
    open_creation,
    open_response,
)
from enmeshed_connector.crypto.relationship_secrets import RelationshipSecrets, RequestSecrets
from enmeshed_connector.transport import events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import RecordMissing, SignatureNotValid
from enmeshed_connector.transport.external_events import ExternalEvent, ExternalEventProcessor, payload_text
from enmeshed_connector.transport.listeners import Listeners
from enmeshed_connector.transport.objects import RELATIONSHIPS, SECRETS, TEMPLATES, Document
from enmeshed_connector.transport.relationship_documents import (
    advanced,
    new_relationship,
    state_of,
    subjects_of,
)
from enmeshed_connector.transport.relationship_operations import ALREADY_DECOMPOSED, CreateRelationship, answer_of
from enmeshed_connector.transport.work import Work


class _RelationshipUpdater:
    """Brings a relationship to the state that the Backbone has, making it first when it is new."""

    def __init__(self, context: AccountContext, listeners: Listeners, creation: CreateRelationship) -> None:
        self._context = context
        self._listeners = listeners
        self._creation = creation

    async def update(self, relationship_id: str, work: Work) -> tuple[Document | None, bool]:
        """Returns the relationship and whether it is new or changed; None when this identity has decomposed it."""
        try:
            remote = await Relationships(self._context.backbone).get(parse_id(RELATIONSHIP, relationship_id))
        except BackboneRejected as error:
            if error.has_code(ALREADY_DECOMPOSED):
                return None, False
            raise
        document = await work.get(RELATIONSHIPS, relationship_id)
        is_new = document is None
        if document is None:
            document = await self._begin(remote, work)
        await self._convert_secrets(document, remote, work)
        changed = advanced(document, state_of(remote))
        if changed is not None:
            await work.save(RELATIONSHIPS, changed)
        return changed or document, is_new or changed is not None

    async def tell(self, document: Document, work: Work) -> None:
        """Publishes that a relationship has changed."""
        work.publish(events.RELATIONSHIP_CHANGED, document, subjects=subjects_of(document))
        await self._listeners.relationship_changed(document, work)

    async def _begin(self, remote: BackboneRelationship, work: Work) -> Document:
        if self._context.is_own_address(remote.from_address):
            return await self._adopt(remote, work)
        return await self._receive(remote, work)

    async def _adopt(self, remote: BackboneRelationship, work: Work) -> Document:
        """Completes the own request whose answer was lost."""
        for pending in await self._context.outbox.pending(self._creation.kind):
            if self._creation.is_request_of(pending, remote):
                await self._context.outbox.adopt(pending, answer_of(remote), work)
                break
        return await work.require(RELATIONSHIPS, remote.id, "relationship")

    async def _receive(self, remote: BackboneRelationship, work: Work) -> Document:
        """Stores the request of a peer for a relationship, with fresh secrets for it."""
        if remote.template_id is None:
            raise RecordMissing("relationship template", "of the relationship")
        template = await work.require(TEMPLATES, remote.template_id, "relationship template")
        keypair = await self._context.secrets.load(template["templateKey"]["id"], ExchangeKeypair, work=work)
        if not remote.creation_content:
            raise MissingValue("creationContent", "is missing")
        sealed = CreationContentCipher.from_text(remote.creation_content, "creationContent")
        secrets = RelationshipSecrets.from_request(sealed.public_request, keypair, self._context.random)
        opened = open_creation(sealed, secrets.request_key)
        if opened.identity.address != remote.from_address or opened.template_id != remote.template_id:
            raise SignatureNotValid(
                f"The content of relationship {remote.id} names another sender or template.", facts={"id": remote.id}
            )
        secret_id = self._context.ids.new(RELATIONSHIP_SECRET)
        await work.create(SECRETS, await self._context.secrets.seal(secret_id, secrets))
        document = new_relationship(
            remote,
            secret_id=secret_id,
            peer=opened.identity,
            template_id=remote.template_id,
            creation_content=opened.content,
            creation_text=opened.content_text,
        )
        await work.create(RELATIONSHIPS, document)
        return document

    async def _convert_secrets(self, document: Document, remote: BackboneRelationship, work: Work) -> None:
        """Makes the channel of the requestor, once the templator's answer is there."""
        if not remote.creation_response_content:
            return
        name = document["relationshipSecretId"]
        secrets = await self._context.secrets.load(name, RequestSecrets, RelationshipSecrets, work=work)
        if not isinstance(secrets, RequestSecrets):
            return
        sealed = CreationResponseCipher.from_text(remote.creation_response_content, "creationResponseContent")
        channel = RelationshipSecrets.from_response(secrets, sealed.public_response)
        # Official requestors neither decrypt nor verify this; it is what binds the keys to the templator's consent.
        open_response(sealed, channel, parse_id(RELATIONSHIP, document["id"]))
        await self._context.secrets.replace(name, await self._context.secrets.seal(name, channel), work)


class _StatusChanged(ExternalEventProcessor):
    """A relationship is new, or has another status."""

    type = "RelationshipStatusChanged"
    before: ClassVar[str | None] = None
    """The event ahead of relationshipChanged."""

    def __init__(self, updater: _RelationshipUpdater) -> None:
        self._updater = updater

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        document, is_changed = await self._updater.update(payload_text(event, "relationshipId"), work)
        if document is None:
            return
        if self.before is not None:
            work.publish(self.before, document, subjects=subjects_of(document))
        if is_changed:
            await self._updater.tell(document, work)


class _ReactivationRequested(_StatusChanged):
    type = "RelationshipReactivationRequested"
    before = events.RELATIONSHIP_REACTIVATION_REQUESTED


class _ReactivationCompleted(_StatusChanged):
    type = "RelationshipReactivationCompleted"
    before = events.RELATIONSHIP_REACTIVATION_COMPLETED


class _PeerDeletion(ExternalEventProcessor):
    """A peer's identity will be deleted, will not, or is."""

    event_type: ClassVar[str]
    status: ClassVar[str | None]

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        relationship = await work.require(RELATIONSHIPS, payload_text(event, "relationshipId"), "relationship")
        changed = {name: value for name, value in relationship.items() if name != "peerDeletionInfo"}
        if self.status is not None:
            changed["peerDeletionInfo"] = {
                "deletionDate": _date(event.payload),
                "deletionStatus": self.status,
            }
        await work.save(RELATIONSHIPS, changed)
        work.publish(self.event_type, changed, subjects=subjects_of(changed))


class _PeerToBeDeleted(_PeerDeletion):
    type = "PeerToBeDeleted"
    event_type = events.PEER_TO_BE_DELETED
    status = "ToBeDeleted"


class _PeerDeletionCancelled(_PeerDeletion):
    type = "PeerDeletionCancelled"
    event_type = events.PEER_DELETION_CANCELLED
    status = None


class _PeerDeleted(_PeerDeletion):
    type = "PeerDeleted"
    event_type = events.PEER_DELETED
    status = "Deleted"


def relationship_processors(
    context: AccountContext, listeners: Listeners, creation: CreateRelationship
) -> Sequence[ExternalEventProcessor]:
    """Returns the processors of all events about relationships."""
    updater = _RelationshipUpdater(context, listeners, creation)
    return (
        _StatusChanged(updater),
        _ReactivationRequested(updater),
        _ReactivationCompleted(updater),
        _PeerToBeDeleted(),
        _PeerDeletionCancelled(),
        _PeerDeleted(),
    )


def _date(payload: Mapping[str, Any]) -> str:
    return format_date(parse_date(payload.get("deletionDate", ""), "payload.deletionDate"))
