"""Relationship templates. Source: connector.md, section 3.12."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from enmeshed_connector.backbone.endpoints.public_references import PublicReference
from enmeshed_connector.consumption.requests.outgoing import OutgoingRequests
from enmeshed_connector.content.validation import ContentValidator
from enmeshed_connector.core.addresses import Address, parse_address, truncated_address
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.dates import parse_date
from enmeshed_connector.core.references import (
    Reference,
    RelationshipTemplateReference,
    TokenReference,
    parse_reference,
)
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.symmetric import SecretKey
from enmeshed_connector.crypto.tokens import TokenContentRelationshipTemplate, parse_token_content
from enmeshed_connector.runtime.use_cases.common import (
    Entry,
    Intent,
    MustBeInherited,
    Protection,
    ProtectionMustBeInherited,
    ReferenceKindWrong,
    TemplateNotOwn,
    TimeInPast,
    TokenContentUnsuitable,
    list_page,
)
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import TEMPLATES
from enmeshed_connector.transport.protection import protection_of


class TemplateUseCases:
    """What callers can do with templates."""

    def __init__(self, transport: TransportAccount, views: Views, requests: OutgoingRequests) -> None:
        """Takes the account, and the requests that its templates make."""
        self._transport = transport
        self._requests = requests
        self._views = views

    async def create(
        self,
        content: JsonObject,
        intent: Intent,
        *,
        expires_at: datetime,
        maximum_allocations: int | None = None,
        for_identity: Address | None = None,
        protection: Protection | None = None,
    ) -> View:
        """Creates a template.

        Raises:
            TimeInPast: It would be expired.
            ContentInvalid, ContentTypeNotAllowed: The content breaks a rule.
            DomainError: Those of `OutgoingRequests.template_content` and `TemplateController.create`.
        """
        context = self._transport.context
        earlier = await context.outbox.earlier_result(intent.ticket)
        if earlier is not None:
            return await self.get(earlier["id"])
        if expires_at <= context.clock.now():
            raise TimeInPast("A template must expire in the future.")
        ContentValidator(context.clock.now()).validate_template_content(content)
        template = await self._transport.templates.create(
            await self._requests.template_content(content, expires_at),
            expires_at=expires_at,
            maximum_allocations=maximum_allocations,
            for_identity=for_identity,
            protection=None if protection is None else protection.create(context.random),
            ticket=intent.ticket,
            cause=intent.cause,
        )
        return self._views.template(template)

    async def load(self, reference: str, intent: Intent, *, password: SecretText | None = None) -> View:
        """Loads a template by a reference to it or to a token that leads to it.

        Raises:
            MalformedValue: It is no reference.
            ReferenceKindWrong: It leads to a file.
            TokenContentUnsuitable: The token holds something else.
            DomainError: Those of `TemplateController.load` and `TokenController.load`.
        """
        found = await self.resolve(parse_reference(reference), password)
        template = await self._transport.templates.load(found, password=password, cause=intent.cause)
        return self._views.template(template)

    async def resolve(self, reference: Reference, password: SecretText | None) -> RelationshipTemplateReference:
        """Returns the reference to a template, following a token."""
        if isinstance(reference, RelationshipTemplateReference):
            return reference
        if not isinstance(reference, TokenReference):
            raise ReferenceKindWrong("The reference leads neither to a template nor to a token.")
        token = await self._transport.tokens.load(reference, is_ephemeral=True, password=password)
        content = parse_token_content(token["content"])
        if not isinstance(content, TokenContentRelationshipTemplate):
            raise TokenContentUnsuitable("The token does not lead to a template.")
        return template_reference(content)

    async def get(self, template_id: str) -> View:
        """Returns a template, or raises `RecordMissing`."""
        return self._views.template(await self._transport.templates.get(template_id))

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next templates of a list."""
        return await list_page(
            self._transport.context.store,
            TEMPLATES,
            self._views.template,
            where=where,
            sort=sort,
            limit=limit,
            after=after,
        )

    async def delete(self, template_id: str, intent: Intent) -> None:
        """Deletes a template. Errors: of `TemplateController.delete`."""
        await self._transport.templates.delete(template_id, cause=intent.cause)

    async def public_references(self) -> Sequence[PublicReference]:
        """Returns the templates that the operator of the Backbone recommends. Errors: `BackboneError`."""
        return await self._transport.backbone_news.public_template_references()

    async def create_token(
        self,
        template_id: str,
        intent: Intent,
        *,
        expires_at: datetime | None = None,
        is_ephemeral: bool = True,
        for_identity: Address | None = None,
        protection: Protection | None = None,
    ) -> View:
        """Creates a token that leads to an own template; it inherits whom the template is for, and its password.

        Raises:
            RecordMissing: There is no such template.
            TemplateNotOwn: It is a peer's.
            MustBeInherited, ProtectionMustBeInherited: The token would open what the template closes.
        """
        template = await self._transport.templates.get(template_id)
        if not template["isOwn"]:
            raise TemplateNotOwn(f"Template {template_id} is not own.", facts={"id": template_id})
        if template.get("forIdentity") is not None and template["forIdentity"] != for_identity:
            raise MustBeInherited(f"The token must be for {template['forIdentity']}, as the template is.")
        inherited = protection_of(template)
        wanted = None if protection is None else protection.create(self._transport.context.random)
        if inherited is not None and (
            wanted is None
            or wanted.password != inherited.password
            or wanted.shared.password_type != inherited.shared.password_type
            or wanted.shared.location_indicator != inherited.shared.location_indicator
        ):
            raise ProtectionMustBeInherited("The token must have the password of the template.")
        content = TokenContentRelationshipTemplate(
            template["id"],
            SecretKey.from_json(template["secretKey"], "secretKey"),
            None if template.get("forIdentity") is None else parse_address(template["forIdentity"]),
            None if inherited is None else inherited.shared,
        )
        token = await self._transport.tokens.create(
            content.to_json(),
            expires_at=expires_at or parse_date(template.get("expiresAt", "9999-12-31T00:00:00.000Z")),
            is_ephemeral=is_ephemeral,
            for_identity=for_identity,
            protection=wanted,
            ticket=intent.ticket,
            cause=intent.cause,
        )
        return self._views.token(token, is_ephemeral=is_ephemeral)


def template_reference(content: TokenContentRelationshipTemplate) -> RelationshipTemplateReference:
    """Returns the reference to the template that a token leads to."""
    return RelationshipTemplateReference(
        content.template_id,
        content.secret_key,
        None,
        None if content.for_identity is None else truncated_address(content.for_identity),
        content.password_protection,
    )
