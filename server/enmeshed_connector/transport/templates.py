"""Relationship templates: an offer, handed over by reference, that a peer answers with a relationship.

Source: transport.md, section 15; crypto.md, section 9.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any

from enmeshed_connector.backbone.endpoints.templates import BackboneTemplate, NewTemplate, RelationshipTemplates
from enmeshed_connector.backbone.errors import RecordNotFound
from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.canonical_json import Json, JsonObject, sort_members
from enmeshed_connector.core.dates import format_date
from enmeshed_connector.core.encodings import to_base64url, to_utf8
from enmeshed_connector.core.ids import TEMPLATE, TEMPLATE_KEY, parse_id
from enmeshed_connector.core.malformed import NumberOutOfRange
from enmeshed_connector.core.references import RelationshipTemplateReference
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.derivation import PasswordProtection
from enmeshed_connector.crypto.exchange import ExchangeKeypair, TemplatePublicKey
from enmeshed_connector.crypto.identities import IdentityKey
from enmeshed_connector.crypto.symmetric import SecretKey, encrypt
from enmeshed_connector.crypto.templates import open_template, sign_template, template_text
from enmeshed_connector.storage import FilterLike, SortLike
from enmeshed_connector.transport import events
from enmeshed_connector.transport.context import AccountContext
from enmeshed_connector.transport.errors import RecordMissing, SignatureNotValid
from enmeshed_connector.transport.external_events import ExternalEvent, ExternalEventProcessor, payload_text
from enmeshed_connector.transport.listeners import Listeners
from enmeshed_connector.transport.objects import EXACT_CONTENT, SECRETS, TEMPLATES, Document, public_part, without_unset
from enmeshed_connector.transport.pending import Operation, PendingOperation, Ticket
from enmeshed_connector.transport.protection import (
    check_recipient,
    hash_for,
    hash_of,
    local_form,
    password_for,
    reference_parts,
)
from enmeshed_connector.transport.work import LOCAL_CAUSE, Cause, Work


class TemplateController:
    """Creates, loads, lists and deletes templates. Documents are RelationshipTemplate (transport.md, section 8.1)."""

    def __init__(self, context: AccountContext, listeners: Listeners) -> None:
        """Takes the account, and who hears of loaded templates."""
        self._context = context
        self._listeners = listeners
        self._create = _CreateTemplate(context)
        self.operations: Sequence[Operation] = (self._create,)
        self.processors: Sequence[ExternalEventProcessor] = (_AllocationsExhausted(),)

    async def create(
        self,
        content: JsonObject,
        *,
        expires_at: datetime,
        maximum_allocations: int | None = None,
        for_identity: Address | None = None,
        protection: PasswordProtection | None = None,
        ticket: Ticket | None = None,
        cause: Cause = LOCAL_CAUSE,
    ) -> Document:
        """Creates an own template and returns it.

        Args:
            content: What the peer is offered; JSON with `@type`.
            expires_at: From when on it cannot be loaded.
            maximum_allocations: How many identities may load it, 1 or more; None for any number.
            for_identity: The only identity that may load it.
            protection: The password that is needed to load it.
            ticket: The caller's idempotency key.
            cause: Where the request comes from.

        Raises:
            NumberOutOfRange: The maximum is below 1.
            IdentityKeyMissing: This is not an admin device.
            BackboneError: The Backbone refuses, or is away.
        """
        if maximum_allocations is not None and maximum_allocations < 1:
            raise NumberOutOfRange("maxNumberOfAllocations", "must be 1 or more")
        earlier = await self._context.outbox.earlier_result(ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        keypair = ExchangeKeypair.generate(self._context.random)
        key_id = self._context.ids.new(TEMPLATE_KEY)
        template_key = TemplatePublicKey(keypair.public_key.data, key_id)
        secret_key = SecretKey.generate(self._context.random)
        own = IdentityKey(self._context.identity.address, self._context.identity.public_key)
        signed = sign_template(template_text(content, own, template_key), self._context.keys.identity_key())
        cipher = encrypt(secret_key, to_utf8(signed), random=self._context.random)
        wire = NewTemplate(
            cipher.to_text().encode(),
            expires_at,
            maximum_allocations,
            for_identity,
            None if protection is None else await hash_of(protection.password, protection.shared.salt),
        ).wire()
        document = without_unset(
            content=content,
            createdBy=self._context.identity.address,
            createdByDevice=self._context.device.id,
            expiresAt=format_date(expires_at),
            forIdentity=for_identity,
            identity=self._context.identity.to_json(),
            isOwn=True,
            maxNumberOfAllocations=maximum_allocations,
            passwordProtection=None if protection is None else local_form(protection.password, protection.shared),
            secretKey=secret_key.to_json(verbose=False),
            templateKey=template_key.to_json(verbose=False),
        )
        container = await self._context.secrets.seal(key_id, keypair)
        result = await self._context.outbox.run(
            self._create,
            wire=wire.decode(),
            plan={"document": document, "container": container["id"]},
            ticket=ticket,
            cause=cause,
            before=[container],
        )
        return await self.get(result["id"])

    async def load(
        self,
        reference: RelationshipTemplateReference,
        *,
        password: SecretText | None = None,
        cause: Cause = LOCAL_CAUSE,
    ) -> Document:
        """Loads a template by its reference and returns it; one that is stored already is returned as it is.

        The first load by this identity takes one of the template's allocations.

        Raises:
            NoPasswordProvided: It is protected.
            NotIntendedForYou: It is for another identity; nothing was asked.
            RecordNotFound: Unknown, expired, deleted, or the password is wrong.
            SignatureInvalid, SignatureNotValid: It was not made by the identity that it names.
            BackboneError: The Backbone refuses, or is away.
        """
        password = password_for(reference, password)
        stored = await self._context.store.get(TEMPLATES, reference.id)
        if stored is None:
            check_recipient(self._context, reference)
            template_id = parse_id(TEMPLATE, reference.id)
            received = await RelationshipTemplates(self._context.backbone).get(
                template_id, await hash_for(reference, password)
            )
            stored = self._open(received, reference, password)
        fresh = stored

        async def keep(work: Work) -> Document:
            document = await work.get(TEMPLATES, reference.id)
            if document is None:
                document = fresh
                await work.create(TEMPLATES, document)
            if not document["isOwn"]:
                work.publish(events.PEER_RELATIONSHIP_TEMPLATE_LOADED, document, subjects=[document["createdBy"]])
                await self._listeners.template_loaded(document, work)
            return public_part(document)

        return await self._context.commits.run(keep, cause=cause)

    async def get(self, template_id: str) -> Document:
        """Returns a stored template.

        Raises:
            RecordMissing: It is not stored.
        """
        document = await self._context.store.get(TEMPLATES, template_id)
        if document is None:
            raise RecordMissing("relationship template", template_id)
        return public_part(document)

    async def find(
        self, where: FilterLike = None, *, sort: Sequence[SortLike] = (), limit: int | None = None
    ) -> list[Document]:
        """Returns stored templates."""
        found = await self._context.store.find(TEMPLATES, where, sort=sort, limit=limit)
        return [public_part(document) for document in found]

    async def delete(self, template_id: str, *, cause: Cause = LOCAL_CAUSE) -> None:
        """Deletes a template: an own one at the Backbone, too, so that nobody can load it any more.

        Raises:
            RecordMissing: It is not stored.
            BackboneError: The Backbone is away; nothing was deleted.
        """
        document = await self.get(template_id)
        if document["isOwn"]:
            # Not found: expired and swept away, or deleted by another device.
            with suppress(RecordNotFound):
                await RelationshipTemplates(self._context.backbone).delete(parse_id(TEMPLATE, template_id))

        async def remove(work: Work) -> None:
            await work.remove(TEMPLATES, template_id)

        await self._context.commits.run(remove, cause=cause)

    def reference_of(self, document: Document) -> RelationshipTemplateReference:
        """Returns the reference to a stored template. It is a secret."""
        key = SecretKey.from_json(document["secretKey"])
        return RelationshipTemplateReference(document["id"], key, **reference_parts(self._context, document))

    async def forget_peer(self, peer: str, template_id: str | None, work: Work) -> None:
        """Removes what a decomposed relationship leaves: its template unless it can be used again, and the peer's."""
        if template_id is not None:
            used = await work.get(TEMPLATES, template_id)
            if used is not None and (not used["isOwn"] or used.get("maxNumberOfAllocations") == 1):
                await work.remove(TEMPLATES, template_id)
        for template in await work.find(TEMPLATES, {"createdBy": peer}):
            await work.remove(TEMPLATES, template["id"])

    def _open(
        self, received: BackboneTemplate, reference: RelationshipTemplateReference, password: SecretText | None
    ) -> Document:
        """Returns the document of a template that was just received, its signature checked."""
        key = SecretKey(reference.key)
        opened = open_template(to_base64url(received.content), key)
        if opened.identity.address != received.created_by:
            raise SignatureNotValid(
                f"Template {reference.id} names another identity than the one that made it.",
                facts={"id": reference.id},
            )
        protection = reference.password_protection
        return sort_members(
            without_unset(
                **{"@type": "RelationshipTemplate", EXACT_CONTENT: opened.content_text},
                content=opened.content,
                createdAt=format_date(received.created_at),
                createdBy=received.created_by,
                createdByDevice=received.created_by_device,
                expiresAt=None if received.expires_at is None else format_date(received.expires_at),
                forIdentity=received.for_identity,
                id=received.id,
                identity=opened.identity.to_json(verbose=False),
                isOwn=self._context.is_own_address(received.created_by),
                maxNumberOfAllocations=received.max_number_of_allocations,
                passwordProtection=None if protection is None or password is None else local_form(password, protection),
                secretKey=key.to_json(verbose=False),
                templateKey=opened.template_key.to_json(verbose=False),
            )
        )


