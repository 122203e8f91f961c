"""Tokens and references. Source: connector.md, sections 3.13 and 1.4."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from enmeshed_connector.core.addresses import Address
from enmeshed_connector.core.canonical_json import JsonObject
from enmeshed_connector.core.references import (
    FileReference,
    RelationshipTemplateReference,
    TokenReference,
    parse_reference,
)
from enmeshed_connector.core.secret_bytes import SecretText
from enmeshed_connector.crypto.errors import UnknownSecretType
from enmeshed_connector.crypto.tokens import TokenContentFile, TokenContentRelationshipTemplate, parse_token_content
from enmeshed_connector.runtime.use_cases.common import (
    Entry,
    Intent,
    Protection,
    ReferenceKindWrong,
    TimeInPast,
    list_page,
)
from enmeshed_connector.runtime.use_cases.templates import template_reference
from enmeshed_connector.runtime.views import View, Views
from enmeshed_connector.storage import FilterLike, Keyset, SortLike
from enmeshed_connector.transport.account import TransportAccount
from enmeshed_connector.transport.objects import TOKENS


@dataclass(frozen=True)
class Loaded:
    """What a reference led to."""

    kind: str
    """`file`, `template` or `token`."""
    view: View


class TokenUseCases:
    """What callers can do with tokens, and with references of any kind."""

    def __init__(self, transport: TransportAccount, views: Views) -> None:
        """Takes the account."""
        self._transport = transport
        self._views = views

    async def create(
        self,
        content: JsonObject,
        intent: Intent,
        *,
        expires_at: datetime,
        is_ephemeral: bool = False,
        for_identity: Address | None = None,
        protection: Protection | None = None,
    ) -> View:
        """Creates a token. Errors: `TimeInPast`, those of `TokenController.create`."""
        context = self._transport.context
        if expires_at <= context.clock.now():
            raise TimeInPast("A token must expire in the future.")
        token = await self._transport.tokens.create(
            content,
            expires_at=expires_at,
            is_ephemeral=is_ephemeral,
            for_identity=for_identity,
            protection=None if protection is None else protection.create(context.random),
            ticket=intent.ticket,
            cause=intent.cause,
        )
        return self._views.token(token, is_ephemeral=is_ephemeral)

    async def load(
        self, reference: str, intent: Intent, *, is_ephemeral: bool = False, password: SecretText | None = None
    ) -> View:
        """Loads a token by its reference. Errors: `MalformedValue`, those of `TokenController.load`."""
        parsed = parse_reference(reference)
        if not isinstance(parsed, TokenReference):
            raise ReferenceKindWrong("The reference does not lead to a token.")
        token = await self._transport.tokens.load(
            parsed, is_ephemeral=is_ephemeral, password=password, cause=intent.cause
        )
        return self._views.token(token, is_ephemeral=is_ephemeral)

    async def get(self, token_id: str) -> View:
        """Returns a token, or raises `RecordMissing`."""
        return self._views.token(await self._transport.tokens.get(token_id))

    async def list(
        self, where: FilterLike, sort: Sequence[SortLike], *, limit: int, after: Keyset | None
    ) -> list[Entry]:
        """Returns the next tokens of a list."""
        return await list_page(
            self._transport.context.store,
            TOKENS,
            self._views.token,
            where=where,
            sort=sort,
            limit=limit,
            after=after,
        )

    async def delete(self, token_id: str, intent: Intent) -> None:
        """Deletes a token. Errors: of `TokenController.delete`."""
        await self._transport.tokens.delete(token_id, cause=intent.cause)

    async def load_anything(self, reference: str, intent: Intent, *, password: SecretText | None = None) -> Loaded:
        """Loads whatever a reference leads to; a token that leads on to a file or template is followed.

        Raises:
            MalformedValue: It is no reference.
            DomainError: Those of loading what it leads to.
        """
        parsed = parse_reference(reference)
        if isinstance(parsed, TokenReference):
            token = await self._transport.tokens.load(parsed, is_ephemeral=True, password=password)
            try:
                content = parse_token_content(token["content"])
            except UnknownSecretType:
                return Loaded("token", self._views.token(token, is_ephemeral=True))
            if isinstance(content, TokenContentFile):
                parsed = FileReference(content.file_id, content.secret_key)
            elif isinstance(content, TokenContentRelationshipTemplate):
                parsed = template_reference(content)
            else:
                return Loaded("token", self._views.token(token, is_ephemeral=True))
        if isinstance(parsed, FileReference):
            return Loaded("file", self._views.file(await self._transport.files.load(parsed, cause=intent.cause)))
        if isinstance(parsed, RelationshipTemplateReference):
            template = await self._transport.templates.load(parsed, password=password, cause=intent.cause)
            return Loaded("template", self._views.template(template))
        raise ReferenceKindWrong("The reference leads to nothing that can be loaded.")