class _CreateTemplate(Operation):
    """Creates a template; an orphaned one harms nobody, so a repeat simply sends it again."""

    kind = "templates.create"
    is_repeatable = True

    def __init__(self, context: AccountContext) -> None:
        self._context = context

    async def transmit(self, pending: PendingOperation) -> Json:
        created = await RelationshipTemplates(self._context.backbone).create(pending.wire.encode())
        return {"id": created.id, "createdAt": format_date(created.created_at)}

    async def complete(self, pending: PendingOperation, answer: Json, work: Work) -> Json:
        document = {"@type": "RelationshipTemplate", **pending.plan["document"], **answer}
        if await work.get(TEMPLATES, document["id"]) is None:
            await work.create(TEMPLATES, sort_members(document))
        return {"id": document["id"]}

    async def withdraw(self, pending: PendingOperation, work: Work) -> None:
        await work.remove(SECRETS, pending.plan["container"])


class _AllocationsExhausted(ExternalEventProcessor):
    """An own template was loaded by as many identities as it allows."""

    type = "RelationshipTemplateAllocationsExhausted"

    async def process(self, event: ExternalEvent, fetched: Any, work: Work) -> None:
        template = await work.get(TEMPLATES, payload_text(event, "relationshipTemplateId"))
        if template is not None:
            work.publish(events.RELATIONSHIP_TEMPLATE_ALLOCATIONS_EXHAUSTED, template)
